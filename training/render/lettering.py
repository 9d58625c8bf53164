"""What all Latin plates share: rows of text in a box, seals, the blue band."""

from __future__ import annotations

import cv2
import numpy as np

from training.render.canvas import WHITE, Canvas, Colour, Hand, draw_line, vary
from training.render.draft import Draft
from training.render.material import Font
from training.render.texts import from_pattern, plain

BAND_BLUE: Colour = (150, 60, 10)
LIGHT: Colour = (232, 232, 232)
AMBER: Colour = (30, 190, 245)


def one_of(rng: np.random.Generator, options: str, without: str = "") -> str:
    """A random text of one of the comma separated patterns, without some letters."""
    patterns = options.split(",")
    return from_pattern(rng, patterns[rng.integers(len(patterns))], without)


def draft(canvas: Canvas, text: str, country: str) -> Draft:
    """The finished drawing with the truth that its written ``text`` tells."""
    upper, *lower = map(plain, text.split("|"))
    return Draft(
        canvas=canvas, text=plain(text), rows=1 + len(lower), kind="latin", country=country,
        upper=len(upper) if lower else 0,
    )


def write(
    canvas: Canvas, rng: np.random.Generator, font: Font, text: str,
    box: tuple[float, float, float, float], ink: Colour, split: float = 0.5,
    hand: Hand | None = None, bands: tuple[float, float] = (0.0, 0.0),
) -> None:
    """One row in the box, or two with the upper one ``split`` of the height; then the seals.

    ``bands`` is what is taken from the left and the right of the upper one of two rows.
    """
    x, y, width, height = box
    rows = text.split("|")
    spread = rng.random() < 0.4
    if len(rows) == 1:
        seals = draw_line(canvas, rng, font, text, box, ink, spread, hand)
    else:
        gap = height * rng.uniform(0.06, 0.12)
        upper = (height - gap) * split
        first = (x + bands[0], y, width - sum(bands), upper)
        second = (x, y + upper + gap, width, height - gap - upper)
        seals = draw_line(canvas, rng, font, rows[0], first, ink, spread, hand)
        seals += draw_line(canvas, rng, font, rows[1], second, ink, spread, hand)
    for seal in seals:
        _seal(canvas, rng, *seal, ink)


def _seal(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, height: float, ink: Colour
) -> None:
    """A round seal or two, a coat of arms, the outline of a state or nothing."""
    form, p = rng.integers(6), canvas.px
    tint = vary(rng, ((60, 60, 200), (190, 120, 40), (120, 120, 120))[rng.integers(3)], 40)
    if form <= 1:
        for shift in (-0.24, 0.24) if form else (0.0,):
            centre, radius = (p(x), p(y + shift * height)), max(2, p(height * 0.17))
            cv2.circle(canvas.image, centre, radius, tint, -1, cv2.LINE_AA)
            cv2.circle(canvas.image, centre, max(1, radius // 2), vary(rng, LIGHT, 30), -1)
    elif form <= 3:
        _arms(canvas, rng, (x, y), height * rng.uniform(0.13, 0.2), tint)
    elif form == 4:
        count = int(rng.integers(5, 10))
        angle = np.arange(count) * 2 * np.pi / count + rng.uniform(0, 6)
        reach = height * 0.2 * rng.uniform(0.3, 1.0, count)
        outline = np.stack([np.cos(angle) * reach + x, np.sin(angle) * reach + y], axis=1)
        points = np.round(outline * canvas.scale).astype(np.int32)
        cv2.fillPoly(canvas.image, [points], vary(rng, ink, 20), cv2.LINE_AA)


def _arms(
    canvas: Canvas, rng: np.random.Generator, centre: tuple[float, float], half: float,
    tint: Colour,
) -> None:
    """A shield of ``half`` the width: plain, with a cross or a bar, or chequered."""
    x, y = centre
    shield = [(-1, -1.2), (1, -1.2), (1, 0.5), (0, 1.5), (-1, 0.5)]
    points = np.array([(canvas.px(x + a * half), canvas.px(y + b * half)) for a, b in shield])
    cv2.fillPoly(canvas.image, [points.astype(np.int32)], tint, cv2.LINE_AA)
    form, cell = rng.integers(4), half / 2
    if form == 3:
        for row in range(4):
            for column in range(row % 2, 4, 2):
                left, top = x - half + column * cell, y - 1.2 * half + row * cell
                canvas.rectangle(left, top, cell, cell, LIGHT)
    elif form:
        canvas.rectangle(x - half, y - 0.5 * half, 2 * half, 0.5 * half, LIGHT)
        if form == 2:
            canvas.rectangle(x - half / 4, y - 1.2 * half, half / 2, 2 * half, LIGHT)


def blue_band(
    canvas: Canvas, rng: np.random.Generator, font: Font, letters: str, x: float, width: float,
    height: float, y: float = 0.0,
) -> None:
    """The blue band from (x, y): stars or a flag above, country letters below."""
    canvas.rectangle(x, y, width, height, vary(rng, BAND_BLUE, 22))
    p, middle = canvas.px, x + width / 2
    if letters in ("UA", "RUS", "GE", "TR", "UK"):
        for part, colour in ((0.2, (200, 120, 40)), (0.32, (60, 200, 230))):
            top = y + height * part
            canvas.rectangle(x + width * 0.15, top, width * 0.7, height * 0.12, colour)
    else:
        for angle in np.arange(12) * np.pi / 6:
            centre = (p(middle + np.cos(angle) * width * 0.3),
                      p(y + height * 0.3 + np.sin(angle) * width * 0.3))
            cv2.circle(canvas.image, centre, max(1, p(width * 0.04)), (50, 210, 250), -1)
    canvas.words(font, letters, middle, y + height * 0.78, width * 0.42, WHITE, width * 0.85)
