"""Where the characters of Chinese plates are. All measures in millimetres after GA 36-2018."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.render.canvas import Canvas, Colour, vary
from training.render.draft import Draft
from training.render.material import RenderMaterial
from training.render.texts import CN_LETTERS

Cell = tuple[float, float, float, float]
"""x, y, width, height of a character."""

_ONE_ROW_ONLY = "警学领"
"""Without glyphs of their own for two rows."""


def _row(count: int, gap_after: int) -> list[Cell]:
    """Seven characters of 45 x 90 on a plate 440 wide; a gap of 34 after character gap_after."""
    return [(15.5 + 57 * i + 22 * (i >= gap_after), 25, 45, 90) for i in range(count)]


TWO_ROWS: list[Cell] = [(110, 15, 80, 60), (250, 15, 80, 60)] + [
    (27.5 + 80 * i, 90, 65, 110) for i in range(5)
]
_SMALL_TWO_ROWS: list[Cell] = [(62, 13, 35, 38), (123, 13, 35, 38)] + [
    (14 + 39.5 * i, 60, 34, 66) for i in range(5)
]


def draw_cells(
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


def one_row_names(text: str, row: str = "140") -> list[str]:
    """File stems of the one-row glyphs, or of those of new-energy plates (``row`` "green")."""
    return [f"{row}_{c}" for c in text]


LOWER = 5
"""Characters in the lower of two rows, on every Chinese plate."""


def _two_row_names(text: str) -> list[str]:
    """File stems of the two-row glyphs: flat ones above, tall ones below."""
    rows = ["up"] * (len(text) - LOWER) + ["down"] * LOWER
    return [
        f"220_{row}_{c}" if c in CN_LETTERS else f"140_{c}" if c in _ONE_ROW_ONLY else f"220_{c}"
        for row, c in zip(rows, text, strict=True)
    ]


def random_scale(rng: np.random.Generator) -> float:
    """Pixels per millimetre of a plate of one row."""
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


def single(
    material: RenderMaterial, rng: np.random.Generator, text: str, base: Colour, ink: Colour,
    kind: str, gap_after: int = 2, colours: Sequence[Colour] | None = None,
    cells: Sequence[Cell] | None = None,
) -> Draft:
    """A plate of 440 x 140 with one row, of seven where no ``cells`` are given."""
    canvas = Canvas(440, 140, random_scale(rng), base)
    _holes(canvas, rng)
    canvas.border(rng.uniform(2, 5), rng.uniform(1.5, 3), 8, ink)
    cells = cells or _row(len(text), gap_after)
    draw_cells(canvas, material, rng, one_row_names(text), cells, colours or [ink] * len(text))
    canvas.disc(cells[gap_after][0] - (17 if len(text) == 7 else 9), 70, 5, ink)
    return Draft(canvas=canvas, text=text, rows=1, kind=kind, country="CN")


def double(
    material: RenderMaterial, rng: np.random.Generator, text: str, base: Colour, ink: Colour,
    kind: str, colours: Sequence[Colour] | None = None, cells: Sequence[Cell] = TWO_ROWS,
) -> Draft:
    """A plate of 440 x 220 with two rows."""
    canvas = Canvas(440, 220, rng.uniform(0.55, 0.85), base)
    _holes(canvas, rng)
    canvas.border(rng.uniform(2, 5), rng.uniform(1.5, 3), 9, ink)
    colours = colours or [ink] * len(text)
    draw_cells(canvas, material, rng, _two_row_names(text), cells, colours)
    left, right = cells[-7], cells[-6]
    canvas.disc((left[0] + left[2] + right[0]) / 2, 45, 6, ink)
    return Draft(canvas=canvas, text=text, rows=2, kind=kind, country="CN", upper=len(text) - LOWER)


def small_double(
    material: RenderMaterial, rng: np.random.Generator, text: str, base: Colour, ink: Colour,
    kind: str, colours: Sequence[Colour] | None = None,
) -> Draft:
    """A motorcycle's plate of 220 x 140 with two rows."""
    canvas = Canvas(220, 140, rng.uniform(0.9, 1.3), base)
    canvas.border(2, 1.5, 6, ink)
    colours = colours or [ink] * len(text)
    draw_cells(canvas, material, rng, _two_row_names(text), _SMALL_TWO_ROWS, colours)
    canvas.disc(110, 32, 3, ink)
    return Draft(canvas=canvas, text=text, rows=2, kind=kind, country="CN", upper=len(text) - LOWER)
