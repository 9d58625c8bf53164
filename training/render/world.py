"""Plates of no country: any layout, colours, font and lettering."""

from __future__ import annotations

import numpy as np

from training.render.america import LEGENDS
from training.render.canvas import BLACK, WHITE, Canvas, Colour, vary
from training.render.draft import Draft
from training.render.lettering import blue_band, draft, one_of, write
from training.render.material import RenderMaterial
from training.render.texts import from_pattern

WORLD = (
    "lll nnn,lll-nnn,lll nnnn,nnn lll,lll-nnnn,ll nnnn,ll-nn-nn,ll nn ll,ll*ll*nn,lll nnn l,"
    "l nnnnn,nnnnnn,nnnnn,nn nnn nn,nnn nn nnn,nnn-nn-nn,llll nnn,nn-nnnnn,n lll nnn,lll nn,"
    "lnnn lll,ll nnn lll,l nnnn lll,llnnnnll,nnnn lll,xxxxxx,xxxxxxx,xxx xxxx,xxxxxxxx,"
    "xxxx xxxxx,l-nnnn,xxxx,xxxxx,xxxxxxxxxx,lllll,llll nn,nn-nnnn-llll"
)
WORLD_TWO_ROWS = (
    "lll|nnn,lll|nnnn,ll|nnnn,nn|nnnn,nnn|nnn,ll nn|llll,ln|nnnn,llln|nnn,nn-ln|nnnn,ll-nn|nnn,"
    "xxx|xxxx,xxxx|xxxx,xx|xxxx,xxx|xxx,xx-xx|xxxxx,xxxx|xx,nnnn|nn,llnn|nnnn,xxxxx|xxxxx,"
    "l|nnnn,nnnnnn|ll,llll|n"
)


def _free(
    material: RenderMaterial, rng: np.random.Generator, options: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """Colours, border, band, names and font all free; ink and base far apart in brightness."""
    base: Colour = vary(rng, (128, 128, 128), 110)
    clear = WHITE if sum(base) < 360 else BLACK
    ink = vary(rng, clear, 45)
    if abs(sum(ink) - sum(base)) < 240:
        ink = clear
    width, height = size
    canvas = Canvas(width, height, scale, base)
    font, text, left = material.font(rng, everyday=0.4), one_of(rng, options), 8.0
    if rng.random() < 0.25:
        left = height * rng.uniform(0.2, 0.35)
        blue_band(canvas, rng, font, from_pattern(rng, "aa"), 0, left, height)
        left += 5
    if rng.random() < 0.6:
        canvas.border(rng.uniform(0, 5), rng.uniform(1, 4), rng.uniform(2, 9), ink)
    top = bottom = height * rng.uniform(0.08, 0.2)
    if rng.random() < 0.4:
        name = LEGENDS[rng.integers(len(LEGENDS))]
        lower = rng.random() < 0.5
        y = height * (0.89 if lower else 0.11)
        canvas.words(font, name, width / 2, y, height * 0.11, ink, width * 0.7)
        top, bottom = (top, height * 0.22) if lower else (height * 0.22, bottom)
    box = (left, top, width - left - 8, height - top - bottom)
    write(canvas, rng, font, text, box, ink, rng.uniform(0.38, 0.55))
    return draft(canvas, text, "XX")


def world(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Any one-row layout, aspect 2 to 5."""
    size = rng.uniform(2.0, 5.0) * 115, 115.0
    return _free(material, rng, WORLD, size, rng.uniform(0.75, 1.1))


def world_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Any two-row layout, aspect 1 to 2."""
    size = rng.uniform(1.0, 2.0) * 170, 170.0
    return _free(material, rng, WORLD_TWO_ROWS, size, rng.uniform(0.65, 1.0))
