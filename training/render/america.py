"""Plates of the United States, Canada, Brazil and the Mercosur."""

from __future__ import annotations

import cv2
import numpy as np

from alpr_edge.types import Floats
from training.render.canvas import BLACK, WHITE, Canvas, Colour, Hand, vary
from training.render.draft import Draft
from training.render.lettering import BAND_BLUE, LIGHT, draft, one_of, write
from training.render.material import Font, RenderMaterial
from training.render.texts import from_pattern

LEGENDS = (
    "New York", "California", "Texas", "Florida", "New Jersey", "Ohio", "Illinois", "Georgia",
    "Virginia", "Oregon", "Nevada", "Maine", "EMPIRE STATE", "Garden State", "SUNSHINE STATE",
    "LONE STAR STATE", "GRAND CANYON STATE", "T&LC", "Ontario", "dmv.ca.gov", "EXCELSIOR",
    "Keystone State", "Live Free or Die", "COMMERCIAL", "Scenic", "PENNSYLVANIA", "TAXI", "TRUCK",
    "APPORTIONED", "BROWARD", "HARRIS COUNTY", "LIVERY", "visitPA.com", "The Spirit of America",
    "OMNIBUS", "Constitution State", "Massachusetts", "Connecticut", "NEW YORK", "NEW YORK",
)
_US_TEXTS = (
    "lll nnnn,lll-nnnn,lll*nnnn,nnn lll,lll nnn,nlllnnn,nnnn ll,llnnlll,lln nnl,TnnnnnnC,"
    "nnnnn-ll,lll*nll,lnn*lll,nnn*lll,lllnnnn,ll nnnnn,nnnnnn,nlll nnn,llllll,llll nn,nn llll,"
    "ll*nnnll,lll*nnnn,lll*nnnn,nnnnn*ll,lnnnl,nlnn l,lllllll,lllllnn,lll*lln,lln*nnnn"
)
_BR_CITIES = "SP-SAO PAULO,PR-CURITIBA,RJ-RIO DE JANEIRO,MG-BELO HORIZONTE,SC-JOINVILLE,GO-GOIANIA"

_STANDS_OUT, _STRAY = 70.0, 0.01
"""Least difference in grey levels between text and base, but for this share of the pixels."""
_FADED = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
"""Shares by which a base may be faded."""
_US_HAND = Hand(stretch=(0.7, 1.1), slanted=0.03)


def america(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """US and Canadian plates, 305 x 152: a blank, or a drawn gradient with names and slogans."""
    canvas = Canvas(305, 152, rng.uniform(0.75, 1.05), WHITE)
    height, width = canvas.image.shape[:2]
    fonts = [material.font(rng, False, everyday=0.15) for _ in range(3)]
    if material.blanks and rng.random() < 0.5:
        blank = material.blanks[rng.integers(len(material.blanks))]
        canvas.image[:] = cv2.resize(blank, (width, height))
        dark = float(blank[40:85].mean()) < 105
    else:
        dark = rng.random() < 0.12
        _us_base(canvas, rng, fonts[1:], dark)
    ink = vary(rng, WHITE if dark else ((25, 25, 25), (90, 40, 20), (120, 50, 30), (50, 30, 130))[
        rng.integers(4)], 20)
    text = one_of(rng, _US_TEXTS)
    top = 152 * rng.uniform(0.24, 0.32)
    left, right = _us_marks(canvas, rng, fonts[0], top, ink)
    box = (left, top, right - left, 152 * 0.97 - top * 1.02 - 152 * rng.uniform(0.1, 0.22))
    _fade(canvas, box, ink)
    write(canvas, rng, fonts[0], text, box, ink, hand=_US_HAND)
    return draft(canvas, text, "US")


def _fade(canvas: Canvas, box: tuple[float, float, float, float], ink: Colour) -> None:
    """Make the base paler, or darker, by as much as it takes for :data:`_STANDS_OUT` from the ink
    nearly everywhere in ``box`` (x, y, width, height) mm: nobody letters over an emblem as dark."""
    x, y, width, height = (canvas.px(side) for side in box)
    whole: Floats = canvas.image.astype(np.float32)
    under = whole[y : y + height, x : x + width]
    away = _difference(under, ink)
    paper = under[away >= np.median(away)].mean(axis=0)
    for share in _FADED:
        if np.quantile(_difference(under + (paper - under) * share, ink), _STRAY) >= _STANDS_OUT:
            break
    canvas.image[:] = whole + (paper - whole) * share


def _difference(base: Floats, ink: Colour) -> Floats:
    """Grey levels between every pixel of a base (H, W, 3) and an ink: (H, W)."""
    greys = (cv2.cvtColor(part, cv2.COLOR_BGR2GRAY) for part in (base, np.float32([[ink]])))
    return np.abs(np.subtract(*greys))


def _us_marks(
    canvas: Canvas, rng: np.random.Generator, font: Font, top: float, ink: Colour
) -> tuple[float, float]:
    """What is not read: stickers of month and year in the corners, two small letters one above the
    other beside the text. Returns where the text may begin and end."""
    for corner in (14, 261):
        if rng.random() < 0.18:
            colour = vary(rng, (100, 110, 130), 90)
            canvas.rectangle(corner, 6, 30, 20, colour)
            canvas.words(font, from_pattern(rng, "nn"), corner + 15, 16, 13, WHITE)
    if rng.random() >= 0.1:
        return 12.0, 293.0
    at_left = rng.random() < 0.7
    x = 22.0 if at_left else 283.0
    for row, letter in enumerate(from_pattern(rng, "aa")):
        canvas.words(font, letter, x, top + 22 + 34 * row, 24, ink, 16)
    return (36.0, 293.0) if at_left else (12.0, 269.0)


def _us_base(
    canvas: Canvas, rng: np.random.Generator, fonts: list[Font], dark: bool
) -> None:
    """A vertical gradient or plain colour, bars, state name above and slogan below."""
    top, bottom = (
        np.array(vary(rng, (110, 60, 40) if dark else (225, 225, 225), 50), np.float32)
        for _ in range(2)
    )
    if rng.random() < 0.25 and not dark:
        top = bottom = np.array(vary(rng, (40, 170, 240), 25), np.float32)
    middle = (top + bottom) / 2 if rng.random() < 0.5 else np.full(3, 235 * (not dark), np.float32)
    ramp = np.linspace(-1, 1, canvas.image.shape[0], dtype=np.float32)[:, None]
    rows = middle + np.maximum(-ramp, 0) * (top - middle) + np.maximum(ramp, 0) * (bottom - middle)
    canvas.image[:] = np.clip(rows, 0, 255).astype(np.uint8)[:, None]
    words = [LEGENDS[i] for i in rng.integers(len(LEGENDS), size=2)]
    light: Colour = WHITE if rng.random() < 0.6 else (60, 180, 240)
    bars = rng.random() < 0.35
    looks: tuple[Colour, ...] = ((140, 50, 20), (40, 40, 170), (60, 110, 30), (80, 40, 30))
    tint = vary(rng, looks[rng.integers(4)], 35)
    if bars:
        canvas.rectangle(0, 0, 305, 30, tint)
        canvas.rectangle(0, 128, 305, 24, tint)
    colour = light if bars or dark else tint
    canvas.words(fonts[0], words[0], 152, 19, rng.uniform(14, 22), colour, 240)
    if rng.random() < 0.8:
        canvas.words(fonts[1], words[1], 152, 138, rng.uniform(9, 14), colour, 240)


def _brazil(
    material: RenderMaterial, rng: np.random.Generator, text: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """Old plates: grey with black text, red with white text, rarely others; the city above."""
    looks: tuple[tuple[Colour, Colour], ...] = (
        ((185, 190, 190), BLACK), ((185, 190, 190), BLACK), ((185, 190, 190), BLACK),
        ((40, 30, 150), WHITE), ((40, 30, 150), WHITE), ((80, 130, 30), WHITE), (WHITE, BLACK),
    )
    base, ink = looks[rng.integers(len(looks))]
    ink = vary(rng, ink)
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, base, 25))
    if rng.random() < 0.7:
        canvas.border(2, 2, 6, ink)
    font = material.font(rng, german=False)
    cities = _BR_CITIES.split(",")
    city = cities[rng.integers(len(cities))]
    head = height * (0.3 if "|" not in text else 0.2)
    canvas.words(font, city, width / 2, head * 0.52, head * 0.42, ink, width * 0.6)
    box = (12, head, width - 24, height * 0.93 - head)
    write(canvas, rng, font, text, box, ink)
    return draft(canvas, text, "BR")


