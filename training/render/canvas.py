"""A plate while it is drawn: a base picture, and one mask for each colour of ink.

Measures are millimetres of the real plate; the canvas knows its pixels per millimetre.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from alpr_edge.types import Floats, Image
from training.render.material import GLYPH_HEIGHT, Font, Mask, RenderMaterial, word

Colour = tuple[int, int, int]
"""Blue, green, red."""
BLACK, WHITE, RED = (25, 25, 25), (245, 245, 245), (45, 35, 200)
_KEPT = 0.5
"""Share of the ink in a stroke's surroundings that thinning leaves."""
_GAPS = {" ": 0.38, "-": 0.42, ".": 0.2, "*": 0.55}
"""Width of the separators in units of the glyph height; ``*`` is a seal or coat of arms."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Hand:
    """How characters are set."""

    stretch: tuple[float, float] = (0.88, 1.12)
    """Width of the characters as a share of the font's."""
    slanted: float = 0.08
    """Share of the rows that lean."""
    aside: float = 0.15
    """Share of the rows that are not in the middle of their box."""


def vary(rng: np.random.Generator, colour: Colour, spread: float = 12) -> Colour:
    """The colour a little different: common brightness and each channel."""
    values = np.array(colour) * rng.normal(1, spread / 130) + rng.normal(0, spread / 2, 3)
    b, g, r = np.clip(values, 0, 255).astype(int).tolist()
    return b, g, r


