"""The rendered held-out set: readable as a data folder, the same on every call."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr_edge.data import read
from alpr_edge.data.sample import Split, policy
from alpr_edge.errors import OutputError
from alpr_edge.images import load_image
from training.render import STYLES, RenderMaterial, heldout, render_plate
from training.render.__main__ import main
from training.render.heldout import (
    HeldOutConfig,
    contrast,
    crops,
    frames,
    make_crop,
    write_heldout,
)
from training.render.street import drawn_background


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> RenderMaterial:
    with pytest.warns(UserWarning, match="built-in font"):
        return RenderMaterial.load(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return drawn_background(np.random.default_rng(0), 360, 640)


def test_crops_are_the_same_on_every_call_and_others_for_another_seed(material, scene):
    config = HeldOutConfig()
    first, again = (list(crops(material, [scene], 1, 7, config)) for _ in range(2))
    other = list(crops(material, [scene], 1, 8, config))
    assert [row for _, row in first] == [row for _, row in again]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    assert [row["text"] for _, row in first] != [row["text"] for _, row in other]
    assert {row["set"] for _, row in first} == {f"rendered/{row['style']}" for _, row in first}


def test_a_plate_is_cut_out_where_it_was_pasted(material, scene):
    config = HeldOutConfig(width=(200.0, 201.0), jitter=0.0, strength=0.0)
    plate = render_plate(material, np.random.default_rng(3), "eu", wear=0.0)
    cut = make_crop(plate, scene, np.random.default_rng(4), config)
    height, width = cut.shape[:2]
    assert 190 <= width <= 212
    assert width / height == pytest.approx(plate.image.shape[1] / plate.image.shape[0], rel=0.25)


def test_contrast_is_between_the_darkest_and_the_lightest_twentieth_inside_the_rim():
    cut = np.full((80, 160, 3), 100, np.uint8)
    cut[:, 80:] = 130
    cut[0], cut[:, 0] = 0, 255
    assert contrast(cut) == pytest.approx(30, abs=1)


def test_a_cut_out_of_little_contrast_is_taken_again(material, scene):
    plate = render_plate(material, np.random.default_rng(3), "eu")
    hard = HeldOutConfig(strength=4.0, contrast=0.0, kept=0.0)
    fair = HeldOutConfig(strength=4.0, kept=0.0)
    seen = [contrast(make_crop(plate, scene, np.random.default_rng(s), hard)) for s in range(12)]
    again = [contrast(make_crop(plate, scene, np.random.default_rng(s), fair)) for s in range(12)]
    assert min(seen) < 40 <= min(again)
    assert [a for a, s in zip(again, seen, strict=True) if s >= 40] == [s for s in seen if s >= 40]


@pytest.mark.parametrize("spoil", [
    dict(strength=2.0), dict(width=(12.0, 40.0)), dict(jitter=6.0),
])
def test_a_cut_out_that_hides_the_text_is_taken_again(material, scene, spoil):
    plate = render_plate(material, np.random.default_rng(3), "eu", wear=0.0)
    hard, fair = HeldOutConfig(**spoil, kept=0.0), HeldOutConfig(**spoil)
    rounds = range(12)
    seen = [make_crop(plate, scene, np.random.default_rng(s), hard) for s in rounds]
    again = [make_crop(plate, scene, np.random.default_rng(s), fair) for s in rounds]
    same = [np.array_equal(a, b) for a, b in zip(seen, again, strict=True)]
    assert not all(same)
    if "width" not in spoil:  # of plates so small no try shows all: the best one is kept
        assert any(same)


def test_paint_that_hides_the_text_is_seen_in_the_cut_out(material, scene):
    plate = render_plate(material, np.random.default_rng(3), "eu", wear=0.0)
    gone = dataclasses.replace(plate, image=np.full_like(plate.image, 200))
    config = HeldOutConfig(jitter=0.0, strength=0.0, contrast=0.0)
    asked = []
    heldout_kept = heldout.kept
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heldout, "kept", lambda *a: asked.append(heldout_kept(*a)) or asked[-1])
        make_crop(plate, scene, np.random.default_rng(4), config)
        make_crop(gone, scene, np.random.default_rng(4), config)
    assert asked[0] > 0.9 and len(asked) == 1 + heldout._TRIES
    assert max(asked[1:]) < 0.5


def test_a_large_plate_enlarges_a_small_background(material):
    config = HeldOutConfig(width=(250.0, 260.0))
    plate = render_plate(material, np.random.default_rng(3), "uk")
    small = np.full((20, 30, 3), 90, np.uint8)
    cut = make_crop(plate, small, np.random.default_rng(0), config)
    assert cut.dtype == np.uint8 and cut.shape[1] > 200


def test_frames_hold_the_styles_in_turn(material, scene):
    rows = [row for _, row in frames(material, [scene], 4, 7, HeldOutConfig())]
    assert [row["set"] for row in rows] == ["rendered"] * 4
    for row in rows:
        for plate in row["plates"]:
            x1, y1, x2, y2 = plate["box"]
            xs, ys = zip(*plate["corners"], strict=True)
            assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((x1, y1, x2, y2))
    texts = [plate["text"] for row in rows for plate in row["plates"]]
    assert len(texts) >= 4 and all(texts)


def test_photos_are_of_split_val_their_plates_painted_over(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(heldout, "_STREET_COUNT", 1)
    rows = []
    for name, split in (("a.png", "val"), ("b.png", "train")):
        image = np.full((90, 160, 3), 60, np.uint8)
        image[40:60, 50:110] = 255
        cv2.imwrite(str(tmp_path / name), image)
        rows.append({"image": name, "set": "s", "split": split, "width": 160, "height": 90,
                     "complete": True, "plates": [{"box": [50, 40, 110, 60], "text": None}]})
    (tmp_path / "frames.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    street, photo = heldout.backgrounds(tmp_path, seed=1)
    assert street.shape == photo.shape == (720, 1280, 3) and photo.max() < 70


def test_every_picture_is_told(data_dir: Path, tmp_path: Path, scene, monkeypatch):
    monkeypatch.setattr(heldout, "backgrounds", lambda *_: [scene])
    totals = []
    crop_count, frame_count = write_heldout(data_dir, tmp_path / "out", 1, progress=totals.append)
    assert totals == [crop_count + frame_count] * (crop_count + frame_count)
    assert (crop_count, frame_count) == (len(STYLES), 1)


def test_command_writes_a_data_folder(data_dir: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(heldout, "_STREET_COUNT", 1)
    monkeypatch.setattr(heldout, "_PHOTO_COUNT", 3)
    out = tmp_path / "heldout"
    arguments = ["eval", "--data", str(data_dir), "--out", str(out), "--per-style", "2"]
    assert main(arguments) == 0
    assert f"{2 * len(STYLES)} cut-outs and 2 frames" in capsys.readouterr().out
    samples = list(read(out))
    assert {sample.split for sample in samples} == {Split.VAL}
    assert {s.dataset for s in samples if s.crop} == {f"rendered/{style}" for style in STYLES}
    for sample in samples:
        assert policy(sample.dataset).tight_box
        assert load_image(sample.path).shape == (sample.height, sample.width, 3)
    row = json.loads((out / "crops.jsonl").read_text("utf-8").splitlines()[0])
    assert row["colour"] == "blue" and row["style"] == "cn_blue" and row["country"] == "CN"
    assert main(arguments) == 4  # never over another set
    assert "not empty; give a new folder" in capsys.readouterr().err


def test_material_without_chinese_glyphs_is_refused(tmp_path: Path, capsys):
    out = tmp_path / "heldout"
    with pytest.warns(UserWarning):
        assert main(["eval", "--data", str(tmp_path), "--out", str(out)]) == 2
    assert "no glyphs of Chinese plates" in capsys.readouterr().err
    assert not out.exists()


def test_a_file_in_the_way_is_told(data_dir: Path, tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="is a file or not empty"):
        write_heldout(data_dir, tmp_path / "taken", 1)


def test_no_plates_of_a_style_is_wrong_usage(capsys):
    with pytest.raises(SystemExit):
        main(["eval", "--data", "a", "--out", "b", "--per-style", "0"])
    assert "allowed: a whole number from 1 on" in capsys.readouterr().err
