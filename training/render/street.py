"""A street drawn from nothing: sky, buildings, road and cars with room for plates. No photo."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from alpr_edge.types import Floats, Image
from training.render.canvas import Colour, vary

_PAINTS: tuple[Colour, ...] = (
    (205, 205, 205), (70, 70, 72), (35, 35, 38), (150, 95, 50), (40, 35, 140), (165, 165, 165),
    (235, 235, 235), (110, 125, 135), (70, 95, 60),
)
_WALLS: tuple[Colour, ...] = (
    (150, 165, 180), (120, 140, 165), (95, 115, 150), (165, 170, 175), (140, 150, 150),
    (185, 200, 210), (110, 115, 120),
)
_GLASS: Colour = (62, 52, 44)
Points = Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PlateSlot:
    """Where a car carries its plate: centre in pixels and the width of a 440 mm plate."""

    x: float
    y: float
    width: float


def drawn_background(rng: np.random.Generator, height: int, width: int) -> Image:
    """A drawn street with up to two cars without plates: (height, width, 3) BGR uint8."""
    return draw_street(rng, height, width, int(rng.integers(3)))[0]


def draw_street(
    rng: np.random.Generator, height: int, width: int, cars: int, lorry: bool = False
) -> tuple[Image, list[PlateSlot]]:
    """A street with ``cars`` cars side by side, far ones first; ``lorry`` makes the nearest one."""
    horizon = round(height * rng.uniform(0.3, 0.42))
    image = empty_street(rng, height, width, horizon)
    slots = []
    shares = np.linspace(0, 1, cars + 1)
    lanes = rng.permutation(cars)
    sizes = np.sort(rng.uniform(0.55, 0.95, cars))
    for order, (lane, size) in enumerate(zip(lanes, sizes, strict=True)):
        middle = (shares[lane] + shares[lane + 1]) / 2 * width + rng.normal(0, 0.02 * width)
        most = min(0.92 * width / cars, height * 0.85)
        body = most * size
        near = np.clip(0.3 + 0.62 * body / (height * 0.85), 0, 0.95)
        ground = horizon + (height - horizon) * near
        is_lorry = lorry and order == cars - 1
        slots.append(draw_vehicle(image, rng, middle, ground, body, is_lorry))
    return _grain(image, rng), slots


def empty_street(rng: np.random.Generator, height: int, width: int, horizon: int) -> Image:
    """Sky, houses and a road without cars that ends at row ``horizon``: (height, width, 3)."""
    image = _sky(rng, height, width, horizon)
    _houses(image, rng, horizon)
    _road(image, rng, horizon)
    return image


def draw_vehicle(
    image: Image, rng: np.random.Generator, x: float, ground: float, width: float, lorry: bool
) -> PlateSlot:
    """Draw a car or lorry of ``width`` pixels, its wheels' middle at (x, ground), in place; tells
    where its plate belongs. The same state of ``rng`` draws the same vehicle."""
    return (_lorry if lorry else _car)(image, rng, x, ground, width)


def _fill(
    image: Image, points: Points, top: Colour, bottom: Colour, rounding: float = 0.0,
    opacity: float = 1.0,
) -> None:
    """Fill a polygon with a vertical gradient, corners rounded by about ``rounding`` pixels."""
    polygon = np.array(points, np.float32)
    pad = int(rounding * 2) + 3
    low = np.maximum(np.floor(polygon.min(0)).astype(int) - pad, 0)
    high = np.minimum(np.ceil(polygon.max(0)).astype(int) + pad, image.shape[1::-1])
    if (high <= low).any():
        return
    (x1, y1), (x2, y2) = low.tolist(), high.tolist()
    mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
    cv2.fillPoly(mask, [np.round((polygon - (x1, y1)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    alpha: Floats = np.asarray(mask / 255, np.float32)
    if rounding > 0.5:
        cv2.GaussianBlur(alpha, (0, 0), rounding * 0.6, alpha)
        alpha[:] = np.clip((alpha - 0.5) * max(1.5, rounding * 1.2) + 0.5, 0, 1)
    ramp = np.linspace(0, 1, y2 - y1, dtype=np.float32)[:, None, None]
    colour = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    part = image[y1:y2, x1:x2]
    part[:] = part + (colour - part) * (alpha * opacity)[..., None]


def _shade(colour: Colour, factor: float) -> Colour:
    """The colour lighter or darker."""
    b, g, r = (int(np.clip(c * factor, 0, 255)) for c in colour)
    return b, g, r


def _box(x1: float, y1: float, x2: float, y2: float) -> Points:
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def _clouds(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Smooth noise of three octaves, about -1..1: (height, width) float32."""
    total = np.zeros((height, width), np.float32)
    for cells, weight in ((4, 0.6), (9, 0.35), (24, 0.2)):
        small = rng.uniform(-1, 1, (cells, cells * 2)).astype(np.float32)
        total += weight * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return total