class Canvas:
    """A plate of ``width`` x ``height`` millimetres in pixels of ``1 / scale`` millimetres."""

    def __init__(self, width: float, height: float, scale: float, base: Colour) -> None:
        self.scale = scale
        self.image: Image = np.empty((round(height * scale), round(width * scale), 3), np.uint8)
        self.image[:] = base
        self.inks: dict[Colour, Mask] = {}
        self.glyphs: list[tuple[int, int, int, int]] = []
        """Boxes of the text's characters in pixels, x1, y1, x2, y2, in the order of drawing."""

    def unworn(self) -> Image:
        """The inks laid on the base and nothing aged: what there is to read."""
        picture = self.image.astype(np.float32)
        for colour, mask in self.inks.items():
            _lay(picture, colour, mask.astype(np.float32) / 255)
        return np.asarray(picture, np.uint8)

    def px(self, millimetres: float) -> int:
        """Millimetres as whole pixels."""
        return round(millimetres * self.scale)

    def ink(self, colour: Colour) -> Mask:
        """The mask of this ink, (H, W), to draw on."""
        if colour not in self.inks:
            self.inks[colour] = np.zeros(self.image.shape[:2], np.uint8)
        return self.inks[colour]

    def stamp(self, mask: Mask, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        """Put a character's mask at pixels (x, y), scaled to (width, height); what is outside is
        cut."""
        layer = self.ink(colour)
        self.glyphs.append((x, y, x + width, y + height))
        small = cv2.resize(mask, (max(1, width), max(1, height)), interpolation=cv2.INTER_AREA)
        x0, y0 = max(x, 0), max(y, 0)
        part = layer[y0 : y + small.shape[0], x0 : x + small.shape[1]]
        cut = small[y0 - y : y0 - y + part.shape[0], x0 - x : x0 - x + part.shape[1]]
        np.maximum(part, cut, out=part)

    def rectangle(
        self, x: float, y: float, width: float, height: float, colour: Colour
    ) -> None:
        """Fill a rectangle of the base."""
        p = self.px
        self.image[p(y) : p(y + height), p(x) : p(x + width)] = colour

    def border(self, inset: float, thickness: float, radius: float, colour: Colour) -> None:
        """A line along the edge with round corners, ``inset`` from it, drawn as ink."""
        layer = self.ink(colour)
        height, width = layer.shape
        line = max(1, self.px(thickness))
        a = self.px(inset) + line // 2
        b, c, r = width - 1 - a, height - 1 - a, self.px(radius)
        for p, q in (((a + r, a), (b - r, a)), ((a + r, c), (b - r, c)),
                     ((a, a + r), (a, c - r)), ((b, a + r), (b, c - r))):
            cv2.line(layer, p, q, 255, line)
        for centre, angle in (((a + r, a + r), 180), ((b - r, a + r), 270),
                              ((b - r, c - r), 0), ((a + r, c - r), 90)):
            cv2.ellipse(layer, centre, (r, r), angle, 0, 90, 255, line, cv2.LINE_AA)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled disc of ink: the dot between the characters."""
        centre = self.px(x), self.px(y)
        cv2.circle(self.ink(colour), centre, max(1, self.px(radius)), 255, -1, cv2.LINE_AA)

    def words(
        self, font: Font, text: str, x: float, y: float, height: float, colour: Colour,
        width: float | None = None,
    ) -> None:
        """Small lettering centred on (x, y), at most ``width`` wide, painted on the base."""
        mask = word(font.face, text)
        h = max(4, self.px(height))
        w = max(3, round(mask.shape[1] * h / mask.shape[0]))
        if width is not None:
            w = min(w, self.px(width))
        small = cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA)
        left, top = max(0, self.px(x) - w // 2), max(0, self.px(y) - h // 2)
        part = self.image[top : top + h, left : left + w]
        alpha = small[: part.shape[0], : part.shape[1], None].astype(np.float32) / 255
        part[:] = (part * (1 - alpha) + np.array(colour, np.float32) * alpha).astype(np.uint8)


def draw_line(
    canvas: Canvas, rng: np.random.Generator, font: Font, text: str,
    box: tuple[float, float, float, float], colour: Colour, spread: bool = False,
    hand: Hand | None = None,
) -> list[tuple[float, float, float]]:
    """Write ``text`` in the box (x, y, width, height) mm, centred, narrowed where it must.

    Separators (space, dash, dot, ``*``) leave a gap; dash and dot are drawn as ink. ``spread``
    fills the width. Returns where the ``*`` are: centre x, centre y, height, in millimetres.
    """
    hand = hand or Hand()
    left, top, width, height = (v * canvas.scale for v in box)
    tight, wide = (0.09, 0.19) if rng.random() < 0.8 else (0.03, 0.36)
    stretch, gap = rng.uniform(*hand.stretch), height * rng.uniform(tight, wide)
    fixed = rng.random() < 0.4 and font.glyphs["0"].shape[1] * stretch
    cells = [
        _GAPS[c] * height if c in _GAPS
        else max(font.glyphs[c].shape[1] * stretch, fixed) * height / GLYPH_HEIGHT
        for c in text
    ]
    total = sum(cells) + gap * (len(cells) - 1)
    factor = min(1.0, width / total)
    if spread and total < width:
        gap += min((width - total) / max(1, len(cells) - 1), height * 0.3)
        total = sum(cells) + gap * (len(cells) - 1)
    place = rng.uniform(0, 1) if rng.random() < hand.aside else 0.5
    x = left + (width - total * factor) * place
    seals = []
    drift = rng.normal(0, 0.012 * height, (len(text), 2))
    slant = rng.uniform(-0.3, 0.1) if rng.random() < hand.slanted else 0.0
    for character, cell, (dx, dy) in zip(text, cells, drift, strict=True):
        middle = x + cell * factor / 2
        if character in _GAPS:
            _separator(canvas, character, middle, top, height, colour)
            if character == "*":
                seals.append((middle, top + height / 2, height))
        else:
            mask = _slanted(font.glyphs[character], slant)
            w = mask.shape[1] * stretch * height / GLYPH_HEIGHT * factor
            canvas.stamp(
                mask, round(middle - w / 2 + dx), round(top + dy), round(w), round(height), colour
            )
        x += (cell + gap) * factor
    return [(a / canvas.scale, b / canvas.scale, c / canvas.scale) for a, b, c in seals]


def _slanted(mask: Mask, slant: float) -> Mask:
    """The glyph leaning by ``slant`` of its height, to the right where it is negative."""
    if slant == 0:
        return mask
    extra = abs(slant) * mask.shape[0]
    matrix = np.array([[1, slant, max(0.0, -slant) * mask.shape[0]], [0, 1, 0]], np.float32)
    size = round(mask.shape[1] + extra), mask.shape[0]
    return np.asarray(cv2.warpAffine(mask, matrix, size), np.uint8)


def _separator(
    canvas: Canvas, character: str, x: float, top: float, height: float, colour: Colour
) -> None:
    """Draw a dash in the middle or a dot at the foot or the middle; nothing for the others."""
    layer = canvas.ink(colour)
    if character == "-":
        w, h, y = height * 0.17, max(1.0, height * 0.06), top + height * 0.52
        cv2.rectangle(layer, (round(x - w), round(y - h)), (round(x + w), round(y + h)), 255, -1)
    elif character == ".":
        r = max(1.0, height * 0.07)
        centre = round(x), round(top + height - r)
        cv2.circle(layer, centre, round(r), 255, -1, cv2.LINE_AA)


def finish(
    canvas: Canvas, material: RenderMaterial, rng: np.random.Generator, wear: float = 1.0
) -> Image:
    """Lay the inks on the base and age the plate: stroke width, embossing, dirt, light, blur.

    ``wear`` scales how often paint is faded, plates are dirty, shaded by an edge or blurred.
    """
    own = rng.spawn(1)[0]  # what comes after is drawn as if there were no rim
    _base_wear(canvas, material, rng)
    height, width = canvas.image.shape[:2]
    picture = canvas.image.astype(np.float32)
    relief = np.zeros((height, width), np.float32)
    thickness, faded = rng.normal(0, 22), rng.random() < 0.12 * wear
    for colour, mask in canvas.inks.items():
        alpha = stroked(mask, thickness)
        if faded:
            alpha *= np.clip(material.noise_patch(rng, height, width) * 1.5 + 0.25, 0, 1)
        relief += alpha
        _lay(picture, colour, alpha)
    if rng.random() < 0.6:
        picture += _emboss(relief, rng)[..., None]
    if own.random() < 0.35:
        _rim(picture, own)
    _dirt(picture, material, rng, wear)
    _light(picture, rng, wear)
    if rng.random() < 0.3 * wear:
        cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6), picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _lay(picture: Floats, colour: Colour, alpha: Floats) -> None:
    """Lay an ink on the picture (H, W, 3) as far as ``alpha`` (H, W) covers it, in place."""
    picture += (np.array(colour, np.float32) - picture) * alpha[..., None]


def stroked(mask: Mask, thickness: float) -> Floats:
    """The mask as 0..1 float32 with strokes made thicker (positive) or thinner. Strokes so thin
    that little of them would be left stay as they are: a text that nobody sees is no truth."""
    sigma = max(0.6, mask.shape[0] / 100)
    soft = cv2.GaussianBlur(mask, (0, 0), sigma)
    table = np.clip((np.arange(256, dtype=np.float32) - 127 + thickness * 2) / 110 + 0.5, 0, 1)
    alpha, ink = table[soft], mask.astype(np.float32) / 255
    before, after = (cv2.GaussianBlur(one, (0, 0), 2 * sigma) for one in (ink, alpha))
    kept = after / np.maximum(before, 1e-3)
    lost = np.clip((_KEPT - kept) / (_KEPT / 2), 0, 1)
    return np.asarray(alpha + lost * np.maximum(ink - alpha, 0))


def _emboss(relief: Floats, rng: np.random.Generator) -> Floats:
    """Light on one side of the raised strokes and shadow on the other, in grey levels."""
    dx, dy = (int(v) for v in rng.integers(-2, 3, 2))
    shifted = np.roll(relief, (dy, dx), (0, 1))
    return np.asarray((relief - shifted) * rng.uniform(5, 55), np.float32)


def _rim(picture: Floats, rng: np.random.Generator) -> None:
    """The pressed edge of a metal plate, in place: light on two sides, shadow on the others."""
    height, width = picture.shape[:2]
    inset, line = round(height * rng.uniform(0, 0.05)), max(1, round(height * 0.015))
    near, far = slice(inset, inset + line), slice(-inset - line, -inset or None)
    across, along = slice(inset, height - inset), slice(inset, width - inset)
    upper, left = rng.uniform(-70, 70), rng.uniform(-50, 50)
    picture[near, along] += upper
    picture[far, along] -= upper
    picture[across, near] += left
    picture[across, far] -= left


def _base_wear(canvas: Canvas, material: RenderMaterial, rng: np.random.Generator) -> None:
    """Screws and seams on the base, before the ink."""
    if rng.random() < 0.55:
        height, width = canvas.image.shape[:2]
        x, y = rng.uniform(0.12, 0.3), rng.uniform(0.07, 0.13)
        spots = [(x, y), (1 - x, y)]
        if rng.random() < 0.6:
            spots += [(x, 1 - y), (1 - x, 1 - y)]
        colour = vary(rng, (150, 150, 150), 60)
        radius = max(1, round(height * rng.uniform(0.02, 0.04)))
        for sx, sy in spots:
            centre = round(sx * width), round(sy * height)
            cv2.circle(canvas.image, centre, radius + 1, (70, 70, 70), -1, cv2.LINE_AA)
            cv2.circle(canvas.image, centre, radius, colour, -1, cv2.LINE_AA)


def _dirt(
    picture: Floats, material: RenderMaterial, rng: np.random.Generator, wear: float
) -> None:
    """Mud or dust in patches, in place, on a quarter of the plates; fine grain on all."""
    height, width = picture.shape[:2]
    grain = material.noise_patch(rng, height, width)
    picture += ((grain - 0.5) * rng.uniform(2, 22))[..., None]
    if rng.random() < 0.25 * wear:
        noise = material.noise_patch(rng, height, width)
        start = rng.uniform(0.45, 0.75)
        alpha = np.clip((noise - start) * 3, 0, rng.uniform(0.3, 0.75))
        tint = np.array(vary(rng, (85, 110, 130), 40), np.float32)
        picture += (tint - picture) * alpha[..., None]


def _light(picture: Floats, rng: np.random.Generator, wear: float) -> None:
    """A gradient across the plate and, rarely, the sharp edge of a shadow, in place."""
    height, width = picture.shape[:2]
    slope_x, slope_y = rng.normal(0, 0.12, 2)
    gain = (
        1 + slope_x * np.linspace(-1, 1, width, dtype=np.float32)[None]
        + slope_y * np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    )
    if rng.random() < 0.08 * wear:
        shade, edge, tilt = rng.uniform(0.45, 0.8), rng.uniform(0.15, 0.85), rng.normal(0, 0.3)
        line = (edge + tilt * np.linspace(-1, 1, width, dtype=np.float32)) * height
        below = np.arange(height, dtype=np.float32)[:, None] > line[None]
        gain = gain * np.where(below ^ (rng.random() < 0.5), shade, 1).astype(np.float32)
    picture *= gain[..., None]
