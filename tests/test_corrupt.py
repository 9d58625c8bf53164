"""Corruptions: the same every time, and the annotations go exactly where the picture goes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr_edge.data.sample import PlateTruth, Sample, Split
from alpr_edge.errors import UsageError
from alpr_edge.geometry import PAD_VALUE, box_quad, quad_box
from benchmarks import corrupt
from benchmarks.corrupt import NAMES, Corruption, Strength

BOX = (300.0, 100.0, 492.0, 148.0)
MOVING = ("tilt", "rotate", "far")


def sample(name="a.png", width=640, height=320, crop=False, plates=None):
    if plates is None:
        box = (0.0, 0.0, float(width), float(height)) if crop else BOX
        plates = (PlateTruth(box=box, corners=box_quad(box), text="A1"),)
    return Sample(
        path=Path("anywhere") / name, dataset="drawn", split=Split.VAL, width=width, height=height,
        plates=plates, crop=crop,
    )


def picture(of):
    """As grey as the canvas, with a white plate."""
    image = np.full((of.height, of.width, 3), PAD_VALUE, np.uint8)
    x1, y1, x2, y2 = (round(v) for v in BOX)
    image[y1:y2, x1:x2] = 255
    return image


def noise(of):
    return np.random.default_rng(0).integers(0, 256, (of.height, of.width, 3), np.uint8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("crop", [False, True])
def test_deterministic_and_the_callers_picture_is_kept(name, crop):
    one = sample(crop=crop, width=200, height=50, plates=None if crop else ())
    image = noise(one)
    before = image.copy()
    corruption = Corruption(name=name)
    result = corruption.image(image, one)
    assert np.array_equal(image, before)
    assert np.array_equal(result, corruption.image(image, one))
    assert result.dtype == np.uint8
    moved = corruption.truth(one)
    assert result.shape == (moved.height, moved.width, 3)
    assert result.shape != image.shape or not np.array_equal(result, image)


def test_the_place_of_the_data_does_not_matter_but_the_picture_does():
    corruption = Corruption(name="dark")
    first, other = sample("a.png"), sample("b.png")
    elsewhere = Sample(
        path=Path("/other/place/a.png"), dataset="drawn", split=Split.VAL, width=640, height=320,
        plates=first.plates,
    )
    image = noise(first)
    assert np.array_equal(corruption.image(image, first), corruption.image(image, elsewhere))
    assert not np.array_equal(corruption.image(image, first), corruption.image(image, other))


@pytest.mark.parametrize("name", NAMES)
def test_stronger_is_further_from_the_picture(name):
    one = sample()
    image = picture(one)
    sizes = [(moved.width, moved.height, moved.plates[0].box)
             for moved in (Corruption(name=name, strength=s).truth(one) for s in Strength)]
    if name in MOVING:
        assert len(set(sizes)) == 3
        return
    changes = [
        np.abs(Corruption(name=name, strength=s).image(image, one).astype(int) - image).mean()
        for s in Strength
    ]
    assert 0 < changes[0] < changes[1] < changes[2]
    assert sizes[0] == (640, 320, BOX)


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("strength", list(Strength))
def test_corners_are_where_the_plate_is(name, strength):
    """Two routes: the moved corners, and the plate's pixels in the moved picture."""
    one = sample()
    corruption = Corruption(name=name, strength=strength)
    moved, image = corruption.truth(one), corruption.image(picture(one), one)
    drawn = np.zeros(image.shape[:2], np.uint8)
    quad = np.array(moved.plates[0].corners)
    shift = 8
    points = np.round((quad - 0.5) * 2**shift).astype(np.int32)
    cv2.fillPoly(drawn, [points], 255, shift=shift)
    share = (image[..., 0] - float(PAD_VALUE)) / (255 - PAD_VALUE)  # of plate in each pixel
    found = share > 0.5
    # Only pixels the outline goes through may differ (fillPoly draws its outline too).
    border = cv2.dilate(drawn, np.ones((3, 3))) != cv2.erode(drawn, np.ones((3, 3)))
    assert np.array_equal(found & ~border, (drawn > 0) & ~border)
    moments = cv2.moments(share)
    exact = cv2.moments(quad.astype(np.float32).reshape(-1, 1, 2))
    for key in ("m10", "m01"):
        centre = moments[key] / moments["m00"] + 0.5  # pixel centres
        assert centre == pytest.approx(exact[key] / exact["m00"], abs=0.1)
    assert moved.plates[0].box == pytest.approx(quad_box(quad))
    assert moved.plates[0].text == "A1"


