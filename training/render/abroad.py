"""Plates of some forty countries by their own layouts; of these other styles draw Russia's alone.

There it has no box for its region.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from training.render.canvas import BLACK, WHITE, Canvas, Colour, draw_line, vary
from training.render.draft import Draft
from training.render.europe import EU_NEVER
from training.render.lettering import AMBER, LIGHT, blue_band, draft, one_of, write
from training.render.material import Font, RenderMaterial
from training.render.texts import pick

Look = tuple[Colour, Colour]
"""Base and ink."""
_NIGHT: Colour = (30, 28, 26)
_PLAIN: tuple[Look, ...] = ((LIGHT, BLACK),)
_DARK: tuple[Look, ...] = ((_NIGHT, WHITE),)
_YELLOW: tuple[Look, ...] = ((AMBER, BLACK),)
_BLUE, _GREEN, _RED = (150, 60, 20), (60, 120, 20), (45, 40, 185)
_LONG, _MIDDLE, _SQUARE, _BIKE = (520, 112), (372, 134), (300, 150), (210, 160)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How a country letters its plates: patterns (see :mod:`training.render.texts`) of one and of
    two rows, millimetres, colours, and names that are on some of them and are not read."""

    country: str
    one: str
    two: str = ""
    size: tuple[float, float] = _LONG
    looks: tuple[Look, ...] = _PLAIN
    names: str = ""
    band: str = ""
    """Letters of a blue band at the left."""
    never: str = "Q"
    """Letters that are on none of them; the pattern's ``l`` leaves out I and O besides."""
    script: float = 0.0
    """Share of the plates that repeat their text or name in another script."""


