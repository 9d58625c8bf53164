"""Latin plates: layouts of some fifty countries, one and two rows, and freely mixed ones."""

from __future__ import annotations

import cv2
import numpy as np

from training.render.canvas import BLACK, RED, WHITE, Canvas, Colour, draw_line, vary
from training.render.draft import Draft
from training.render.material import Font, RenderMaterial
from training.render.texts import from_pattern, pick, plain

_BAND: Colour = (150, 60, 10)
_LIGHT: Colour = (232, 232, 232)
_AMBER: Colour = (30, 190, 245)

EU_ONE_ROW: dict[str, str] = {
    "D": "aa*aa nnnn,a*aa nnnn,aaa*a nnn,aa*a nnn,a*a nnnn,aa*aa nnnE,a*aa nnnnH,aaa*aa nnn",
    "F": "aa-nnn-aa,nnn aaa nn,nnnn aa nn", "I": "aa nnnaa,aa nnn aa", "E": "nnnn ccc,a nnnn aa",
    "NL": "aa-nnn-a,nn-aaa-n,a-nnn-aa,nn-aa-nn,aa-aa-nn,aaa-nn-a", "B": "n-aaa-nnn,aaa-nnn,nnn-aaa",
    "PL": "aa nnnnn,aaa nnna,aaa nnaa,aa nnnna", "CZ": "nan nnnn,nan*nnnn,naa nnnn",
    "SK": "aa*nnnaa", "A": "aa*nnnna,a*nnnnaa,aa*nnn aa", "H": "aaa-nnn,aa aa*nnn",
    "RO": "aa nn aaa,B nnn aaa", "BG": "aa nnnn aa,a nnnn aa", "HR": "aa*nnn-aa,aa*nnnn-aa",
    "SLO": "aa*aa-nnn,aa*nn-naa,aa*an-nnn", "S": "aaa nnn,aaa nna", "FIN": "aaa-nnn", "N": "aa nnnnn",
    "DK": "aa nn nnn", "EST": "nnn aaa", "LV": "aa-nnnn", "LT": "aaa nnn", "GR": "aaa-nnnn",
    "P": "aa-nn-aa,nn-aa-nn,aa nn aa", "IRL": "nnn-D-nnnnn,nn-D-nnnnn,nnn-aa-nnnn,nn-G-nnnn",
    "L": "aa nnnn", "CH": "ZH*nnnnnn,aa*nnnnnn", "UA": "aa nnnn aa", "BIH": "ann-a-nnn",
    "SRB": "aa*nnn-aa,aa*nnnn-aa", "AL": "aa nnn aa", "TR": "nn aa nnnn,nn aaa nn,nn a nnnn",
    "M": "aaa nnn", "CY": "aaa nnn", "MK": "aa*nnnn-aa", "RUS": "a nnn aa nn,a nnn aa nnn",
    "BY": "nnnn aa-n", "MD": "aaa nnn", "GE": "aa-nnn-aa",
}
"""Country letters of the band and its layouts (see :mod:`training.render.texts`)."""
EU_TWO_ROWS: dict[str, str] = {
    "D": "aa*|aa nnnn,a*|aa nnn,aaa*|a nnn,aa*|nnn,aa*|a nnH", "F": "aa-|nnn-aa,nnn|aaa nn",
    "NL": "nn|aa-nn,aa|nnn-a,nn|aaa-n,aa-nn|aa", "I": "aa|nnnaa,aa nn|nnn", "PL": "aaa|nnna,aa|nnnn",
    "CZ": "nan|nnnn,naa|nnnn", "E": "nnnn|ccc,annn|nccc", "A": "aa*|nnnaa,a*|nnnna", "RO": "aa nn|aaa",
    "B": "naaa|nnn,aaa|nnn", "S": "aaa|nnn,aaa|nna", "P": "aa|nn-aa,nn-nn|aa", "HR": "aa*|nnn-aa",
    "CH": "ZH*|nnnnnn,BE*|nnnnn", "UA": "aa nnnn|aa,aa|nnnn aa", "IRL": "nnn-D|nnnn,nnnD|nnnnn",
    "N": "aa|nnnn", "DK": "aa nn|nnn,aa|nnnnn", "FIN": "aaa|nnn", "BG": "a nnnn|aa", "GR": "aaa|nnn",
    "TR": "nn aaa|nnn,nn|aa nnnn", "SK": "aa*|nnnaa", "H": "aaa|nnn", "L": "aa|nnnn", "LT": "nnn|aa",
}
WORLD = (
    "aaa nnn,aaa-nnn,aaa nnnn,nnn aaa,aaa-nnnn,aa nnnn,aa-nn-nn,aa nn aa,aa*aa*nn,aaa nnn a,a nnnnn,"
    "nnnnnn,nnnnn,nn nnn nn,nnn nn nnn,nnn-nn-nn,aaaa nnn,nn-nnnnn,n aaa nnn,aaa nn,annn aaa,"
    "aa nnn aaa,a nnnn aaa,aannnnaa,nnnn aaa,xxxxxx,xxxxxxx,xxx xxxx,xxxxxxxx,xxxx xxxxx,a-nnnn,"
    "xxxx,xxxxx,xxxxxxxxxx,aaaaa,aaaa nn,nn-nnnn-aaaa"
)
WORLD_TWO_ROWS = (
    "aaa|nnn,aaa|nnnn,aa|nnnn,nn|nnnn,nnn|nnn,aa nn|aaaa,an|nnnn,aaan|nnn,nn-an|nnnn,aa-nn|nnn,"
    "xxx|xxxx,xxxx|xxxx,xx|xxxx,xxx|xxx,xx-xx|xxxxx,xxxx|xx,nnnn|nn,aann|nnnn,xxxxx|xxxxx,a|nnnn,"
    "nnnnnn|aa,aaaa|n"
)
_SCRIBBLE = (
    "0.02,.50 .05,.80 .13,.88 .22,.80 .26,.55 .29,.66 .34,.66 .36,.50 .38,.66 .43,.66 .45,.50 .47,.66"
    " .54,.66 .56,.45", ".56,.82 .64,.92 .72,.80 .72,.58 .66,.52 .63,.62 .72,.70 .84,.68 .88,.45",
)
"""The word Tunis in Arabic as two pen strokes in the unit square; the dots are drawn apart."""
INDIA = "MH DL KA TN GJ UP RJ HR AP TS KL WB PB MP BR CG OR JH AS UK HP CH GA PY JK".split()
US_WORDS = (
    "New York,California,Texas,Florida,New Jersey,Ohio,Illinois,Georgia,Virginia,Oregon,Nevada,Maine,"
    "EMPIRE STATE,Garden State,SUNSHINE STATE,LONE STAR STATE,GRAND CANYON STATE,T&LC,Ontario,"
    "dmv.ca.gov,EXCELSIOR,Keystone State,Live Free or Die,COMMERCIAL,Scenic,PENNSYLVANIA"
).split(",")
_US_TEXTS = (
    "aaa nnnn,aaa-nnnn,aaa*nnnn,nnn aaa,aaa nnn,naaannn,nnnn aa,aannaaa,aan nna,TnnnnnnC,nnnnn-aa,"
    "aaa*naa,ann*aaa,nnn*aaa,aaannnn,aa nnnnn,nnnnnn,naaa nnn,aaaaaa,aaaa nn,nn aaaa,aa*nnnaa"
)
_BR_CITIES = "SP-SAO PAULO,PR-CURITIBA,RJ-RIO DE JANEIRO,MG-BELO HORIZONTE,SC-JOINVILLE,GO-GOIANIA"