def test_rotate_by_hand():
    """A frame of 640 x 320 turned by 20 degrees: its canvas, and its plate's edges."""
    moved = Corruption(name="rotate").truth(sample())
    cos, sin = np.cos(np.pi / 9), np.sin(np.pi / 9)
    assert moved.width == int(np.ceil(640 * cos + 320 * sin)) == 711
    assert moved.height == int(np.ceil(640 * sin + 320 * cos)) == 520
    quad = np.array(moved.plates[0].corners)
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    assert sides == pytest.approx([192, 48, 192, 48])
    dx, dy = quad[1] - quad[0]
    assert abs(np.rad2deg(np.arctan2(dy, dx))) == pytest.approx(20)
    middle = np.array([711, 520]) / 2  # the picture's middle stays the middle
    away = np.array([396, 124]) - [320, 160]
    assert np.linalg.norm(quad.mean(axis=0) - middle) == pytest.approx(np.linalg.norm(away))


def test_tilt_by_hand():
    """A point of the picture on the plane turned by 30 degrees twice, seen from two sides away."""
    matrix = corrupt._tilt(30.0, 0.0, 100.0)
    # x = 50 goes to 50 cos 30 across and 50 sin 30 = 25 nearer to the camera, 200 away
    assert corrupt.apply(matrix, np.array([50.0, 10.0])) == pytest.approx(
        [50 * np.cos(np.pi / 6) / (175 / 200), 10 / (175 / 200)]
    )
    both = corrupt._tilt(30.0, -30.0, 100.0)
    assert corrupt.apply(both, np.zeros(2)) == pytest.approx([0, 0])


def test_far_halves_the_frame_in_its_middle():
    moved = Corruption(name="far").truth(sample())
    assert (moved.width, moved.height) == (640, 320)
    assert moved.plates[0].box == (310.0, 130.0, 406.0, 154.0)


@pytest.mark.parametrize(
    ("size", "strength", "small"),
    [((240, 80), "medium", (94, 24)), ((240, 80), "strong", (72, 18)),
     ((200, 140), "medium", (94, 47)), ((60, 20), "medium", (60, 20))],
)
def test_far_cut_outs_have_the_stated_size(size, strength, small):
    one = sample(width=size[0], height=size[1], crop=True)
    corruption = Corruption(name="far", strength=Strength(strength))
    assert corruption.image(noise(one), one).shape[1::-1] == small
    assert corruption.truth(one).plates[0].box == (0.0, 0.0, *small)


def test_turned_cut_outs_repeat_their_edges():
    one = sample(width=200, height=50, crop=True)
    image = np.full((50, 200, 3), 90, np.uint8)
    for name in ("tilt", "rotate"):
        assert (Corruption(name=name).image(image, one) == 90).all()


def test_a_box_without_corners_holds_the_moved_box():
    one = sample(plates=(PlateTruth(box=BOX),))
    moved = Corruption(name="rotate").truth(one).plates[0]
    with_corners = Corruption(name="rotate").truth(sample()).plates[0]
    assert moved.corners is None
    assert moved.box == pytest.approx(with_corners.box)


@pytest.mark.parametrize("written", ["snow", "blur:hard", ""])
def test_unknown_names_are_told(written):
    with pytest.raises(UsageError, match="allowed are blur"):
        Corruption.parse(written)


def test_parse():
    assert Corruption.parse("blur") == Corruption(name="blur", strength=Strength.MEDIUM)
    assert Corruption.parse("far:weak") == Corruption(name="far", strength=Strength.WEAK)


@pytest.mark.parametrize("name", NAMES)
def test_listed_boxes_go_with_the_picture(name):
    one = sample(plates=(PlateTruth(box=BOX),))
    corruption = Corruption(name=name)
    [moved] = corruption.boxes(one, [BOX])
    assert moved == pytest.approx(corruption.truth(one).plates[0].box)
