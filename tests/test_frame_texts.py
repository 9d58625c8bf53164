"""Texts for plates of frames: what is read is listed, and what is listed is learned."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from alpr_edge.data import Split
from alpr_edge.errors import DataError
from alpr_edge.geometry import box_quad
from alpr_edge.types import Plate
from training.__main__ import main
from training.frame_texts import write_frame_texts
from training.reader.data import evaluation_plates, load_plates
from training.selection import Selection, select

WIDE, FAR, OTHER = (20.0, 30.0, 80.0, 46.0), (90.0, 70.0, 130.0, 86.0), (200.0, 20.0, 270.0, 40.0)


def plate(box, text, confidence=0.9, rows=1):
    moved = tuple(np.add(box, 1.5).tolist())
    return Plate(
        text=text, confidence=confidence, char_confidences=(confidence,) * len(text), rows=rows,
        region=None, kind=None, box=moved, corners=box_quad(moved), detection_confidence=0.8,
    )


class Alpr:
    """Tells the same plates of every picture."""

    def __init__(self, *plates) -> None:
        self.plates = list(plates)

    def predict(self, image):
        return self.plates


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A train frame with a wide, a far and a labelled plate, and a dev frame with a text."""
    rows = []
    for name, split in (("a", "train"), ("b", "dev")):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((120, 300, 3), 90, np.uint8))
        plates = [{"box": box, "corners": None, "text": text}
                  for box, text in ((WIDE, None), (FAR, None), (OTHER, f"{name.upper()}9"))]
        rows.append({"image": f"{name}.png", "set": "street", "split": split, "width": 300,
                     "height": 120, "complete": True, "plates": plates})
    (tmp_path / "frames.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_what_is_read_on_wide_plates_without_a_text_is_listed(data):
    out = data / "texts.jsonl"
    found = Alpr(plate(WIDE, "AB12"), plate(FAR, "FAR1"), plate(OTHER, "XY34"))
    assert write_frame_texts(data, found, out) == 1
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert row["image"] == "a.png" and row["set"] == "street"
    assert row["text"] == "AB12" and row["rows"] == 1 and row["confidence"] == 0.9
    assert row["box"] == list(WIDE) and row["corners"][0] == [21.5, 31.5]
    assert (data / "texts-1.png").exists()


def test_nothing_is_listed_that_is_held_out_or_unreadable(data):
    out = data / "texts.jsonl"
    for text, confidence in (("B9", 0.9), ("AB12", 0.01), ("", 0.9)):
        assert write_frame_texts(data, Alpr(plate(WIDE, text, confidence)), out) == 0
        assert out.read_text() == ""


def test_what_is_listed_is_learned(data):
    out = data / "texts.jsonl"
    write_frame_texts(data, Alpr(plate(WIDE, "AB12", rows=2)), out)
    out.write_text(out.read_text().replace("AB12", "AB21"))  # as a person corrects it
    selected = select(data, Selection(frame_texts=out))
    assert selected.notes["frame_texts"] == 1
    items, dropped = load_plates(selected.samples, Split.TRAIN)
    assert not dropped and {item.text for item in items} == {"AB21", "A9"}
    (item,) = [item for item in items if item.text == "AB21"]
    assert item.rows == 1 and item.dataset == "street"
    assert np.ptp(item.quads[0], axis=0) == pytest.approx((60, 16))


def test_what_is_listed_of_dev_is_judged_by_and_not_learned(data):
    out = data / "texts.jsonl"
    assert write_frame_texts(data, Alpr(plate(WIDE, "AB12")), out, Split.DEV) == 1
    samples = select(data, Selection(frame_texts=out))
    assert samples.notes["frame_texts"] == 0
    learned, _ = load_plates(samples.samples, Split.TRAIN)
    assert {item.text for item in learned} == {"A9"}
    cut_out = {"image": "b.png", "set": "cut", "split": "dev", "width": 300, "height": 120,
               "text": "C3"}
    (data / "crops.jsonl").write_text(json.dumps(cut_out))
    judged = evaluation_plates(data, Split.DEV, frame_texts=out)
    assert [(item.dataset, item.text) for item in judged] == [("cut", "C3"), ("street", "AB12")]


@pytest.mark.parametrize(("change", "message"), [
    ({"image": "c.png"}, "such as c.png, are no train or dev frames"),
    ({"box": OTHER}, "a.png has no plate without a text in box"),
    ({"text": "ab"}, "a row needs image, box, corners"),
    ({"rows": 3}, "rows 3"),
    ({"corners": [[1, 2]]}, "a row needs image, box, corners"),
])
def test_a_line_that_fits_no_plate_is_refused(data, change, message):
    row = {"image": "a.png", "box": WIDE, "corners": box_quad(WIDE), "text": "AB12", "rows": 1}
    listed = data / "texts.jsonl"
    listed.write_text(json.dumps(row | change))
    with pytest.raises(DataError, match=message):
        select(data, Selection(frame_texts=listed))


def test_the_command(data, monkeypatch, capsys):
    monkeypatch.setattr("alpr_edge.pipeline.ALPR", lambda **how: Alpr(plate(WIDE, "AB12")))
    out = data / "texts.jsonl"
    assert main(["frame-texts", "--data", str(data), "--out", str(out)]) == 0
    assert "1 readings are listed" in capsys.readouterr().out
    assert main(["frame-texts", "--data", str(data), "--out", str(data / "no" / "t.jsonl")]) == 4
    (data / "frames.jsonl").write_text("")
    (data / "crops.jsonl").write_text("")
    assert main(["frame-texts", "--data", str(data), "--out", str(out)]) == 2
    assert "every plate of the frames of split train has a text" in capsys.readouterr().err
