"""What a run learns from: corrected labels, sets left out, and what its weights tell of that."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from alpr_edge.data import Sample, Split
from alpr_edge.errors import DataError, ExitCode, UsageError
from training.__main__ import main
from training.checkpoint import load_weights, save_weights
from training.detector.data import DataConfig, FrameDataset
from training.reader import pretrain, train
from training.reader.data import evaluation_plates
from training.reader.model import reader_tiny
from training.selection import EVERYTHING, Selection, select, trained_on


def data_of(folder: Path, crops: list[tuple[str, str, str | None]]) -> Path:
    """Cut-outs of (set, split, text); the i-th is ``i.png``. A frame of every set, too."""
    folder.mkdir()
    crop_rows, frame_rows = [], []
    for number, (name, split, text) in enumerate(crops):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((20, 60, 3), number, np.uint8))
        row = {"image": f"{number}.png", "set": name, "split": split, "width": 60, "height": 20}
        crop_rows.append(json.dumps(row | {"text": text}) + "\n")
        plate = {"box": [5, 5, 35, 15], "text": None}
        frame_rows.append(json.dumps(row | {"plates": [plate]}) + "\n")
    (folder / "crops.jsonl").write_text("".join(crop_rows))
    (folder / "frames.jsonl").write_text("".join(frame_rows))
    return folder


@pytest.fixture
def data(tmp_path) -> Path:
    return data_of(tmp_path / "data", [
        ("us", "train", "AB1"), ("us", "train", "AB2"), ("us", "dev", "AB3"),
        ("us_untexted", "train", None), ("tn", "train", "TN1"), ("tn", "dev", "TN2"),
    ])


def listed(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def crops(samples: list[Sample]) -> list[str]:
    return [s.path.stem for s in samples if s.crop]


def test_wrong_labels_of_train_are_left_out_or_learned_right(data, tmp_path) -> None:
    rows: list[dict[str, object]] = [
        {"image": f"{i}.png", "set": "us", "text": "A", "read": "B"} for i in (1, 2)
    ]
    corrections = listed(tmp_path / "suspects.jsonl", *rows, {"image": "0.png", "right": "AB7"})
    selected = select(data, Selection(corrections=corrections))
    assert crops(selected.samples) == ["0", "2", "3", "4", "5"]
    texts = [sample.plates[0].text for sample in selected.samples if sample.crop]
    assert texts == ["AB7", "AB3", None, "TN1", "TN2"]  # of dev as it was
    assert (selected.notes["labels_dropped"], selected.notes["labels_corrected"]) == (1, 1)
    notes = select(data, EVERYTHING).notes
    assert (notes["labels_dropped"], notes["labels_corrected"]) == (0, 0)


def test_what_lists_tell_stays_apart_from_what_is_measured(data, tmp_path) -> None:
    """A right text that a plate of dev has, right or not, is not learned; what is labelled is."""
    cv2.imwrite(str(data / "6.png"), np.full((20, 60, 3), 6, np.uint8))
    frame = {"image": "6.png", "set": "us", "split": "train", "width": 60, "height": 20}
    plates = [{"box": [5, 5, 35, 15], "text": None}, {"box": [36, 5, 59, 15], "text": "AB3"}]
    listed(data / "frames.jsonl", frame | {"plates": plates})
    frame_texts = listed(tmp_path / "texts.jsonl", {
        "image": "6.png", "box": [5, 5, 35, 15], "corners": [5, 5, 35, 5, 35, 15, 5, 15],
        "text": "TN2", "rows": 1,
    })
    corrections = listed(
        tmp_path / "suspects.jsonl", {"image": "0.png", "right": "AB3"},
        {"image": "1.png", "right": "TN8"}, {"image": "4.png", "right": "TN7"},
        {"image": "5.png", "right": "TN8"}, {"image": "2.png", "right": "AB6"},
    )
    selected = select(data, Selection(corrections=corrections, frame_texts=frame_texts))
    train = [sample for sample in selected.samples if sample.split is Split.TRAIN]
    texts = [plate.text for sample in train for plate in sample.plates]
    assert sorted(filter(None, texts)) == ["AB3", "TN7"]  # of the frame, as it was
    assert crops(train) == ["3", "4"]
    assert selected.notes["in_other_splits"] == 3


def test_corrections_of_other_data_or_to_no_text_are_refused(data, tmp_path) -> None:
    corrections = listed(tmp_path / "suspects.jsonl", {"image": "9.png"})
    with pytest.raises(DataError, match=r"1 listed pictures, such as 9\.png"):
        select(data, Selection(corrections=corrections))
    for row, error in (("{}", "KeyError"), ('{"image": "0.png", "right": "a?"}', "ValueError")):
        corrections.write_text(row + "\n")
        with pytest.raises(DataError, match=rf"suspects\.jsonl:1: {error}"):
            select(data, Selection(corrections=corrections))


def test_dev_is_judged_by_the_right_labels(data, tmp_path) -> None:
    wrong = listed(tmp_path / "wrong.jsonl", {"image": "2.png", "right": "AB8"}, {"image": "5.png"})
    assert [plate.text for plate in evaluation_plates(data, Split.DEV)] == ["AB3", "TN2"]
    assert [plate.text for plate in evaluation_plates(data, Split.DEV, wrong)] == ["AB8"]


@pytest.mark.filterwarnings("ignore:no plate")
def test_a_set_left_out_is_only_measured_on(data, tmp_path) -> None:
    pseudo = listed(tmp_path / "pseudo.jsonl", {"image": "3.png", "text": "AB9", "rows": 1})
    selected = select(data, Selection(leave_out=("us",), pseudo=pseudo))
    assert crops(selected.samples) == ["2", "4", "5"]  # its untexted part goes with it
    assert selected.pseudo_sets == ()
    assert selected.notes["left_out"] == ["us"]
    dataset = FrameDataset(data, DataConfig(size=64), seed=0, leave_out=("us",))
    assert {sample.dataset for sample in dataset.samples} == {"tn"}
    learned = pretrain.load_all_plates(data, Split.TRAIN, 10, ("us",))
    assert {item.dataset for item in learned} == {"tn"}


def test_lists_are_told_apart_by_what_is_in_them(tmp_path) -> None:
    one = listed(tmp_path / "a.jsonl", {"image": "1.png"})
    other = listed(tmp_path / "b.jsonl", {"image": "2.png"})
    hashes = Selection(frame_texts=one, missed=other, limit=3).hashes()
    assert hashes.keys() == {"frame_texts", "missed"}
    assert hashes["frame_texts"] != hashes["missed"] == Selection(missed=other).hashes()["missed"]
    with pytest.raises(DataError, match=r"absent\.jsonl.*check its path"):
        Selection(places=tmp_path / "absent.jsonl").hashes()


def test_an_unknown_set_names_the_known_ones(data, tmp_path, capsys) -> None:
    with pytest.raises(UsageError, match="--leave-out fr.*it has tn, us"):
        select(data, Selection(leave_out=("fr",)))
    folders = ["--data", str(data), "--run", str(tmp_path / "run"), "--leave-out", "tn"]
    for command in ("reader", "detector", "pretrain"):
        assert main([command, *folders, "--leave-out", "fr"]) == ExitCode.USAGE
        assert "no such set" in capsys.readouterr().err


def test_a_part_has_the_same_plates_with_and_without_pseudo_labels(data, tmp_path) -> None:
    pseudo = listed(tmp_path / "pseudo.jsonl", {"image": "3.png", "text": "AB9", "rows": 1})
    part = select(data, Selection(limit=1))
    assert crops(part.samples) == ["0", "4"]
    more = select(data, Selection(limit=1, pseudo=pseudo))
    assert [(s.path.stem, s.dataset) for s in more.samples] == [
        ("0", "us"), ("3", "us"), ("4", "tn"),
    ]
    assert more.pseudo_sets == ("us_untexted",)


def weights(path: Path, **notes: object) -> Path:
    model = reader_tiny()
    save_weights(path, task="reader", config=model.config, state=model.state_dict(), notes=notes)
    return path


def test_trained_on_goes_back_to_the_beginning(tmp_path) -> None:
    first = weights(tmp_path / "a.safetensors", trained_on=["old", "rendered"])
    silent = weights(tmp_path / "b.safetensors")
    assert trained_on({"us"}, pseudo_sets=("us_untexted",), rendered=False,
                      earlier=(first, None, silent)) == [
        "old", "rendered", "us", "us_untexted (pseudo-labels)",
        "what b.safetensors learned from (not recorded)",
    ]


@pytest.mark.filterwarnings("ignore:no plate")
def test_a_run_notes_what_it_learned_from(data, tmp_path, monkeypatch) -> None:
    encoder = weights(tmp_path / "e.safetensors", trained_on=["tn (pictures, pre-training)"])
    pseudo = listed(tmp_path / "pseudo.jsonl", {"image": "3.png", "text": "AB9", "rows": 1})
    wrong = listed(tmp_path / "suspects.jsonl", {"image": "1.png"})
    named = train.edge_recipe

    def two_steps(*args, **more):
        recipe = named(*args, **more)
        loop = dataclasses.replace(recipe.loop, steps=2, amp=False)
        return dataclasses.replace(recipe, loop=loop, batch_size=2)

    monkeypatch.setattr(train, "edge_recipe", two_steps)
    arguments = ["reader", f"--data={data}", f"--run={tmp_path / 'run'}", "--variant=tiny",
                 "--threads=1", "--workers=0", f"--encoder={encoder}", f"--pseudo={pseudo}",
                 f"--corrections={wrong}", "--leave-out=tn"]
    assert main(arguments) == ExitCode.OK
    facts = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (facts["labels_dropped"], facts["left_out"], facts["plates"]) == (1, ["tn"], 2)
    assert load_weights(tmp_path / "run" / "best.safetensors").notes["trained_on"] == [
        "rendered", "tn (pictures, pre-training)", "us", "us_untexted (pseudo-labels)",
    ]
