"""Geometry and weights of the detector's training pictures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.data import Split, read
from alpr_edge.data.sample import POLICIES, PlateTruth, policy
from alpr_edge.errors import DataError
from alpr_edge.geometry import box_quad
from training.detector import evaluate
from training.detector.data import DataConfig, FrameDataset
from training.detector.evaluate import frames_of
from training.detector.geometry import (
    Plates,
    View,
    crop,
    flip,
    hulls,
    join,
    random_view,
    warp,
)
from training.detector.scenes import PSEUDO_WEIGHT, batches, collate, truth_of
from training.reader import data as reader_data
from training.reader.data import evaluation_plates

QUAD = ((40.0, 30.0), (100.0, 34.0), (98.0, 56.0), (38.0, 52.0))


def plates(*truths: PlateTruth, dataset: str = "ccpd_base") -> Plates:
    return truth_of(truths, policy(dataset))


def exact(quad: tuple = QUAD) -> Plates:
    return plates(PlateTruth(box=(0, 0, 1, 1), corners=quad))


def marked(corner: int = 0) -> np.ndarray:
    """A black picture with a white disc round one corner of QUAD."""
    image = np.zeros((120, 160, 3), np.uint8)
    x, y = QUAD[corner]
    centre = round((x - 0.5) * 16), round((y - 0.5) * 16)
    return cv2.circle(image, centre, 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)


def disc(image: np.ndarray) -> tuple[float, float]:
    """The disc's centre, in the project's pixels."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    weight = image[..., 0].astype(float)
    return (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()


@pytest.mark.parametrize("seed", range(8))
def test_the_picture_and_its_corners_go_the_same_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    view = random_view(rng, exact(), (120, 160), (200, 240))
    shifted = View(matrix=np.array([[1, 0, 200], [0, 1, 200], [0, 0, 1]]) @ view.matrix)
    moved = shifted.move(exact())
    for index in range(4):
        image = warp(marked(index), shifted, (600, 640), 0)  # roomy: nothing is cut off
        np.testing.assert_allclose(disc(image), moved.corners[0, index], atol=0.2)
    np.testing.assert_allclose(moved.boxes, hulls(moved.corners), atol=1e-3)


def test_a_shrunk_picture_keeps_its_place() -> None:
    view = View(matrix=np.diag([0.3, 0.3, 1.0]))
    image = warp(marked(), view, (36, 48), 0)
    np.testing.assert_allclose(disc(image), np.array(QUAD[0]) * 0.3, atol=0.05)


def test_outside_the_frame_is_the_fill() -> None:
    view = View(matrix=np.array([[1, 0, 50], [0, 1, 0], [0, 0, 1.0]]))
    image = warp(np.zeros((20, 20, 3), np.uint8), view, (20, 90), 114)
    assert (image[:, :49] == 114).all() and (image[:, 71:] == 114).all()
    assert (image[:, 51:69] == 0).all()


def test_a_mirrored_plate_has_its_own_top_left() -> None:
    mirrored = flip(exact(), 160)
    # the mirrored plate's top left stands where its top right stood: 160 - 100
    np.testing.assert_allclose(mirrored.corners[0], [(60, 34), (120, 30), (122, 52), (62, 56)])
    np.testing.assert_allclose(mirrored.boxes[0], (60, 30, 122, 56))
    np.testing.assert_allclose(disc(cv2.flip(marked(1), 1)), mirrored.corners[0, 0], atol=0.1)
    back = flip(mirrored, 160)
    np.testing.assert_allclose(back.corners, exact().corners)


def test_a_box_keeps_its_difference_from_doubtful_corners() -> None:
    pseudo = PlateTruth(box=(36, 28, 104, 58), corners_pseudo=QUAD)
    moved = View(matrix=np.diag([2.0, 2.0, 1.0])).move(plates(pseudo))
    np.testing.assert_allclose(moved.boxes[0], (72, 56, 208, 116))
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 50], [np.sin(angle), np.cos(angle), 0],
                     [0, 0, 1]])
    moved = View(matrix=turn).move(plates(pseudo))
    np.testing.assert_allclose(moved.boxes - hulls(moved.corners), [[-2, -2, 4, 2]], atol=1e-3)


