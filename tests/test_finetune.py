"""Fine-tuning a tiny reader on drawn plates, the fast recipes, and the pictures of a run."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from drawn import build_data

from alpr_edge.data import read
from alpr_edge.data.sample import Split
from alpr_edge.errors import DataError, ExitCode, ModelError, UsageError
from alpr_edge.types import Reading
from training import finetune as module
from training import plots
from training.__main__ import main
from training.checkpoint import data_hash, load_weights, save_weights
from training.detector import train as detector
from training.finetune import divide, finetune, is_dev
from training.options import RunOptions
from training.reader import train as reader
from training.reader.data import batches
from training.reader.model import reader_small, reader_tiny
from training.selection import some_of_each_set

ONE_THREAD = RunOptions(threads=1)


def plates_csv(folder: Path, texts: list[str], split: str = "") -> Path:
    """Crops of drawn texts and their CSV."""
    folder.mkdir(exist_ok=True)
    with (folder / "my.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_path", "plate_text", "split"])
        for number, text in enumerate(texts):
            image = np.full((32, 128, 3), 220, np.uint8)
            cv2.putText(image, text, (6, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2)
            cv2.imwrite(str(folder / f"{number}.png"), image)
            table.writerow([f"{number}.png", text, split])
    return folder / "my.csv"


@pytest.fixture
def start(tmp_path) -> Path:
    torch.manual_seed(0)
    model = reader_tiny()
    path = tmp_path / "start.safetensors"
    save_weights(path, task="reader", config=model.config, state=model.state_dict(),
                 notes={"trained_on": ["before"]})
    return path


def short(minutes: float):
    recipe = recipe_of(minutes)
    loop = dataclasses.replace(recipe.loop, steps=3, minutes=None, log_steps=1)
    return dataclasses.replace(recipe, loop=loop, batch_size=4)


recipe_of = module.finetune_recipe


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(module, "finetune_recipe", short)
    monkeypatch.setattr(module, "batches", lambda s, n, workers: batches(s, n, 0))


TEXTS = [f"AB{number:03}" for number in range(30)] * 2


def test_the_dev_part_is_about_15_percent_and_whole_plates(tmp_path) -> None:
    assert 0.13 < np.mean([is_dev(f"X{number:04}") for number in range(2000)]) < 0.17
    parts = divide(list(read(plates_csv(tmp_path / "own", TEXTS))))
    sides = {part.plates[0].text: set() for part in parts}
    for part in parts:
        sides[part.plates[0].text].add(part.split)
    assert all(len(side) == 1 for side in sides.values())
    assert {split for side in sides.values() for split in side} == {Split.TRAIN, Split.DEV}


def test_splits_that_are_there_are_kept(tmp_path) -> None:
    own = list(read(plates_csv(tmp_path / "own", TEXTS[:2], "dev")))
    assert divide(own) == own
    val = list(read(plates_csv(tmp_path / "val", TEXTS, "val")))
    assert divide(val) == val  # never learned, never chosen on


@pytest.mark.filterwarnings("ignore:no plate")
def test_a_run_reports_before_and_after_and_leaves_the_start(tmp_path, start, quick) -> None:
    own, before = plates_csv(tmp_path / "own", TEXTS), start.read_bytes()
    result = finetune(own, tmp_path / "run", start=start, options=ONE_THREAD)
    dev = sum(map(is_dev, TEXTS))
    assert (result.learned, result.before.n, result.after.n) == (len(TEXTS) - dev, dev, dev)
    assert result.before.k == result.after.k == 0  # three steps teach nothing
    assert result.weights is None and "no better" in str(result)
    assert start.read_bytes() == before
    facts = json.loads((tmp_path / "run" / "config.json").read_text())
    assert facts["start"] == load_weights(start).sha256
    assert facts["data_hash"] == data_hash(own)
    for name in (plots.CURVES, plots.WORST):
        assert cv2.imread(str(tmp_path / "run" / name)) is not None
    assert json.loads((tmp_path / "run" / module.REPORT).read_text())["after"] == {"k": 0, "n": dev}


@pytest.mark.filterwarnings("ignore:no plate")
def test_a_better_reader_is_written_with_its_confidence(
    tmp_path, start, quick, monkeypatch
) -> None:
    scores = iter([0.0, 1.0])
    monkeypatch.setattr(module, "evaluator", lambda *_: lambda _: {"exact": next(scores)})
    own = plates_csv(tmp_path / "own", TEXTS)
    result = finetune(own, tmp_path / "run", start=start, options=ONE_THREAD)
    assert result.weights == tmp_path / "run" / module.TUNED
    notes = load_weights(result.weights).notes
    assert {"temperature", "confidence_threshold"} <= notes.keys()
    assert notes["trained_on"] == ["before", "own", "rendered"]


@pytest.mark.filterwarnings("ignore:no plate")
def test_a_tuned_reader_stays_until_the_next_one_is_judged(
    tmp_path, start, quick, monkeypatch
) -> None:
    own, tuned = plates_csv(tmp_path / "own", TEXTS), tmp_path / "run" / module.TUNED
    tuned.parent.mkdir()
    tuned.write_bytes(b"of the run before")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(own, tmp_path / "run", start=start, options=ONE_THREAD)
    assert tuned.exists()
    finetune(own, tmp_path / "run", start=start, options=ONE_THREAD)
    assert not tuned.exists()  # it is no better than what it began with


def test_what_cannot_be_tuned_is_told(tmp_path, start, quick, capsys) -> None:
    with pytest.raises(DataError, match="in split dev"):
        module.own_plates(plates_csv(tmp_path / "own", ["AB000"]))
    with pytest.raises(ModelError, match="no such file"):
        finetune(tmp_path, tmp_path / "run", start=tmp_path / "absent")
    arguments = ["--data", str(tmp_path), "--run", str(tmp_path / "run"), "--start", str(start)]
    with pytest.raises(SystemExit) as ended:
        main(["finetune", *arguments, "--minutes", "0"])
    assert ended.value.code == ExitCode.USAGE
    assert "a number above 0" in capsys.readouterr().err


def test_a_run_of_other_data_or_weights_does_not_go_on(tmp_path, start, quick) -> None:
    own = plates_csv(tmp_path / "own", TEXTS)
    finetune(own, tmp_path / "run", start=start, options=ONE_THREAD)
    own.write_text(own.read_text().replace(TEXTS[0], "ZZ999"))
    with pytest.raises(UsageError, match="began with other data: .* add --fresh"):
        finetune(own, tmp_path / "run", start=start, options=ONE_THREAD)
    fresh = dataclasses.replace(ONE_THREAD, resume=False)
    finetune(own, tmp_path / "run", start=start, options=fresh)


def test_a_picture_that_is_listed_twice_is_on_one_side(tmp_path) -> None:
    samples = list(read(plates_csv(tmp_path / "own", TEXTS)))
    doubled = [*samples, *(
        dataclasses.replace(sample, plates=(dataclasses.replace(sample.plates[0], text="ZZ999"),))
        for sample in samples
    )]
    sides = {}
    for sample in module.divide(doubled):
        sides.setdefault(sample.path, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in sides.values())


def test_what_is_learned_is_not_measured_on_a_picture_of_dev(tmp_path) -> None:
    [sample, *_] = read(plates_csv(tmp_path / "own", TEXTS))
    texts = sorted(TEXTS, key=module.is_dev)
    assert module.is_dev(texts[-1]) and not module.is_dev(texts[0])
    plates = tuple(
        dataclasses.replace(sample.plates[0], text=text) for text in (texts[0], texts[-1])
    )
    both = dataclasses.replace(sample, plates=plates)
    [divided] = module.divide([both])
    assert divided.split is Split.DEV
    assert [plate.text for plate in divided.plates] == [None, texts[-1]]


def test_fast_takes_some_of_each_set_evenly(tmp_path) -> None:
    samples = [
        dataclasses.replace(sample, dataset=name)
        for sample in read(plates_csv(tmp_path / "own", TEXTS[:9])) for name in "ab"
    ]
    del samples[8:16:2]  # set a keeps 5
    some = some_of_each_set(samples, 3)
    assert Counter(sample.dataset for sample in some) == {"a": 3, "b": 3}
    assert [s.path.stem for s in some if s.dataset == "b"] == ["0", "4", "8"]
    dev = [dataclasses.replace(sample, split=Split.DEV) for sample in samples]
    assert some_of_each_set(dev, 3) == []


@pytest.mark.filterwarnings("ignore:no plate")
@pytest.mark.parametrize("trained", [reader, detector], ids=["reader", "detector"])
def test_fast_is_a_short_run_on_a_part(trained, tmp_path, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(trained, "train", lambda *args, **more: calls.append((args[2], more)))
    monkeypatch.setattr(trained, "FAST_PLATES", 3, raising=False)
    monkeypatch.setattr(trained, "FAST_FRAMES", 3, raising=False)
    data = build_data(tmp_path / "data", splits=("train", "dev"))
    for minutes in ("", "--minutes=2"):
        options = [f"--data={data}", f"--run={tmp_path / 'run'}", "--threads=1", "--workers=0"]
        assert main([trained.__name__.split(".")[1], *options, "--fast", *minutes.split()]) == 0
    (loop, more), (shorter, _) = calls
    assert (loop.minutes, shorter.minutes) == (10, 2)
    # the reader's three of each set are cut-outs or frames, both in set "drawn"
    assert more["notes"].get("plates", more["notes"].get("frames")) == 3
    assert more["notes"]["data_hash"] == data_hash(data)


@pytest.mark.filterwarnings("ignore:no plate")
def test_polish_goes_on_at_a_low_rate_with_little_dropout(tmp_path, monkeypatch, capsys) -> None:
    calls = []
    monkeypatch.setattr(reader, "train", lambda *args, **more: calls.append(args))
    data, start = build_data(tmp_path / "data", splits=("train", "dev")), tmp_path / "a.safetensors"
    model = reader_small()
    save_weights(start, task="reader", config=model.config, state=model.state_dict(), notes={})
    options = ["reader", f"--data={data}", f"--run={tmp_path / 'run'}", "--variant=small",
               "--threads=1", "--workers=0"]
    assert main([*options, "--polish"]) == ExitCode.USAGE
    assert "--start" in capsys.readouterr().err
    assert main([*options, "--polish", f"--start={start}"]) == 0
    (polished, _, loop, *_), = calls
    assert polished.config == dataclasses.replace(model.config, dropout=0.05)
    assert loop.lr < reader.edge_recipe().loop.lr


def test_the_hash_tells_annotations_and_names(tmp_path) -> None:
    first = build_data(tmp_path / "a", count=1)
    second = build_data(tmp_path / "b", count=1)
    assert data_hash(first) == data_hash(second)
    (second / "crops" / "more.png").touch()
    assert data_hash(first) != data_hash(second)
    (second / "crops" / "more.png").unlink()
    with (second / "crops.jsonl").open("a") as file:
        file.write("\n")
    assert data_hash(first) != data_hash(second)


def test_the_hash_leaves_out_runs(tmp_path) -> None:
    data = build_data(tmp_path / "a", count=1)
    before = data_hash(data)
    run = data / "runs" / "mine"
    run.mkdir(parents=True)
    for name in ("log.csv", "config.json", "events.out.tfevents.1.2.3"):
        (run / name).touch()
    assert data_hash(data) == before


def reading(text: str, confidence: float) -> Reading:
    return Reading(text=text, confidence=confidence, char_confidences=(), rows=1)


def test_the_worst_reads_are_wrong_and_sure() -> None:
    readings = [reading("A", 0.9), reading("B", 0.5), reading("C", 0.8), reading("D", 0.99)]
    assert plots.worst_reads(["X", "X", "X", "D"], readings) == [0, 2, 1]
    plates = [np.full((48, 192, 3), value, np.uint8) for value in (10, 20, 30, 255)]
    sheet = plots.worst_sheet(plates, ["X", "X", "X", "D"], readings)
    assert [sheet[10, 4 + 196 * column, 0] for column in range(3)] == [10, 30, 20]
    assert plots.worst_sheet(plates[3:], ["D"], readings[3:]) is None


def test_curves_draw_every_figure(tmp_path) -> None:
    (tmp_path / plots.LOG).write_text("step,minutes,lr,loss,rows\n1,0.5,1e-3,4,1\n2,1,1e-3,2,0.5\n")
    log = plots.read_columns(tmp_path / plots.LOG)
    figure = plots.draw_curves(log, {"step": [2], "minutes": [1], "exact": [0.5]}, "reader")
    left, right = figure.axes
    assert {line.get_label(): list(line.get_ydata()) for line in left.lines} == {
        "loss": [4, 2], "rows": [1, 0.5]
    }
    assert left.get_yscale() == "log"
    assert [line.get_label() for line in right.lines] == ["exact"]
    plots.write_curves(tmp_path, "reader")  # no eval.csv yet
    assert (tmp_path / plots.CURVES).read_bytes().startswith(b"\x89PNG")
