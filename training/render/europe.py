"""Plates of some forty European countries and of Britain, one and two rows."""

from __future__ import annotations

import numpy as np

from training.render.canvas import BLACK, WHITE, Canvas, Colour, vary
from training.render.draft import Draft
from training.render.lettering import AMBER, BAND_BLUE, LIGHT, blue_band, draft, one_of, write
from training.render.material import RenderMaterial

EU_ONE_ROW: dict[str, str] = {
    "D": "aa*aa nnnn,a*aa nnnn,aaa*a nnn,aa*a nnn,a*a nnnn,aa*aa nnnE,a*aa nnnnH,aaa*aa nnn",
    "F": "aa-nnn-aa,nnn aaa nn,nnnn aa nn", "I": "aa nnnaa,aa nnn aa", "E": "nnnn ccc,a nnnn aa",
    "NL": "aa-nnn-a,nn-aaa-n,a-nnn-aa,nn-aa-nn,aa-aa-nn,aaa-nn-a",
    "B": "n-aaa-nnn,aaa-nnn,nnn-aaa", "PL": "aa nnnnn,aaa nnna,aaa nnaa,aa nnnna",
    "CZ": "nan nnnn,nan*nnnn,naa nnnn", "SK": "aa*nnnaa", "A": "aa*nnnna,a*nnnnaa,aa*nnn aa",
    "H": "aaa-nnn,aa aa*nnn", "RO": "aa nn aaa,B nnn aaa", "BG": "aa nnnn aa,a nnnn aa",
    "HR": "aa*nnn-aa,aa*nnnn-aa", "SLO": "aa*aa-nnn,aa*nn-naa,aa*an-nnn", "S": "aaa nnn,aaa nna",
    "FIN": "aaa-nnn", "N": "aa nnnnn", "DK": "aa nn nnn", "EST": "nnn aaa", "LV": "aa-nnnn",
    "LT": "aaa nnn", "GR": "aaa-nnnn", "P": "aa-nn-aa,nn-aa-nn,aa nn aa",
    "IRL": "nnn-D-nnnnn,nn-D-nnnnn,nnn-aa-nnnn,nn-G-nnnn", "L": "aa nnnn",
    "CH": "ZH*nnnnnn,aa*nnnnnn", "UA": "aa nnnn aa", "BIH": "ann-a-nnn",
    "SRB": "aa*nnn-aa,aa*nnnn-aa", "AL": "aa nnn aa", "TR": "nn aa nnnn,nn aaa nn,nn a nnnn",
    "M": "aaa nnn", "CY": "aaa nnn", "MK": "aa*nnnn-aa", "RUS": "a nnn aa nn,a nnn aa nnn",
    "BY": "nnnn aa-n", "MD": "aaa nnn", "GE": "aa-nnn-aa",
}
"""Country letters of the band and its layouts (see :mod:`training.render.texts`)."""
EU_TWO_ROWS: dict[str, str] = {
    "D": "aa*|aa nnnn,a*|aa nnn,aaa*|a nnn,aa*|nnn,aa*|a nnH", "F": "aa-|nnn-aa,nnn|aaa nn",
    "NL": "nn|aa-nn,aa|nnn-a,nn|aaa-n,aa-nn|aa", "I": "aa|nnnaa,aa nn|nnn",
    "PL": "aaa|nnna,aa|nnnn", "CZ": "nan|nnnn,naa|nnnn", "E": "nnnn|ccc,annn|nccc",
    "A": "aa*|nnnaa,a*|nnnna", "RO": "aa nn|aaa", "B": "naaa|nnn,aaa|nnn", "S": "aaa|nnn,aaa|nna",
    "P": "aa|nn-aa,nn-nn|aa", "HR": "aa*|nnn-aa", "CH": "ZH*|nnnnnn,BE*|nnnnn",
    "UA": "aa nnnn|aa,aa|nnnn aa", "IRL": "nnn-D|nnnn,nnnD|nnnnn", "N": "aa|nnnn",
    "DK": "aa nn|nnn,aa|nnnnn", "FIN": "aaa|nnn", "BG": "a nnnn|aa", "GR": "aaa|nnn",
    "TR": "nn aaa|nnn,nn|aa nnnn", "SK": "aa*|nnnaa", "H": "aaa|nnn", "L": "aa|nnnn",
    "LT": "nnn|aa",
}


