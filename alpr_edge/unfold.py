"""A plate of two rows as one of one row: the lower row beside the upper one.

Squeezed to the reader's 48 pixels, a plate of two rows keeps 24 of a row and fewer of a small
upper one, but 192 across. Side by side each row has 48 by 96: where the rows are low, that shows
what squeezing lost.
"""

from __future__ import annotations

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH, as_quad, box_quad, perspective, rectify
from alpr_edge.types import Floats, Image, Quad

GAPS = 0.3, 0.62
"""Where the gap between two rows may lie, in shares of the plate's height."""
OVERLAP = 0.03
"""Share of the plate's height that each row's part reaches beyond the gap."""


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


def unfold(image: Image, corners: Quad, gap: float) -> Image:
    """The two rows of the plate inside ``corners`` side by side, the upper one first:
    (48, 192, 3) uint8. ``gap``: where they meet, in shares of the height (:func:`row_gap`)."""
    upper, lower = gap + OVERLAP, gap - OVERLAP
    parts = [
        rectify(image, _part(corners, *share), PLATE_HEIGHT, PLATE_WIDTH // 2)
        for share in ((0.0, upper), (lower, 1.0))
    ]
    return np.concatenate(parts, axis=1)


def _part(corners: Quad, top: float, bottom: float) -> Quad:
    """The corners of what lies between two shares of a plate's height."""
    matrix = perspective(box_quad((0.0, 0.0, 1.0, 1.0)), corners)
    points = np.array([box_quad((0.0, top, 1.0, bottom))], np.float64) - 0.5
    return as_quad(cv2.perspectiveTransform(points, matrix)[0] + 0.5)
