"""Plates of Vietnam, Indonesia and Tunisia."""

from __future__ import annotations

import cv2
import numpy as np

from training.render.canvas import BLACK, WHITE, Canvas, Colour, Hand, draw_line, vary
from training.render.draft import Draft
from training.render.lettering import AMBER, LIGHT, draft, one_of, write
from training.render.material import RenderMaterial
from training.render.texts import pick, plain

_SCRIBBLE = (
    "0.02,.50 .05,.80 .13,.88 .22,.80 .26,.55 .29,.66 .34,.66 .36,.50 .38,.66 .43,.66 .45,.50 "
    ".47,.66 .54,.66 .56,.45",
    ".56,.82 .64,.92 .72,.80 .72,.58 .66,.52 .63,.62 .72,.70 .84,.68 .88,.45",
)
"""The word Tunis in Arabic as two pen strokes in the unit square; the dots are drawn apart."""

_ID_REGIONS = (
    "A", "B", "D", "E", "F", "G", "H", "K", "L", "M", "N", "P", "R", "S", "T", "W", "Z", "AA",
    "AB", "AD", "AE", "AG", "BA", "BB", "BD", "BE", "BG", "BH", "BK", "BL", "BM", "BN", "BP",
    "DA", "DB", "DC", "DD", "DE", "DG", "DH", "DK", "DL", "DM", "DN", "DP", "DR", "DS", "DT",
    "DW", "EA", "EB", "ED", "KB", "KH", "KT", "KU", "PA", "PB", "PG",
)
_ID_NUMBERS = " nnnn aaa, nnnn aaa, nnnn aa, nnnn aa, nnnn aa, nnnn a, nnn aaa, nnn aa, nn aa, n aa"
_VN_NEVER = "IJOQW"
_CONDENSED = Hand(stretch=(0.55, 1.05), slanted=0.03)


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
    ink, font = vary(rng, ink), material.font(rng, False, everyday=0.1)
    text = one_of(rng, options, _VN_NEVER)
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
            material, rng,
            "nn-an|nnn.nn,nn-an|nnn.nn,nn-an|nnnn,nn-aa|nnn.nn,nn-aa|nnnn,nn-aan|nnn.nn",
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
    font, top = material.font(rng, False, everyday=0.1), rng.uniform(14, 22)
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
    p = canvas.px
    canvas.glyphs.append((p(x), p(y), p(x + width), p(y + height)))


def indonesia(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Black, white, yellow or red, 430 x 135, with month and year below, which are not read."""
    looks: tuple[tuple[Colour, Colour], ...] = (
        ((36, 30, 28), (225, 225, 225)), (LIGHT, BLACK), (AMBER, BLACK), ((50, 35, 170), WHITE)
    )
    base, ink = looks[rng.choice(4, p=(0.58, 0.27, 0.09, 0.06))]
    ink = vary(rng, ink, 24)
    bike = rng.random() < 0.3
    width, height = (275, 110) if bike else (430, 135)
    canvas = Canvas(width, height, rng.uniform(0.75, 1.0), vary(rng, base, 20))
    canvas.border(rng.uniform(1, 4), rng.uniform(1.5, 3), 7, ink)
    regions = _ID_REGIONS[: 17 if rng.random() < 0.65 else None]
    text = regions[rng.integers(len(regions))] + one_of(rng, _ID_NUMBERS)
    if rng.random() < 0.7:
        text = text.replace(" ", "  ")
    font = material.font(rng, False, everyday=0.15)
    row = height * rng.uniform(0.5, 0.58)
    edge = rng.uniform(0.02, 0.06) * width
    box = (edge, height * 0.11, width - 2 * edge, row)
    draw_line(canvas, rng, font, text, box, ink, rng.random() < 0.4, _CONDENSED)
    month = f"{rng.integers(1, 13):02d}{pick(rng, '.- ')}{rng.integers(20, 32)}"
    place = rng.uniform(0.5, 0.65) if bike else rng.uniform(0.2, 0.5)
    y = height * 0.11 + row * 1.06
    small = (place * width, y, width * 0.27, min(height * rng.uniform(0.13, 0.19), height - y - 5))
    draw_line(canvas, rng, font, month, small, ink)
    del canvas.glyphs[len(plain(text)) :]  # the month is not read
    return draft(canvas, text, "ID")
