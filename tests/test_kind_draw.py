from __future__ import annotations

import cv2
import numpy as np
import pytest

from alpr_edge.alphabet import CN_SPECIAL
from alpr_edge.draw import _FONT, draw_plates
from alpr_edge.geometry import box_quad
from alpr_edge.kind import _MARKS, plate_kind
from alpr_edge.types import Plate


def plate_picture(ground: tuple[int, int, int], ink: tuple[int, int, int]) -> np.ndarray:
    """A plate of ground colour with seven characters' worth of ink."""
    plate = np.full((48, 192, 3), ground, np.uint8)
    for x in range(8, 184, 26):
        plate[8:40, x : x + 8] = ink
    return plate


@pytest.mark.parametrize("ground, ink, kind", [
    ((170, 80, 20), (255, 255, 255), "blue"),
    ((40, 180, 230), (20, 20, 20), "yellow"),
    ((110, 190, 90), (20, 20, 20), None),
    ((225, 225, 225), (20, 20, 20), None),
    ((25, 25, 25), (240, 240, 240), None),
    ((110, 110, 110), (110, 110, 110), None),
    ((60, 30, 190), (255, 255, 255), None),
])
def test_colour_proves_blue_and_yellow_alone(ground, ink, kind):
    """Any plate of a grey picture, as cameras take them at night, is black or white."""
    assert plate_kind(plate_picture(ground, ink), "皖A12345") == kind


def test_kind_is_not_forced_on_a_mixture():
    half = plate_picture((170, 80, 20), (255, 255, 255))
    half[:, 96:] = plate_picture((40, 180, 230), (20, 20, 20))[:, 96:]
    assert plate_kind(half, "皖A12345") is None


@pytest.mark.parametrize(("text", "kind"), [
    ("皖AD12345", "green"), ("皖A12345F", "green"), ("皖A1234挂", "yellow"),
    ("皖A1234学", "yellow"), ("皖A1234警", "white"), ("WJ皖12345", "white"), ("WJ皖1234J", "white"),
    ("粤Z1234港", "black"), ("粤Z1234澳", "black"), ("使014578", "black"), ("沪A0023领", "black"),
])
@pytest.mark.parametrize("grey", [False, True])
def test_the_text_tells_the_kind_whatever_the_picture_looks_like(text, kind, grey):
    picture = plate_picture(*([(90, 90, 90), (20, 20, 20)] if grey
                              else [(170, 80, 20), (255, 255, 255)]))
    assert plate_kind(picture, text) == kind


def make_plate(text: str, box: tuple[float, float, float, float]) -> Plate:
    return Plate(
        text=text, confidence=0.98, char_confidences=(0.98,) * len(text), rows=1, region=None,
        kind=None, box=box, corners=box_quad(box), detection_confidence=0.9,
    )


@pytest.mark.parametrize("box", [
    (20, 60, 120, 90), (0, 0, 200, 120), (-5, -5, 30, 9), (150, 100, 220, 130),
])
def test_draws_on_a_copy_wherever_the_plate_is(box):
    image = np.zeros((120, 200, 3), np.uint8)
    drawn = draw_plates(image, [make_plate("皖A12345", box), make_plate("", box)])
    assert drawn.shape == image.shape and drawn.any() and not image.any()


def test_font_has_the_chinese_characters():
    """OpenCV draws a question mark for what a font lacks."""
    def drawn(text: str) -> np.ndarray:
        canvas = np.zeros((60, 60), np.uint8)
        cv2.putText(canvas, text, (5, 50), 255, cv2.FontFace(_FONT), 40)
        return canvas

    for character in "皖京警学挂港澳":
        assert (drawn(character) != drawn("?")).any() and drawn(character).any()


def test_top_edge_has_its_own_colour():
    image = np.zeros((120, 200, 3), np.uint8)
    drawn = draw_plates(image, [make_plate("A", (50, 60, 150, 100))])
    assert (drawn[60, 90] != drawn[99, 90]).any()


def test_the_text_of_a_plate_that_fills_the_picture_is_on_it():
    drawn = draw_plates(np.zeros((120, 200, 3), np.uint8), [make_plate("A", (0, 0, 200, 120))])
    assert (drawn > 150).all(axis=-1).sum() > 10  # the letters are white


def test_every_character_that_only_special_plates_have_tells_a_kind():
    assert set(_MARKS) == set(CN_SPECIAL)
