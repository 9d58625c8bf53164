"""Draw plates on a copy of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.types import Image, Plate

_LINE, _TOP, _TEXT, _GROUND = (60, 220, 60), (40, 120, 255), (255, 255, 255), (40, 40, 40)
_FONT = "uni"
"""OpenCV's built-in font that has the Chinese characters too."""


def draw_plates(image: Image, plates: Sequence[Plate]) -> Image:
    """A copy of ``image`` (H, W, 3) uint8 BGR with each plate's outline, text and confidence.

    The plate's own top edge has another colour, so that its orientation shows.
    """
    canvas = image.copy()
    thickness = max(1, round(max(image.shape[:2]) / 600))
    for plate in plates:
        quad = np.round(np.asarray(plate.corners) - 0.5).astype(np.int32)
        cv2.polylines(canvas, [quad], True, _LINE, thickness, cv2.LINE_AA)
        cv2.line(canvas, quad[0].tolist(), quad[1].tolist(), _TOP, thickness, cv2.LINE_AA)
        _label(canvas, f"{plate.text or '?'} {plate.confidence:.0%}", plate)
    return canvas


def _label(canvas: Image, text: str, plate: Plate) -> None:
    """Write ``text`` on a dark ground above the plate, below it at the picture's upper edge, on it
    where it fills the picture."""
    size = max(12, round(max(canvas.shape[:2]) / 45))
    font = cv2.FontFace(_FONT)
    _, _, written, _ = cv2.getTextSize(canvas.shape[1::-1], text, (0, 0), font, size)
    width, height = written + size // 2, size + size // 3
    left = int(np.clip(plate.box[0], 0, max(0, canvas.shape[1] - width)))
    top = int(plate.box[1]) - height - 4
    if top < 0:
        top = max(0, min(int(plate.box[3]) + 4, canvas.shape[0] - height))
    cv2.rectangle(canvas, (left, top), (left + width, top + height), _GROUND, cv2.FILLED)
    cv2.putText(canvas, text, (left + size // 6, top + size), _TEXT, font, size)
