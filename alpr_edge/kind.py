"""The kind of a Chinese plate (GA 36-2018), or None where neither text nor colour proves it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alpr_edge import alphabet
from alpr_edge._cv2 import cv2
from alpr_edge.types import Image

_MARKS = {
    "挂": "yellow", "学": "yellow", "警": "white", "港": "black", "澳": "black", "使": "black",
    "领": "black",
}
"""Characters that only plates of one colour have: trailers, learners, police, Hong Kong and Macau,
embassies and consulates."""
_ARMED = "WJ"
"""Begins the white plates of the armed police."""
_NEW_ENERGY = 8
"""Characters of a green plate, after a province; all others have fewer."""
_HUES = {"yellow": (12, 34), "green": (35, 88), "blue": (95, 130)}
"""OpenCV's hue (half degrees), both ends included."""
_COLOURED, _LIT = 70, 40
"""Least saturation and least value of a pixel that has a hue."""
_SHARE, _LEAD = 0.35, 3.0
"""A colour must cover this share of the plate, and this many times the next colour."""


def plate_kind(plate: Image, text: str) -> str | None:
    """blue, yellow, green, white or black of a rectified plate (H, W, 3) uint8 BGR that shows
    ``text``; else None.

    The text tells all kinds but blue and yellow ones. These the picture shows, if it has colours;
    white and black it would show of every plate in a grey one. The characters cover less than half
    of a plate, so that the background is the majority.
    """
    if (told := _told(text)) is not None:
        return told
    hue, saturation, value = cv2.split(cv2.cvtColor(plate, cv2.COLOR_BGR2HSV))
    coloured = (saturation >= _COLOURED) & (value >= _LIT)
    shares = {
        kind: _share(coloured & (hue >= low) & (hue <= high))
        for kind, (low, high) in _HUES.items()
    }
    best, second = sorted(shares, key=lambda kind: -shares[kind])[:2]
    if best == "green" or shares[best] < _SHARE or shares[best] < _LEAD * shares[second]:
        return None
    return best


def _told(text: str) -> str | None:
    """The kind that a Chinese plate's text tells by itself."""
    if text.startswith(_ARMED):
        return "white"
    if len(text) == _NEW_ENERGY and text[0] in alphabet.PROVINCES:
        return "green"
    return next((kind for mark, kind in _MARKS.items() if mark in text), None)


def _share(pixels: NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(pixels)) / pixels.size
