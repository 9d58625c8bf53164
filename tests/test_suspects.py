"""Suspect labels: what a reader that is made up reads otherwise than labelled."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.data import Split, read
from alpr_edge.geometry import rectify, whole
from alpr_edge.types import Reading
from training.suspects import VIEWS, doubts, seen, write_suspects

WIDTH, HEIGHT = 60, 20


def data_of(folder: Path, crops: list[dict[str, object]]) -> Path:
    """The i-th cut-out is all of grey value 20 i."""
    folder.mkdir()
    rows = []
    for number, facts in enumerate(crops):
        cv2.imwrite(
            str(folder / f"{number}.png"), np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8)
        )
        row = {"image": f"{number}.png", "set": "here", "split": "train", "text": "AB1",
               "width": WIDTH, "height": HEIGHT}
        rows.append(json.dumps(row | facts) + "\n")
    (folder / "crops.jsonl").write_text("".join(rows), "utf-8")
    return folder


def reader(told: dict[int, list[tuple[str, float]]]):
    """For each cut-out, by the grey value of its first view: texts and confidences of its views,
    the last for all that follow; labelled right where not told."""
    def read_plates(plates):
        found = []
        for start in range(0, len(plates), VIEWS):
            answers = told.get(int(plates[start, 24, 96, 0]) // 20, [("AB1", 0.9)])
            found += [
                Reading(text=text, confidence=confidence, char_confidences=(), rows=1)
                for text, confidence in (answers + answers[-1:] * VIEWS)[:VIEWS]
            ]
        return found
    return read_plates


def listed(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_views_are_the_cut_out_and_augmented_ones() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 120, 3), np.uint8)
    views = seen(image, np.random.default_rng(1))
    assert views.shape == (VIEWS, 48, 192, 3)
    assert (views[0] == rectify(image, whole(image))).all()
    assert len({view.tobytes() for view in views}) == VIEWS


def test_a_label_learned_by_heart_is_suspect_by_the_share_of_another_text(tmp_path) -> None:
    """The second cut-out is read as labelled where it is not augmented, otherwise in all others."""
    data = data_of(tmp_path / "data", [{}, {}])
    answers = {1: [("AB1", 0.7), ("AB7", 0.3)]}
    found = list(doubts(read(data), [reader(answers)]))
    assert [(f.sample.path.name, f.label, f.reading.text) for f in found] == [
        ("1.png", "AB1", "AB7")
    ]
    assert found[0].reading.confidence == pytest.approx(2.1 / 2.8)


def test_the_surest_of_other_texts_counts_and_all_readers_are_asked(tmp_path) -> None:
    data = data_of(tmp_path / "data", [{}])
    first, second = reader({0: [("AB1", 0.4)]}), reader({0: [("A7", 0.3), ("A8", 0.2)]})
    found = list(doubts(read(data), [first, second]))
    assert [f.reading.text for f in found] == ["A8"]
    assert found[0].reading.confidence == pytest.approx(1.4 / (1.4 + 3.2))


def test_the_list_has_every_split_the_surest_first_and_pictures(tmp_path, capsys) -> None:
    splits = [{"split": split.value} for split in Split]
    data = data_of(tmp_path / "data", [*splits, {"text": None}])
    answers = {
        0: [("AB1", 0.8), ("AB7", 0.2)], 1: [("AB7", 0.9)], 2: [("AB1", 0.9), ("AB1", 0.9)],
        3: [("AB7", 0.1), ("AB1", 0.9)],
    }
    out = tmp_path / "suspects.jsonl"
    assert write_suspects(data, [reader(answers)], out, 0.5) == 2
    facts = ("image", "split", "text", "read")
    first, second = (split.value for split in list(Split)[:2])
    assert [tuple(row[fact] for fact in facts) for row in listed(out)] == [
        ("1.png", second, "AB1", "AB7"), ("0.png", first, "AB1", "AB7"),
    ]
    assert (tmp_path / "suspects-1.png").exists()
    assert "2 of 4" in capsys.readouterr().out


def test_nothing_suspect_is_an_empty_list_without_pictures(tmp_path) -> None:
    out = tmp_path / "suspects.jsonl"
    assert write_suspects(data_of(tmp_path / "data", [{}]), [reader({})], out, 0.2) == 0
    assert out.read_text() == ""
    assert not list(tmp_path.glob("*.png"))