def _sky(rng: np.random.Generator, height: int, width: int, horizon: int) -> Image:
    """The whole picture filled with sky: gradient and clouds."""
    top = np.array(vary(rng, (215, 165, 115), 16), np.float32)
    bottom = np.array(vary(rng, (235, 225, 215), 15), np.float32)
    ramp = np.clip(np.linspace(0, height / horizon, height), 0, 1)[:, None, None]
    sky = top * (1 - ramp) + bottom * ramp
    cover = np.clip(_clouds(rng, height, width) * 1.6, 0, 1)[..., None]
    return np.asarray(sky + (245 - sky) * cover * 0.8, np.uint8)


def _houses(image: Image, rng: np.random.Generator, horizon: int) -> None:
    """A row of house fronts with windows, trees before them."""
    width, x = image.shape[1], -20.0
    while x < width:
        span, tall = width * rng.uniform(0.08, 0.2), horizon * rng.uniform(0.3, 0.95)
        wall = vary(rng, _WALLS[rng.integers(len(_WALLS))], 14)
        top = horizon - tall
        _fill(image, _box(x, top, x + span, horizon + 8), wall, _shade(wall, 0.8))
        columns, rows = int(rng.integers(3, 7)), max(2, int(tall / (horizon * 0.14)))
        cw, rh = span / columns, tall / rows
        glass = vary(rng, (95, 80, 65), 10)
        for row in range(rows):
            for column in range(columns):
                wx, wy = x + (column + 0.25) * cw, top + (row + 0.25) * rh
                tint = _shade(glass, rng.uniform(0.7, 1.5))
                _fill(image, _box(wx, wy, wx + cw * 0.5, wy + rh * 0.55), tint, _shade(tint, 0.8))
        x += span
    for _ in range(int(rng.integers(2, 6))):
        _tree(image, rng, rng.uniform(0, width), horizon, horizon * rng.uniform(0.3, 0.6))


def _tree(image: Image, rng: np.random.Generator, x: float, ground: float, tall: float) -> None:
    """A trunk and a crown of many round tufts, lighter above."""
    trunk = tall * 0.05
    _fill(image, _box(x - trunk, ground - tall * 0.5, x + trunk, ground + 6), (50, 70, 85),
          (40, 55, 70))
    green = vary(rng, (55, 105, 70), 14)
    for _ in range(45):
        dx, dy = rng.normal(0, 0.18 * tall), rng.normal(0, 0.13 * tall)
        centre = round(x + dx), round(ground - tall * 0.68 + dy)
        tone = _shade(green, 0.9 - dy / tall * 1.6 + rng.normal(0, 0.1))
        cv2.circle(image, centre, max(2, round(tall * rng.uniform(0.05, 0.1))), tone, -1,
                   cv2.LINE_AA)


def _road(image: Image, rng: np.random.Generator, horizon: int) -> None:
    """Pavements, asphalt with grain, kerbs and lane marks that meet at the horizon."""
    height, width = image.shape[:2]
    vanish = width * rng.uniform(0.4, 0.6)
    stone = vary(rng, (150, 155, 160), 6)
    _fill(image, _box(0, horizon, width, height), _shade(stone, 0.85), stone)
    grey = vary(rng, (97, 95, 94), 6)
    near, far = width * rng.uniform(0.75, 1.1), width * 0.12
    edge = [(vanish - far, horizon), (vanish + far, horizon), (vanish + near, height),
            (vanish - near, height)]
    _fill(image, edge, _shade(grey, 1.15), grey)
    for side in (-1, 1):
        kerb = [(vanish + side * far, horizon), (vanish + side * far * 1.05, horizon),
                (vanish + side * near * 1.05, height), (vanish + side * near, height)]
        _fill(image, kerb, (190, 190, 190), (205, 205, 205))
    for lane in (-0.35, 0.35):
        for start in np.arange(0.02, 1.0, 0.22):
            a, b = start**1.6, min(1.0, start + 0.11) ** 1.6
            ya, yb = horizon + a * (height - horizon), horizon + b * (height - horizon)
            xa, xb = (vanish + lane * (far + (near - far) * t) for t in (a, b))
            wa, wb = (1 + 0.011 * width * t for t in (a, b))
            _fill(image, [(xa - wa, ya), (xa + wa, ya), (xb + wb, yb), (xb - wb, yb)],
                  (215, 215, 215), (225, 225, 225))
    ground = image[horizon:].astype(np.float32)
    noise = rng.standard_normal(ground.shape[:2], np.float32) * 6
    noise += _clouds(rng, *ground.shape[:2]) * 9
    image[horizon:] = np.clip(ground + noise[..., None], 0, 255).astype(np.uint8)


