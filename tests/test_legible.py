"""Whether a plate's text is still to be seen, and that no training plate has lost it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.geometry import as_quad, box_quad, perspective, project
from training.legible import LEAST, kept
from training.reader import data
from training.reader.data import (
    CUT,
    PlateItem,
    PlateStream,
    ReaderDataConfig,
    jitter,
    shares,
    uncut,
)

QUAD = np.array(box_quad((40.0, 20.0, 240.0, 70.0)), np.float32)


def plate(text: str = "AB 1234", ink: int = 30, ground: int = 210) -> np.ndarray:
    image = np.full((48, 192, 3), ground, np.uint8)
    return cv2.putText(image, text, (8, 38), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (ink,) * 3, 3)


def shaded(image: np.ndarray, gain: float, offset: float) -> np.ndarray:
    return np.clip(image * gain + offset, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("after", [
    plate(), shaded(plate(), 0.25, 0), shaded(plate(), 0.3, 170), plate() // (1, 2, 3),
    cv2.GaussianBlur(plate(), (0, 0), 1.5), cv2.resize(plate(), (400, 90)),
])
def test_light_colour_size_and_a_little_blur_leave_the_text(after) -> None:
    assert kept(plate(), after) >= LEAST


def covered(image: np.ndarray, share: float) -> np.ndarray:
    image = image.copy()
    image[:, : round(192 * share)] = 90
    return image


@pytest.mark.parametrize("after", [
    np.zeros((48, 192, 3), np.uint8), np.full((48, 192, 3), 255, np.uint8),
    shaded(plate(), 0.003, 0), shaded(plate(), 3, 200), plate("KL 5678"), 255 - plate(),
    covered(plate(), 0.25), cv2.GaussianBlur(plate(), (0, 0), 9),
    np.random.default_rng(0).integers(0, 256, (48, 192, 3)).astype(np.uint8),
])
def test_dark_bright_covered_drowned_or_other_text_is_lost(after) -> None:
    assert kept(plate(), after) < LEAST


def test_what_is_kept_falls_with_what_is_covered() -> None:
    shares = [kept(plate(), covered(plate(), share)) for share in (0, 0.2, 0.5, 0.8, 1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.99 and shares[-1] < 0.01


def test_a_single_character_may_lose_twice_as_much() -> None:
    glyphs = np.float32([[x / 192, 0.2, (x + 20) / 192, 0.85] for x in (8, 30, 75, 97, 119, 141)])
    after = plate()
    after[:, 97:112] = 210
    assert kept(plate(), after) >= LEAST > kept(plate(), after, glyphs)
    assert kept(plate(), after, np.delete(glyphs, 3, axis=0)) >= LEAST
    assert kept(plate(), plate(), glyphs) > 0.99
    assert kept(plate(), plate() * 0, glyphs) < 0.01
    outside = np.float32([[-0.3, 0, -0.1, 1], [1.2, 0, 1.4, 1]])
    assert kept(plate(), plate(), outside) < LEAST  # cut off


def test_boxes_in_a_picture_become_shares_of_the_plate() -> None:
    boxes = np.float32([[40, 20, 240, 70], [90, 32.5, 140, 45]])
    expected = [[0, 0, 1, 1], [0.25, 0.25, 0.5, 0.5]]
    np.testing.assert_allclose(shares(boxes, as_quad(QUAD)), expected, atol=1e-5)
    turned = as_quad(np.roll(QUAD, 2, axis=0))
    expected[1] = [0.5, 0.5, 0.75, 0.75]
    np.testing.assert_allclose(shares(boxes, turned), expected, atol=1e-5)


def test_a_row_alone_is_asked_for_its_own_characters(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(data, "kept", lambda before, after, glyphs: asked.append(glyphs) or 1.0)
    image = np.full((96, 192, 3), 210, np.uint8)
    for text, y in (("AB", 40), ("123", 88)):
        cv2.putText(image, text, (60, y), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (30,) * 3, 3)
    glyphs = np.float32([[60 + 25 * x, 10 + 48 * y, 83 + 25 * x, 40 + 48 * y]
                         for x, y in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1))])
    whole = np.array(box_quad((0.0, 0.0, 192.0, 96.0)), np.float32)
    item = PlateItem(image=image, quads=(whole,), glyphs=glyphs, text="AB123", rows=1, upper=2,
                     dataset="r")
    stream = PlateStream([], None, ReaderDataConfig(strength=0), 0)
    for row, count in ((0, 2), (1, 3), (None, 5)):
        stream.make(item, np.random.default_rng(0), row)
        assert asked[-1].shape == (count, 4)
        assert asked[-1].min() > -0.1 and asked[-1].max() < 1.1


def test_text_in_colour_alone_is_lost_in_grey() -> None:
    image = plate()
    grey = 0.114, 0.587, 0.299
    image[..., 2] = 128
    image[..., 1] = np.clip(128 - (image[..., 0].astype(int) - 128) * grey[0] / grey[1], 0, 255)
    black_and_white = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert kept(image, image) > 0.99
    assert kept(image, black_and_white) < LEAST


@pytest.mark.parametrize("aspect", [4.4, 1.5])
def test_jittered_corners_cut_off_less_than_a_character(aspect) -> None:
    quad = np.array(box_quad((30.0, 30.0, 30.0 + 60 * aspect, 90.0)), np.float32)
    rng = np.random.default_rng(0)

    def outside(moved: np.ndarray) -> np.ndarray:
        to_unit = perspective(moved, box_quad((0.0, 0.0, 1.0, 1.0)))
        inside = project(quad, to_unit)
        return np.maximum(-inside.min(axis=0), inside.max(axis=0) - 1)

    before = np.array([outside(jitter(quad, rng, 1.0, 0.25)) for _ in range(300)])
    after = np.array([outside(uncut(quad, rng, 1.0, 0.25)) for _ in range(300)])
    assert (before > CUT).any(axis=0).all()
    assert (after <= np.array(CUT) + 1e-4).all()
    assert after.std() > 0.01  # they are still jittered


def test_a_training_plate_is_darkened_again_until_its_text_is_seen(monkeypatch) -> None:
    tries = []

    def darken(image, rng, recipe, strength):
        tries.append(strength)
        return image // (255 if len(tries) % 3 else 2)

    monkeypatch.setattr(data, "augment", darken)
    canvas = np.full((90, 280, 3), 120, np.uint8)
    canvas[20:70, 40:240] = cv2.resize(plate(), (200, 50))
    item = PlateItem(image=canvas, quads=(QUAD,), text="AB1234", rows=0, dataset="here")
    stream = PlateStream([item], None, ReaderDataConfig(rendered=0), 0)
    seen = stream.make(item, np.random.default_rng(0))
    assert len(tries) == 3
    assert seen.max() > 60


def test_paint_that_a_rendered_plate_has_lost_counts(monkeypatch) -> None:
    tries = []

    def nothing(image, rng, recipe, strength):
        tries.append(strength)
        return image

    monkeypatch.setattr(data, "augment", nothing)
    whole = np.array(box_quad((0.0, 0.0, 192.0, 48.0)), np.float32)
    facts = dict(image=covered(plate(), 0.25), quads=(whole,), text="AB1234", rows=0, dataset="r")
    stream = PlateStream([], None, ReaderDataConfig(strength=0), 0)
    for item, needed in (
        (PlateItem(**facts), 1), (PlateItem(**facts, unworn=plate()), data._TRIES),
    ):
        tries.clear()
        stream.make(item, np.random.default_rng(0))
        assert len(tries) == needed


def test_a_plate_that_every_try_hides_is_learned_as_it_is(monkeypatch) -> None:
    monkeypatch.setattr(data, "augment", lambda image, rng, recipe, strength: image * 0)
    whole = np.array(box_quad((0.0, 0.0, 192.0, 48.0)), np.float32)
    item = PlateItem(image=plate(), quads=(whole,), text="AB1234", rows=0, dataset="here")
    seen = PlateStream([item], None, ReaderDataConfig(rendered=0), 0).make(
        item, np.random.default_rng(0))
    assert seen.std() > 20