def _one_of(rng: np.random.Generator, options: str) -> str:
    """A random text of one of the comma separated patterns."""
    patterns = options.split(",")
    return from_pattern(rng, patterns[rng.integers(len(patterns))])


def _draft(canvas: Canvas, text: str, country: str) -> Draft:
    rows = 2 if "|" in text else 1
    return Draft(canvas=canvas, text=plain(text), rows=rows, kind="latin", country=country)


def _write(
    canvas: Canvas, rng: np.random.Generator, font: Font, text: str,
    box: tuple[float, float, float, float], ink: Colour, split: float = 0.5,
) -> None:
    """One row in the box, or two rows with the upper one ``split`` of the height; then the seals."""
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
            cv2.circle(canvas.image, centre, max(1, radius // 2), vary(rng, _LIGHT, 30), -1)
    elif form == 2:
        w, h = height * 0.16, height * 0.2
        shield = [(x - w, y - h), (x + w, y - h), (x + w, y + h * 0.4), (x, y + h * 1.2),
                  (x - w, y + h * 0.4)]
        points = np.array([(p(a), p(b)) for a, b in shield], np.int32)
        cv2.fillPoly(canvas.image, [points], tint, cv2.LINE_AA)


def _band(
    canvas: Canvas, rng: np.random.Generator, font: Font, letters: str, x: float, width: float,
    height: float,
) -> None:
    """The blue band: stars or a flag above, country letters below."""
    canvas.rectangle(x, 0, width, height, vary(rng, _BAND, 22))
    p, middle = canvas.px, x + width / 2
    if letters in ("UA", "RUS", "GE", "TR", "UK"):
        canvas.rectangle(x + width * 0.15, height * 0.2, width * 0.7, height * 0.12, (200, 120, 40))
        canvas.rectangle(x + width * 0.15, height * 0.32, width * 0.7, height * 0.12, (60, 200, 230))
    else:
        for angle in np.arange(12) * np.pi / 6:
            centre = (p(middle + np.cos(angle) * width * 0.3),
                      p(height * 0.3 + np.sin(angle) * width * 0.3))
            cv2.circle(canvas.image, centre, max(1, p(width * 0.04)), (50, 210, 250), -1)
    canvas.words(font, letters, middle, height * 0.78, width * 0.42, WHITE, width * 0.85)


def _eu(
    material: RenderMaterial, rng: np.random.Generator, layouts: dict[str, str],
    size: tuple[float, float], scale: float,
) -> Draft:
    """The frame that European plates share: border, bands, text in what is left."""
    names = list(layouts)
    country = names[rng.integers(len(names))]
    text = _one_of(rng, layouts[country])
    base: Colour = vary(rng, _LIGHT, 16)
    if rng.random() < (0.7 if country in ("NL", "L") else 0.05):
        base = vary(rng, _AMBER, 20)
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
        _band(canvas, rng, font, country, 0, band, height * (0.5 if two else 1))
        left = band + 6
    if country in ("F", "I", "AL") and not two and rng.random() < 0.75:
        canvas.rectangle(width - 40, 0, 40, height, vary(rng, _BAND, 22))
        canvas.words(font, f"{rng.integers(10, 96)}", width - 20, height * 0.75, 16, WHITE)
        right = 45
    if rng.random() < 0.75:
        canvas.border(rng.uniform(0.5, 2), rng.uniform(1.5, 4), 7, ink)
    top = height * (rng.uniform(0.07, 0.12) if two else rng.uniform(0.12, 0.2))
    if country == "IRL" and not two and rng.random() < 0.7:
        top = height * 0.2
        canvas.words(font, "BAILE ATHA CLIATH", (left + width) / 2, 10, 9, ink)
    _write(canvas, rng, font, text, (left, top, width - left - right, height - 2 * top), ink)
    return _draft(canvas, text, country)


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
    base = vary(rng, _LIGHT if rng.random() < 0.5 else _AMBER, 16)
    ink = vary(rng, BLACK)
    width, height = size
    canvas = Canvas(width, height, scale, base)
    text, font, left = _one_of(rng, options), material.font(rng, german=False), 12.0
    if rng.random() < 0.35:
        band = 42.0
        _band(canvas, rng, font, "GB" if rng.random() < 0.6 else "UK", 0, band, height)
        left = band + 6
    if rng.random() < 0.3:
        canvas.border(1.5, 1.5, 6, ink)
    top = height * (rng.uniform(0.14, 0.19) if "|" not in text else rng.uniform(0.06, 0.1))
    if rng.random() < 0.4:
        canvas.words(font, "WEST MOTORS", width / 2, height - 5, 6, (80, 80, 80))
    _write(canvas, rng, font, text, (left, top, width - left - 12, height - 2 * top), ink)
    return _draft(canvas, text, "GB")


def britain(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """British plates of one row: white in front, yellow at the rear."""
    options = "aann aaa,aann aaa,aann aaa,annn aaa,aaa nnna,aaa nna,aa nnnn,an aaa"
    return _uk(material, rng, options, (520, 111), rng.uniform(0.75, 1.1))


def britain_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """British square plates and motorcycles."""
    size = (285, 203) if rng.random() < 0.6 else (228, 178)
    return _uk(material, rng, "aann|aaa,aann|aaa,annn|aaa,aaa|nnna", size, rng.uniform(0.65, 0.95))


def america(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """US and Canadian plates, 305 x 152: a blank, or a drawn gradient with names and slogans."""
    canvas = Canvas(305, 152, rng.uniform(0.75, 1.05), WHITE)
    height, width = canvas.image.shape[:2]
    fonts = [material.font(rng, german=False) for _ in range(3)]
    if material.blanks and rng.random() < 0.5:
        blank = material.blanks[rng.integers(len(material.blanks))]
        canvas.image[:] = cv2.resize(blank, (width, height))
        dark = float(blank[40:85].mean()) < 105
    else:
        dark = rng.random() < 0.12
        _us_base(canvas, rng, fonts[1:], dark)
    ink = vary(rng, WHITE if dark else ((25, 25, 25), (90, 40, 20), (120, 50, 30), (50, 30, 130))[
        rng.integers(4)], 20)
    text = _one_of(rng, _US_TEXTS)
    top = 152 * rng.uniform(0.24, 0.32)
    box = (12, top, 281, 152 * 0.97 - top * 1.02 - 152 * rng.uniform(0.1, 0.22))
    _write(canvas, rng, fonts[0], text, box, ink)
    return _draft(canvas, text, "US")


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
    middle = (top + bottom) / 2 if rng.random() < 0.5 else np.float32([235, 235, 235]) * (1 - dark)
    ramp = np.linspace(-1, 1, canvas.image.shape[0], dtype=np.float32)[:, None]
    rows = middle + np.maximum(-ramp, 0) * (top - middle) + np.maximum(ramp, 0) * (bottom - middle)
    canvas.image[:] = np.clip(rows, 0, 255).astype(np.uint8)[:, None]
    words, light = [US_WORDS[i] for i in rng.integers(len(US_WORDS), size=2)], WHITE
    bars = rng.random() < 0.3
    tint = vary(rng, ((140, 50, 20), (40, 40, 170), (60, 110, 30))[rng.integers(3)], 35)
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
    _write(canvas, rng, font, text, box, ink)
    return _draft(canvas, text, "BR")


def brazil(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Old Brazilian cars, 400 x 130, ABC-1234."""
    text = _one_of(rng, "aaa.nnnn,aaa-nnnn,aaa nnnn")
    return _brazil(material, rng, text, (400, 130), rng.uniform(0.75, 1.0))


def brazil_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Old Brazilian motorcycles, 200 x 170."""
    return _brazil(material, rng, _one_of(rng, "aaa|nnnn"), (200, 170), rng.uniform(0.75, 1.0))


def _mercosur(
    material: RenderMaterial, rng: np.random.Generator, text: str, country: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """White with a blue bar that holds the country's name."""
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, _LIGHT, 14))
    font = material.font(rng, german=True)
    bar = height * rng.uniform(0.2, 0.25)
    canvas.rectangle(0, 0, width, bar, vary(rng, _BAND, 20))
    canvas.words(font, country, width / 2, bar / 2, bar * 0.5, WHITE, width * 0.5)
    canvas.rectangle(width * 0.88, bar * 0.2, width * 0.08, bar * 0.6, vary(rng, (60, 150, 40)))
    canvas.rectangle(width * 0.05, bar * 0.25, width * 0.08, bar * 0.5, vary(rng, (190, 130, 70)))
    ink = vary(rng, BLACK if rng.random() < 0.85 else (40, 30, 170))
    if rng.random() < 0.6:
        canvas.border(1, 2, 7, ink)
    if country == "BRASIL" and rng.random() < 0.6:
        canvas.words(font, "BR", width * 0.06, height * 0.87, height * 0.1, BLACK)
    box = (width * 0.07, bar * 1.25, width * 0.87, height * 0.93 - bar * 1.25)
    _write(canvas, rng, font, text, box, ink)
    return _draft(canvas, text, country[:2])


def mercosur(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Brazil ABC1D23, Argentina AB 123 CD, Uruguay, Paraguay; 400 x 130."""
    form = rng.random()
    country, options = ("BRASIL", "aaanann") if form < 0.65 else (
        ("ARGENTINA", "aa nnn aa") if form < 0.85 else ("URUGUAY", "aaa nnnn"))
    return _mercosur(
        material, rng, _one_of(rng, options), country, (400, 130), rng.uniform(0.75, 1.0)
    )


def mercosur_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Motorcycles, 200 x 170."""
    country, options = ("BRASIL", "aaa|nann") if rng.random() < 0.7 else ("ARGENTINA", "annn|aaa")
    return _mercosur(
        material, rng, _one_of(rng, options), country, (200, 170), rng.uniform(0.75, 1.0)
    )


def _india(
    material: RenderMaterial, rng: np.random.Generator, two: bool,
    size: tuple[float, float], scale: float,
) -> Draft:
    """White, yellow, green or black; the IND band on a third."""
    looks: tuple[tuple[Colour, Colour], ...] = (
        (_LIGHT, BLACK), (_LIGHT, BLACK), (_LIGHT, BLACK), (_AMBER, BLACK), (_AMBER, BLACK),
        ((70, 130, 30), WHITE), ((30, 30, 30), _AMBER),
    )
    base, ink = looks[rng.integers(len(looks))]
    ink, font = vary(rng, ink), material.font(rng, german=False)
    state = INDIA[rng.integers(len(INDIA))]
    mark = from_pattern(rng, "nn" if rng.random() < 0.9 else "na")
    series, number = from_pattern(rng, ("a", "aa", "aa", "aa")[rng.integers(4)]), "nnnn"
    gap = pick(rng, "  -.")
    if two:
        cut = rng.random() < 0.5
        text = f"{state}{mark}" + (f"{gap}{series}|" if cut else f"|{series}{gap}")
    else:
        text = gap.join((state, mark, series)) + gap if rng.random() < 0.5 else f"{state}{mark} {series} "
    text += from_pattern(rng, number)
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, base, 18))
    left = 10.0
    if rng.random() < 0.35:
        canvas.words(font, "IND", 18, height * 0.68, 10, (160, 80, 20))
        canvas.disc(18, height * 0.4, 6, (150, 130, 90))
        left = 34
    if rng.random() < 0.5:
        canvas.border(rng.uniform(1, 4), rng.uniform(1, 3), 6, ink)
    top = height * (rng.uniform(0.1, 0.15) if two else rng.uniform(0.16, 0.26))
    _write(canvas, rng, font, text, (left, top, width - left - 10, height - 2 * top), ink)
    return _draft(canvas, text, "IN")


def india(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """MH 12 AB 1234, 500 x 120."""
    return _india(material, rng, False, (500, rng.uniform(100, 130)), rng.uniform(0.75, 1.0))


def india_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Lorries, rickshaws and motorcycles: MH12 / AB1234."""
    size = ((340, 200), (285, 150), (200, 100), (240, 180))[rng.integers(4)]
    return _india(material, rng, True, size, rng.uniform(0.7, 1.0))


def _vietnam(
    material: RenderMaterial, rng: np.random.Generator, options: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """White, yellow, blue or red (army) with a thin border."""
    looks: tuple[tuple[Colour, Colour], ...] = (
        (_LIGHT, BLACK), (_LIGHT, BLACK), (_LIGHT, BLACK), (_LIGHT, BLACK), (_AMBER, BLACK),
        ((160, 80, 30), WHITE), ((40, 30, 170), WHITE),
    )
    base, ink = looks[rng.integers(len(looks))]
    ink, font = vary(rng, ink), material.font(rng, german=False)
    text = _one_of(rng, options)
    width, height = size
    canvas = Canvas(width, height, scale, vary(rng, base, 16))
    canvas.border(rng.uniform(1, 3), rng.uniform(1.5, 3), 6, ink)
    top = height * (rng.uniform(0.08, 0.12) if "|" in text else rng.uniform(0.14, 0.2))
    split = rng.uniform(0.44, 0.52)
    _write(canvas, rng, font, text, (10, top, width - 20, height - 2 * top), ink, split)
    return _draft(canvas, text, "VN")


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
            material, rng, "nn-an|nnn.nn,nn-an|nnn.nn,nn-an|nnnn,nn-aa|nnn.nn,nn-aa|nnnn",
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
    font, top = material.font(rng, german=False), rng.uniform(14, 22)
    height = 110 - 2 * top
    share = 150 * rng.uniform(0.8, 1.05)
    draw_line(canvas, rng, font, left, (12, top, share, height), ink)
    draw_line(canvas, rng, font, right, (318, top, 190, height), ink)
    _tunis(canvas, 190 + rng.uniform(-8, 8), top, 115, height, ink)
    return _draft(canvas, f"{left}T{right}", "TN")


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


def indonesia(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Black or white, 430 x 135, with month and year below."""
    dark = rng.random() < 0.65
    base, ink = ((30, 28, 28), (235, 235, 235)) if dark else (_LIGHT, BLACK)
    if rng.random() < 0.1:
        base, ink = _AMBER, BLACK
    ink = vary(rng, ink)
    canvas = Canvas(430, 135, rng.uniform(0.75, 1.0), vary(rng, base, 14))
    canvas.border(rng.uniform(1, 4), rng.uniform(1.5, 3), 7, ink)
    text = _one_of(rng, "a nnnn aaa,a nnnn aa,aa nnnn aa,aa nnnn a,a nnnn a,a nnn aaa,aa nnn aa")
    font = material.font(rng, german=False)
    draw_line(canvas, rng, font, text, (12, 14, 406, rng.uniform(70, 78)), ink)
    month = f"{rng.integers(1, 13):02d}.{rng.integers(20, 32)}"
    height = rng.uniform(18, 24)
    draw_line(canvas, rng, font, month, (rng.uniform(60, 250), 102, 120, height), ink)
    return _draft(canvas, text, "ID")


def _free(
    material: RenderMaterial, rng: np.random.Generator, options: str,
    size: tuple[float, float], scale: float,
) -> Draft:
    """Colours, border, band, names and font all free; ink and base far apart in brightness."""
    base: Colour = vary(rng, (128, 128, 128), 110)
    light = sum(base) / 3 < 120
    ink = vary(rng, WHITE if light else BLACK, 45)
    width, height = size
    canvas = Canvas(width, height, scale, base)
    font, text, left = material.font(rng), _one_of(rng, options), 8.0
    if rng.random() < 0.25:
        left = height * rng.uniform(0.2, 0.35)
        _band(canvas, rng, font, from_pattern(rng, "aa"), 0, left, height)
        left += 5
    if rng.random() < 0.6:
        canvas.border(rng.uniform(0, 5), rng.uniform(1, 4), rng.uniform(2, 9), ink)
    top = bottom = height * rng.uniform(0.08, 0.2)
    if rng.random() < 0.4:
        name = US_WORDS[rng.integers(len(US_WORDS))]
        lower = rng.random() < 0.5
        y = height * (0.89 if lower else 0.11)
        canvas.words(font, name, width / 2, y, height * 0.11, ink, width * 0.7)
        top, bottom = (top, height * 0.22) if lower else (height * 0.22, bottom)
    box = (left, top, width - left - 8, height - top - bottom)
    _write(canvas, rng, font, text, box, ink, rng.uniform(0.38, 0.55))
    return _draft(canvas, text, "XX")


def world(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Any one-row layout, aspect 2 to 5."""
    size = rng.uniform(2.0, 5.0) * 115, 115.0
    return _free(material, rng, WORLD, size, rng.uniform(0.75, 1.1))


def world_two_rows(material: RenderMaterial, rng: np.random.Generator) -> Draft:
    """Any two-row layout, aspect 1 to 2."""
    size = rng.uniform(1.0, 2.0) * 170, 170.0
    return _free(material, rng, WORLD_TWO_ROWS, size, rng.uniform(0.65, 1.0))