def test_views_of_boxes_without_corners_are_hardly_turned() -> None:
    boxed = plates(PlateTruth(box=(40, 30, 100, 50)))
    rng = np.random.default_rng(0)
    for _ in range(50):
        view = random_view(rng, boxed, (120, 160), (160, 160))
        assert view.matrix[2].tolist() == [0, 0, 1]
        tilt = np.arctan2(view.matrix[1, 0], view.matrix[0, 0])
        assert abs(np.rad2deg(tilt)) < 3


def test_some_views_of_known_corners_are_from_the_side() -> None:
    rng, plate = np.random.default_rng(0), exact(box_quad((40, 30, 100, 50)))
    angles = []
    for _ in range(200):
        view = random_view(rng, plate, (120, 160), (160, 160))
        top_left, top_right, _, bottom_left = view.move(plate).corners[0]
        (x1, y1), (x2, y2) = top_right - top_left, bottom_left - top_left
        angles.append(np.degrees(np.arctan2(y2, x2) - np.arctan2(y1, x1)))
    leaning = np.abs(np.array(angles) - 90) > 15
    assert 10 < leaning.sum() < 80 and np.ptp(np.array(angles)[leaning]) > 40  # to both sides


def test_crop_clips_drops_and_ignores() -> None:
    def box(*sides: float) -> PlateTruth:
        return PlateTruth(box=sides)  # type: ignore[arg-type]

    cut = crop(
        plates(
            box(10, 10, 30, 20), box(-8, 0, 12, 10), box(-14, 0, 6, 10), box(-30, 0, -5, 10),
            box(50, 50, 53, 52),
        ),
        100, 100, visible=0.5, smallest=4,
    )
    assert cut.boxes.tolist() == [
        [10, 10, 30, 20], [0, 0, 12, 10], [0, 0, 6, 10], [50, 50, 53, 52]
    ]
    assert cut.ignore.tolist() == [False, False, True, True]


def test_weights_follow_the_policy_table() -> None:
    known = PlateTruth(box=(38, 30, 100, 56), corners=QUAD)
    assert plates(known).corner_weight.tolist() == [1.0]
    pseudo = PlateTruth(box=(38, 30, 100, 56), corners_pseudo=QUAD)
    assert plates(pseudo).corner_weight.tolist() == pytest.approx([PSEUDO_WEIGHT])
    assert plates(PlateTruth(box=(0, 0, 9, 4))).corner_weight.tolist() == [0.0]
    for dataset, rules in POLICIES.items():
        got = plates(known, dataset=dataset)
        assert got.corner_weight.tolist() == [float(rules.corners)]
        assert got.box_weight.tolist() == [float(rules.box_loss)]
        assert rules.corners or got.boxes.tolist() == [[38, 30, 100, 56]]


def test_collate_pads_and_says_when_there_was_no_room() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    batch = collate(
        [(picture, exact(), True), (picture, join([exact()] * 3), True)],
        DataConfig(size=32, plates=2),
    )
    assert batch["valid"].tolist() == [[True, False], [True, True]]
    assert batch["complete"].tolist() == [True, False]
    assert batch["images"].shape == (2, 32, 32, 3) and batch["images"].dtype == torch.uint8


def write_set(root: Path, split: str = "train") -> None:
    cv2.imwrite(str(root / "a.png"), marked())
    row = {"image": "a.png", "set": "ccpd_base", "split": split, "width": 160, "height": 120,
           "plates": [{"box": [38, 30, 100, 56], "corners": QUAD, "text": None}]}
    (root / "frames.jsonl").write_text(json.dumps(row))


def test_batches_of_a_folder(tmp_path: Path) -> None:
    write_set(tmp_path)
    dataset = FrameDataset(tmp_path, DataConfig(size=96, batch=3, mosaic=0.5), seed=0)
    stream = batches(dataset, workers=0)
    for _ in range(4):
        batch = next(stream)
        boxes = batch["boxes"][batch["valid"]]
        assert batch["images"].shape == (3, 96, 96, 3)
        assert ((boxes >= 0) & (boxes <= 96)).all() and (boxes[:, 2:] > boxes[:, :2]).all()
        assert not (batch["valid"] & batch["ignore"]).any()


