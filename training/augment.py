"""Photometric augmentations of BGR uint8 pictures, shared by reader and detector.

Every function takes (H, W, 3) uint8 and a numpy Generator and returns a new picture of the same
size. ``strength`` is 0 (none) to 1 (the shipped recipe); 2 is brutal.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from alpr_edge.rereading import sharper
from alpr_edge.types import Image

Augmentation = Callable[[Image, np.random.Generator, float], Image]


def clip(values: np.ndarray) -> Image:
    """Cut to uint8, towards 0, with saturation."""
    return np.clip(values, 0, 255).astype(np.uint8)


def exposure(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Brightness, contrast, gamma: under- and overexposed pictures, by one look-up table."""
    x = np.arange(256, dtype=np.float32) / 255
    x = x ** float(np.exp(rng.normal(0, 0.4 * strength)))
    contrast = float(np.exp(rng.normal(0, 0.3 * strength)))
    x = (x - 0.5) * contrast + 0.5 + rng.normal(0, 0.12 * strength)
    return cv2.LUT(image, clip(x * 255))


def colour(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Colour cast and saturation."""
    gains = np.exp(rng.normal(0, 0.12 * strength, 3)).astype(np.float32)
    saturation = float(np.clip(1 + rng.normal(0, 0.4 * strength), 0, 2))
    grey = np.float32([0.114, 0.587, 0.299])
    matrix = (saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * grey) * gains[:, None]
    return cv2.transform(image, matrix)


def grey(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """An infrared or black-and-white camera."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def motion_blur(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Movement along a random line."""
    length = rng.uniform(2, 2 + 5 * strength * image.shape[0] / 48)
    angle = rng.uniform(0, np.pi) if rng.random() < 0.5 else rng.normal(0, 0.2)
    size = int(length) // 2 * 2 + 3
    kernel = np.zeros((size, size), np.float32)
    dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    shift = 4  # sub-pixel bits of cv2.line
    centre = size // 2
    start = round((centre - dx) * 2**shift), round((centre - dy) * 2**shift)
    end = round((centre + dx) * 2**shift), round((centre + dy) * 2**shift)
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA, shift)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def focus_blur(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Out of focus."""
    sigma = rng.uniform(0.3, 0.3 + 1.5 * strength * image.shape[0] / 48)
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def low_resolution(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """A far plate: shrunk and enlarged again, each by a random interpolation."""
    height, width = image.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(1.2), np.log(1.2 + 2.3 * strength))))
    small = max(4, round(width / factor)), max(4, round(height / factor))
    down = rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR])
    up = rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])
    shrunk = cv2.resize(image, small, interpolation=int(down))
    return cv2.resize(shrunk, (width, height), interpolation=int(up))


def sharpen(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """As many cameras do, and the second look at an uncertain plate: light and dark seams along
    the edges."""
    sigma = rng.uniform(0.7, 2.5) * image.shape[0] / 48
    return sharper(image, rng.uniform(0.3, 0.3 + 2.2 * strength), sigma)


def jpeg(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Compression."""
    quality = int(np.clip(rng.uniform(80 - 60 * strength, 90), 8, 95))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def noise(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Sensor noise, sometimes coarse (interpolated chroma)."""
    height, width = image.shape[:2]
    sigma = rng.uniform(2, 2 + 16 * strength)
    coarse = 2 if rng.random() < 0.3 else 1
    shape = (height + coarse - 1) // coarse, (width + coarse - 1) // coarse, 3
    values = rng.standard_normal(shape, dtype=np.float32) * sigma
    if coarse > 1:
        values = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return clip(image + values)


def shade(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """A shadow's edge or a gradient of light across the picture."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    sharpness = float(np.exp(rng.uniform(np.log(2), np.log(60))))
    edge = 1 / (1 + np.exp(-sharpness * (along - rng.uniform(-0.35, 0.35))))
    depth = rng.uniform(0.2, 0.2 + 0.5 * min(strength, 1.5))
    gain = 1 + rng.uniform(0, 0.4) * strength - depth * edge
    return clip(image * gain[..., None])


def glare(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """A bright spot: the sun or a lamp reflected."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = rng.uniform(0.2, 0.8) * height
    distance = ((x - rng.uniform(0, width)) ** 2 + (y - rng.uniform(0, height)) ** 2) / radius**2
    spot = np.exp(-distance) * rng.uniform(60, 60 + 120 * strength)
    return clip(image + spot[..., None])


def stains(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Dirt, stickers, drops or a twig over a small part."""
    out = image.copy()
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 2 + round(3 * strength))):
        tone = tuple(int(v) for v in rng.integers(0, 256, 3))
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        if rng.random() < 0.7:
            axes = int(rng.integers(1, 2 + height // 8)), int(rng.integers(1, 2 + height // 8))
            cv2.ellipse(out, centre, axes, float(rng.uniform(0, 180)), 0, 360, tone, -1)
        else:
            end = int(rng.integers(0, width)), int(rng.integers(0, height))
            cv2.line(out, centre, end, tone, int(rng.integers(1, 3)), cv2.LINE_AA)
    share = rng.uniform(0.3, 1.0)
    return cv2.addWeighted(out, share, image, 1 - share, 0)


PLATE_RECIPE: tuple[tuple[Augmentation, float], ...] = (
    (stains, 0.10),
    (shade, 0.20),
    (glare, 0.06),
    (motion_blur, 0.15),
    (focus_blur, 0.15),
    (low_resolution, 0.35),
    (sharpen, 0.12),
    (exposure, 0.60),
    (colour, 0.35),
    (grey, 0.08),
    (noise, 0.25),
    (jpeg, 0.30),
)
"""What a rectified plate goes through: each step with its probability at strength 1, in order."""


def augment(
    image: Image, rng: np.random.Generator, recipe: tuple[tuple[Augmentation, float], ...],
    strength: float = 1.0,
) -> Image:
    """Run a recipe: each step with probability ``p * strength`` (at most 1)."""
    if strength <= 0:
        return image
    for step, probability in recipe:
        if rng.random() < probability * min(strength, 1 / probability):
            image = step(image, rng, strength)
    return image
