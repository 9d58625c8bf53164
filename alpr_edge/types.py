"""The values that pass between the stages. Images are BGR uint8 HWC; coordinates are float pixels.

Pixel rule (the only one in the project): pixel *i* covers the interval [i, i+1), its centre is at
i + 0.5. A box is (x1, y1, x2, y2). Corners are of the *plate's outer edge*, in reading order of the
plate itself: top-left, top-right, bottom-right, bottom-left; an upside-down plate has its top-left
corner at the bottom right of the picture.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, blue green red."""
Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]
Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """One plate found in a picture, in the picture's own pixels."""

    box: Box
    corners: Quad
    confidence: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The text on one rectified plate.

    ``confidence`` is the probability the reader gives to exactly this text: the product over all
    slots, the pads included; of a plate that was read again it is less where the readings differ
    (:mod:`alpr_edge.rereading`). ``char_confidences`` has one probability a character.
    """

    text: str
    confidence: float
    char_confidences: tuple[float, ...]
    rows: int | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plate:
    """One plate found and read. ``region`` and ``kind`` are None where nothing proves them.

    What the reader takes for no plate has an empty ``text`` and a ``confidence`` of 0. Of one that
    is not ``whole`` the picture's edge may have cut off a part, and its text be incomplete; of
    cut-outs that is not known, and each counts as whole.
    """

    text: str
    confidence: float
    char_confidences: tuple[float, ...]
    rows: int | None
    region: str | None
    kind: str | None
    box: Box
    corners: Quad
    detection_confidence: float
    whole: bool = True


class DetectorLike(Protocol):
    """What ``ALPR(detector=...)`` takes."""

    def predict(self, image: Image) -> list[Detection]:
        """Find the plates of one BGR uint8 HWC picture, most confident first."""


class ReaderLike(Protocol):
    """What ``ALPR(reader=...)`` takes."""

    def predict(self, plates: NDArray[np.uint8]) -> list[Reading]:
        """Read N rectified plates, (N, 48, 192, 3) uint8 BGR; one Reading each, in order."""
