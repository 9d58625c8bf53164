"""Regions, least widths, tiles and the smaller stream: which plates of a camera are read."""

import argparse

import numpy as np
import pytest

from alpr_edge.detector import PlateDetector, StagedDetector
from alpr_edge.geometry import box_quad, quad_box
from alpr_edge.types import Detection
from alpr_edge.watch.camera_detector import CameraDetector, is_inside
from alpr_edge.watch.clutter import Clutter
from alpr_edge.watch.config import CameraConfig
from alpr_edge.watch.tiles import OVERLAP, TiledDetector, tiles
from alpr_edge.watch.watch_options import polygon

LOWER_HALF = ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0))


class Bright(StagedDetector):
    """Finds each bright rectangle of a picture; ``looks`` has the sizes of what it looked at."""

    def __init__(self) -> None:
        self.looks: list[tuple[int, int]] = []

    def letterbox(self, image):
        self.looks.append(image.shape[1::-1])
        return image

    def infer(self, image):
        import cv2
        mask = (image[..., 0] > 128).astype(np.uint8)
        return cv2.connectedComponentsWithStats(mask)[2][1:]

    def postprocess(self, rectangles, image):
        found = []
        for x, y, w, h, area in sorted(rectangles.tolist(), key=lambda one: -one[4]):
            box = float(x), float(y), float(x + w), float(y + h)
            score = min(1.0, 0.3 + area / image[..., 0].size * 20)
            found.append(Detection(box=box, corners=box_quad(box), confidence=score))
        return found


def picture(*boxes, width=400, height=200):
    image = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


def camera(**settings) -> CameraConfig:
    return CameraConfig(name="gate", source="0", **settings)


def boxes(detections):
    return [tuple(detection.box) for detection in detections]


def test_a_region_is_in_shares_of_the_picture():
    quad = box_quad((100, 90, 140, 100))  # centre 120, 95
    assert is_inside(quad, [LOWER_HALF], 400, 190)  # on the edge
    assert not is_inside(quad, [LOWER_HALF], 400, 192)
    triangle = ((0.2, 0.0), (0.4, 0.0), (0.3, 1.0))
    assert is_inside(quad, [LOWER_HALF, triangle], 400, 200)


def test_regions_on_the_command_line():
    assert polygon("0,0.5 1,0.5  1,1 0,1") == LOWER_HALF
    for wrong in ("", "0,0 1,1", "0,0 1,1 2,0", "0,0 1,1 a,b", "0 0 1 1 1 0", "0,0,0 1,1 1,0"):
        with pytest.raises(argparse.ArgumentTypeError, match="points are x,y with a space"):
            polygon(wrong)


def test_only_what_is_in_the_region_and_wide_enough_counts():
    near, far, above = (50, 150, 110, 170), (200, 150, 210, 154), (50, 20, 110, 40)
    detector = CameraDetector(Bright(), camera(region=(LOWER_HALF,), min_plate_width=20))
    assert boxes(detector.predict(picture(near, far, above))) == [near]
    assert sorted(boxes(detector.ignored)) == sorted([far, above])
    assert boxes(detector.predict(picture(near))) == [near] and detector.ignored == []


def test_without_settings_it_is_the_detector_itself():
    image = picture((50, 150, 110, 170), (200, 150, 210, 154))
    assert CameraDetector(Bright(), camera()).predict(image) == Bright().predict(image)


def test_plates_found_in_the_smaller_stream_are_where_they_are_in_the_main_one():
    inner = Bright()
    detector = CameraDetector(inner, camera(min_plate_width=60))
    detector.small = picture((50, 75, 90, 85), (120, 75, 130, 85), width=200, height=100)
    found = detector.predict(np.zeros((400, 1000, 3), np.uint8))
    assert boxes(found) == [(250, 300, 450, 340)]  # 5 and 4 times
    assert quad_box(found[0].corners) == (250, 300, 450, 340)
    assert boxes(detector.ignored) == [(600, 300, 650, 340)]
    assert inner.looks == [(200, 100)]


@pytest.mark.parametrize(("length", "count"), [(1920, 3), (1080, 2), (401, 4), (640, 1)])
def test_tiles_cover_the_picture_and_overlap(length, count):
    parts = [(left, right) for left, _, right, _ in tiles(length, 100, count, 1)]
    assert parts[0][0] == 0 and abs(parts[-1][1] - length) <= 1 and len(parts) == count
    for (left, right), (next_left, _) in zip(parts, parts[1:], strict=False):
        assert (right - next_left) / (right - left) == pytest.approx(OVERLAP, abs=0.02)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (20_000, 1)])
def test_each_tile_of_the_smallest_pictures_has_pixels(width, height):
    for left, top, right, bottom in tiles(width, height, 8, 5):
        assert 0 <= left < right <= width and 0 <= top < bottom <= height


def test_each_plate_counts_once_whatever_tiles_show_it():
    inner = Bright()
    detector = TiledDetector(inner, 2, 1)  # 0..222 and 178..400
    alone, twice, cut = (10, 50, 50, 62), (185, 50, 215, 62), (160, 100, 200, 112)
    found = detector.predict(picture(alone, twice, cut))
    assert sorted(boxes(found)) == sorted([alone, twice, cut])
    assert inner.looks == [(400, 200), (222, 200), (222, 200)]


def test_a_plate_larger_than_a_tiles_overlap_is_found_in_the_whole_picture():
    large = (100, 60, 300, 120)
    assert boxes(TiledDetector(Bright(), 2, 2).predict(picture(large))) == [large]


def test_tiles_and_region_together():
    detector = CameraDetector(Bright(), camera(tiles=(2, 2), region=(LOWER_HALF,)))
    below, above = (185, 150, 215, 162), (185, 20, 215, 32)
    assert boxes(detector.predict(picture(below, above))) == [below]


@pytest.mark.parametrize("grid", [(1, 1), (2, 2)])
def test_a_picture_on_its_side_is_looked_at_turned_and_only_what_counts_is_told(grid):
    below, above = (50, 150, 110, 170), (50, 20, 110, 40)

    class Turned(Bright):
        def look_turned(self, image):
            return self.predict(image)

    detector = CameraDetector(Turned(), camera(region=(LOWER_HALF,), tiles=grid))
    assert boxes(detector.look_turned(picture(below, above))) == [below]
    assert boxes(detector.ignored) == [above]


def test_a_single_picture_keeps_what_is_doubted_and_says_from_when_it_is_sure():
    inner = Bright()
    inner.sure = 0.6
    doubted = (50, 150, 60, 155)
    alone = CameraDetector(inner, camera())
    assert alone.sure == 0.6 and boxes(alone.predict(picture(doubted))) == [doubted]
    followed = CameraDetector(inner, camera())
    followed.clutter = Clutter()
    assert followed.predict(picture(doubted)) == []


def test_only_the_whole_picture_is_worth_a_second_look(tiny_models, frame):
    """A cut-out shows its plate large, a tile never does: the whole picture shows it, too."""
    detector = PlateDetector(tiny_models / "detector", threads=1)
    looks, infer = [], detector.infer
    detector.infer = lambda framed: looks.append(framed.width) or infer(framed)
    TiledDetector(detector, 2, 2).predict(np.zeros((8, 40, 3), np.uint8))
    assert len(looks) <= 6 and looks[:5] == [40, 22, 22, 22, 22]