def _grain(image: Image, rng: np.random.Generator) -> Image:
    """A little blur and sensor noise over everything."""
    soft = cv2.GaussianBlur(image, (0, 0), 0.7).astype(np.float32)
    soft += rng.standard_normal(image.shape[:2], np.float32)[..., None] * 2.0
    return np.asarray(np.clip(soft, 0, 255), np.uint8)


class _Pen:
    """Fills shapes given in car widths from the middle of the ground line, both halves at once."""

    def __init__(self, image: Image, x: float, ground: float, width: float) -> None:
        self.image, self.x, self.ground, self.width = image, x, ground, width

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.x + x * self.width, self.ground - y * self.width

    def fill(
        self, points: Points, top: Colour, bottom: Colour, rounding: float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        placed = [self.at(*p) for p in points]
        _fill(self.image, placed, top, bottom, rounding * self.width, opacity)

    def both(
        self, points: Points, top: Colour, bottom: Colour, rounding: float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        self.fill(points, top, bottom, rounding, opacity)
        self.fill([(-x, y) for x, y in points], top, bottom, rounding, opacity)

    def mirrored(self, right: Points) -> Points:
        """A symmetric outline from its right half, listed from the top down."""
        return list(right) + [(-x, y) for x, y in reversed(right)]

    def shadow(self) -> None:
        """What the car keeps from the ground."""
        for grow, opacity in ((0.58, 0.25), (0.53, 0.35), (0.48, 0.6)):
            self.fill(_box(-grow, 0.05, grow, -0.035 * grow * 2), (25, 25, 25), (25, 25, 25), 0.03,
                      opacity)

    def slot(self, y: float) -> PlateSlot:
        """The plate's place on the middle line."""
        x, centre = self.at(0, y)
        return PlateSlot(x=x, y=centre, width=self.width * 0.25)


def _car(
    image: Image, rng: np.random.Generator, x: float, ground: float, width: float
) -> PlateSlot:
    """A car from behind or in front."""
    pen, rear = _Pen(image, x, ground, width), rng.random() < 0.55
    paint = vary(rng, _PAINTS[rng.integers(len(_PAINTS))], 10)
    light, dark = _shade(paint, 1.2), _shade(paint, 0.6)
    roof, waist = rng.uniform(0.68, 0.82), rng.uniform(0.45, 0.5)
    pen.shadow()
    pen.both(_box(0.29, 0.2, 0.44, -0.01), (32, 32, 34), (22, 22, 24), 0.02)
    cabin = pen.mirrored([(0.3, roof), (0.345, roof - 0.05), (0.43, waist), (0.45, waist - 0.05)])
    pen.fill(cabin, light, paint, 0.035)
    glass = pen.mirrored([(0.285, roof - 0.045), (0.375, waist + 0.015)])
    pen.fill(glass, _shade(_GLASS, 1.5), _GLASS, 0.03)
    pen.fill([(-0.24, roof - 0.06), (-0.08, roof - 0.06), (-0.16, waist + 0.03),
              (-0.34, waist + 0.03)], (170, 165, 160), (120, 115, 110), 0.01, 0.25)
    pen.both([(0.14, waist + 0.09), (0.22, waist + 0.09), (0.25, waist + 0.01),
              (0.11, waist + 0.01)], (45, 42, 40), (30, 28, 28), 0.025)
    pen.both(_box(0.44, waist + 0.06, 0.52, waist), dark, _shade(paint, 0.5), 0.02)
    body = pen.mirrored([(0.41, waist + 0.01), (0.485, waist - 0.06), (0.5, 0.3), (0.49, 0.12),
                         (0.45, 0.075)])
    pen.fill(body, light, dark, 0.04)
    pen.fill(pen.mirrored([(0.47, waist - 0.055), (0.475, waist - 0.065)]), _shade(paint, 1.45),
             _shade(paint, 1.3), 0.0, 0.7)
    return (_rear if rear else _front)(pen, rng, paint, waist)


def _rear(
    pen: _Pen, rng: np.random.Generator, paint: Colour, waist: float
) -> PlateSlot:
    """Tail lamps, boot lid, bumper; the plate on the lid or the bumper."""
    dark, lamp = _shade(paint, 0.45), vary(rng, (40, 35, 165), 25)
    low = waist - rng.uniform(0.14, 0.18)
    inner = rng.uniform(0.26, 0.34)
    pen.both([(inner, waist - 0.05), (0.47, waist - 0.06), (0.485, low), (inner + 0.05, low)],
             _shade(lamp, 1.3), lamp, 0.018)
    pen.both([(inner + 0.04, waist - 0.075), (0.42, waist - 0.08), (0.43, waist - 0.1),
              (inner + 0.05, waist - 0.1)], (215, 215, 235), (160, 160, 215), 0.008, 0.85)
    pen.fill(pen.mirrored([(0.485, 0.205), (0.485, 0.2)]), dark, dark)
    pen.fill(pen.mirrored([(0.46, 0.125), (0.44, 0.08)]), (45, 45, 47), (30, 30, 32), 0.015)
    pen.both(_box(0.36, 0.165, 0.46, 0.145), (40, 40, 170), (35, 35, 130), 0.006)
    on_lid = rng.random() < 0.65
    centre = (waist + 0.17) / 2 + 0.005 if on_lid else 0.155
    pen.fill(pen.mirrored([(0.15, centre + 0.055), (0.17, centre - 0.055)]), _shade(paint, 0.55),
             _shade(paint, 0.75), 0.015)
    pen.fill(_box(-0.035, waist - 0.025, 0.035, waist - 0.045), (210, 210, 210), (150, 150, 150),
             0.01)
    return pen.slot(centre)


def _front(
    pen: _Pen, rng: np.random.Generator, paint: Colour, waist: float
) -> PlateSlot:
    """Head lamps, grille with bars, air intake; the plate under the grille."""
    low, inner = waist - rng.uniform(0.12, 0.15), rng.uniform(0.24, 0.3)
    pen.both([(inner, low + 0.015), (0.47, waist - 0.055), (0.485, low + 0.02),
              (inner + 0.05, low - 0.015)], (225, 222, 215), (150, 145, 140), 0.015)
    for spot in (inner + 0.08, inner + 0.15):
        for side in (-1, 1):
            x, y = pen.at(side * spot, low + 0.03)
            cv2.circle(pen.image, (round(x), round(y)), max(2, round(pen.width * 0.022)),
                       (250, 248, 240), -1, cv2.LINE_AA)
    top, bottom = waist - 0.085, low - 0.03
    pen.fill(pen.mirrored([(inner - 0.03, top), (inner - 0.06, bottom)]), (38, 38, 40),
             (24, 24, 26), 0.015)
    for bar in np.linspace(bottom + 0.015, top - 0.012, 4):
        pen.fill(_box(-inner + 0.06, bar + 0.004, inner - 0.06, bar - 0.004), (150, 150, 150),
                 (95, 95, 95))
    x, y = pen.at(0, (top + bottom) / 2)
    cv2.circle(pen.image, (round(x), round(y)), max(2, round(pen.width * 0.028)), (205, 205, 205),
               -1, cv2.LINE_AA)
    pen.fill(pen.mirrored([(0.36, 0.15), (0.32, 0.085)]), (36, 36, 38), (22, 22, 24), 0.02)
    pen.both(_box(0.37, 0.17, 0.45, 0.13), (45, 45, 47), (28, 28, 30), 0.015)
    return pen.slot(rng.uniform(0.17, 0.2))


def _lorry(
    image: Image, rng: np.random.Generator, x: float, ground: float, width: float
) -> PlateSlot:
    """The rear of a box lorry: doors, bars, lamps under the box; the plate between the lamps."""
    pen = _Pen(image, x, ground, width)
    paint = vary(rng, ((150, 110, 70), (70, 80, 150), (175, 180, 180))[rng.integers(3)], 20)
    pen.shadow()
    pen.both(_box(0.24, 0.24, 0.46, -0.01), (30, 30, 32), (20, 20, 22), 0.02)
    pen.fill(_box(-0.5, 1.15, 0.5, 0.34), _shade(paint, 1.15), _shade(paint, 0.8), 0.012)
    pen.fill(_box(-0.47, 1.12, 0.47, 0.37), _shade(paint, 1.05), _shade(paint, 0.75), 0.006)
    pen.fill(_box(-0.004, 1.12, 0.004, 0.37), _shade(paint, 0.4), _shade(paint, 0.4))
    for bar in (-0.3, -0.12, 0.12, 0.3):
        pen.fill(_box(bar - 0.008, 1.1, bar + 0.008, 0.38), (190, 190, 190), (120, 120, 120))
    for i, left in enumerate(np.linspace(-0.5, 0.4, 10)):
        tint: Colour = (45, 40, 185) if i % 2 else (225, 225, 225)
        pen.fill(_box(left, 0.365, left + 0.1, 0.34), tint, tint)
    pen.fill(_box(-0.48, 0.33, 0.48, 0.13), (50, 50, 52), (35, 35, 37), 0.008)
    pen.both(_box(0.3, 0.28, 0.45, 0.2), (60, 50, 190), (40, 35, 140), 0.01)
    pen.both(_box(0.22, 0.28, 0.29, 0.2), (50, 140, 225), (40, 110, 190), 0.01)
    return pen.slot(0.235)
