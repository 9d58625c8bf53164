"""What a detector may take for a plate and is none: signs, watermarks, badges, grilles, lamps.

Text on them is clearly no plate's: words in small letters, several words or lines, addresses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from alpr_edge.types import Box, Floats, Image
from training.render.canvas import BLACK, WHITE, Colour, vary
from training.render.material import Mask, RenderMaterial
from training.render.paste import PasteConfig, paste_plate
from training.render.words import address, blend_ink, phrase, text_line

BADGES = (
    "Focus", "Corolla", "Golf", "Polo", "Civic", "Fiesta", "Octavia", "4WD", "4x4", "AWD", "TDI",
    "GTI", "2.0 TDI", "1.6", "Turbo", "Hybrid", "xDrive", "quattro", "Sport", "i-VTEC", "CRDi",
    "Passat", "Camry", "Swift", "Innova", "Fortuner", "Clio", "Astra", "V6", "hdi", "SLX",
    "DISCOVERY", "TOYOTA", "VOLVO", "RANGE ROVER", "MITSUBISHI", "SUZUKI", "DACIA", "ISUZU",
)
_HEIGHT = 64
"""Of a panel in pixels."""
_SMALL = PasteConfig(width=(16.0, 110.0))
_WIDE = PasteConfig(width=(40.0, 420.0), roll=2, yaw=4, pitch=4, strong=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Distractor:
    """A flat picture BGR uint8 (H, W, 3), how opaque it is, 0..1 (H, W), and the sizes and tilts
    that it is pasted in."""

    image: Image
    opacity: Floats
    pose: PasteConfig


Draw = Callable[[RenderMaterial, np.random.Generator], Distractor]


def render_distractor(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """Draw something that is no plate, about 64 pixels high."""
    draws, shares = zip(*_DRAWS, strict=True)
    draw: Draw = draws[rng.choice(len(draws), p=shares)]
    return draw(material, rng)


def paste_distractor(
    frame: Image, material: RenderMaterial, rng: np.random.Generator, avoid: Sequence[Box] = ()
) -> Image:
    """A new picture with one distractor at a random place, clear of ``avoid``; the same picture
    where there is no room."""
    drawn = render_distractor(material, rng)
    pasted = paste_plate(
        frame, drawn.image, rng, avoid=avoid, config=drawn.pose, opacity=drawn.opacity
    )
    return frame if pasted is None else pasted[0]


def _opacity(mask: Mask, share: float = 1.0) -> Floats:
    return np.asarray(mask * (share / 255), np.float32)


def _panel(image: Image, pose: PasteConfig = _SMALL) -> Distractor:
    return Distractor(image=image, opacity=np.ones(image.shape[:2], np.float32), pose=pose)


def _paint(rng: np.random.Generator, darkest: float, lightest: float, tint: float) -> Colour:
    """A colour between two grey levels, each channel off by ``tint`` or so."""
    values = np.clip(rng.uniform(darkest, lightest) + rng.normal(0, tint, 3), 0, 255)
    b, g, r = values.astype(int).tolist()
    return b, g, r


def _ground(rng: np.random.Generator, height: int, width: int) -> tuple[Image, Colour]:
    """A panel of one colour, and a colour of letters that shows on it."""
    colour = _paint(rng, 15, 245, 35)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = colour
    return image, vary(rng, WHITE if sum(colour) < 330 else BLACK, 60)


def _sign(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """One line of words in small letters or an address, or up to five lines, maybe a picture."""
    count = int(rng.integers(1, 6))
    if count == 1:
        texts = [address(rng) if rng.random() < 0.4 else phrase(rng, 2).lower()]
    else:
        least = 2 if count == 2 else 1
        texts = [phrase(rng, int(rng.integers(least, 4))) for _ in range(count)]
    height = max(12, round(_HEIGHT * rng.uniform(0.6, 0.95) / count**0.75))
    lines = [text_line(material, rng, text, round(height * rng.uniform(0.7, 1))) for text in texts]
    width = max(line.shape[1] for line in lines)
    left, edge = (_HEIGHT if rng.random() < 0.35 else 0), int(rng.integers(4, 12))
    image, ink = _ground(rng, sum(map(len, lines)) + 2 * edge, width + left + 2 * edge)
    if left:
        _logo(image[:, : left + edge], rng)
    y = edge
    for line in lines:
        x = edge + left + (width - line.shape[1]) // 2
        blend_ink(image[y : y + len(line), x : x + line.shape[1]], line, ink)
        y += len(line)
    if rng.random() < 0.4:
        cv2.rectangle(image, (1, 1), (image.shape[1] - 2, len(image) - 2), ink, 2)
    return _panel(image, PasteConfig(width=(24.0, 260.0)))


def _logo(image: Image, rng: np.random.Generator) -> None:
    """A disc, a ring, a star or a patch of colour in the middle, in place."""
    height, width = image.shape[:2]
    centre, radius = (width // 2, height // 2), max(3, round(min(height, width) * 0.38))
    colour, other = (_paint(rng, 15, 240, 45) for _ in range(2))
    form = rng.integers(4)
    if form == 0:
        cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA)
        cv2.circle(image, centre, radius // 2, other, -1, cv2.LINE_AA)
    elif form == 1:
        size = radius, max(2, round(radius * rng.uniform(0.4, 1)))
        cv2.ellipse(image, centre, size, 0, 0, 360, colour, max(2, radius // 5), cv2.LINE_AA)
    else:
        count = int(rng.integers(3, 11))
        angle = np.arange(count) * 2 * np.pi / count + rng.uniform(0, 6)
        reach = radius * rng.uniform(0.45, 1.0, count)
        points = np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None] + centre
        cv2.fillPoly(image, [np.round(points).astype(np.int32)], colour, cv2.LINE_AA)


def _watermark(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """Letters of one brightness that the picture shows through, without a panel."""
    text = address(rng) if rng.random() < 0.6 else phrase(rng, int(rng.integers(1, 4)))
    mask = np.pad(text_line(material, rng, text, _HEIGHT // 2), 3)
    image = np.full((*mask.shape, 3), rng.choice([255, 255, 230, 20]), np.uint8)
    return Distractor(image=image, opacity=_opacity(mask, rng.uniform(0.2, 1)), pose=_WIDE)


def _badge(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """The name of a car in chrome or colour on its paint, a shadow under the letters."""
    mask = np.pad(text_line(material, rng, BADGES[rng.integers(len(BADGES))], _HEIGHT // 2), 3)
    shade = np.roll(mask, (1, 1), (0, 1))
    ramp = np.linspace(rng.uniform(0.5, 1), rng.uniform(0.8, 1.2), len(mask))[:, None, None]
    metal = np.array(_paint(rng, 60, 250, 15), np.float32)
    image = np.asarray(np.clip(metal * ramp * (mask > 60)[..., None], 0, 255), np.uint8)
    return Distractor(image=image, opacity=_opacity(np.maximum(mask, shade)), pose=_SMALL)


def _grille(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """Parallel bars, upright, level or both, maybe with an emblem in the middle."""
    height, width = _HEIGHT, round(_HEIGHT * rng.uniform(1.5, 5))
    dark, light = _paint(rng, 5, 70, 6), _paint(rng, 60, 240, 8)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = dark
    form, step = rng.integers(3), int(rng.integers(6, 18))
    bar = max(1, round(step * rng.uniform(0.2, 0.6)))
    for offset in range(bar):
        if form != 0:
            image[offset::step] = light
        if form != 1:
            image[:, offset::step] = light
    if rng.random() < 0.4:
        middle = width // 2
        _logo(image[:, middle - height // 2 : middle + height // 2], rng)
    if rng.random() < 0.6:
        cv2.rectangle(image, (1, 1), (width - 2, height - 2), light, int(rng.integers(2, 6)))
    return _panel(image, PasteConfig(width=(24.0, 200.0)))


def _windows(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """Rows of windows or doors in a wall, each pane of its own brightness."""
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(3, 10))
    wall, glass = _paint(rng, 40, 240, 18), _paint(rng, 10, 200, 15)
    height = max(12, _HEIGHT // rows)
    width = round(height * rng.uniform(0.4, 1.1))
    image = np.empty((rows * height, columns * width, 3), np.uint8)
    image[:] = wall
    x, y = (max(1, round(v * rng.uniform(0.1, 0.25))) for v in (width, height))
    for row in range(rows):
        for column in range(columns):
            first = column * width + x, row * height + y
            last = (column + 1) * width - x, (row + 1) * height - y
            cv2.rectangle(image, first, last, vary(rng, glass, 25), -1)
    return _panel(image, PasteConfig(width=(24.0, 260.0)))


def _lamp(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """A lamp: red, amber or clear glass with stripes and a bright core."""
    height, width = _HEIGHT, round(_HEIGHT * rng.uniform(1.0, 3.5))
    glass = vary(rng, ((40, 35, 170), (40, 130, 230), (200, 205, 205))[rng.integers(3)], 40)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = glass
    step = int(rng.integers(4, 12))
    image[:, :: step] = vary(rng, glass, 60)
    image[:: step + 3] = vary(rng, glass, 40)
    for _ in range(int(rng.integers(1, 4))):
        centre = round(rng.uniform(0.2, 0.8) * width), round(rng.uniform(0.3, 0.7) * height)
        cv2.circle(image, centre, int(rng.integers(4, 20)), vary(rng, WHITE, 40), -1, cv2.LINE_AA)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 3)), np.uint8)
    opacity = np.zeros((height, width), np.float32)
    power = rng.uniform(2, 5)
    ys, xs = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    opacity[:] = np.clip((1 - np.abs(xs) ** power - np.abs(ys) ** power) * 8, 0, 1)
    return Distractor(image=image, opacity=opacity, pose=_SMALL)


def _sticker(material: RenderMaterial, rng: np.random.Generator) -> Distractor:
    """A bumper sticker: a logo or two, and a small word in some corner."""
    width = round(_HEIGHT * rng.uniform(0.9, 3.5))
    image, ink = _ground(rng, _HEIGHT, width)
    for left in range(0, width - _HEIGHT + 1, _HEIGHT):
        _logo(image[:, left : left + _HEIGHT], rng)
    line = text_line(material, rng, phrase(rng, int(rng.integers(1, 3))), int(rng.integers(9, 16)))
    line = line[:, :width]
    y, x = (0 if rng.random() < 0.3 else _HEIGHT - len(line)), (width - line.shape[1]) // 2
    blend_ink(image[y : y + len(line), x : x + line.shape[1]], line, ink)
    return _panel(image)


_DRAWS: tuple[tuple[Draw, float], ...] = (
    (_sign, 0.3), (_watermark, 0.17), (_badge, 0.15), (_grille, 0.12), (_windows, 0.09),
    (_lamp, 0.09), (_sticker, 0.08),
)
