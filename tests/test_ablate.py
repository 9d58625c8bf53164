"""Ablations: what differs from the base, what is run again, the report and its table; the CSV."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from drawn import build_data
from test_selection import data_of

from alpr_edge.data import Split, read
from alpr_edge.errors import DataError, ExitCode, UsageError
from alpr_edge.markdown import replace_block
from training import ablate as module
from training.__main__ import main
from training.ablate import (
    BASE,
    BLOCK,
    DOCUMENT,
    RESULT,
    ablate,
    committed,
    digest,
    facts_of,
    table,
    variants,
)
from training.checkpoint import LAST, save_weights
from training.csv_list import write_csv
from training.options import RunOptions
from training.reader import train as reader
from training.reader.model import reader_tiny


@pytest.fixture
def runs(monkeypatch) -> list[str]:
    """Instead of training: the seed and the augmentation's strength are the figures. Returns the
    names of the folders of the runs, in order."""
    done = []

    def run(data, folder, recipe, *, variant, options):
        assert variant == module.VARIANT
        done.append(folder.name)
        model = reader_tiny()
        exact = 0.5 + 0.1 * recipe.loop.seed - 0.25 * (recipe.data.strength == 0)
        save_weights(folder / LAST, task="reader", config=model.config, state=model.state_dict(),
                     notes={"dev": {"exact": exact, "us": exact}})

    monkeypatch.setattr(module.reader, "run", run)
    monkeypatch.setattr(module.pretrain, "run", lambda data, folder, *_, **__: done.append(
        folder.name))
    return done


def test_every_variant_is_one_change_away_from_the_base(tmp_path) -> None:
    base = reader.fast_recipe()
    found = variants(base, tmp_path / "encoder", tmp_path / "pseudo")
    assert found.pop(BASE).recipe == base
    for name, variant in found.items():
        changed = [f.name for f in dataclasses.fields(base)
                   if getattr(base, f.name) != getattr(variant.recipe, f.name)]
        assert len(changed) == 1, name
    assert len({json.dumps(dataclasses.asdict(v.recipe), default=str) for v in found.values()}) \
        == len(found)
    assert "pseudo" not in variants(base, tmp_path, None)


def test_a_result_counts_for_its_variant_alone(tmp_path) -> None:
    pseudo, base = tmp_path / "pseudo", reader.fast_recipe()
    pseudo.write_text("a")
    found = variants(base, tmp_path / "encoder", pseudo)
    digests = {name: digest(facts_of(variant.recipe)) for name, variant in found.items()}
    assert len(set(digests.values())) == len(digests)
    pseudo.write_text("b")
    assert digest(facts_of(found["pseudo"].recipe)) not in digests.values()
    more = dataclasses.replace(base, batch_size=base.batch_size + 1)
    assert digest(facts_of(more)) not in digests.values()


def test_runs_are_compared_with_the_base_of_their_seed_and_not_repeated(tmp_path, runs) -> None:
    data, out = build_data(tmp_path / "data", splits=("train", "dev")), tmp_path / "out.json"
    more = {"only": ["augment-0"], "steps": 20}
    report = ablate(data, tmp_path / "runs", out, **more)
    assert runs == ["base-0", "augment-0-0", "base-1", "augment-0-1"]
    assert json.loads(out.read_text()) == report
    differences = report["variants"]["augment-0"]["difference"]
    assert differences == {s: {"exact": pytest.approx(-0.25), "us": pytest.approx(-0.25)}
                           for s in "01"}
    assert report["plates"]["exact"] == sum(v for k, v in report["plates"].items() if k != "exact")

    (tmp_path / "runs" / "augment-0-1" / RESULT).unlink()  # as if it was interrupted,
    out.unlink()  # before the report
    assert ablate(data, tmp_path / "runs", out, **more) == report
    assert runs[4:] == ["augment-0-1"]
    with pytest.raises(UsageError, match="other --steps"):
        ablate(data, tmp_path / "runs", out, only=["augment-0"], steps=30)
    (tmp_path / "runs" / "base-0" / RESULT).unlink()  # it has only begun
    with pytest.raises(UsageError, match="other --steps"):
        ablate(data, tmp_path / "runs", out, only=["base"], steps=30)
    ablate(data, tmp_path / "runs", tmp_path / "again.json", only=["base"], steps=20, seeds=[0])
    assert runs.pop() == "base-0"
    ablate(data, tmp_path / "runs", out, only=["pretrained"], steps=20, seeds=[0])
    assert runs[5:] == ["encoder", "pretrained-0"]


def test_what_a_report_has_is_not_run_again_elsewhere(tmp_path, runs) -> None:
    data, out = build_data(tmp_path / "data", splits=("train", "dev")), tmp_path / "out.json"
    report = ablate(data, tmp_path / "one", out, only=["augment-0"], steps=20, seeds=[0])
    other = ablate(data, tmp_path / "two", out, only=["augment-0", "no-ema"], steps=20, seeds=[0])
    assert runs == ["base-0", "augment-0-0", "no-ema-0"]
    assert report["variants"].items() <= other["variants"].items()
    ablate(data, tmp_path / "three", out, only=["no-ema"], steps=30, seeds=[0])  # another length
    assert runs[3:] == ["base-0", "no-ema-0"]
    old = json.loads(out.read_text())
    old["variants"]["no-ema"]["recipe"] = "of old"
    out.write_text(json.dumps(old))
    ablate(data, tmp_path / "four", out, only=["no-ema"], steps=30, seeds=[0])
    assert runs[5:] == ["no-ema-0"]


def test_a_part_made_anew_keeps_the_rest_of_the_report(tmp_path, runs) -> None:
    data, out = build_data(tmp_path / "data", splits=("train", "dev")), tmp_path / "out.json"
    pseudo = tmp_path / "pseudo.jsonl"
    pseudo.touch()
    before = ablate(data, tmp_path / "runs", out, only=["pseudo"], steps=20, pseudo=pseudo)
    after = ablate(data, tmp_path / "runs", out, only=["no-ema"], steps=20, seeds=[0])
    assert before["variants"].items() <= after["variants"].items()
    assert "no-ema" in after["variants"]


def test_wrong_use_is_told(tmp_path, runs, capsys) -> None:
    data = build_data(tmp_path / "data", splits=("train", "dev"))
    arguments = ["ablate", f"--data={data}", f"--runs={tmp_path}", f"--out={tmp_path / 'o.json'}"]
    assert main([*arguments, "--only", "pseudo"]) == ExitCode.USAGE
    assert "there are base, pretrained" in capsys.readouterr().err
    assert not runs


def test_the_table_by_hand() -> None:
    entries = {
        BASE: {"what": "all", "seeds": {"0": {"exact": 0.5}, "1": {"exact": 0.6}}},
        "part": {"what": "a part", "seeds": {"1": {"exact": 0.7}},
                 "difference": {"1": {"exact": 0.1}}},
    }
    report = {"plates": {"exact": 9}, "variant": "small", "steps": 10, "variants": entries}
    assert table(report).splitlines()[2:] == [
        "| variant | seed 0 | seed 1 | less the base |", "|---|---|---|---|",
        "| all | 50.0% | 60.0% | - |", "| a part | - | 70.0% | +10.0 |",
    ]
    assert table(None) == "Not run yet."


def test_the_document_has_the_table_of_the_committed_report() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == replace_block(text, BLOCK, table(committed()))


@pytest.mark.filterwarnings("ignore:no plate")
def test_a_seed_changes_the_initialisation_and_the_order(tmp_path, monkeypatch) -> None:
    started = []
    monkeypatch.setattr(reader, "train", lambda model, batches, *_, **__: started.append(
        (model.rows.weight.clone(), next(batches)["image"])))
    data = build_data(tmp_path / "data", splits=("train", "dev"))
    base = dataclasses.replace(reader.fast_recipe(), batch_size=4)
    for seed in (0, 1, 1):
        recipe = dataclasses.replace(base, loop=dataclasses.replace(base.loop, seed=seed))
        reader.run(data, tmp_path / "run", recipe, variant="tiny",
                   options=RunOptions(threads=1, workers=0))
    for (one, other), same in zip(itertools.pairwise(started), (False, True), strict=True):
        assert [torch.equal(a, b) for a, b in zip(one, other, strict=True)] == [same, same]


def test_a_csv_of_a_set_is_read_back(tmp_path) -> None:
    splits = ["train"] * 5 + ["calib", "dev", "val"]
    crops = [("tn", split, f"TN{i}") for i, split in enumerate(splits)]
    data = data_of(tmp_path / "data", [*crops, ("tn", "train", None), ("us", "train", "AB1")])
    (tmp_path / "mine").mkdir()
    out = tmp_path / "mine" / "my.csv"
    assert write_csv(data, "tn", 3, out) == 5
    assert [(s.plates[0].text, s.split) for s in read(out)] == [
        ("TN0", Split.TRAIN), ("TN2", Split.TRAIN), ("TN4", Split.TRAIN), ("TN5", Split.CALIB),
        ("TN6", Split.DEV),
    ]
    assert {s.path.resolve().parent for s in read(out)} == {data.resolve()}
    with pytest.raises(DataError, match="set 'fr'; sets with some: tn, us"):
        write_csv(data, "fr", 3, out)


def test_the_csv_command_tells_what_it_wrote(tmp_path, capsys) -> None:
    data = data_of(tmp_path / "data", [("tn", "train", "TN1"), ("tn", "dev", "TN2")])
    arguments = ["csv", str(data), "--set", "tn", "--out"]
    assert main([*arguments, str(tmp_path / "my.csv")]) == ExitCode.OK
    assert capsys.readouterr().out == "2 cut-outs\n"
    assert main([*arguments, str(Path(tmp_path) / "absent" / "my.csv")]) == ExitCode.OUTPUT
