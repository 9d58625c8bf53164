"""Plates of India, Vietnam, Indonesia and (here for its likeness) Tunisia."""

from __future__ import annotations

import cv2
import numpy as np

from training.render.canvas import BLACK, WHITE, Canvas, Colour, draw_line, vary
from training.render.draft import Draft
from training.render.lettering import AMBER, LIGHT, draft, one_of, write
from training.render.material import RenderMaterial
from training.render.texts import from_pattern, pick

_SCRIBBLE = (
    "0.02,.50 .05,.80 .13,.88 .22,.80 .26,.55 .29,.66 .34,.66 .36,.50 .38,.66 .43,.66 .45,.50 "
    ".47,.66 .54,.66 .56,.45",
    ".56,.82 .64,.92 .72,.80 .72,.58 .66,.52 .63,.62 .72,.70 .84,.68 .88,.45",
)
"""The word Tunis in Arabic as two pen strokes in the unit square; the dots are drawn apart."""
INDIA = (
    "MH", "DL", "KA", "TN", "GJ", "UP", "RJ", "HR", "AP", "TS", "KL", "WB", "PB", "MP", "BR",
    "CG", "OR", "JH", "AS", "UK", "HP", "CH", "GA", "PY", "JK",
)


def _india(
    material: RenderMaterial, rng: np.random.Generator, two: bool,
    size: tuple[float, float], scale: float,
) -> Draft:
    """White, yellow, green or black; the IND band on a third."""
    looks: tuple[tuple[Colour, Colour], ...] = (
        (LIGHT, BLACK), (LIGHT, BLACK), (LIGHT, BLACK), (AMBER, BLACK), (AMBER, BLACK),
        ((70, 130, 30), WHITE), ((30, 30, 30), AMBER),
    )
    base, ink = looks[rng.integers(len(looks))]
    ink, font = vary(rng, ink), material.font(rng, german=False)
    state = INDIA[rng.integers(len(INDIA))]
    mark = from_pattern(rng, "nn" if rng.random() < 0.9 else "na")
    series, number = from_pattern(rng, ("a", "aa", "aa", "aa")[rng.integers(4)]), "nnnn"
    gap = pick(rng, "  -.")
    if two:
        cut = rng.random() < 0.5
        text = f"{state}{mark}" + (f"{gap}{series}|" if cut else f"|{series}{gap}")
    elif rng.random() < 0.5:
        text = gap.join((state, mark, series, ""))
    else:
        text = f"{state}{mark} {series} "
    text += from_pattern(rng, number)
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, base, 18))
    left = 10.0
    if rng.random() < 0.35:
        canvas.words(font, "IND", 18, height * 0.68, 10, (160, 80, 20))
        canvas.disc(18, height * 0.4, 6, (150, 130, 90))
        left = 34
    if rng.random() < 0.5:
        canvas.border(rng.uniform(1, 4), rng.uniform(1, 3), 6, ink)
    top = height * (rng.uniform(0.1, 0.15) if two else rng.uniform(0.16, 0.26))
    write(canvas, rng, font, text, (left, top, width - left - 10, height - 2 * top), ink)
    return draft(canvas, text, "IN")


