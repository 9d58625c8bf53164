"""Rendered plates: texts by the rules, exact corners, the same plates for the same seed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr_edge.alphabet import PROVINCES, fits
from alpr_edge.errors import DataError, UsageError
from alpr_edge.geometry import box_quad, quad_box, rectify
from training.render import (
    STYLES,
    PasteConfig,
    RenderedPlate,
    RenderMaterial,
    abroad,
    america,
    canvas,
    paste_at,
    paste_plate,
    render_plate,
    rendered_eval,
)
from training.render.__main__ import main
from training.render.abroad import LAYOUTS
from training.render.demo import DEMOS, MAX_BYTES, TRUTH, demo_pictures
from training.render.europe import EU_NEVER, EU_ONE_ROW, EU_TWO_ROWS, _eu
from training.render.paste import plate_quad
from training.render.plate import CHINESE_STYLES, LATIN_STYLES
from training.render.scene import render_scene
from training.render.street import drawn_background
from training.render.texts import chinese_prefix, chinese_serial, from_pattern, plain
from training.render.world import world

DEMO = Path(__file__).resolve().parent.parent / "docs" / "demo"
LETTER, MIXED = "[A-HJ-NP-Z]", "[A-HJ-NP-Z0-9]"
CHINESE_TWO_ROWS = {
    "cn_yellow_two", "cn_trailer", "cn_motorcycle", "cn_police_two", "cn_army_two", "cn_armed_two",
    "cn_black_two",
}
CHINESE_KINDS = {
    "trailer": "yellow", "learner": "yellow", "police": "white", "army": "white", "armed": "white",
}
CHINESE_RULES = {
    "cn_blue": rf"[{PROVINCES}]{LETTER}{MIXED}{{5}}",
    "cn_yellow": rf"[{PROVINCES}]{LETTER}{MIXED}{{5}}",
    "cn_yellow_two": rf"[{PROVINCES}]{LETTER}{MIXED}{{5}}",
    "cn_trailer": rf"[{PROVINCES}]{LETTER}{MIXED}{{4}}挂",
    "cn_learner": rf"[{PROVINCES}]{LETTER}{MIXED}{{4}}学",
    "cn_motorcycle": rf"[{PROVINCES}]{LETTER}({MIXED}{{5}}|{MIXED}{{4}}学)",
    "cn_green_small": rf"[{PROVINCES}]{LETTER}[A-HJK]{MIXED}\d{{4}}",
    "cn_green_large": rf"[{PROVINCES}]{LETTER}\d{{5}}[A-HJK]",
    "cn_police": rf"[{PROVINCES}]{LETTER}{MIXED}{{4}}警",
    "cn_police_two": rf"[{PROVINCES}]{LETTER}{MIXED}{{4}}警",
    "cn_army": rf"{LETTER}{{2}}\d{{5}}",
    "cn_army_two": rf"{LETTER}{{2}}\d{{5}}",
    "cn_armed": rf"WJ[{PROVINCES}]\d{{4}}[0-9BDHJSTX]",
    "cn_armed_two": rf"WJ[{PROVINCES}]\d{{4}}[0-9BDHJSTX]",
    "cn_black": (
        rf"[{PROVINCES}]{LETTER}{MIXED}{{4}}[港澳领0-9A-Z]|[{PROVINCES}]\d{{5}}领|使\d{{6}}|\d{{6}}使"
    ),
    "cn_black_two": rf"[{PROVINCES}]{LETTER}({MIXED}{{5}}|\d{{4}}领)",
}
INDIAN = r"[A-Z]{2}\d{1,2}[A-Z]{0,3}\d{1,4}|2\dBH\d{4}[A-Z]{2}"
LATIN_RULES = {
    "br": r"[A-Z]{3}\d{4}", "br_two": r"[A-Z]{3}\d{4}", "tn": r"\d{1,3}T\d{1,4}",
    "in": INDIAN, "in_two": INDIAN, "id": r"(?![CIJOQUVXY])[A-Z][A-HK-PR-UW]?\d{1,4}[A-Z]{1,3}",
    "vn_two": r"\d\d[A-HK-NPR-VX-Z]{1,2}\d{4,6}|[A-HK-NPR-VX-Z]{2}\d{4}",
    "mercosur_two": r"[A-Z]{3}\d[A-Z]\d\d|[A-Z]\d{3}[A-Z]{3}",
}


@pytest.fixture(scope="module")
def fallback(tmp_path_factory: pytest.TempPathFactory) -> RenderMaterial:
    """Material without any data folder."""
    with pytest.warns(UserWarning, match="built-in font"):
        return RenderMaterial.load(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def material(data_dir: Path) -> RenderMaterial:
    """What may be used for published pictures."""
    return RenderMaterial.load(data_dir, unclear=False)


def flat(colour: int, height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_pattern_text_and_its_plain_form() -> None:
    rng = np.random.default_rng(0)
    text = from_pattern(rng, "aa*nn-H|ccc")
    assert re.fullmatch(r"[A-Z]{2}\*\d\d-H\|[B-DF-HJ-NP-TV-Z]{3}", text)
    assert plain(text) == re.sub(r"[*\-|]", "", text)
    assert plain("51-F1|123.45") == "51F112345"


def test_chinese_texts_use_every_province_and_never_i_or_o() -> None:
    rng = np.random.default_rng(1)
    texts = [chinese_prefix(rng) + chinese_serial(rng, 5) for _ in range(3000)]
    counts = [sum(t[0] == p for t in texts) for p in PROVINCES]
    assert min(counts) > 50 and max(counts) < 160  # 97 expected of each
    assert not any(c in "IO" for t in texts for c in t)
    assert max(sum(c.isalpha() for c in t[2:]) for t in texts) == 2


def test_weights_balance_countries_and_rows() -> None:
    chinese = sum(weight for _, weight in CHINESE_STYLES.values())
    latin = sum(weight for _, weight in LATIN_STYLES.values())
    two = sum(weight for name, (_, weight) in LATIN_STYLES.items() if name.endswith("_two"))
    assert 0.25 < chinese / (chinese + latin) < 0.35
    assert 0.4 < two / latin < 0.5
    assert set(STYLES) == set(CHINESE_STYLES) | set(LATIN_STYLES)


def check_glyphs(plate: RenderedPlate) -> None:
    """A box with strokes in it for every character, in the text's order, row by row."""
    assert plate.glyphs.shape == (len(plate.text), 4) and plate.glyphs.dtype == np.float32
    x1, y1, x2, y2 = plate.glyphs.T
    assert (x2 > x1).all() and (y2 > y1).all()
    assert plate.glyphs.min() > -0.1 and plate.glyphs.max() < 1.1
    for row in np.split(x1 + x2, [plate.upper] if plate.upper else []):
        assert plate.rows == 2 and not plate.upper or (np.diff(row) > 0).all()
    if plate.upper:
        assert (y1 + y2)[: plate.upper].max() < (y1 + y2)[plate.upper :].min()
    height, width = plate.unworn.shape[:2]
    around = plate.glyphs + np.float32([-0.02, -0.05, 0.02, 0.05])
    for box in np.clip(around, 0, 1) * np.array([width, height] * 2):
        a, b, c, d = box.astype(int)
        assert plate.unworn[b:d, a:c].std() > 10


