"""What is no plate: learned by a reader without a text."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.alphabet import PAD, SLOTS
from training.reader.data import PlateStream, ReaderDataConfig
from training.reader.model import CLASSES, IGNORE, ctc_loss
from training.reader.nothing import NOTHING, without_text

SIGN, PLATE, BEYOND = (90.0, 70.0, 130.0, 86.0), (20.0, 30.0, 60.0, 46.0), (-6.0, 8.0, 30.0, 20.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A training frame and a list of three places in it, one of which is a plate."""
    picture = np.full((120, 160, 3), 90, np.uint8)
    picture[70:86, 90:130] = 200
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    row = {"image": "a.png", "set": "street", "split": "train", "width": 160, "height": 120,
           "complete": True, "plates": []}
    (tmp_path / "frames.jsonl").write_text(json.dumps(row))
    for name, boxes in (("places", (SIGN, PLATE, BEYOND)), ("missed", (PLATE,))):
        lines = [json.dumps({"image": "a.png", "box": box}) + "\n" for box in boxes]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    return tmp_path


def test_all_places_but_plates_have_no_text(data: Path) -> None:
    found = without_text(data, data / "places.jsonl", data / "missed.jsonl", seed=1)
    places = [plate for plate in found if plate.image.shape[1] <= 2 * 40]
    assert len(places) >= 2
    assert {(plate.text, plate.dataset, plate.rows) for plate in found} == {("", NOTHING, IGNORE)}
    sign, beyond = found[:2]
    assert sign.image.shape == (24, 60, 3)  # with its margin
    assert (sign.image[5, 11] == 200).all()
    np.testing.assert_allclose(sign.quads[0][0], [10, 4])
    np.testing.assert_allclose(beyond.quads[0][:, 0], [-6, 30, 30, -6])
    everything = without_text(data, data / "places.jsonl", None, seed=1)
    assert len(everything) == len(found) + 1


def test_the_stream_shows_them_with_pads_only(data: Path) -> None:
    found = without_text(data, data / "places.jsonl", data / "missed.jsonl", seed=1)
    stream = PlateStream(found, None, ReaderDataConfig(), seed=2)
    image, text, rows = next(iter(stream))
    assert image.shape == (48, 192, 3) and rows == IGNORE
    np.testing.assert_array_equal(text, np.full(SLOTS, PAD))


def test_no_text_costs_as_much_as_a_full_one() -> None:
    """Of L uniform tokens all are blank with C ** -L."""
    text = torch.full((1, SLOTS), PAD)
    loss = ctc_loss(torch.zeros(1, 4, CLASSES), text)
    assert loss.item() == pytest.approx(4 * np.log(CLASSES) / SLOTS, rel=1e-5)