def india(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """MH 12 AB 1234, 500 x 120."""
    return _india(material, rng, False, (500, rng.uniform(100, 130)), rng.uniform(0.75, 1.0))


def india_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Lorries, rickshaws and motorcycles: MH12 / AB1234."""
    size = ((340, 200), (285, 150), (200, 100), (240, 180))[rng.integers(4)]
    return _india(material, rng, True, size, rng.uniform(0.7, 1.0))


def _vietnam(
    material: RenderMaterial, rng: np.random.Generator, options: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """White, yellow, blue or red (army) with a thin border."""
    looks: tuple[tuple[Colour, Colour], ...] = (
        (LIGHT, BLACK), (LIGHT, BLACK), (LIGHT, BLACK), (LIGHT, BLACK), (AMBER, BLACK),
        ((160, 80, 30), WHITE), ((40, 30, 170), WHITE),
    )
    base, ink = looks[rng.integers(len(looks))]
    ink, font = vary(rng, ink), material.font(rng, german=False)
    text = one_of(rng, options)
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, base, 16))
    canvas.border(rng.uniform(1, 3), rng.uniform(1.5, 3), 6, ink)
    top = height * (rng.uniform(0.08, 0.12) if "|" in text else rng.uniform(0.14, 0.2))
    split = rng.uniform(0.44, 0.52)
    write(canvas, rng, font, text, (10, top, width - 20, height - 2 * top), ink, split)
    return draft(canvas, text, "VN")


def vietnam(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Cars of one row, 470 x 110: 51F-446.14."""
    size = (470, 110) if rng.random() < 0.7 else (520, 110)
    return _vietnam(
        material, rng, "nna-nnn.nn,nna-nnn.nn,nna-nnnn,nnaa-nnn.nn,aa-nn-nn", size,
        rng.uniform(0.75, 1.1),
    )


def vietnam_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Cars 330 x 165 (51F / 446.14) and motorcycles 190 x 140 (59-C1 / 005.07)."""
    if rng.random() < 0.65:
        return _vietnam(
            material, rng, "nn-an|nnn.nn,nn-an|nnn.nn,nn-an|nnnn,nn-aa|nnn.nn,nn-aa|nnnn",
            (190, 140), rng.uniform(0.8, 1.2),
        )
    return _vietnam(
        material, rng, "nna|nnn.nn,nna|nnn.nn,nna|nnnn,aa|nn-nn", (330, 165), rng.uniform(0.6, 0.9)
    )


def tunisia(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Black, 520 x 110, the Arabic word between the numbers; it is T in the text."""
    left, right = str(rng.integers(1, 256)), str(rng.integers(1, 10000))
    ink = vary(rng, (225, 225, 225), 14)
    canvas = Canvas(520, 110, rng.uniform(0.75, 1.05), vary(rng, (30, 28, 26), 12))
    if rng.random() < 0.8:
        canvas.border(rng.uniform(1, 4), rng.uniform(1.5, 3), 6, ink)
    font, top = material.font(rng, german=False), rng.uniform(14, 22)
    height = 110 - 2 * top
    share = 150 * rng.uniform(0.8, 1.05)
    draw_line(canvas, rng, font, left, (12, top, share, height), ink)
    draw_line(canvas, rng, font, right, (318, top, 190, height), ink)
    _tunis(canvas, 190 + rng.uniform(-8, 8), top, 115, height, ink)
    return draft(canvas, f"{left}T{right}", "TN")


def _tunis(
    canvas: Canvas, x: float, y: float, width: float, height: float, colour: Colour
) -> None:
    """The word as pen strokes and its three dots."""
    layer, thick = canvas.ink(colour), max(1, canvas.px(height * 0.09))
    for stroke in _SCRIBBLE:
        pairs = [pair.split(",") for pair in stroke.split()]
        points = [(canvas.px(x + float(a) * width), canvas.px(y + float(b) * height))
                  for a, b in pairs]
        cv2.polylines(layer, [np.array(points, np.int32)], False, 255, thick, cv2.LINE_AA)
    for a, b in ((0.56, 0.25), (0.84, 0.25), (0.92, 0.25)):
        canvas.disc(x + a * width, y + b * height, height * 0.06, colour)


def indonesia(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Black or white, 430 x 135, with month and year below."""
    dark = rng.random() < 0.65
    base, ink = ((30, 28, 28), (235, 235, 235)) if dark else (LIGHT, BLACK)
    if rng.random() < 0.1:
        base, ink = AMBER, BLACK
    ink = vary(rng, ink)
    canvas = Canvas(430, 135, rng.uniform(0.75, 1.0), vary(rng, base, 14))
    canvas.border(rng.uniform(1, 4), rng.uniform(1.5, 3), 7, ink)
    text = one_of(rng, "a nnnn aaa,a nnnn aa,aa nnnn aa,aa nnnn a,a nnnn a,a nnn aaa,aa nnn aa")
    font = material.font(rng, german=False)
    draw_line(canvas, rng, font, text, (12, 14, 406, rng.uniform(70, 78)), ink)
    month = f"{rng.integers(1, 13):02d}.{rng.integers(20, 32)}"
    height = rng.uniform(18, 24)
    draw_line(canvas, rng, font, month, (rng.uniform(60, 250), 102, 120, height), ink)
    return draft(canvas, text, "ID")
