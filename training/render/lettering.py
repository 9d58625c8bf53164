"""What all Latin plates share: rows of text in a box, seals, the blue band."""

from __future__ import annotations

import cv2
import numpy as np

from training.render.canvas import WHITE, Canvas, Colour, draw_line, vary
from training.render.draft import Draft
from training.render.material import Font
from training.render.texts import from_pattern, plain

BAND_BLUE: Colour = (150, 60, 10)
LIGHT: Colour = (232, 232, 232)
AMBER: Colour = (30, 190, 245)


def one_of(rng: np.random.Generator, options: str) -> str:
    """A random text of one of the comma separated patterns."""
    patterns = options.split(",")
    return from_pattern(rng, patterns[rng.integers(len(patterns))])


def draft(canvas: Canvas, text: str, country: str) -> Draft:
    """The finished drawing with the truth that its written ``text`` tells."""
    rows = 2 if "|" in text else 1
    return Draft(canvas=canvas, text=plain(text), rows=rows, kind="latin", country=country)


def write(
    canvas: Canvas, rng: np.random.Generator, font: Font, text: str,
    box: tuple[float, float, float, float], ink: Colour, split: float = 0.5,
) -> None:
    """One row in the box, or two with the upper one ``split`` of the height; then the seals."""
    x, y, width, height = box
    rows = text.split("|")
    if len(rows) == 1:
        seals = draw_line(canvas, rng, font, text, box, ink, spread=rng.random() < 0.4)
    else:
        gap = height * rng.uniform(0.06, 0.12)
        upper, spread = (height - gap) * split, rng.random() < 0.4
        first, second = (x, y, width, upper), (x, y + upper + gap, width, height - gap - upper)
        seals = draw_line(canvas, rng, font, rows[0], first, ink, spread)
        seals += draw_line(canvas, rng, font, rows[1], second, ink, spread)
    for seal in seals:
        _seal(canvas, rng, *seal)


def _seal(canvas: Canvas, rng: np.random.Generator, x: float, y: float, height: float) -> None:
    """A round seal or two, a coat of arms, a small symbol or nothing."""
    form, p = rng.integers(4), canvas.px
    tint = vary(rng, ((60, 60, 200), (190, 120, 40), (120, 120, 120))[rng.integers(3)], 40)
    if form <= 1:
        for shift in (-0.24, 0.24) if form else (0.0,):
            centre, radius = (p(x), p(y + shift * height)), max(2, p(height * 0.17))
            cv2.circle(canvas.image, centre, radius, tint, -1, cv2.LINE_AA)
            cv2.circle(canvas.image, centre, max(1, radius // 2), vary(rng, LIGHT, 30), -1)
    elif form == 2:
        w, h = height * 0.16, height * 0.2
        shield = [(x - w, y - h), (x + w, y - h), (x + w, y + h * 0.4), (x, y + h * 1.2),
                  (x - w, y + h * 0.4)]
        points = np.array([(p(a), p(b)) for a, b in shield], np.int32)
        cv2.fillPoly(canvas.image, [points], tint, cv2.LINE_AA)


def blue_band(
    canvas: Canvas, rng: np.random.Generator, font: Font, letters: str, x: float, width: float,
    height: float,
) -> None:
    """The blue band: stars or a flag above, country letters below."""
    canvas.rectangle(x, 0, width, height, vary(rng, BAND_BLUE, 22))
    p, middle = canvas.px, x + width / 2
    if letters in ("UA", "RUS", "GE", "TR", "UK"):
        for y, colour in ((0.2, (200, 120, 40)), (0.32, (60, 200, 230))):
            canvas.rectangle(x + width * 0.15, height * y, width * 0.7, height * 0.12, colour)
    else:
        for angle in np.arange(12) * np.pi / 6:
            centre = (p(middle + np.cos(angle) * width * 0.3),
                      p(height * 0.3 + np.sin(angle) * width * 0.3))
            cv2.circle(canvas.image, centre, max(1, p(width * 0.04)), (50, 210, 250), -1)
    canvas.words(font, letters, middle, height * 0.78, width * 0.42, WHITE, width * 0.85)
