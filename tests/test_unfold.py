from __future__ import annotations

import cv2
import numpy as np
import pytest

from alpr_edge.geometry import as_quad, box_quad, perspective, rectify, sides
from alpr_edge.unfold import SHORT, row_gap, unfold, written
from training.reader.data import PlateItem, PlateStream, ReaderDataConfig
from training.reader.model import IGNORE

GAP = 0.4


def two_rows(height: int = 200, width: int = 300) -> np.ndarray:
    """A plate whose upper row, of two strokes, ends at GAP; the lower one has three."""
    image = np.full((height, width, 3), 220, np.uint8)
    edge = round(GAP * height)
    for shares, top, bottom in (((0.3, 0.6), 20, edge - 8), ((0.2, 0.5, 0.8), edge + 8, 185)):
        for left in (round(share * width) for share in shares):
            cv2.rectangle(image, (left, top), (left + 12, bottom), 0, -1)
    return image


def strokes(part: np.ndarray) -> int:
    """How many dark strokes the middle row of a picture crosses."""
    dark = part[part.shape[0] // 2, :, 0] < 110
    return int(dark[0]) + int((dark[1:] & ~dark[:-1]).sum())


def tilted(plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plate seen from the side in a larger picture, and its corners there."""
    corners = np.array([(60, 80), (330, 40), (350, 260), (40, 220)], np.float32)
    height, width = plate.shape[:2]
    matrix = perspective(box_quad((0, 0, width, height)), corners)
    return cv2.warpPerspective(plate, matrix, (400, 300), borderValue=(90, 90, 90)), corners


def test_the_gap_is_where_no_stroke_is():
    assert row_gap(rectify(two_rows(), box_quad((0, 0, 300, 200)))) == pytest.approx(GAP, abs=0.03)


@pytest.mark.parametrize("seen", [
    lambda plate: (plate, np.array(box_quad((0, 0, 300, 200)))), tilted,
])
def test_the_upper_row_is_on_the_left_the_lower_one_on_the_right(seen):
    image, corners = seen(two_rows())
    quad = as_quad(corners)
    rectified = rectify(image, quad)
    shown = unfold(image, quad, rectified, row_gap(rectified))
    assert shown.shape == (48, 192, 3) and shown.dtype == np.uint8
    assert (strokes(shown[:, :96]), strokes(shown[:, 96:])) == (2, 3)


def test_a_plate_without_strokes_has_a_gap_too():
    for grey in (0, 128, 255):
        assert 0.3 <= row_gap(np.full((48, 192, 3), grey, np.uint8)) <= 0.62


def row(*lefts: int, screws: tuple[int, ...] = (), width: int = 192) -> np.ndarray:
    """A row (48, width, 3) with strokes that begin at ``lefts``, and small dots."""
    image = np.full((48, width, 3), 220, np.uint8)
    for left in lefts:
        cv2.rectangle(image, (left, 8), (left + 5, 40), 0, -1)
    for x in screws:
        cv2.circle(image, (x, 24), 3, (150, 150, 150), -1)
    return image


def test_a_short_text_is_told_from_the_empty_plate_beside_it():
    left, right = written(row(80, 92, 104, screws=(12, 180)), 0.25)
    assert 0.25 < left < 80 / 192 and 110 / 192 < right < 0.75
    assert right - left <= SHORT


def test_a_text_in_two_groups_far_apart_is_kept_whole():
    left, right = written(row(20, 32, 150, 162), 0.25)
    assert left < 20 / 192 and right > 168 / 192


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_row_without_strokes_is_kept_whole(grey: int):
    assert written(np.full((48, 192, 3), grey, np.uint8), 0.25) == (0.0, 1.0)


def test_a_short_upper_row_gets_its_half_for_itself():
    """Two strokes in the middle fifth of a wide plate, above three that fill it."""
    plate = np.full((120, 480, 3), 220, np.uint8)
    for left, top, bottom in ((200, 10, 42), (250, 10, 42),
                              (60, 58, 110), (240, 58, 110), (420, 58, 110)):
        cv2.rectangle(plate, (left, top), (left + 14, bottom), 0, -1)
    quad = box_quad((0, 0, 480, 120))
    shown = unfold(plate, quad, rectify(plate, quad), 0.41)
    upper, lower = shown[:, :96, 0], shown[:, 96:, 0]
    assert (strokes(shown[:, :96]), strokes(shown[:, 96:])) == (2, 3)
    spread = np.ptp(np.flatnonzero((upper < 110).any(axis=0)))
    assert spread > 40  # of 96; 13 where the whole row is shown
    assert np.ptp(np.flatnonzero((lower < 110).any(axis=0))) < 96 * 0.9


def test_the_sides_of_a_plate_by_hand():
    assert sides(box_quad((10, 20, 110, 45))) == (100.0, 25.0)
    assert sides(as_quad([(0, 0), (30, 40), (18, 49), (-12, 9)])) == (50.0, 15.0)


def test_training_unfolds_plates_of_two_rows_alone() -> None:
    quads = (np.array(box_quad((0, 0, 300, 200)), np.float32),)
    for rows, expected in ((0, 0), (1, IGNORE), (IGNORE, IGNORE)):
        item = PlateItem(image=two_rows(), quads=quads, text="AB123", rows=rows, dataset="x")
        config = ReaderDataConfig(rendered=0, unfolded=1.0, strength=0.1, shear=0)
        image, _, told = next(iter(PlateStream([item], None, config, 0)))
        assert told == expected
        assert (strokes(image[:, :96]) == 2 and strokes(image[:, 96:]) == 3) == (rows == 1)