LAYOUTS = (
    Layout(country="TW", one="lll-nnnn,ll-nnnn,nnnn-ll,nnn-lll,nl-nnnn", size=(380, 160),
           looks=((LIGHT, BLACK), (LIGHT, _GREEN), (LIGHT, _RED), (AMBER, BLACK))),
    Layout(country="MY", one="lll nnnn,ll nnnn,l nnnn,lll nnn,lll nnnn l,Wl nnnn l",
           two="lll|nnnn,ll|nnnn,lll|nnn,lll|nnnn l", looks=_DARK),
    Layout(country="SG", one="Sll nnnn l,Gll nnnn l,Sll nnn l", two="Sll|nnnn l,Fll|nnnn l",
           looks=_DARK + _PLAIN + _YELLOW),
    Layout(country="PH", one="lll nnnn,lll nnn", two="nnnn|ll,ll|nnnnn", size=_MIDDLE,
           looks=((LIGHT, BLACK), (LIGHT, _GREEN), (AMBER, BLACK)),
           names="PILIPINAS,REGION IV-A,MATATAG NA REPUBLIKA,NCR"),
    Layout(country="IL", one="nn-nnn-nn,nnn-nn-nnn", two="nn-nnn|nn,nn|nnn-nn", looks=_YELLOW,
           band="IL"),
    Layout(country="HK", one="ll nnnn,ll nnn,ll nn", two="ll|nnnn,ll|nnn", looks=_PLAIN + _YELLOW),
    Layout(country="MO", one="ll-nn-nn,Ml-nn-nn", two="ll|nn-nn", looks=_DARK),
    Layout(country="AU", one="lll nnn,ll nn ll,nlll nnn,nnn lll,lll nnl,ln nlll,n*lll nnn",
           two="ll|nnn,nn|lll,lll|nn", size=_MIDDLE,
           looks=((LIGHT, BLACK), (AMBER, BLACK), (LIGHT, _BLUE), (LIGHT, _GREEN),
                  (LIGHT, (50, 20, 110)), (_NIGHT, WHITE)),
           names="NSW,NEW SOUTH WALES,VICTORIA - ON THE MOVE,QUEENSLAND - SUNSHINE STATE,"
           "SOUTH AUSTRALIA,WESTERN AUSTRALIA,TASMANIA,VICTORIA - THE PLACE TO BE"),
    Layout(country="NZ", one="lllnnn,llnnnn", two="nnl|ll,nn|lll", size=(360, 125)),
    Layout(country="ZA", one="ll nn ll GP,lll nnn GP,CA nnn-nnn,CA nnnnn,ND nnnnnn,lll nnn MP,"
           "ll nn ll ZN,lll nnn L", two="ll nn|ll GP,lll|nnn GP,CA|nnn-nnn", looks=_PLAIN + _YELLOW,
           names="Western Cape,GAUTENG,KWAZULU-NATAL"),
    Layout(country="KE", one="Kll nnnl,Kll nnn,KAA nnnl", two="Kll|nnnl", looks=_PLAIN + _YELLOW),
    Layout(country="UG", one="Ull nnnl,Uln nnnl", two="Ull|nnnl", looks=_PLAIN + _YELLOW),
    Layout(country="TZ", one="T nnn lll", two="T nnn|lll", looks=_YELLOW + _PLAIN),
    Layout(country="NG", one="lll-nnnll,lll-nnn ll", two="lll|nnnll", size=(440, 130),
           looks=((LIGHT, _BLUE), (LIGHT, _RED), (LIGHT, BLACK)),
           names="LAGOS,CENTRE OF EXCELLENCE,ABUJA,OGUN,FEDERAL REPUBLIC OF NIGERIA"),
    Layout(country="GH", one="ll nnnn-nn,lll nnnn-nn", two="ll nnnn|nn", looks=_PLAIN + _YELLOW),
    Layout(country="DZ", one="nnnnn nnn nn", two="nnnnn|nnn nn",
           looks=_PLAIN + _YELLOW),
    Layout(country="SN", one="ll nnnn l,ll-nnn-ll", two="ll|nnnn l", band="SN"),
    Layout(country="AO", one="ll-nn-nn-ll", two="ll-nn|nn-ll", names="ANGOLA"),
    Layout(country="MZ", one="lll nnn MC,lll nnn MP", two="lll nnn|MP", looks=_PLAIN + _YELLOW),
    Layout(country="MX", one="lll-nnn-l,lll-nn-nn,nnn-lll,l-nn-lll,nnn-nll,ll-nnnn-l",
           two="nnlln|l,lnn|lll", size=_SQUARE,
           looks=((LIGHT, BLACK), (LIGHT, (50, 20, 90)), (LIGHT, _GREEN), (LIGHT, _BLUE)),
           names="JALISCO,EDO. DE MEXICO,NUEVO LEON,CDMX,PUEBLA,GUANAJUATO,DELANTERA,TRANSPORTE "
           "PRIVADO,SONORA"),
    Layout(country="CO", one="lll nnn,lll-nnn,lll*nnn", two="lll|nnl,lll|nnn", size=(330, 160),
           looks=_YELLOW + _YELLOW + _PLAIN + ((_GREEN, WHITE),),
           names="BOGOTA D.C.,MEDELLIN,CALI,ENVIGADO,COLOMBIA,FUNZA,SABANETA"),
    Layout(country="CL", one="ll*nnnn,cc*cc-nn,cccc*nn", two="ll|nnnn,ccc|nn", size=(360, 130),
           looks=_PLAIN + _PLAIN + _YELLOW, names="CHILE"),
    Layout(country="AR", one="lll nnn", two="nnn|lll", size=(294, 129), looks=_DARK,
           names="ARGENTINA"),
    Layout(country="PE", one="lnl-nnn,lll-nnn,lnl-nnn", two="nnnn|nl", size=_SQUARE,
           looks=_PLAIN + _YELLOW, names="PERU"),
    Layout(country="EC", one="lll-nnnn,lll-nnn", two="ll|nnnl", size=_MIDDLE, names="ECUADOR"),
    Layout(country="VE", one="llnnnll,lll nnl,lnnllnl", size=_SQUARE,
           looks=((LIGHT, BLACK), (LIGHT, _RED)), names="VENEZUELA"),
    Layout(country="CR", one="lll-nnn,nnnnnn", size=_SQUARE, looks=((LIGHT, _BLUE), (LIGHT, BLACK)),
           names="COSTA RICA,CENTROAMERICA"),
    Layout(country="GT", one="P*nnnlll,P-nnnlll", size=_SQUARE, names="GUATEMALA"),
    Layout(country="PA", one="ll nnnn,nnnnnn", size=_SQUARE, names="PANAMA"),
    Layout(country="AE", one="l nnnnn,ll nnnnn,l nnnn,nn nnnnn,n nnnnn",
           two="l|nnnnn,nn|nnnnn,n|nnnn", names="DUBAI,SHARJAH,A.D,RAK,U.A.E",
           script=0.8),
    Layout(country="QA", one="nnnnnn,nnnnn", two="nnn|nnn", names="QATAR,STATE OF QATAR",
           script=0.8),
    Layout(country="KW", one="n-nnnnn,nn-nnnnn", two="nn|nnnnn", names="KUWAIT", script=0.8),
    Layout(country="OM", one="nnnn ll,nnnnn l,nnnnn ll", two="nnnn|ll", looks=_YELLOW + _PLAIN,
           names="OMAN", script=0.8),
    Layout(country="SA", one="nnnn lll,nnn lll", size=(520, 120), names="KSA", script=0.9),
    Layout(country="PK", one="lll-nnn,lll-nnnn,ll-nnn,ll nnnn,lll nn,lll nn nnn",
           two="lll|nnn,ll|nnnn,lll|nnnn,lll nn|nnn", size=(450, 120),
           looks=_PLAIN + _YELLOW + ((LIGHT, _GREEN), (_NIGHT, WHITE)),
           names="ISLAMABAD,PUNJAB,SINDH,ICT-ISLAMABAD,GOVT OF SINDH", script=0.1),
    Layout(country="LK", one="lll-nnnn,ll-nnnn,nnn-nnnn,nn-nnnn,WP lll-nnnn",
           two="ll|nnnn,WP lll|nnnn,lll|nnnn", looks=_PLAIN + _YELLOW),
    Layout(country="KH", one="nll-nnnn,nl-nnnn", two="nl|nnnn", size=(380, 130),
           looks=((LIGHT, _BLUE), (LIGHT, BLACK)), names="PHNOM PENH,SIEM REAP", script=0.6),
    Layout(country="MM", one="nl-nnnn,nll-nnnn", two="nl|nnnn", size=_MIDDLE,
           looks=_DARK + ((_RED, WHITE),), names="YGN,MDY,SHN"),
    Layout(country="AM", one="nn ll nnn,nnn ll nn", two="nn ll|nnn", band="AM"),
    Layout(country="AZ", one="nn-ll-nnn", two="nn|ll-nnn", band="AZ"),
    Layout(country="RUS", one="a nnn aa nn,a nnn aa nnn", two="a nnn|aa nn,nnnn|aa nn",
           never=EU_NEVER["RUS"]),
    Layout(country="KZ", one="nnn lll nn,nnn ll nn", two="nn lll|nnn", band="KZ"),
    Layout(country="UZ", one="nn l nnn ll,nn nnn lll", two="nn|l nnn ll"),
)
_WITH_REGION = {"RUS": 3, "KZ": 2, "UZ": 0}
"""Which part of the text is the region's, in a box of its own and smaller in Russia."""
_TWO_ROWS = tuple(layout for layout in LAYOUTS if layout.two)


