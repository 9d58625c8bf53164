"""What is drawn beside plates: distractors for the detector, surroundings for the reader."""

from __future__ import annotations

import numpy as np
import pytest

from training.render import (
    RenderMaterial,
    paste_at,
    paste_distractor,
    render_distractor,
    surrounded,
)
from training.render.distractor import _DRAWS
from training.render.words import WORDS, address, blend_ink, phrase, text_line


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> RenderMaterial:
    with pytest.warns(UserWarning, match="built-in font"):
        return RenderMaterial.load(tmp_path_factory.mktemp("empty"))


def test_shares_of_the_distractors_make_one() -> None:
    assert sum(share for _, share in _DRAWS) == pytest.approx(1)


@pytest.mark.parametrize("draw", [draw for draw, _ in _DRAWS])
def test_every_distractor(material: RenderMaterial, draw) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = draw(material, rng)
        height, width = drawn.image.shape[:2]
        assert drawn.image.dtype == np.uint8 and drawn.image.shape == (height, width, 3)
        assert drawn.opacity.dtype == np.float32 and drawn.opacity.shape == (height, width)
        assert drawn.opacity.min() >= 0 and 0.1 < drawn.opacity.max() <= 1
        assert 8 < height < 200 and width < 1000


def test_same_seed_draws_the_same_distractor(material: RenderMaterial) -> None:
    first, again = (render_distractor(material, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.image, again.image)


def test_distractors_leave_plates_and_the_callers_picture_alone(material: RenderMaterial) -> None:
    rng = np.random.default_rng(1)
    frame = np.full((240, 320, 3), 120, np.uint8)
    changed = 0
    for _ in range(40):
        image = paste_distractor(frame, material, rng, [(0.0, 0.0, 320.0, 120.0)])
        assert image.shape == frame.shape and (image[:118] == 120).all()
        changed += (image != 120).any()
    assert changed > 30 and (frame == 120).all()


def test_no_room_is_the_same_picture(material: RenderMaterial) -> None:
    frame = np.full((60, 80, 3), 120, np.uint8)
    image = paste_distractor(frame, material, np.random.default_rng(0), [(0.0, 0.0, 80.0, 60.0)])
    assert image is frame


def test_opacity_lets_the_frame_show_through() -> None:
    frame, plate = np.full((60, 100, 3), 40, np.uint8), np.full((20, 40, 3), 200, np.uint8)
    opacity = np.zeros((20, 40), np.float32)
    opacity[:, :20] = 0.5
    image = paste_at(
        frame, plate, ((20, 10), (60, 10), (60, 30), (20, 30)), np.random.default_rng(0),
        surround=False, match=0, opacity=opacity,
    )
    assert (image[13:27, 23:38] == 120).all() and (image[13:27, 43:58] == 40).all()


def test_words_are_no_plate_text() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        assert not phrase(rng, 1).isupper() and not phrase(rng, 2).isupper()
        assert len(phrase(rng, 3).split()) == 3
        assert any(c.islower() for c in address(rng))
    assert all(word.islower() for word in WORDS)


def test_a_line_has_the_height_and_is_blended(material: RenderMaterial) -> None:
    line = text_line(material, np.random.default_rng(0), "coffee shop", 20)
    assert line.shape[0] == 20 and 40 < line.shape[1] <= 180 and line.max() > 200
    part = np.full((*line.shape, 3), 100, np.uint8)
    blend_ink(part, line, (250, 0, 250))
    assert (part[line == 0] == 100).all()
    assert (part[line == 255] == (250, 0, 250)).all()


def test_surrounded_plate_is_cut_about_at_its_edge(material: RenderMaterial) -> None:
    rng = np.random.default_rng(4)
    plate, other = np.full((80, 240, 3), 200, np.uint8), np.full((30, 50, 3), 90, np.uint8)
    exact = 0
    for _ in range(60):
        image, box = surrounded(plate, other, 0.125, material, rng)
        assert image.shape == (100, 300, 3) and (image[14:86, 34:266] == 200).all()
        assert (np.abs(np.subtract(box, (30, 10, 270, 90))) <= 8).all()
        exact += box == (30, 10, 270, 90)
    assert 25 < exact < 55
    assert (plate == 200).all() and (other == 90).all()
