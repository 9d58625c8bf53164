"""Pictures that lie on their side: the look at them turned, where none was found upright."""

from __future__ import annotations

import math

import numpy as np
import pytest
from clips import DEMO

from alpr_edge import ALPR, geometry, rereading
from alpr_edge.detector import ON_ITS_SIDE, PlateDetector
from alpr_edge.images import load_image
from alpr_edge.types import Detection, Reading

PICTURE = np.zeros((60, 100, 3), np.uint8)


def found(box, confidence):
    corners = geometry.box_quad(box)
    return Detection(box=box, corners=corners, confidence=confidence)


@pytest.fixture
def look(tiny_models, monkeypatch):
    """A function: what a look turned tells if ``left`` and ``right`` are found there."""
    def look(left, right):
        detector = PlateDetector(tiny_models / "detector", threads=1)
        told = iter((left, right))
        monkeypatch.setattr(detector, "predict", lambda _: next(told))
        return detector.look_turned(PICTURE)

    return look


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_point_comes_back(turns):
    image = np.zeros((7, 12, 3), np.uint8)
    image[2, 9] = 255
    turned = geometry.turned(image, turns)
    y, x = np.argwhere(turned[..., 0])[0]
    back = geometry.turned_back(np.array([[x + 0.5, y + 0.5]]), turns, 7, 12)
    np.testing.assert_allclose(back, [[9.5, 2.5]])


def test_the_side_with_the_surest_plate_is_told_in_the_pictures_pixels(look):
    [plate] = look([found((10, 20, 40, 30), 0.75)], [found((10, 20, 40, 30), 0.8)])
    assert plate.confidence == 0.8
    assert plate.box == (20, 20, 30, 50)
    assert plate.corners == ((20, 50), (20, 20), (30, 20), (30, 50))  # the text runs upwards


def test_what_is_not_sure_is_no_plate_turned(look):
    unsure = found((10, 20, 40, 30), ON_ITS_SIDE - 0.01)
    assert look([unsure], []) == []
    assert len(look([unsure, found((50, 20, 60, 30), 0.9)], [found((0, 0, 9, 9), 0.8)])) == 1


@pytest.mark.parametrize("turns", [1, 3])
def test_a_photo_on_its_side_is_read(turns):
    image = load_image(DEMO / "eu.jpg")
    [upright] = ALPR(threads=1).predict(image)
    lying = geometry.turned(image, turns)
    [plate] = ALPR(threads=1).predict(lying)
    assert plate.text == upright.text
    back = geometry.turned_back(np.array(plate.corners), turns, *image.shape[:2])
    assert max(map(math.dist, back, upright.corners)) < 3
    assert ALPR(threads=1, turned=False).predict(lying) == []


def test_an_upside_down_photo_is_read_and_its_corners_begin_where_the_text_does():
    image = load_image(DEMO / "eu.jpg")
    [upright] = ALPR(threads=1).predict(image)
    over = geometry.turned(image, 2)
    [plate] = ALPR(threads=1).predict(over)
    assert plate.text == upright.text
    (left, top), *_, (bottom_left, _) = plate.corners
    assert left > over.shape[1] - upright.corners[1][0] and top > plate.box[1]
    back = geometry.turned_back(np.array(plate.corners), 2, *image.shape[:2])
    assert max(map(math.dist, back, upright.corners)) < 0.1 * (upright.box[2] - upright.box[0])
    as_it_hangs = ALPR(threads=1, turned=False).predict(over)
    assert [one.text for one in as_it_hangs] != [upright.text]


def reading(text, confidence):
    return Reading(text=text, confidence=confidence, char_confidences=(1.0,) * len(text), rows=1)


@pytest.mark.parametrize(("upright", "over", "stands"), [
    (reading("", 1.0), reading("AB123CD", 0.9), True),
    (reading("", 1.0), reading("AB123CD", 0.7), False),  # too unsure
    (reading("", 1.0), reading("HOH", 1.0), False),  # too short
    (reading("", 1.0), reading("", 1.0), False),
    (reading("906", 0.6), reading("AB123CD", 0.9), True),
    (reading("906906", 0.79), reading("AB123CD", 0.99), False),  # hardly surer
])
def test_a_plate_stands_on_its_head_only_where_that_reads_far_more_surely(upright, over, stands):
    assert rereading.maybe_upside_down(upright)
    assert rereading.is_upside_down(upright, over) is stands


def test_a_plate_that_is_read_well_is_not_tried_upside_down():
    assert not rereading.maybe_upside_down(reading("AB123CD", 0.8))
