"""The colour of a Chinese plate (GA 36-2018), or None where the picture does not prove it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alpr_edge._cv2 import cv2
from alpr_edge.types import Image

_HUES = {"yellow": (12, 34), "green": (35, 88), "blue": (95, 130)}
"""OpenCV's hue (half degrees), both ends included."""
_COLOURED, _LIT = 70, 40
"""Least saturation and least value of a pixel that has a hue."""
_SHARE, _LEAD = 0.35, 3.0
"""A colour must cover this share of the plate, and this many times the next colour."""
_GREY, _DARK, _BRIGHT = 0.15, 80, 140
"""At most this share is coloured on a black or white plate; its median value."""


def plate_kind(plate: Image) -> str | None:
    """blue, yellow, green, white or black of a rectified plate (H, W, 3) uint8 BGR; else None.

    The characters cover less than half of a plate, so that the background is the majority.
    """
    hue, saturation, value = cv2.split(cv2.cvtColor(plate, cv2.COLOR_BGR2HSV))
    coloured = (saturation >= _COLOURED) & (value >= _LIT)
    shares = {
        kind: _share(coloured & (hue >= low) & (hue <= high))
        for kind, (low, high) in _HUES.items()
    }
    best, second = sorted(shares, key=lambda kind: -shares[kind])[:2]
    if shares[best] >= _SHARE and shares[best] >= _LEAD * shares[second]:
        return best
    if _share(coloured) > _GREY:
        return None
    median = float(np.median(value))
    return "black" if median <= _DARK else "white" if median >= _BRIGHT else None


def _share(pixels: NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(pixels)) / pixels.size
