"""Plates of some forty European countries and of Britain, one and two rows."""

from __future__ import annotations

import numpy as np

from alpr_edge.alphabet import LATIN
from training.render.canvas import BLACK, WHITE, Canvas, Colour, vary
from training.render.draft import Draft
from training.render.lettering import AMBER, BAND_BLUE, LIGHT, blue_band, draft, one_of, write
from training.render.material import Font, RenderMaterial
from training.render.texts import from_pattern

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
    "D": "aa*|aa nnnn,a*|aa nnn,aaa*|a nnn,aa*|nnn,aa*|a nnH",
    "F": "aa-|nnn-aa,aa-|nnn-aa,nnn|aaa nn,nnnn|aaa", "NL": "nn|aa-nn,aa|nnn-a,nn|aaa-n,aa-nn|aa",
    "I": "aa|nnnaa,aa|nnnnn,aa nn|nnn", "PL": "aaa|nnna,aa|nnnn,aa|nnnnn,aa|nnnna,aaa|annn",
    "CZ": "nan*|nnnn,naa|nnnn,na*|nnnn", "E": "nnnn|ccc,annn|nccc",
    "A": "aa*|nnn aa,a*|nnnna,a*|n aaa,a*n|nnna,aa*|n aaa", "RO": "aa nn|aaa",
    "B": "n-aaa|nnn,n-aaa|nnn,aaa|nnn", "S": "aaa|nnn,aaa|nna", "P": "aa|nn-aa,nn-nn|aa",
    "HR": "aa*|nnn-aa,aa*|nnnn-a", "CH": "*aa*|nnnnnn,*aa*|nnnnn,*aa*|nnnn",
    "UA": "aa nnnn|aa,aa|nnnn aa", "IRL": "nnn-D|nnnn,nnnD|nnnnn", "N": "aa|nnnn,aa|nnnnn",
    "DK": "aa nn|nnn,aann|nnn,aa|nnnnn", "FIN": "aaa|nnn", "BG": "a nnnn|aa", "GR": "aaa|nnn",
    "TR": "nn aaa|nnn,nn|aa nnnn", "SK": "aa*|nnnaa", "H": "aaa|nnn", "L": "aa|nnnn",
    "LT": "nnn|aa,aaa|nnn", "LV": "aa|nnnn,a|nnnn", "SLO": "aa*|nnnn,aa*|an nn",
    "EST": "nnn|aaa,nn|aa", "SRB": "aa*|nnn-aa",
}
def _besides(letters: str) -> str:
    """All letters but these."""
    return "".join(letter for letter in LATIN if letter not in letters)


EU_NEVER: dict[str, str] = {
    "F": "IOU", "I": "IOQU", "E": "Q", "NL": "EIQ", "PL": "Q", "CZ": "GOQW", "SK": "QW", "H": "Q",
    "RO": "Q", "HR": "QWXY", "SLO": "QWXY", "S": "IQV", "FIN": "Q", "N": "GIMOQW", "DK": "IOQ",
    "EST": "Q", "LV": "QWY", "LT": "QWX", "TR": "QWX", "BIH": "CDFGHILNPQRSUVWXYZ",
    "GR": _besides("ABEHIKMNOPTXYZ"), "BG": _besides("ABCEHKMOPTXY"),
    "RUS": _besides("ABCEHKMOPTXY"), "BY": _besides("ABCEHIKMOPTX"),
    "UA": _besides("ABCEHIKMOPTX"),
}
"""Letters that a country's plates never have, where its script lacks them or they are confused."""
_VANITY = (
    "aaaaaa,aaaaa,aaaaan,aaaa nn,naaaaa,EURO n,EURO nn,BMW nn,BMW nnn,EUR*nnnn,AUDI n,aaa n,"
    "aan,NGTn,n aaaa,aaaaaaa,aaaaaa n,GTI nn,aa*aaaa n,aa*naaa,aa*aaaaa"
)
"""Texts that a driver chose."""
_UK_ONE_ROW = (
    "aann aaa,aann aaa,aann aaa,aann aaa,lpnn aaa,lpn aaa,lp aaa,aaa pnnl,aaa pnl,aaa p,aa pnnn,"
    "l pnn,aaZ pnnn,aIl pnnn"
)
_UK_TWO_ROWS = "aann|aaa,aann|aaa,lpnn|aaa,aaa|pnnl"
_UK_NEVER = "IQ"
"""Letters of Northern Ireland only, whose are the last two layouts of one row, or of very few cars.
That, and that no number but the year since 2001 begins with 0, tells an O from a 0."""
_RED: Colour = (45, 40, 185)


