"""Chinese plates by type, after GA 36-2018."""

from __future__ import annotations

import cv2
import numpy as np

from training.render.canvas import BLACK, RED, WHITE, Canvas, Colour, vary
from training.render.chinese_layout import (
    TWO_ROWS,
    Cell,
    double,
    draw_cells,
    one_row_names,
    random_scale,
    single,
    small_double,
)
from training.render.draft import Draft
from training.render.material import RenderMaterial
from training.render.texts import CN_LETTERS, chinese_prefix, chinese_serial, pick

_BLUE, _YELLOW, _GREEN = (170, 80, 20), (20, 185, 245), (125, 195, 130)
_GREEN_ROW: list[Cell] = [
    (15.5, 25, 45, 90), (69.5, 25, 43, 90), *((161.5 + 52 * i, 25, 43, 90) for i in range(6))
]
_ARMED_ROW: list[Cell] = [
    (13, 25, 40, 90), (56, 25, 40, 90), (101, 45, 45, 70),
    *((164 + 53 * i, 25, 45, 90) for i in range(5)),
]
_ARMED_TWO_ROWS: list[Cell] = [
    (65, 15, 75, 60), (150, 15, 75, 60), (285, 15, 80, 60), *TWO_ROWS[2:]
]


def blue(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Small cars."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5)
    base = vary(rng, _BLUE, 28) if rng.random() < 0.8 else vary(rng, (205, 130, 45), 28)
    return single(material, rng, text, base, vary(rng, (240, 240, 240), 10), "blue")


def yellow(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Large cars, front."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5)
    return single(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def learner(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Driving schools: yellow with 学 at the end."""
    text = chinese_prefix(rng) + chinese_serial(rng, 4, 1) + "学"
    return single(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def yellow_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Large cars, rear."""
    text = chinese_prefix(rng) + chinese_serial(rng, 5)
    return double(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def trailer(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Trailers: yellow, two rows, 挂 at the end."""
    text = chinese_prefix(rng) + chinese_serial(rng, 4, 1) + "挂"
    return double(material, rng, text, vary(rng, _YELLOW, 22), vary(rng, BLACK), "yellow")


def motorcycle(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Motorcycles: yellow, or blue for light ones; with 学 at the end those of driving schools."""
    if rng.random() < 0.4:
        text = chinese_prefix(rng) + chinese_serial(rng, 5)
        return small_double(material, rng, text, vary(rng, _BLUE, 25), WHITE, "blue")
    learns = rng.random() < 0.15
    text = chinese_prefix(rng) + (
        chinese_serial(rng, 4, 1) + "学" if learns else chinese_serial(rng, 5)
    )
    return small_double(material, rng, text, vary(rng, _YELLOW, 22), BLACK, "yellow")


def _white(rng: np.random.Generator) -> tuple[Colour, Colour, Colour]:
    """Base, black ink and red ink of white plates."""
    ink, red = vary(rng, BLACK), vary(rng, RED)
    return vary(rng, (235, 235, 235), 14), ink, red


def police(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Police: white, a gap after the province, 警 in red."""
    text = chinese_prefix(rng) + chinese_serial(rng, 4, 1) + "警"
    base, ink, red = _white(rng)
    return single(material, rng, text, base, ink, "white", 1, [ink] * 6 + [red])


def police_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Rear of large police cars, and police motorcycles."""
    text = chinese_prefix(rng) + chinese_serial(rng, 4, 1) + "警"
    base, ink, red = _white(rng)
    draw = small_double if rng.random() < 0.5 else double
    return draw(material, rng, text, base, ink, "white", [ink] * 6 + [red])


def _army_text(rng: np.random.Generator) -> str:
    return pick(rng, CN_LETTERS) + pick(rng, CN_LETTERS) + chinese_serial(rng, 5, 0)


def army(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Army: white, two red letters and five digits."""
    text = _army_text(rng)
    base, ink, red = _white(rng)
    return single(material, rng, text, base, ink, "white", 2, [red] * 2 + [ink] * 5)


def army_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Rear of large army cars."""
    text = _army_text(rng)
    base, ink, red = _white(rng)
    return double(material, rng, text, base, ink, "white", [red] * 2 + [ink] * 5)


def _armed_text(rng: np.random.Generator) -> str:
    """WJ, province, five digits; the last one is now and then a letter (the branch)."""
    digits = chinese_serial(rng, 5, 0)
    if rng.random() < 0.2:
        digits = digits[:4] + pick(rng, "XBTSHJD")
    return "WJ" + chinese_prefix(rng)[0] + digits


def armed_police(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Armed police: white, WJ and a small province character in red, five digits."""
    text = _armed_text(rng)
    base, ink, red = _white(rng)
    colours = [red] * 3 + [ink] * 5
    return single(material, rng, text, base, ink, "white", 3, colours, _ARMED_ROW)


def armed_police_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Rear of large cars of the armed police: WJ and the province above."""
    text = _armed_text(rng)
    base, ink, red = _white(rng)
    colours = [red] * 3 + [ink] * 5
    return double(material, rng, text, base, ink, "white", colours, _ARMED_TWO_ROWS)


def black(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Hong Kong and Macao cars (粤Z), consulates (领), embassies (使) and old foreign cars."""
    form, gap_after = rng.integers(4), 2
    if form <= 1:
        text = "粤Z" + chinese_serial(rng, 4, 1) + "港澳"[form]
        if rng.random() < 0.3:
            text = chinese_prefix(rng) + text[2:]
    elif form == 2:
        text, gap_after = _consulate(rng)
    elif rng.random() < 0.7:
        text, gap_after = _embassy(rng)
    else:
        text = chinese_prefix(rng) + chinese_serial(rng, 5, 1)
    base, ink = vary(rng, (30, 28, 28), 14), vary(rng, (235, 235, 235), 10)
    red = vary(rng, RED)
    coloured = rng.random() < 0.3
    colours = [red if coloured and c in "使领" else ink for c in text]
    return single(material, rng, text, base, ink, "black", gap_after, colours)


def _consulate(rng: np.random.Generator) -> tuple[str, int]:
    """The text, and after how many characters the dot is: province, country and number, 领."""
    if rng.random() < 0.5:
        return chinese_prefix(rng)[0] + chinese_serial(rng, 5, 0) + "领", 4
    return chinese_prefix(rng) + chinese_serial(rng, 4, 0) + "领", 2


def _embassy(rng: np.random.Generator) -> tuple[str, int]:
    """Country and number in three digits each; 使 before them, or after them on newer plates."""
    digits = chinese_serial(rng, 6, 0)
    return (digits + "使", 3) if rng.random() < 0.5 else ("使" + digits, int(rng.integers(3, 5)))


def black_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Motorcycles of consulates and of foreigners."""
    serial = chinese_serial(rng, 4, 0) + "领" if rng.random() < 0.5 else chinese_serial(rng, 5, 1)
    base, ink = vary(rng, (30, 28, 28), 14), vary(rng, (235, 235, 235), 10)
    return small_double(material, rng, chinese_prefix(rng) + serial, base, ink, "black")


def _green(
    material: RenderMaterial, rng: np.random.Generator, text: str, canvas: Canvas
) -> Draft:
    """The eight characters, the border and the round emblem of a new-energy plate."""
    ink = vary(rng, BLACK)
    canvas.border(rng.uniform(2, 4), rng.uniform(1.5, 2.5), 8, ink)
    draw_cells(canvas, material, rng, one_row_names(text, "green"), _GREEN_ROW, [ink] * 8)
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
    canvas = Canvas(480, 140, random_scale(rng), WHITE)
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
    canvas = Canvas(480, 140, random_scale(rng), vary(rng, (50, 170, 235), 20))
    canvas.rectangle(135, 7, 338, 126, vary(rng, _GREEN, 20))
    return _green(material, rng, text, canvas)
