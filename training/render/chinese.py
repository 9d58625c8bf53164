"""Chinese plates. All measures in millimetres after GA 36-2018."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from training.render.canvas import BLACK, RED, WHITE, Canvas, Colour, vary
from training.render.draft import Draft
from training.render.material import RenderMaterial
from training.render.texts import CN_LETTERS, chinese_prefix, chinese_serial, pick

Cell = tuple[float, float, float, float]
"""x, y, width, height of a character."""

_BLUE, _YELLOW, _GREEN = (170, 80, 20), (20, 185, 245), (125, 195, 130)


def _row(count: int, gap_after: int) -> list[Cell]:
    """Seven characters of 45 x 90 on a plate 440 wide; a gap of 34 after character gap_after."""
    return [(15.5 + 57 * i + 22 * (i >= gap_after), 25, 45, 90) for i in range(count)]


_GREEN_ROW: list[Cell] = [
    (15.5, 25, 45, 90), (69.5, 25, 43, 90), *((161.5 + 52 * i, 25, 43, 90) for i in range(6))
]
_TWO_ROWS: list[Cell] = [(110, 15, 80, 60), (250, 15, 80, 60)] + [
    (27.5 + 80 * i, 90, 65, 110) for i in range(5)
]
_SMALL_TWO_ROWS: list[Cell] = [(62, 13, 35, 38), (123, 13, 35, 38)] + [
    (14 + 39.5 * i, 60, 34, 66) for i in range(5)
]


def _draw_cells(
    canvas: Canvas, material: RenderMaterial, rng: np.random.Generator, names: Sequence[str],
    cells: Sequence[Cell], colours: Sequence[Colour],
) -> None:
    """Stamp the named glyphs on their cells, each a little off."""
    drift = rng.normal(0, 0.6, (len(cells), 4))
    for name, (x, y, w, h), colour, (dx, dy, dw, dh) in zip(
        names, cells, colours, drift, strict=True
    ):
        canvas.stamp(
            material.chinese[name], canvas.px(x + dx), canvas.px(y + dy),
            canvas.px(w + dw), canvas.px(h + dh), colour,
        )


def _names(text: str, row: str = "140") -> list[str]:
    return [f"{row}_{c}" for c in text]


def _two_row_names(text: str) -> list[str]:
    """File stems of the two-row glyphs: flat ones above, tall ones below."""
    upper = [f"220_up_{c}" if c in CN_LETTERS else f"220_{c}" for c in text[:2]]
    return upper + [f"220_down_{c}" if c in CN_LETTERS else f"220_{c}" for c in text[2:]]


def _scale(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.68, 1.0))


def _holes(canvas: Canvas, rng: np.random.Generator) -> None:
    """The four slots for the seals of the screws, light or in the plate's shade."""
    if rng.random() < 0.5:
        return
    height, width = canvas.image.shape[:2]
    colour = vary(rng, (215, 215, 215), 40)
    for x in (0.25, 0.75):
        for y in (canvas.px(13), height - canvas.px(13)):
            left, top = round(x * width) - canvas.px(9), y - canvas.px(3.5)
            canvas.image[top : top + canvas.px(7), left : left + canvas.px(18)] = colour


def _single(
    material: RenderMaterial, rng: np.random.Generator, text: str, base: Colour, ink: Colour,
    kind: str, gap_after: int = 2, colours: Sequence[Colour] | None = None,
) -> Draft:
    """A plate of 440 x 140 with one row of seven."""
    canvas = Canvas(440, 140, _scale(rng), base)
    _holes(canvas, rng)
    canvas.border(rng.uniform(2, 5), rng.uniform(1.5, 3), 8, ink)
    cells = _row(len(text), gap_after)
    _draw_cells(canvas, material, rng, _names(text), cells, colours or [ink] * len(text))
    canvas.disc(cells[gap_after][0] - 17, 70, 5, ink)
    return Draft(canvas=canvas, text=text, rows=1, kind=kind, country="CN")