def _eu(
    material: RenderMaterial, rng: np.random.Generator, layouts: dict[str, str],
    size: tuple[float, float], scale: float,
) -> Draft:
    """The frame that European plates share: border, bands, text in what is left."""
    names = list(layouts)
    country = names[rng.integers(len(names))]
    vanity = layouts is EU_ONE_ROW and rng.random() < 0.07
    text = one_of(rng, _VANITY) if vanity else one_of(
        rng, layouts[country], EU_NEVER.get(country, ""))
    base, ink = _eu_colours(rng, country)
    width, height = size
    canvas = Canvas(width, height, scale, base)
    font = material.font(rng, german=True if country in ("D", "SK", "RO", "UA") else None)
    two = "|" in text
    put_bands = _eu_two_row_bands if two else _eu_bands
    left, right, upper = put_bands(canvas, rng, font, country, size)
    if rng.random() < 0.75:
        canvas.border(rng.uniform(0.5, 2), rng.uniform(1.5, 4), 7, ink)
    top = height * (rng.uniform(0.07, 0.12) if two else rng.uniform(0.12, 0.2))
    if country == "IRL" and not two and rng.random() < 0.7:
        top = height * 0.2
        canvas.words(font, "BAILE ATHA CLIATH", (left + width) / 2, 10, 9, ink)
    box = (left, top, width - left - right, height - 2 * top)
    write(canvas, rng, font, text, box, ink, bands=upper)
    return draft(canvas, text, country)


def _eu_colours(rng: np.random.Generator, country: str) -> tuple[Colour, Colour]:
    """Base and ink: dark on white or amber, rarely light on blue, black or green."""
    base: Colour = vary(rng, LIGHT, 16)
    if rng.random() < (0.7 if country in ("NL", "L") else 0.05):
        base = vary(rng, AMBER, 20)
    if rng.random() < (0.1 if country == "NL" else 0.02):
        dark: Colour = ((120, 40, 20), BLACK, (90, 130, 30))[rng.integers(3)]
        return vary(rng, dark, 20), vary(rng, WHITE)
    if rng.random() < (0.7 if country == "B" else 0.05):
        return base, vary(rng, (_RED, _RED, (150, 60, 20), (60, 120, 20))[rng.integers(4)])
    return base, vary(rng, BLACK)


def _eu_bands(
    canvas: Canvas, rng: np.random.Generator, font: Font, country: str, size: tuple[float, float]
) -> tuple[float, float, tuple[float, float]]:
    """Bands of a plate of one row; returns the margins left and right, and none for a row."""
    width, height = size
    left, right = 10.0, 10.0
    if rng.random() < 0.85 and country != "CH":
        band = height * rng.uniform(0.28, 0.42)
        blue_band(canvas, rng, font, country, 0, band, height)
        left = band + 6
    if country in ("F", "I", "AL") and rng.random() < 0.75:
        _department(canvas, rng, font, (width - 40, 40, height))
        right = 45
    return left, right, (0.0, 0.0)


def _eu_two_row_bands(
    canvas: Canvas, rng: np.random.Generator, font: Font, country: str, size: tuple[float, float]
) -> tuple[float, float, tuple[float, float]]:
    """Bands of a plate of two rows, mostly beside the upper one; returns the margins left and right
    of both rows and of the upper one."""
    width, height = size
    band, form = height * rng.uniform(0.15, 0.24), rng.random()
    left, upper_left, upper_right = 10.0, 0.0, 0.0
    if country == "CH" or form < 0.15:
        return left, 10.0, (0.0, 0.0)
    if form < 0.3:
        blue_band(canvas, rng, font, country, 0, band, height)
        left = band + 4
    elif country in ("DK", "B"):
        blue_band(canvas, rng, font, country, 0, band, height * 0.5, height * 0.5)
        left = band + 4
    else:
        blue_band(canvas, rng, font, country, 0, band, height * 0.48)
        upper_left = band - 4
    if country in ("F", "I") and rng.random() < 0.8:
        _department(canvas, rng, font, (width - band, band, height * 0.48))
        upper_right = band - 4
    if country == "I" and rng.random() < 0.5:
        canvas.rectangle(0, height * 0.495, width, 2, (60, 60, 60))
    return left, 10.0, (upper_left, upper_right)


def _department(
    canvas: Canvas, rng: np.random.Generator, font: Font, place: tuple[float, float, float]
) -> None:
    """The blue band at the right from ``place`` (x, width, height), its region's number or letters,
    which are not read."""
    x, width, height = place
    canvas.rectangle(x, 0, width, height, vary(rng, BAND_BLUE, 22))
    mark = from_pattern(rng, "nn" if rng.random() < 0.7 else "aa")
    canvas.words(font, mark, x + width / 2, height * 0.75, width * 0.42, WHITE, width * 0.8)
    if rng.random() < 0.6:
        colour = vary(rng, (120, 150, 180), 80)
        canvas.rectangle(x + width * 0.25, height * 0.2, width * 0.5, height * 0.25, colour)


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
    text, left = one_of(rng, options, _UK_NEVER), 12.0
    font = material.font(rng, False, everyday=0.05)
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
    return _uk(material, rng, _UK_ONE_ROW, (520, 111), rng.uniform(0.75, 1.1))


def britain_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """British square plates and motorcycles."""
    size = (285, 203) if rng.random() < 0.6 else (228, 178)
    return _uk(material, rng, _UK_TWO_ROWS, size, rng.uniform(0.65, 0.95))