def brazil(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Old Brazilian cars, 400 x 130, ABC-1234."""
    text = one_of(rng, "aaa.nnnn,aaa-nnnn,aaa nnnn")
    return _brazil(material, rng, text, (400, 130), rng.uniform(0.75, 1.0))


def brazil_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Old Brazilian motorcycles, 200 x 170."""
    return _brazil(material, rng, one_of(rng, "aaa|nnnn"), (200, 170), rng.uniform(0.75, 1.0))


def _mercosur(
    material: RenderMaterial, rng: np.random.Generator, text: str, country: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """White with a blue bar that holds the country's name."""
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, LIGHT, 14))
    font = material.font(rng, german=True)
    bar = height * rng.uniform(0.2, 0.25)
    canvas.rectangle(0, 0, width, bar, vary(rng, BAND_BLUE, 20))
    canvas.words(font, country, width / 2, bar / 2, bar * 0.5, WHITE, width * 0.5)
    canvas.rectangle(width * 0.88, bar * 0.2, width * 0.08, bar * 0.6, vary(rng, (60, 150, 40)))
    canvas.rectangle(width * 0.05, bar * 0.25, width * 0.08, bar * 0.5, vary(rng, (190, 130, 70)))
    ink = vary(rng, BLACK if rng.random() < 0.85 else (40, 30, 170))
    if rng.random() < 0.6:
        canvas.border(1, 2, 7, ink)
    if country == "BRASIL" and rng.random() < 0.6:
        canvas.words(font, "BR", width * 0.06, height * 0.87, height * 0.1, BLACK)
    box = (width * 0.07, bar * 1.25, width * 0.87, height * 0.93 - bar * 1.25)
    write(canvas, rng, font, text, box, ink)
    return draft(canvas, text, country[:2])


def mercosur(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Brazil ABC1D23, Argentina AB 123 CD, Uruguay, Paraguay; 400 x 130."""
    form = rng.random()
    country, options = ("BRASIL", "aaanann") if form < 0.65 else (
        ("ARGENTINA", "aa nnn aa") if form < 0.85 else ("URUGUAY", "aaa nnnn"))
    return _mercosur(
        material, rng, one_of(rng, options), country, (400, 130), rng.uniform(0.75, 1.0)
    )


def mercosur_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Motorcycles, 200 x 170."""
    country, options = ("BRASIL", "aaa|nann") if rng.random() < 0.7 else ("ARGENTINA", "annn|aaa")
    return _mercosur(
        material, rng, one_of(rng, options), country, (200, 170), rng.uniform(0.75, 1.0)
    )
