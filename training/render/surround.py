"""What is round a plate where a detector cuts it: a car, a dealer's frame, the next plate."""

from __future__ import annotations

import cv2
import numpy as np

from alpr_edge.types import Box, Image
from training.render.canvas import BLACK, WHITE, vary
from training.render.material import RenderMaterial
from training.render.words import address, blend_ink, phrase, text_line


def surrounded(
    plate: Image, other: Image, margin: float, material: RenderMaterial, rng: np.random.Generator
) -> tuple[Image, Box]:
    """The plate (H, W, 3) with ``margin`` of its size on every side, and the box it is cut at.

    The margin is blurred out of ``other``; on a third it is a dealer's frame with words, on a few
    the edge of another plate is seen. A third of the boxes are a little too tight or too loose.
    """
    height, width = plate.shape[:2]
    dx, dy = round(width * margin), round(height * margin)
    size = width + 2 * dx, height + 2 * dy
    image: Image = np.asarray(cv2.blur(cv2.resize(other, size), (9, 9)), np.uint8)
    image[dy : dy + height, dx : dx + width] = plate
    if rng.random() < 0.06:
        _neighbour(image, dx, dy, rng)
    elif rng.random() < 0.35:
        _holder(image, dx, dy, material, rng)
    left, top, right, bottom = np.zeros(4)
    if rng.random() < 0.35:
        left, top, right, bottom = rng.uniform(-0.02, 0.1, 4) * height
    box = dx - left, dy - top, dx + width + right, dy + height + bottom
    return image, box


def _neighbour(image: Image, dx: int, dy: int, rng: np.random.Generator) -> None:
    """The plate's own end as the beginning of another plate beside it, in place."""
    gap = round(dx * rng.uniform(0.15, 0.5))
    part = dx - gap
    if rng.random() < 0.5:
        image[dy:-dy, -part:] = image[dy:-dy, dx : dx + part]
    else:
        image[dy:-dy, :part] = image[dy:-dy, -dx - part : -dx]


def _holder(
    image: Image, dx: int, dy: int, material: RenderMaterial, rng: np.random.Generator
) -> None:
    """A frame of plastic or chrome that may lap over the plate's edge, words on it, in place."""
    height, width = image.shape[:2]
    over = round(height * rng.uniform(0, 0.025))
    plate = image[dy + over : height - dy - over, dx + over : width - dx - over].copy()
    colour = vary(rng, BLACK if rng.random() < 0.6 else (185, 185, 185), 45)
    upper, lower = (rng.uniform(0.2, 1, 2) * dy).astype(int).tolist()
    left, right = (rng.uniform(0.2, 1, 2) * min(dx, dy)).astype(int).tolist()
    image[dy - upper : height - dy + lower, dx - left : width - dx + right] = colour
    image[dy + over : height - dy - over, dx + over : width - dx - over] = plate
    ink = vary(rng, WHITE if sum(colour) < 330 else BLACK, 60)
    for rail, y in ((upper, dy - upper), (lower, height - dy)):
        if rail >= 5 and rng.random() < 0.6:
            text = phrase(rng, int(rng.integers(1, 4))) if rng.random() < 0.6 else address(rng)
            line = text_line(material, rng, text.upper() if rng.random() < 0.5 else text, rail)
            x = (width - line.shape[1]) // 2
            blend_ink(image[y : y + rail, x : x + line.shape[1]], line, ink)
