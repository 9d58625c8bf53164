"""A plate of two rows as one of one row: the lower row beside the upper one.

Squeezed to the reader's 48 pixels, a plate of two rows keeps 24 of a row and fewer of a small
upper one, but 192 across. Side by side each row has 48 by 96: where the rows are low, that shows
what squeezing lost. A short row in the middle of a wide plate is shown without the empty plate
beside it.
"""

from __future__ import annotations

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.geometry import (
    PLATE_HEIGHT,
    PLATE_WIDTH,
    as_quad,
    box_quad,
    perspective,
    rectify,
    sides,
)
from alpr_edge.types import Floats, Image, Quad

GAPS = 0.3, 0.62
"""Where the gap between two rows may lie, in shares of the plate's height."""
OVERLAP = 0.03
"""Share of the plate's height that each row's part reaches beyond the gap."""
SHORT = 0.75
"""A row whose text is at most this share of the plate's width is shown without the rest."""
STROKES, WEAK = 0.25, 0.2
"""Share of a row's strongest columns' change of grey from which a column shows a stroke, and of the
largest group of strokes' from which another one is text and no screw."""
APART, AROUND = 0.8, 0.25
"""Heights of a row between two groups of strokes, and left on both sides of the text."""


def row_gap(plate: Image) -> float:
    """The share of a two-row plate's height at which the upper row ends: of a rectified plate
    (48, 192, 3) where the fewest strokes are, by the change of grey from left to right."""
    side = PLATE_WIDTH // 16
    grey = cv2.GaussianBlur(cv2.cvtColor(plate, cv2.COLOR_BGR2GRAY), (0, 0), 1.0)
    inside = grey[:, side:-side].astype(np.float32)
    strokes: Floats = np.abs(np.diff(inside, axis=1)).mean(axis=1, keepdims=True)
    smooth = cv2.GaussianBlur(strokes, (0, 0), 1.5)
    first, last = (round(share * PLATE_HEIGHT) for share in GAPS)
    return float(first + np.argmin(smooth[first:last]) + 0.5) / PLATE_HEIGHT


def unfold(image: Image, corners: Quad, plate: Image, gap: float) -> Image:
    """The two rows of the plate inside ``corners`` side by side, the upper one first, each without
    what is empty beside a short text: (48, 192, 3) uint8. ``plate``: the same, rectified (48, 192,
    3). ``gap``: where the rows meet, in shares of the height (:func:`row_gap`)."""
    parts = []
    for top, bottom in ((0.0, gap + OVERLAP), (gap - OVERLAP, 1.0)):
        row = _part(corners, 0.0, top, 1.0, bottom)
        width, height = sides(row)
        seen = plate[round(top * PLATE_HEIGHT) : round(bottom * PLATE_HEIGHT)]
        left, right = written(seen, height / max(width, 1.0))
        if right - left <= SHORT:
            row = _part(corners, left, top, right, bottom)
        parts.append(rectify(image, row, PLATE_HEIGHT, PLATE_WIDTH // 2))
    return np.concatenate(parts, axis=1)


def written(row: Image, height: float) -> tuple[float, float]:
    """Where the text of a rectified plate's row (h, 192, 3) begins and ends, in shares of its
    width, by the change of grey from left to right; (0, 1) where there is none. ``height``: the
    row's before it was rectified, in shares of its width."""
    height *= PLATE_WIDTH
    grey = cv2.GaussianBlur(cv2.cvtColor(row, cv2.COLOR_BGR2GRAY), (0, 0), 0.7)
    rim = max(1, len(row) // 12)
    change = np.abs(np.diff(grey[rim:-rim].astype(np.float32), axis=1)).mean(axis=0, keepdims=True)
    columns: Floats = cv2.GaussianBlur(change, (0, 0), 2.0)[0]
    edge = PLATE_WIDTH // 32
    columns[:edge] = columns[-edge:] = 0
    strokes = np.flatnonzero(columns > STROKES * np.quantile(columns, 0.9))
    if not len(strokes):
        return 0.0, 1.0
    groups = np.split(strokes, np.flatnonzero(np.diff(strokes) > APART * height) + 1)
    weights = [columns[group[0] : group[-1] + 1].sum() for group in groups]
    text = [g for g, weight in zip(groups, weights, strict=True) if weight >= WEAK * max(weights)]
    left, right = text[0][0] - AROUND * height, text[-1][-1] + 1 + AROUND * height
    return max(0.0, left / PLATE_WIDTH), min(1.0, right / PLATE_WIDTH)


def _part(corners: Quad, left: float, top: float, right: float, bottom: float) -> Quad:
    """The corners of a part of a plate, its box in shares of the plate's width and height."""
    matrix = perspective(box_quad((0.0, 0.0, 1.0, 1.0)), corners)
    points = np.array([box_quad((left, top, right, bottom))], np.float64) - 0.5
    return as_quad(cv2.perspectiveTransform(points, matrix)[0] + 0.5)