def abroad(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """One row."""
    layout = LAYOUTS[rng.integers(len(LAYOUTS))]
    width, height = layout.size
    size = width * rng.uniform(0.9, 1.1), height
    text = one_of(rng, layout.one, layout.never)
    return _plate(material, rng, layout, text, size, rng.uniform(0.75, 1.1))


def abroad_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Square plates of cars, and of motorcycles."""
    layout = _TWO_ROWS[rng.integers(len(_TWO_ROWS))]
    size = ((290, 190), (340, 200), _BIKE, (240, 130), (200, 200))[rng.integers(5)]
    text = one_of(rng, layout.two, layout.never)
    return _plate(material, rng, layout, text, size, rng.uniform(0.7, 1.0))


def _plate(
    material: RenderMaterial, rng: np.random.Generator, layout: Layout, text: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """Base, band, border, names in one or two scripts, and the text in what is left."""
    base, ink = layout.looks[rng.integers(len(layout.looks))]
    ink, (width, height) = vary(rng, ink), size
    canvas = Canvas(width, height, scale, vary(rng, base, 16))
    font, left = material.font(rng, everyday=0.15), 10.0
    if layout.band and rng.random() < 0.7:
        left = height * rng.uniform(0.2, 0.36)
        blue_band(canvas, rng, font, layout.band, 0, left, height)
        left += 5
    if rng.random() < 0.65:
        canvas.border(rng.uniform(0, 4), rng.uniform(1.5, 4), rng.uniform(3, 9), ink)
    two = "|" in text
    top = bottom = height * (rng.uniform(0.07, 0.12) if two else rng.uniform(0.12, 0.2))
    above, below = _names(canvas, rng, material, layout, ink)
    top, bottom = max(top, above), max(bottom, below)
    box = left, top, width - left - 10, height - top - bottom
    if layout.country in _WITH_REGION and not two:
        _with_region(canvas, rng, font, text, box, ink, layout.country)
    else:
        write(canvas, rng, font, text, box, ink, rng.uniform(0.4, 0.52) if two else 0.5)
    return draft(canvas, text, layout.country[:2])


def _names(
    canvas: Canvas, rng: np.random.Generator, material: RenderMaterial, layout: Layout, ink: Colour
) -> tuple[float, float]:
    """A name above or below, or another script there; returns what both take of the height."""
    height, width = (float(side) / canvas.scale for side in canvas.image.shape[:2])
    taken = [0.0, 0.0]
    places = [0, 1] if rng.random() < 0.5 else [1, 0]
    if layout.names and rng.random() < 0.75:
        names = layout.names.split(",")
        place, high = places.pop(), height * float(rng.uniform(0.09, 0.15))
        y = high * 0.9 if place == 0 else height - high * 0.9
        font = material.font(rng, everyday=0.6)
        tint = ink if rng.random() < 0.7 else vary(rng, (90, 70, 60), 50)
        canvas.words(font, names[rng.integers(len(names))], width / 2, y, high, tint, width * 0.7)
        taken[place] = high * 1.6
    if rng.random() < layout.script:
        place, high = places[0], height * float(rng.uniform(0.15, 0.32))
        y = 4.0 if place == 0 else height - high - 4
        x, long = width * rng.uniform(0.1, 0.4), width * rng.uniform(0.3, 0.5)
        _script(canvas, rng, (x, y, long, high), ink)
        taken[place] = high + 8
    return taken[0], taken[1]


def _script(
    canvas: Canvas, rng: np.random.Generator, box: tuple[float, float, float, float], colour: Colour
) -> None:
    """A word that is not Latin: joined strokes of a pen along a line, and dots."""
    x, y, width, height = box
    layer, thick = canvas.ink(colour), max(1, canvas.px(height * rng.uniform(0.07, 0.13)))
    begin = 0.0
    while begin < 0.9:
        end = min(1.0, begin + float(rng.uniform(0.12, 0.4)))
        along = np.linspace(end, begin, int(rng.integers(4, 9)))
        down = 0.6 + rng.uniform(-0.35, 0.3, len(along)) * (rng.random(len(along)) < 0.7)
        points = np.stack([x + along * width, y + down * height], axis=1) * canvas.scale
        smooth = cv2.resize(points.astype(np.float32)[:, None], (1, 4 * len(along)),
                            interpolation=cv2.INTER_LINEAR)
        line = np.round(smooth).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(layer, [line], False, 255, thick, cv2.LINE_AA)
        for _ in range(int(rng.integers(0, 3))):
            dot = x + rng.uniform(begin, end) * width, y + rng.choice([0.12, 0.95]) * height
            canvas.disc(*dot, height * 0.06, colour)
        begin = end + float(rng.uniform(0.03, 0.08))


def _with_region(
    canvas: Canvas, rng: np.random.Generator, font: Font, text: str,
    box: tuple[float, float, float, float], ink: Colour, country: str,
) -> None:
    """A Russian, Kazakh or Uzbek plate: the region's number beside a line. In Russia it is smaller,
    above country and flag, and letters are lower than digits."""
    x, y, width, height = box
    parts = text.split(" ")
    region = parts.pop(_WITH_REGION[country])
    share = width * rng.uniform(0.2, 0.26)
    begin = x if country == "UZ" else x + width - share
    canvas.ink(ink)[:, canvas.px(begin + (share if country == "UZ" else 0)) :][
        :, : max(1, canvas.px(2.5))] = 255
    rest = (x + share + 6 if country == "UZ" else x, y, width - share - 6, height)
    small = height * (rng.uniform(0.6, 0.75) if country == "RUS" else 1.0)
    draw_line(canvas, rng, font, region, (begin + 6, y, share - 12, small), ink)
    if country == "RUS":
        foot = y + small + (height - small) * 0.65
        canvas.words(font, "RUS", begin + share * 0.4, foot, (height - small) * 0.6, ink)
        for line, colour in enumerate((WHITE, (170, 70, 20), _RED)):
            canvas.rectangle(begin + share * 0.68, foot - 5 + 3 * line, share * 0.2, 3, colour)
        _lower_letters(canvas, rng, font, parts, rest, ink)
    else:
        draw_line(canvas, rng, font, pick(rng, "  -").join(parts), rest, ink, rng.random() < 0.4)


def _lower_letters(
    canvas: Canvas, rng: np.random.Generator, font: Font, parts: list[str],
    box: tuple[float, float, float, float], ink: Colour,
) -> None:
    """Parts side by side on one foot line, the letters three quarters as high as the digits."""
    x, y, width, height = box
    low = height * rng.uniform(0.72, 0.85)
    cell = width / sum(len(part) for part in parts)
    for part in parts:
        high = height if part.isdigit() else low
        place = (x + cell * 0.1, y + height - high, cell * (len(part) - 0.2), high)
        draw_line(canvas, rng, font, part, place, ink, True)
        x += cell * len(part)