def test_distractors_are_no_plates(tmp_path: Path) -> None:
    write_set(tmp_path)
    config = DataConfig(size=96, mosaic=0, paste=0, flip=0, strength=0, distract=1.0)
    busy = FrameDataset(tmp_path, config, seed=0)
    plain = FrameDataset(tmp_path, dataclasses.replace(config, distract=0.0), seed=0)
    rng = np.random.default_rng(1)
    pictures = [busy.picture(rng) for _ in range(12)]
    assert all(len(found.boxes) <= 1 for _, found, _ in pictures)
    colours = len(np.unique(plain.picture(rng)[0].reshape(-1, 3), axis=0))
    assert max(len(np.unique(image.reshape(-1, 3), axis=0)) for image, _, _ in pictures) > colours


def test_frames_beyond_the_memory_are_decoded_when_drawn_alike(tmp_path: Path) -> None:
    write_set(tmp_path)
    held, drawn = (
        FrameDataset(tmp_path, DataConfig(size=96, memory=memory), seed=0)
        for memory in (160 * 120 * 3, 160 * 120 * 3 - 1)
    )
    assert held.images is not None and drawn.images is None
    one, two = (d.picture(np.random.default_rng(5)) for d in (held, drawn))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1].corners, two[1].corners)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="no such file; copy the data"):
        drawn.picture(np.random.default_rng(5))


def test_a_folder_without_training_frames_is_an_error(tmp_path: Path) -> None:
    write_set(tmp_path, split="val")
    with pytest.raises(DataError, match="split train"):
        FrameDataset(tmp_path, DataConfig(), seed=0)


def test_judging_needs_a_frame_whose_plates_are_all_annotated(tmp_path: Path) -> None:
    write_set(tmp_path, split="dev")
    assert len(frames_of(tmp_path, Split.DEV)) == len(list(read(tmp_path)))
    index = tmp_path / "frames.jsonl"
    rows = map(json.loads, index.read_text("utf-8").splitlines())
    index.write_text("".join(json.dumps(row | {"complete": False}) + "\n" for row in rows))
    with pytest.raises(DataError, match="no frame of split dev has a plate and all its plates"):
        frames_of(tmp_path, Split.DEV)


def test_of_many_frames_and_plates_some_are_judged(tmp_path: Path, monkeypatch) -> None:
    write_set(tmp_path, split="dev")
    index = tmp_path / "frames.jsonl"
    rows = [json.loads(line) for line in index.read_text("utf-8").splitlines()] * 3
    for one in rows:
        for number, plate in enumerate(one["plates"]):
            plate["text"] = f"AB{number}"
    index.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for module, count in ((evaluate, lambda: len(frames_of(tmp_path, Split.DEV))),
                          (reader_data, lambda: len(evaluation_plates(tmp_path, Split.DEV)))):
        monkeypatch.setattr(module, "JUDGED", len(rows))
        every = count()
        monkeypatch.setattr(module, "JUDGED", len(rows) // 3)
        assert every == 3 * count()


def test_judging_needs_a_plate_to_be_found(tmp_path: Path) -> None:
    """As where YOLO's labels lie in a folder of another name."""
    write_set(tmp_path, split="dev")
    index = tmp_path / "frames.jsonl"
    rows = map(json.loads, index.read_text("utf-8").splitlines())
    index.write_text("".join(json.dumps(row | {"plates": []}) + "\n" for row in rows))
    with pytest.raises(DataError, match="has a plate .* check --data and its labels"):
        frames_of(tmp_path, Split.DEV)


def test_a_picture_that_does_not_fit_the_index_is_an_error(tmp_path: Path) -> None:
    write_set(tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), marked()[:100])
    with pytest.raises(DataError, match="160x100"):
        FrameDataset(tmp_path, DataConfig(), seed=0)