def _eu(
    material: RenderMaterial, rng: np.random.Generator, layouts: dict[str, str],
    size: tuple[float, float], scale: float,
) -> Draft:
    """The frame that European plates share: border, bands, text in what is left."""
    names = list(layouts)
    country = names[rng.integers(len(names))]
    text = one_of(rng, layouts[country])
    base: Colour = vary(rng, LIGHT, 16)
    if rng.random() < (0.7 if country in ("NL", "L") else 0.05):
        base = vary(rng, AMBER, 20)
    dark = country == "NL" and rng.random() < 0.1
    ink = vary(rng, WHITE if dark else BLACK)
    if dark:
        base = vary(rng, (120, 40, 20), 20)
    elif rng.random() < 0.05:
        ink = vary(rng, ((40, 40, 190), (150, 60, 20), (60, 120, 20))[rng.integers(3)])
    width, height = size
    canvas = Canvas(width, height, scale, base)
    font = material.font(rng, german=True if country in ("D", "SK", "RO", "UA") else None)
    left, right = 10.0, 10.0
    two = "|" in text
    if rng.random() < 0.85 and country != "CH":
        band = height * rng.uniform(0.28, 0.42) * (0.55 if two else 1)
        blue_band(canvas, rng, font, country, 0, band, height * (0.5 if two else 1))
        left = band + 6
    if country in ("F", "I", "AL") and not two and rng.random() < 0.75:
        canvas.rectangle(width - 40, 0, 40, height, vary(rng, BAND_BLUE, 22))
        canvas.words(font, f"{rng.integers(10, 96)}", width - 20, height * 0.75, 16, WHITE)
        right = 45
    if rng.random() < 0.75:
        canvas.border(rng.uniform(0.5, 2), rng.uniform(1.5, 4), 7, ink)
    top = height * (rng.uniform(0.07, 0.12) if two else rng.uniform(0.12, 0.2))
    if country == "IRL" and not two and rng.random() < 0.7:
        top = height * 0.2
        canvas.words(font, "BAILE ATHA CLIATH", (left + width) / 2, 10, 9, ink)
    write(canvas, rng, font, text, (left, top, width - left - right, height - 2 * top), ink)
    return draft(canvas, text, country)


def europe(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """European plates of one row, 520 x 110 or so."""
    size = rng.choice([520, 520, 520, 460, 340]), rng.uniform(106, 122)
    return _eu(material, rng, EU_ONE_ROW, size, rng.uniform(0.75, 1.1))


def europe_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """European plates of two rows: 280 x 200, 340 x 220 and motorcycles."""
    size = ((280, 200), (340, 220), (180, 200), (220, 180), (300, 150))[rng.integers(5)]
    return _eu(material, rng, EU_TWO_ROWS, size, rng.uniform(0.6, 0.9))


def _uk(
    material: RenderMaterial, rng: np.random.Generator, options: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    base = vary(rng, LIGHT if rng.random() < 0.5 else AMBER, 16)
    ink = vary(rng, BLACK)
    width, height = size
    canvas = Canvas(width, height, scale, base)
    text, font, left = one_of(rng, options), material.font(rng, german=False), 12.0
    if rng.random() < 0.35:
        band = 42.0
        blue_band(canvas, rng, font, "GB" if rng.random() < 0.6 else "UK", 0, band, height)
        left = band + 6
    if rng.random() < 0.3:
        canvas.border(1.5, 1.5, 6, ink)
    top = height * (rng.uniform(0.14, 0.19) if "|" not in text else rng.uniform(0.06, 0.1))
    if rng.random() < 0.4:
        canvas.words(font, "WEST MOTORS", width / 2, height - 5, 6, (80, 80, 80))
    write(canvas, rng, font, text, (left, top, width - left - 12, height - 2 * top), ink)
    return draft(canvas, text, "GB")


def britain(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """British plates of one row: white in front, yellow at the rear."""
    options = "aann aaa,aann aaa,aann aaa,annn aaa,aaa nnna,aaa nna,aa nnnn,an aaa"
    return _uk(material, rng, options, (520, 111), rng.uniform(0.75, 1.1))


def britain_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """British square plates and motorcycles."""
    size = (285, 203) if rng.random() < 0.6 else (228, 178)
    return _uk(material, rng, "aann|aaa,aann|aaa,annn|aaa,aaa|nnna", size, rng.uniform(0.65, 0.95))