@pytest.mark.parametrize("style", LATIN_STYLES)
def test_latin_style_without_data(fallback: RenderMaterial, style: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(6):
        plate = render_plate(fallback, rng, style)
        assert plate.style == style and plate.kind == "latin"
        assert fits(plate.text) and plate.text.isascii() and plate.text.isalnum()
        assert plate.rows == (2 if style.endswith("_two") else 1)
        assert re.fullmatch(LATIN_RULES.get(style, ".+"), plate.text)
        height, width = plate.image.shape[:2]
        assert plate.image.dtype == np.uint8 and plate.image.flags.c_contiguous
        assert 70 < height < 260 and 0.8 < width / height < 7
        assert plate.image.std() > 8  # something is written on it
        check_glyphs(plate)


@pytest.mark.parametrize("style", CHINESE_STYLES)
def test_chinese_style(material: RenderMaterial, style: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(12):
        plate = render_plate(material, rng, style)
        assert re.fullmatch(CHINESE_RULES[style], plate.text), plate.text
        assert fits(plate.text) and plate.country == "CN"
        assert plate.rows == (2 if style in CHINESE_TWO_ROWS else 1)
        if style != "cn_motorcycle":
            name = style.split("_")[1]
            assert plate.kind == CHINESE_KINDS.get(name, name)
        check_glyphs(plate)


def test_colours_are_the_kind(material: RenderMaterial) -> None:
    rng = np.random.default_rng(4)

    def mean(style: str) -> np.ndarray:
        plates = [render_plate(material, rng, style, wear=0) for _ in range(8)]
        return np.mean([p.image.reshape(-1, 3).mean(0) for p in plates], 0)

    blue, green, red = mean("cn_blue")
    assert blue > green > red
    blue, green, red = mean("cn_yellow_two")
    assert red > blue + 60 and green > blue + 40
    blue, green, red = mean("cn_green_small")
    assert green > blue and green > red
    assert mean("cn_police").min() > 130 and mean("cn_black").max() < 110


def test_free_plates_are_drawn_with_contrast(fallback: RenderMaterial) -> None:
    rng = np.random.default_rng(6)
    for _ in range(60):
        draft = world(fallback, rng)
        base = np.median(draft.canvas.image.reshape(-1, 3), axis=0)
        assert all(abs(sum(ink) - base.sum()) > 180 for ink in draft.canvas.inks)


def test_countries_leave_out_letters(fallback: RenderMaterial) -> None:
    rng = np.random.default_rng(10)
    assert set(EU_NEVER) <= set(EU_ONE_ROW)
    assert set("".join(from_pattern(rng, "anl", "ABC5") for _ in range(400))) == set(
        "DEFGHIJKLMNOPQRSTUVWXYZ012346789")
    seen: dict[str, str] = {}
    for _ in range(600):
        draft = _eu(fallback, rng, EU_TWO_ROWS, (280, 200), 0.3)  # no text that a driver chose
        seen[draft.country] = seen.get(draft.country, "") + draft.text
    for country, text in seen.items():
        literal = {c for options in (EU_TWO_ROWS[country],) for c in options if c.isupper()}
        assert not set(text) & (set(EU_NEVER.get(country, "")) - literal), country


def test_every_country_abroad_is_drawn_with_texts_that_fit(fallback: RenderMaterial) -> None:
    rng = np.random.default_rng(8)
    patterns = [p for one in LAYOUTS for p in f"{one.one},{one.two}".split(",") if p]
    assert all(fits(plain(from_pattern(rng, pattern))) for pattern in patterns)
    assert all("|" not in one.one and one.two.count("|") == bool(one.two) * len(one.two.split(","))
               for one in LAYOUTS)
    drawn = [render_plate(fallback, rng, "abroad", wear=0) for _ in range(400)]
    assert {plate.country for plate in drawn} == {one.country[:2] for one in LAYOUTS}
    russian = [plate.text for plate in drawn if plate.country == "RU"]
    twin = "[ABCEHKMOPTXY]"
    assert all(re.fullmatch(rf"{twin}\d{{3}}{twin}{{2}}\d{{2,3}}", text) for text in russian)


@pytest.mark.parametrize("base, emblem, ink", [(240, 50, 30), (40, 190, 230)])
def test_an_american_base_is_faded_where_the_text_is_over_an_emblem(base, emblem, ink) -> None:
    drawn = canvas.Canvas(305, 152, 1.0, (base,) * 3)
    drawn.rectangle(30, 50, 60, 60, (emblem,) * 3)
    before = drawn.image.copy()
    america._fade(drawn, (100.0, 40.0, 180.0, 80.0), (ink,) * 3)
    assert (drawn.image == before).all()  # nothing is in its way
    america._fade(drawn, (20.0, 40.0, 260.0, 80.0), (ink,) * 3)
    assert abs(int(drawn.image[80, 60, 0]) - ink) >= 69
    assert (drawn.image[before == base] == base).all()


def test_a_region_has_a_box_of_its_own(fallback: RenderMaterial) -> None:
    """A line from edge to edge parts it from the rest, at the side where it is written."""
    rng = np.random.default_rng(9)
    for country, (low, high) in {"RUS": (0.7, 0.85), "KZ": (0.7, 0.85), "UZ": (0.2, 0.35)}.items():
        [layout] = [one for one in LAYOUTS if one.country == country]
        text = from_pattern(rng, layout.one.split(",")[0])
        ink = abroad._plate(fallback, rng, layout, text, layout.size, 1.0).canvas.inks
        full = np.flatnonzero(np.max(list(ink.values()), axis=0).min(axis=0) > 0)
        inside = full[(full > 20) & (full < 500)] / layout.size[0]
        assert len(inside) and low < inside.min() <= inside.max() < high, country


def test_stuttering_texts_and_indian_ones_fit(fallback: RenderMaterial) -> None:
    rng = np.random.default_rng(7)
    texts = [render_plate(fallback, rng, "in", wear=0).text for _ in range(60)]
    assert {len(text) for text in texts} >= {9, 10}
    mixed = "".join(from_pattern(rng, "xxxxxxxx") for _ in range(200))
    assert not set(mixed) & set("IO") and {"0", "1", "A"} <= set(mixed)


def test_missing_glyphs_and_unknown_styles_are_errors(fallback: RenderMaterial) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="font_model"):
        render_plate(fallback, rng, "cn_blue")
    with pytest.raises(UsageError, match="cn_trailer"):
        render_plate(fallback, rng, "blue")
    assert all(render_plate(fallback, rng).kind == "latin" for _ in range(20))


def test_published_material_is_free(data_dir: Path) -> None:
    free, full = RenderMaterial.load(data_dir, unclear=False), RenderMaterial.load(data_dir)
    folder = data_dir / "render" / "fonts_free"
    assert {font.name for font in free.fonts} <= {path.name for path in folder.iterdir()}
    assert not free.blanks and full.blanks
    assert len(full.fonts) > len(free.fonts)
    assert all(f"140_{p}" in free.chinese and f"220_{p}" in free.chinese for p in PROVINCES)


def test_eval_plates_are_the_same_on_every_call(fallback: RenderMaterial) -> None:
    first, again = (list(rendered_eval(fallback, 2, seed=5)) for _ in range(2))
    other = list(rendered_eval(fallback, 2, seed=6))
    assert len(first) == 2 * len(LATIN_STYLES)
    for a, b in zip(first, again, strict=True):
        assert a.text == b.text and np.array_equal(a.image, b.image)
    assert [a.text for a in first] != [b.text for b in other]


def test_paste_fills_exactly_the_quad() -> None:
    frame, plate = flat(40, 60, 100), flat(200, 20, 40)
    rng = np.random.default_rng(0)
    image = paste_at(frame, plate, box_quad((20, 10, 60, 30)), rng, surround=False, match=0)
    assert (image[14:26, 20:60] == 200).all()
    assert (image[10:30, 26:54] == 200).all()
    outside = image.copy()
    outside[10:30, 20:60] = 40
    assert (outside == 40).all()
    assert (frame == 40).all()  # the caller's picture is not written on


def test_paste_covers_half_of_a_half_pixel() -> None:
    rng = np.random.default_rng(0)
    quad = box_quad((20.5, 10, 60.5, 30))
    image = paste_at(flat(40, 60, 100), flat(200, 20, 40), quad, rng, surround=False, match=0)
    assert abs(int(image[20, 20, 0]) - 120) <= 3 and abs(int(image[20, 60, 0]) - 120) <= 3
    assert image[20, 21, 0] == 200 and image[20, 19, 0] == 40


def test_paste_and_rectify_agree(fallback: RenderMaterial) -> None:
    rng = np.random.default_rng(7)
    plate = render_plate(fallback, rng, "eu", wear=0).image
    quad = np.array([[60, 50], [290, 80], [280, 150], [55, 110]], np.float32)
    image = paste_at(flat(90, 200, 340), plate, quad, rng, surround=False, match=0)
    height, width = plate.shape[:2]
    direct = rectify(plate, box_quad((0, 0, width, height)))
    seen = rectify(image, quad)
    shifted = rectify(image, quad + np.float32([6, 0]))
    inner = slice(4, -4), slice(8, -8)

    def difference(picture: np.ndarray) -> float:
        return float(np.abs(picture[inner].astype(int) - direct[inner]).mean())

    assert difference(seen) < 12 and difference(shifted) > 2 * difference(seen)


def test_paste_stays_inside_and_clear_of_boxes() -> None:
    rng = np.random.default_rng(8)
    frame, plate = drawn_background(rng, 200, 300), flat(220, 40, 120)
    taken = (0.0, 0.0, 300.0, 90.0)
    config = PasteConfig(width=(16, 80))
    found = 0
    for _ in range(60):
        pasted = paste_plate(frame, plate, rng, avoid=[taken], config=config)
        if pasted is None:
            continue
        image, quad = pasted
        x1, y1, x2, y2 = quad_box(quad)
        found += 1
        assert image.shape == frame.shape and not np.shares_memory(image, frame)
        assert x1 >= 0 and x2 <= 300 and y1 >= 90 and y2 <= 200
        assert cv2.contourArea(np.array(quad, np.float32), oriented=True) > 0  # TL TR BR BL
    assert found > 30


def test_paste_says_when_there_is_no_room() -> None:
    rng = np.random.default_rng(9)
    frame, plate = flat(100, 60, 80), flat(220, 40, 120)
    assert paste_plate(frame, plate, rng, avoid=[(0, 0, 80, 60)]) is None
    assert paste_plate(frame, plate, rng, config=PasteConfig(width=(200, 300))) is None


def test_quad_has_the_asked_width_and_mostly_small_tilt() -> None:
    rng = np.random.default_rng(10)
    rolls = []
    for _ in range(300):
        quad = plate_quad(rng, 3.14, 100, PasteConfig())
        upper, lower = quad[1] - quad[0], quad[2] - quad[3]
        assert (np.linalg.norm(upper) + np.linalg.norm(lower)) / 2 == pytest.approx(100, rel=1e-4)
        rolls.append(abs(np.degrees(np.arctan2(upper[1], upper[0]))))
    assert np.quantile(rolls, 0.8) < 20 and max(rolls) > 20


def test_scene_on_a_drawn_street(fallback: RenderMaterial) -> None:
    styles = ("eu", "vn_two", "us")
    image, truths = render_scene(
        fallback, np.random.default_rng(11), height=360, width=640, styles=styles
    )
    assert image.shape == (360, 640, 3) and image.dtype == np.uint8
    assert sorted(truth.rows or 0 for truth in truths) == [1, 1, 2]
    for truth in truths:
        assert truth.corners is not None and truth.box == pytest.approx(quad_box(truth.corners))
        x1, y1, x2, y2 = truth.box
        assert 0 <= x1 < x2 <= 640 and 0 <= y1 < y2 <= 360


def test_scene_on_a_given_background(fallback: RenderMaterial) -> None:
    background = flat(128, 240, 320)
    image, truths = render_scene(fallback, np.random.default_rng(12), background=background)
    assert 1 <= len(truths) <= 3 and image.shape == background.shape
    assert (background == 128).all() and (image != 128).any()


def test_same_seed_draws_the_same_street() -> None:
    first, again = (drawn_background(np.random.default_rng(13), 120, 200) for _ in range(2))
    assert np.array_equal(first, again)


def test_committed_demo_pictures() -> None:
    rows = [json.loads(line) for line in (DEMO / TRUTH).read_text("utf-8").splitlines()]
    assert [row["image"] for row in rows] == [f"{name}.jpg" for name in DEMOS]
    for row in rows:
        path = DEMO / row["image"]
        assert path.stat().st_size <= MAX_BYTES
        image = cv2.imread(str(path))
        assert image is not None and image.shape[:2] == (row["height"], row["width"])
        for plate in row["plates"]:
            x1, y1, x2, y2 = plate["box"]
            assert 0 <= x1 < x2 <= row["width"] and 0 <= y1 < y2 <= row["height"]
            assert fits(plate["text"]) and len(plate["corners"]) == 4
    assert {len(row["plates"]) for row in rows} >= {0, 1, 2, 4}


def test_demo_pictures_are_reproduced(material: RenderMaterial) -> None:
    name, image, truths = next(demo_pictures(material))
    row = json.loads((DEMO / TRUTH).read_text("utf-8").splitlines()[0])
    assert [truth.text for truth in truths] == [plate["text"] for plate in row["plates"]]
    committed = cv2.imread(str(DEMO / f"{name}.jpg"))
    assert committed is not None
    assert np.abs(committed.astype(int) - image).mean() < 6


def test_demo_command_needs_the_glyphs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(UserWarning):
        assert main(["demo", "--data", str(tmp_path), "--out", str(tmp_path / "demo")]) == 2
    assert "font_model" in capsys.readouterr().err


def test_thinning_takes_from_thick_strokes_and_leaves_thin_ones():
    def left(width, value, thickness):
        mask = np.zeros((100, 200), np.uint8)
        mask[20:80, 50 : 50 + width] = value
        return float(canvas.stroked(mask, thickness).sum() / (mask.sum() / 255))

    assert left(12, 255, -40.0) < 0.85 < left(12, 255, 0.0)
    for width, value in ((1, 120), (1, 255), (2, 255), (4, 255)):
        assert left(width, value, -40.0) > 0.5, (width, value)