def blue(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Small cars."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5)
    base = vary(rng, _BLUE, 28) if rng.random() < 0.8 else vary(rng, (205, 130, 45), 28)
    return _single(material, rng, text, base, vary(rng, (240, 240, 240), 10), "blue")


def yellow(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Large cars, front."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5)
    return _single(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def learner(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Driving schools: yellow with 学 at the end."""
    text = chinese_prefix(rng) + chinese_serial(rng, 4, 1) + "学"
    return _single(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def _double(
    material: RenderMaterial, rng: np.random.Generator, text: str, base: Colour, ink: Colour,
    kind: str,
) -> Draft:
    """A plate of 440 x 220 with two rows."""
    canvas = Canvas(440, 220, rng.uniform(0.55, 0.85), base)
    _holes(canvas, rng)
    canvas.border(rng.uniform(2, 5), rng.uniform(1.5, 3), 9, ink)
    _draw_cells(canvas, material, rng, _two_row_names(text), _TWO_ROWS, [ink] * len(text))
    canvas.disc(220, 45, 6, ink)
    return Draft(canvas=canvas, text=text, rows=2, kind=kind, country="CN")


def yellow_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Large cars, rear."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5)
    return _double(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def trailer(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Trailers: yellow, two rows, 挂 at the end."""
    text = chinese_prefix(rng) + chinese_serial(rng, 4, 1) + "挂"
    return _double(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def motorcycle(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Motorcycles: 220 x 140, two rows, yellow or blue."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5)
    is_blue = rng.random() < 0.4
    base, ink = (vary(rng, _BLUE, 25), WHITE) if is_blue else (vary(rng, _YELLOW, 22), BLACK)
    canvas = Canvas(220, 140, rng.uniform(0.9, 1.3), base)
    canvas.border(2, 1.5, 6, ink)
    _draw_cells(canvas, material, rng, _two_row_names(text), _SMALL_TWO_ROWS, [ink] * 7)
    canvas.disc(110, 32, 3, ink)
    kind = "blue" if is_blue else "yellow"
    return Draft(canvas=canvas, text=text, rows=2, kind=kind, country="CN")


def police(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Police: white, a gap after the province, 警 in red."""
    text = chinese_prefix(rng) + chinese_serial(rng, 4, 1) + "警"
    ink, red = vary(rng, BLACK), vary(rng, RED)
    base = vary(rng, (235, 235, 235), 14)
    return _single(material, rng, text, base, ink, "white", 1, [ink] * 6 + [red])


def army(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Army: white, two red letters and five digits."""
    text = pick(rng, CN_LETTERS) + pick(rng, CN_LETTERS) + chinese_serial(rng, 5, 0)
    ink, red = vary(rng, BLACK), vary(rng, RED)
    base = vary(rng, (235, 235, 235), 14)
    return _single(material, rng, text, base, ink, "white", 2, [red] * 2 + [ink] * 5)


def black(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Hong Kong and Macao cars (粤Z), consulates (领), embassies (使) and old foreign cars."""
    form, gap_after = rng.integers(4), 2
    if form <= 1:
        text = "粤Z" + chinese_serial(rng, 4, 1) + "港澳"[form]
        if rng.random() < 0.3:
            text = chinese_prefix(rng) + text[2:]
    elif form == 2:
        text = chinese_prefix(rng)[0] + chinese_serial(rng, 5, 0) + "领"
        gap_after = 4
    elif rng.random() < 0.6:
        text, gap_after = "使" + chinese_serial(rng, 6, 0), int(rng.integers(3, 5))
    else:
        text = chinese_prefix(rng) + chinese_serial(rng, 5, 1)
    base, ink = vary(rng, (30, 28, 28), 14), vary(rng, (235, 235, 235), 10)
    return _single(material, rng, text, base, ink, "black", gap_after)


def _green(
    material: RenderMaterial, rng: np.random.Generator, text: str, canvas: Canvas
) -> Draft:
    """The eight characters, the border and the round emblem of a new-energy plate."""
    ink = vary(rng, BLACK)
    canvas.border(rng.uniform(2, 4), rng.uniform(1.5, 2.5), 8, ink)
    _draw_cells(canvas, material, rng, _names(text, "green"), _GREEN_ROW, [ink] * 8)
    centre, radius = (canvas.px(137), canvas.px(70)), canvas.px(12)
    cv2.circle(canvas.image, centre, radius, vary(rng, (150, 120, 40), 30), -1, cv2.LINE_AA)
    cv2.ellipse(
        canvas.image, centre, (radius - 1, radius - 1), 0, 90, 200, (60, 150, 40), -1, cv2.LINE_AA
    )
    cv2.circle(canvas.image, (centre[0] + radius // 3, centre[1]), radius // 2, WHITE, -1)
    return Draft(canvas=canvas, text=text, rows=1, kind="green", country="CN")


def green_small(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Small new-energy cars: the third character says pure electric (A-E) or not (F-K)."""
    drive = pick(rng, "DDDFFFABCEGHJK")
    rest = chinese_serial(rng, 5, 0)
    if rng.random() < 0.35:
        rest = pick(rng, CN_LETTERS) + rest[1:]
    canvas = Canvas(480, 140, _scale(rng), WHITE)
    top = np.array(vary(rng, (238, 245, 238), 8), np.float32)
    bottom = np.array(vary(rng, _GREEN, 22), np.float32)
    if rng.random() < 0.2:
        top = bottom
    ramp = np.linspace(0, 1, canvas.image.shape[0], dtype=np.float32)[:, None, None]
    canvas.image[:] = (top * (1 - ramp) + bottom * ramp).astype(np.uint8)
    return _green(material, rng, chinese_prefix(rng) + drive + rest, canvas)


def green_large(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Large new-energy cars: yellow at the left, green at the right, D or F at the end."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5, 0) + pick(rng, "DDDFFFABCEGHJK")
    canvas = Canvas(480, 140, _scale(rng), vary(rng, (50, 170, 235), 20))
    canvas.rectangle(135, 7, 338, 126, vary(rng, _GREEN, 20))
    return _green(material, rng, text, canvas)
