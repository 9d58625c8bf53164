"""Whether anything moved: so cheap that an empty scene costs little more than its decoding.

A small grey picture of each frame, blocks averaged, is held against a slowly adapting background;
the *largest* difference of all blocks counts, not their mean, so that one far plate is enough.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge._cv2 import cv2
from alpr_edge.watch.picture import Luma, Picture
from alpr_edge.watch.types import Frame

COLUMNS = 240
"""Blocks a row, or somewhat more, since a block is an even number of pixels wide: 8 at 1080p, a
third of the smallest plate that the detector finds. Fewer of a picture below 480 pixels."""
THRESHOLD = 12.0
"""Grey levels of 255 by which a block must differ; at 1080p a block's noise is averaged over 32
pixels."""
ADAPTS_IN = 4.0
"""Seconds in which the background takes on 63 % of a change."""
HOLD = 1.0
"""Seconds for which frames count as moving after the last motion: a still car is read again."""
REFRESH = 3.0
"""After so many seconds a frame is looked at whatever moved."""

_ROW_STEP = 2
"""Only each second row is averaged: half the memory traffic of the whole frame."""


class MotionGate:
    """Tells which frames of one camera are worth looking at; the first one always is."""

    def __init__(self) -> None:
        self._background: NDArray[np.float32] | None = None
        self._seen = self._changed = self._passed = -math.inf

    def passes(self, frame: Frame) -> bool:
        """Whether to look for plates in ``frame``; frames come in order."""
        if self._differs(frame):
            self._changed = frame.time
        moving = 0 <= frame.time - self._changed < HOLD
        due = not abs(frame.time - self._passed) < REFRESH  # a clock set back is due as well
        if moving or due:
            self._passed = frame.time
        return moving or due

    def _differs(self, frame: Frame) -> bool:
        now = thumbnail(frame.picture if frame.small is None else frame.small)
        elapsed, self._seen = frame.time - self._seen, frame.time
        if self._background is None or self._background.shape != now.shape:
            self._background = now.astype(np.float32)
            return True
        difference = float(np.abs(now - self._background).max())
        share = 1 - math.exp(-min(max(elapsed, 0.0), ADAPTS_IN) / ADAPTS_IN)
        cv2.accumulateWeighted(now, self._background, share)
        return difference > THRESHOLD


def thumbnail(picture: Picture) -> Luma:
    """A picture in grey, each block averaged (:data:`COLUMNS`): (h, w) uint8.

    Its brightness as decoded is used where it is there: that of video has 219 levels mostly.
    """
    luma = picture.luma
    image = picture.image if luma is None else luma
    height, width = image.shape[:2]
    block = max(_ROW_STEP, width // COLUMNS // _ROW_STEP * _ROW_STEP)
    rows, columns = height // block, width // block
    if min(rows, columns) == 0:
        return _grey(image)
    whole = image[: rows * block : _ROW_STEP, : columns * block]  # a view: whole blocks are fast
    small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return _grey(small)


def _grey(image: NDArray[Any]) -> Luma:
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, np.uint8)
