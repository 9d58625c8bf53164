"""The rows of a plate, each as a plate of its own.

Squeezed to the reader's 48 pixels, a plate of two rows keeps 24 of a row and fewer of a small
upper one; one of one row with something above or below its text, a slogan, a badge, a date, keeps
fewer of the text as well. Alone each row has all 48, and 192 across: where the rows are low or
narrow, that shows what squeezing lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.geometry import (
    PLATE_HEIGHT,
    PLATE_WIDTH,
    as_quad,
    box_quad,
    perspective,
    project,
    rectify,
    sides,
)
from alpr_edge.types import Floats, Image, Quad

Band = tuple[float, float]
"""Top and bottom of a row, in shares of its plate's height."""

GAPS = 0.33, 0.66
"""Where the gap between two rows may lie, in shares of the plate's height."""
OVERLAP = 0.05
"""Share of the plate's height that each row's part reaches beyond the gap."""
LINE, LOW, ABOVE = 0.4, 0.25, 1 / 12
"""Of a single row: the share of the most strokes from which a line of pixels shows text; shares of
the plate's height that text has at least, and that are left above and below it."""
SHORT = 0.75
"""A row whose text takes at most this share of the plate's width is shown without the rest."""
NARROW = 2.0
"""Heights of a row that are shown of it at least, however short its text."""
STROKES, WEAK = 0.25, 0.2
"""Share of a row's strongest columns' change of grey from which a column shows a stroke, and of the
largest group of strokes' from which another one is text and no screw."""
APART, AROUND = 0.8, 0.25
"""Heights of a row between two groups of strokes, and left on both sides of the text."""


def row_gap(plate: Image) -> float:
    """The share of a two-row plate's height at which the upper row ends: of a rectified plate
    (48, 192, 3) where the fewest strokes are, by the change of grey from left to right."""
    first, last = (round(share * PLATE_HEIGHT) for share in GAPS)
    return float(first + np.argmin(_strokes(plate)[first:last]) + 0.5) / PLATE_HEIGHT


def halves(gap: float) -> list[Band]:
    """The bands of two rows that meet at ``gap``."""
    return [(0.0, gap + OVERLAP), (gap - OVERLAP, 1.0)]


def text_band(plate: Image) -> Band:
    """The band of the text of a rectified plate (48, 192, 3) of one row: the most lines of pixels
    one below the other that show strokes; all of the plate where they are too few."""
    strokes = _strokes(plate)
    strokes[:2] = strokes[-2:] = 0  # its edges
    text = np.flatnonzero(strokes > LINE * np.quantile(strokes, 0.9))
    lines = max(np.split(text, np.flatnonzero(np.diff(text) > 1) + 1), key=len)
    if len(lines) < LOW * PLATE_HEIGHT:
        return 0.0, 1.0
    top, bottom = lines[0] / PLATE_HEIGHT - ABOVE, (lines[-1] + 1) / PLATE_HEIGHT + ABOVE
    return max(0.0, float(top)), min(1.0, float(bottom))


def _strokes(plate: Image) -> Floats:
    """How much grey changes from left to right in each line of a rectified plate, smoothed."""
    side = PLATE_WIDTH // 16
    grey = cv2.GaussianBlur(cv2.cvtColor(plate, cv2.COLOR_BGR2GRAY), (0, 0), 1.0)
    inside = grey[:, side:-side].astype(np.float32)
    change: Floats = np.abs(np.diff(inside, axis=1)).mean(axis=1, keepdims=True)
    return np.asarray(cv2.GaussianBlur(change, (0, 0), 1.5)[:, 0], np.float32)


def alone(image: Image, corners: Quad, plate: Image, rows: int) -> tuple[Image, ...]:
    """Each of the one or two ``rows`` of the plate inside ``corners``, from above, upright and
    without what is empty beside a short text: (48, 192, 3) uint8. ``plate``: the same plate,
    rectified (48, 192, 3)."""
    bands = halves(row_gap(plate)) if rows == 2 else [text_band(plate)]
    return tuple(rectify(image, row) for row in row_corners(corners, plate, bands))


def row_corners(corners: Quad, plate: Image, bands: Sequence[Band]) -> list[Quad]:
    """The corners of the rows in ``bands`` of a plate, in the pixels of its own ``corners``."""
    rows = []
    for top, bottom in bands:
        row = _part(corners, 0.0, top, 1.0, bottom)
        width, height = sides(row)
        tall = height / max(width, 1.0)
        seen = plate[round(top * PLATE_HEIGHT) : round(bottom * PLATE_HEIGHT)]
        left, right = written(seen, tall)
        if right - left <= SHORT:
            left, right = _widened(left, right, NARROW * tall)
            row = _part(corners, left, top, right, bottom)
        rows.append(row)
    return rows


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


def _widened(left: float, right: float, least: float) -> tuple[float, float]:
    """The part of a row at least so wide, as far as the row goes."""
    more = max(0.0, least - (right - left)) / 2
    return max(0.0, left - more), min(1.0, right + more)


def _part(corners: Quad, left: float, top: float, right: float, bottom: float) -> Quad:
    """The corners of a part of a plate, its box in shares of the plate's width and height."""
    matrix = perspective(box_quad((0.0, 0.0, 1.0, 1.0)), corners)
    return as_quad(project(np.array(box_quad((left, top, right, bottom))), matrix))
