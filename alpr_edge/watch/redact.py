"""Plates blurred beyond recovery, those too that detection missed for a moment.

A plate becomes a few large cells of a few levels: a cell is as large as the plate is high and
holds two characters or more, so that not even many frames of it give the text back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.geometry import as_quad
from alpr_edge.types import Image, Quad

MARGIN = 0.3
"""Share of a plate's height that is blurred all round it too."""
HOLD = 1.0
"""Seconds for which a plate that is not found any more is blurred where it should be."""
_LEVELS = 16
"""Grey levels of one step of a cell's colour."""
_SAME = 2.0
"""A plate is the one whose expected centre is nearest, if within so many of its widths."""


def enlarged(quad: Quad, margin: float) -> Quad:
    """``quad`` with ``margin`` of its height more on each side."""
    corners = np.asarray(quad, np.float64)
    top_left, top_right, bottom_right, bottom_left = corners
    height = np.linalg.norm(bottom_left - top_left + bottom_right - top_right) / 2
    along = _unit(top_right - top_left + bottom_right - bottom_left) * margin * height
    down = _unit(bottom_left - top_left + bottom_right - top_right) * margin * height
    return as_quad(corners + np.array([-along - down, along - down, along + down, down - along]))


def redact(image: Image, quads: Sequence[Quad]) -> Image:
    """A copy of ``image`` (H, W, 3) uint8 BGR with everything in ``quads``, and a margin, blurred;
    ``image`` itself where there is none."""
    if not quads:
        return image
    canvas = image.copy()
    for quad in quads:
        _blur(canvas, enlarged(quad, MARGIN))
    return canvas


def _blur(canvas: Image, quad: Quad) -> None:
    height, width = canvas.shape[:2]
    corners = np.asarray(quad)
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int).tolist()
    if left >= right or top >= bottom:
        return
    part = canvas[top:bottom, left:right]
    side = max(2.0, float(np.linalg.norm(corners[3] - corners[0])))
    cells = max(1, round((right - left) / side)), max(1, round((bottom - top) / side))
    mosaic = cv2.resize(part, cells, interpolation=cv2.INTER_AREA) // _LEVELS * _LEVELS
    smooth = cv2.resize(mosaic, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(corners - (left, top)).astype(np.int32), 1)
    np.copyto(part, smooth, where=mask[..., None] == 1)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """A plate when it was found last; ``speed`` of its centre in pixels a second."""

    quad: Quad
    time: float
    speed: tuple[float, float]

    def at(self, time: float) -> Quad:
        """Where it should be, larger the longer ago that was found."""
        elapsed = max(0.0, time - self.time)
        moved = np.asarray(self.quad) + np.multiply(self.speed, elapsed)
        return enlarged(as_quad(moved), elapsed / HOLD)


class Covered:
    """What to blur in the frames of one camera: plates found now, and those missed for a moment."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []

    def update(self, found: Sequence[Quad], time: float) -> list[Quad]:
        """The quads to blur in the frame of ``time`` (seconds), in which ``found`` were found."""
        missed = [seen for seen in self._seen if 0 <= time - seen.time <= HOLD]
        self._seen = []
        for quad in found:
            before = _nearest(quad, missed, time)
            if before is not None:
                missed.remove(before)
            self._seen.append(_Seen(quad=quad, time=time, speed=_speed(before, quad, time)))
        hidden = [*found, *(seen.at(time) for seen in missed)]
        self._seen += missed
        return hidden


def _nearest(quad: Quad, candidates: Sequence[_Seen], time: float) -> _Seen | None:
    centre = _centre(quad)
    limit = _SAME * math.dist(quad[0], quad[1])
    distances = [(math.dist(_centre(seen.at(time)), centre), seen) for seen in candidates]
    near = [one for one in distances if one[0] <= limit]
    return min(near, key=lambda one: one[0])[1] if near else None


def _speed(before: _Seen | None, quad: Quad, time: float) -> tuple[float, float]:
    if before is None or time <= before.time:
        return (0.0, 0.0)
    x, y = np.subtract(_centre(quad), _centre(before.quad)) / (time - before.time)
    return float(x), float(y)


def _centre(quad: Quad) -> tuple[float, float]:
    x, y = np.asarray(quad).mean(axis=0)
    return float(x), float(y)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector
