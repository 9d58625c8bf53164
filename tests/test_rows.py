from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from alpr_edge.alphabet import PAD, decode
from alpr_edge.geometry import as_quad, box_quad, perspective, rectify, sides
from alpr_edge.rows import NARROW, SHORT, alone, row_gap, text_band, written
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
def test_each_row_is_shown_alone(seen):
    image, corners = seen(two_rows())
    quad = as_quad(corners)
    rectified = rectify(image, quad)
    shown = alone(image, quad, rectified, 2)
    assert [(row.shape, row.dtype) for row in shown] == [((48, 192, 3), np.uint8)] * 2
    assert [strokes(row) for row in shown] == [2, 3]


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


def test_a_short_upper_row_is_shown_without_the_empty_plate_beside_it():
    """Two strokes in the middle fifth of a wide plate, above three that fill it."""
    plate = np.full((120, 480, 3), 220, np.uint8)
    for left, top, bottom in ((200, 10, 42), (250, 10, 42),
                              (60, 58, 110), (240, 58, 110), (420, 58, 110)):
        cv2.rectangle(plate, (left, top), (left + 14, bottom), 0, -1)
    quad = box_quad((0, 0, 480, 120))
    upper, lower = alone(plate, quad, rectify(plate, quad), 2)
    assert (strokes(upper), strokes(lower)) == (2, 3)
    spread = [np.ptp(np.flatnonzero((row[..., 0] < 110).any(axis=0))) for row in (upper, lower)]
    assert spread[0] > 80  # of 192; 26 where the whole row is shown
    assert spread[1] < 192 * 0.9


def test_a_single_character_is_not_stretched_over_the_whole_row():
    plate = np.full((200, 400, 3), 220, np.uint8)
    cv2.rectangle(plate, (190, 20), (209, 80), 0, -1)
    cv2.rectangle(plate, (40, 110), (360, 180), 0, -1)
    quad = box_quad((0, 0, 400, 200))
    upper, _ = alone(plate, quad, rectify(plate, quad), 2)
    wide = (upper[24, :, 0] < 110).sum()
    assert wide == pytest.approx(20 / (NARROW * 100) * 192, abs=3)


def with_slogan() -> np.ndarray:
    """A plate (160, 320, 3) with four strokes between two thirds and nine tenths of its height,
    and a badge, fainter, above them."""
    plate = np.full((160, 320, 3), 220, np.uint8)
    cv2.rectangle(plate, (150, 20), (170, 50), (150, 150, 150), -1)
    for left in (40, 110, 190, 260):
        cv2.rectangle(plate, (left, 107), (left + 12, 144), 0, -1)
    return plate


@pytest.mark.parametrize("seen", [
    lambda plate: (plate, np.array(box_quad((0, 0, 320, 160)))), tilted,
])
def test_a_single_row_is_shown_without_what_is_above_and_below_its_text(seen):
    image, corners = seen(with_slogan())
    quad = as_quad(corners)
    plate = rectify(image, quad)
    top, bottom = text_band(plate)
    assert (top, bottom) == pytest.approx((0.58, 0.98), abs=0.06)
    shown, = alone(image, quad, plate, 1)
    assert (shown.shape, shown.dtype, strokes(shown)) == ((48, 192, 3), np.uint8, 4)
    assert (shown[:, :, 0] < 110).any(axis=1).sum() > 1.7 * (plate[:, :, 0] < 110).any(axis=1).sum()


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plate_without_strokes_is_one_band(grey):
    assert text_band(np.full((48, 192, 3), grey, np.uint8)) == (0.0, 1.0)


def test_the_sides_of_a_plate_by_hand():
    assert sides(box_quad((10, 20, 110, 45))) == (100.0, 25.0)
    assert sides(as_quad([(0, 0), (30, 40), (18, 49), (-12, 9)])) == (50.0, 15.0)


def test_training_shows_rows_of_plates_alone_whose_rows_are_known() -> None:
    quads = (np.array(box_quad((0, 0, 300, 200)), np.float32),)
    config = ReaderDataConfig(rendered=0, apart=1.0, strength=0.1, shear=0)
    for rows, upper in ((0, 0), (1, 0), (1, 2)):
        item = PlateItem(image=two_rows(), quads=quads, text="AB123", rows=rows, upper=upper,
                         dataset="x")
        samples = itertools.islice(PlateStream([item], None, config, 0), 8)
        told = {(decode(text[text != PAD]), rows, strokes(image)) for image, text, rows in samples}
        if upper:
            assert told == {("AB", IGNORE, 2), ("123", IGNORE, 3)}
        else:
            assert {(text, rows) for text, rows, _ in told} == {("AB123", rows)}
