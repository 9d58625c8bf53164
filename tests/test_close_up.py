"""Plates that fill the picture: the detector's second look, as from twice as far."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from clips import DEMO

from alpr_edge import ALPR, geometry
from alpr_edge.detector import PlateDetector
from alpr_edge.images import load_image

WIDE, HIGH = 48, 32
"""A picture half the size of the tiny network's frame: it is enlarged."""


def outputs(*boxes):
    """Of a graph that found these boxes, in its frame's pixels, the first one most surely."""
    many = np.array([boxes], np.float32).reshape(1, -1, 4)
    x1, y1, x2, y2 = np.moveaxis(many, -1, 0)
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], -1).reshape(1, -1, 4, 2)
    scores = 0.9 - 0.1 * np.arange(many.shape[1], dtype=np.float32)[None]
    return {"scores": scores, "boxes": many, "corners": corners}


@pytest.fixture
def detector(tiny_models, monkeypatch):
    """A function: what is found in a picture when the network answers so, look by look; and how
    often it looked."""
    def find(picture, *answers):
        found = PlateDetector(tiny_models / "detector", threads=1)
        looks = []

        def infer(framed):
            looks.append(framed.frame)
            return answers[len(looks) - 1]

        monkeypatch.setattr(found, "infer", infer)
        return [plate.box for plate in found.predict(picture)], len(looks)

    return find


def test_farther_is_half_as_large_in_the_middle():
    image = np.full((40, 96, 3), 200, np.uint8)
    frame, mapping = geometry.letterbox(image, 64, 96)
    half, second = geometry.farther(frame, mapping)
    assert half.shape == frame.shape
    assert (half[16:36, 24:72] == 200).all() and (half[:16] == geometry.PAD_VALUE).all()
    points = np.array([[0.0, 0.0], [96.0, 40.0], [10.0, 7.0]])
    np.testing.assert_allclose(second.forward(points)[:2], [[24, 16], [72, 36]])
    np.testing.assert_allclose(second.inverse(second.forward(points)), points, atol=1e-4)


def test_a_plate_of_usual_width_is_looked_at_once(detector):
    picture = np.zeros((128, 192, 3), np.uint8)  # half as large in the frame of 96 x 64
    assert detector(picture, outputs((20, 20, 60, 30))) == ([(40, 40, 120, 60)], 1)
    assert detector(picture, outputs()) == ([], 1)


def test_a_plate_that_fills_a_narrow_picture_is_not_large_for_the_network(detector):
    picture = np.zeros((256, 64, 3), np.uint8)  # 16 columns of the frame
    assert detector(picture, outputs((1, 20, 15, 26))) == ([(4, 80, 60, 104)], 1)


def test_a_wide_plate_is_replaced_by_what_is_seen_from_afar(detector):
    picture = np.zeros((128, 192, 3), np.uint8)
    first = outputs((30, 20, 90, 40), (5, 50, 15, 54))  # cut off on the left; a small one apart
    boxes, looks = detector(picture, first, outputs((26, 26, 70, 37)))
    assert looks == 2
    assert boxes == [(8, 40, 184, 84), (10, 100, 30, 108)]


def test_a_plate_that_was_much_surer_is_not_replaced(detector):
    picture = np.zeros((128, 192, 3), np.uint8)
    first, small = outputs((30, 20, 90, 40)), [(30, 50, 34, 52), (60, 50, 64, 52)]
    for second, boxes in (
        (outputs(*small, (26, 26, 70, 37)), [(60, 40, 180, 80)]),  # 0.7 instead of 0.9
        (outputs((26, 26, 70, 37), *small), [(8, 40, 184, 84)]),
    ):
        assert detector(picture, first, second) == (boxes, 2)


def test_what_is_small_from_afar_does_not_count(detector):
    picture = np.zeros((128, 192, 3), np.uint8)
    first = outputs((30, 20, 90, 40))
    assert detector(picture, first, outputs((26, 26, 30, 28))) == ([(60, 40, 180, 80)], 2)


def test_a_small_picture_without_a_plate_is_looked_at_again(detector):
    picture = np.zeros((HIGH, WIDE, 3), np.uint8)
    assert detector(picture, outputs(), outputs((26, 18, 70, 46))) == ([(2, 2, 46, 30)], 2)
    assert detector(picture, outputs(), outputs()) == ([], 2)


def test_a_wide_picture_without_a_plate_is_looked_at_again(detector):
    picture = np.zeros((320, 960, 3), np.uint8)
    boxes, looks = detector(picture, outputs(), outputs((25, 17, 71, 30)))
    assert boxes == [(20, 20, 940, 280)] and looks == 2


def test_a_plate_cut_out_of_a_demo_picture_is_read_as_in_it():
    alpr = ALPR(threads=1)
    for name in ("eu.jpg", "cn_blue.jpg", "uk.jpg"):
        image = load_image(DEMO / name)
        [plate, *_] = alpr.predict(image)
        x1, y1, x2, y2 = (round(value) for value in plate.box)
        for cut in (image[y1:y2, x1:x2], cv2.resize(image[y1:y2, x1:x2], None, fx=6, fy=6)):
            assert plate.text in [one.text for one in alpr.predict(cut)], name
