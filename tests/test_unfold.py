from __future__ import annotations

import cv2
import numpy as np
import pytest

from alpr_edge.geometry import as_quad, box_quad, perspective, rectify
from alpr_edge.unfold import row_gap, unfold
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
    shown = unfold(image, quad, row_gap(rectify(image, quad)))
    assert shown.shape == (48, 192, 3) and shown.dtype == np.uint8
    assert (strokes(shown[:, :96]), strokes(shown[:, 96:])) == (2, 3)


def test_a_plate_without_strokes_has_a_gap_too():
    for grey in (0, 128, 255):
        assert 0.3 <= row_gap(np.full((48, 192, 3), grey, np.uint8)) <= 0.62


def test_training_unfolds_plates_of_two_rows_alone() -> None:
    quads = (np.array(box_quad((0, 0, 300, 200)), np.float32),)
    for rows, expected in ((0, 0), (1, IGNORE), (IGNORE, IGNORE)):
        item = PlateItem(image=two_rows(), quads=quads, text="AB123", rows=rows, dataset="x")
        config = ReaderDataConfig(rendered=0, unfolded=1.0, strength=0.1, shear=0)
        image, _, told = next(iter(PlateStream([item], None, config, 0)))
        assert told == expected
        assert (strokes(image[:, :96]) == 2 and strokes(image[:, 96:]) == 3) == (rows == 1)
