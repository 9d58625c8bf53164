"""Plates of India: whatever a sign painter makes of MH 12 AB 1234."""

from __future__ import annotations

import dataclasses

import numpy as np

from training.render.canvas import BLACK, WHITE, Canvas, Colour, Hand, draw_line, vary
from training.render.draft import Draft
from training.render.lettering import AMBER, LIGHT, draft, write
from training.render.material import Font, RenderMaterial
from training.render.texts import from_pattern, pick

STATES = (
    "MH", "DL", "KA", "TN", "GJ", "UP", "RJ", "HR", "AP", "TS", "KL", "WB", "PB", "MP", "BR",
    "CG", "OR", "JH", "AS", "UK", "HP", "CH", "GA", "PY", "JK", "OD", "UA", "TG", "AN", "AR", "DD",
    "DN", "LD", "ML", "MN", "MZ", "NL", "SK", "TR", "LA",
)
_DEALERS = (
    "STAR AUTO INDIA", "NIMBUS PH: 2421392", "DEEP HYUNDAI", "M.A. MOTORS PVT.LTD.", "Classic Auto",
    "hans hyundai", "SAI SERVICE", "TAXI", "POLICE", "GOVT. OF INDIA",
)
_LOOKS: tuple[tuple[Colour, Colour, float], ...] = (
    (LIGHT, BLACK, 0.68), (AMBER, BLACK, 0.18), ((70, 130, 30), WHITE, 0.06),
    ((30, 30, 30), AMBER, 0.08),
)
"""Base, ink and share: private, hired out, electric, rented."""
_UPRIGHT, _WIDE = Hand(stretch=(0.72, 1.12), slanted=0.2), Hand(stretch=(1.2, 1.9), slanted=0.25)


def _parts(rng: np.random.Generator) -> list[str]:
    """State, district, series and number; or year, BH, number and series."""
    if rng.random() < 0.03:
        return [from_pattern(rng, part) for part in ("2n", "BH", "nnnn", "ll")]
    state = STATES[rng.integers(len(STATES))]
    patterns = ("nn ll", "nn ll", "nn ll", "nn l", "p l", "p ll", "p lll", "nn ")
    district, series = patterns[rng.choice(8, p=(0.2, 0.2, 0.2, 0.14, 0.06, 0.09, 0.09, 0.02))
                                ].split(" ")
    number = ("nnnn", "pnn", "pn", "p")[rng.choice(4, p=(0.88, 0.07, 0.03, 0.02))]
    return [state] + [from_pattern(rng, part) for part in (district, series, number) if part]


def _joined(rng: np.random.Generator, parts: list[str]) -> str:
    """The parts with one kind of separator between them, now and then without."""
    mark = pick(rng, "   -.")
    return parts[0] + "".join((mark if rng.random() < 0.8 else "") + part for part in parts[1:])


def _india(
    material: RenderMaterial, rng: np.random.Generator, two: bool,
    size: tuple[float, float], scale: float,
) -> Draft:
    """Base, frame, the IND band on a third, a dealer's line on a fifth, and the text."""
    base, ink, _ = _LOOKS[rng.choice(len(_LOOKS), p=[share for _, _, share in _LOOKS])]
    ink, font = vary(rng, ink), material.font(rng, False, everyday=0.4)
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, base, 18))
    _frame(canvas, rng, ink)
    left = _band(canvas, rng, font) if rng.random() < 0.35 else 10.0
    top = height * (rng.uniform(0.1, 0.15) if two else rng.uniform(0.16, 0.26))
    bottom = _dealer(canvas, rng, material, ink) if rng.random() < 0.2 else height - top
    box = left, top, width - left - 10, bottom - top
    parts, hand = _parts(rng), _UPRIGHT
    if rng.random() < 0.3 and not two:
        hand, lower = _WIDE, (bottom - top) * rng.uniform(0, 0.2)
        box = left, top + lower, width - left - 10, bottom - top - 2 * lower
    if two and len(parts) == 4 and rng.random() < 0.05:
        return _stacked(canvas, rng, font, parts, box, ink)
    if two:
        cut = len(parts) - (1 if rng.random() < 0.5 else 2)
        text = _joined(rng, parts[:cut]) + "|" + _joined(rng, parts[cut:])
    else:
        text = _joined(rng, parts)
    write(canvas, rng, font, text, box, ink, rng.uniform(0.3, 0.52), hand)
    return draft(canvas, text, "IN")


def _frame(canvas: Canvas, rng: np.random.Generator, ink: Colour) -> None:
    """A thin line, a rail of chrome or black plastic, or nothing."""
    form = rng.random()
    if form < 0.4:
        canvas.border(rng.uniform(1, 4), rng.uniform(1, 3), 6, ink)
    elif form < 0.65:
        rail = vary(rng, (190, 190, 190) if rng.random() < 0.5 else BLACK, 40)
        canvas.border(0, rng.uniform(3, 7), 6, rail)


def _band(canvas: Canvas, rng: np.random.Generator, font: Font) -> float:
    """IND below a hologram; returns where the text may begin."""
    height = canvas.image.shape[0] / canvas.scale
    canvas.words(font, "IND", 18, height * 0.68, 10, vary(rng, (160, 80, 20), 30))
    canvas.disc(18, height * 0.4, 6, (150, 130, 90))
    return 34.0


def _dealer(
    canvas: Canvas, rng: np.random.Generator, material: RenderMaterial, ink: Colour
) -> float:
    """A line of small words at the foot, maybe on a strip; returns where the text must end."""
    height, width = (float(side) / canvas.scale for side in canvas.image.shape[:2])
    high = height * float(rng.uniform(0.1, 0.18))
    if rng.random() < 0.5:
        ink = WHITE
        canvas.rectangle(0, height - high, width, high, vary(rng, (150, 70, 20), 60))
    words = _DEALERS[rng.integers(len(_DEALERS))]
    font = material.font(rng, everyday=0.7)
    canvas.words(font, words, width / 2, height - high / 2, high * 0.7, ink, width * 0.7)
    return height - high * 1.2


def _stacked(
    canvas: Canvas, rng: np.random.Generator, font: Font, parts: list[str],
    box: tuple[float, float, float, float], ink: Colour,
) -> Draft:
    """State and district above the series in small letters, the large number beside them."""
    x, y, width, height = box
    small, gap = width * rng.uniform(0.28, 0.4), height * 0.1
    half = (height - gap) / 2
    upper = parts[0] + pick(rng, " .") + parts[1]
    draw_line(canvas, rng, font, upper, (x, y, small, half), ink)
    draw_line(canvas, rng, font, parts[2], (x, y + half + gap, small, half), ink)
    draw_line(canvas, rng, font, parts[3], (x + small + gap, y, width - small - gap, height), ink)
    drawn = draft(canvas, f"{upper}|{parts[2]}{parts[3]}", "IN")
    return dataclasses.replace(drawn, upper=0)  # the large number is in both


def india(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """One row, 500 x 120."""
    return _india(material, rng, False, (500, rng.uniform(92, 130)), rng.uniform(0.75, 1.0))


def india_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Lorries, rickshaws, motorcycles and cars with a long number: MH12 / AB1234."""
    size = ((340, 200), (285, 150), (200, 100), (240, 180), (420, 130))[rng.integers(5)]
    return _india(material, rng, True, size, rng.uniform(0.7, 1.0))
