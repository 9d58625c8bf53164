"""Is the text still to be seen? From a plate that nobody can read a reader learns to guess."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from alpr_edge.types import Floats, Image

LEAST = 0.9
"""Share of a plate's detail that must be left of it; at less a character is gone."""
_WINDOW = 13, 13
"""Pixels of a plate of 48 x 192 within which detail is compared: about a character."""
_ALIKE = 0.5
"""Correlation from which detail counts as kept."""
_NOISE = 3.0
"""Standard deviation, in grey levels, below which detail is lost in a camera's noise."""
_STRONG = 0.25
"""Detail weaker than this share of the plate's strongest is not text."""
_LEEWAY = 2.0
"""A single character may lose this many times as much of its detail as the whole plate."""


def kept(before: Image, after: Image, glyphs: Floats | None = None) -> float:
    """Share, 0 to 1, of the detail of ``before`` that ``after`` still shows; where its characters
    ``glyphs`` (N, 4) are known, x1, y1, x2, y2 in shares of the plate, the least of the plate's and
    of theirs, of which what they lose counts half.

    Both are the same plate (H, W, 3) uint8, any size, its parts in the same places. Round every
    pixel the two are correlated as template matching does (zero-mean, normalized; Lewis, Fast
    Normalized Cross-Correlation, 1995), all colours together, in the band of spatial frequencies
    that strokes have. Darkness, light and colour do not count, what hides or drowns strokes does.
    """
    first, second = _detail(before), _detail(after)
    both, own, other = (
        cv2.boxFilter(part, -1, _WINDOW).sum(axis=2)
        for part in (first * second, first * first, second * second)
    )
    alike = both / np.sqrt((own + 1) * (other + _NOISE**2))
    weight = np.sqrt(np.maximum(own, 0))
    shown = alike > _ALIKE
    shares = [_share(weight * (weight > _STRONG * weight.max()), shown)]
    size = np.array([PLATE_WIDTH, PLATE_HEIGHT] * 2)
    for x1, y1, x2, y2 in [] if glyphs is None else np.clip(np.rint(glyphs * size), 0, size):
        part = np.s_[int(y1) : int(y2), int(x1) : int(x2)]
        shares.append(1 - (1 - _share(weight[part], shown[part])) / _LEEWAY)
    return min(shares)


def _share(weight: Floats, shown: NDArray[np.bool_]) -> float:
    """How much of the weight is where it is shown."""
    return float((weight * shown).sum() / max(float(weight.sum()), 1e-6))


def _detail(image: Image) -> Floats:
    """What is larger than noise and smaller than a character: (48, 192, 3) float32."""
    if image.shape[:2] != (PLATE_HEIGHT, PLATE_WIDTH):
        size = PLATE_WIDTH, PLATE_HEIGHT
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    pixels = image.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(pixels, (0, 0), sigma) for sigma in (1.0, 5.0))
    return np.asarray(fine - coarse, np.float32)
