"""The closer look: close-ups of what the detector found, and what they settle."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from alpr_edge import closer, geometry
from alpr_edge.detector import PlateDetector
from alpr_edge.errors import ModelError
from alpr_edge.types import Detection

BOX = (400.0, 300.0, 600.0, 350.0)
UNMOVED = geometry.Letterbox(scale_x=1, scale_y=1)


def detection(box=BOX, confidence=0.64):
    return Detection(box=box, corners=geometry.box_quad(box), confidence=confidence)


def shown(*plates):
    """Boxes, corners and scores of a close-up's plates, (box, score) each."""
    boxes = np.array([box for box, _ in plates], np.float32).reshape(-1, 4)
    corners = np.array([geometry.box_quad(box) for box, _ in plates], np.float32)
    return boxes, corners.reshape(-1, 4, 2), np.array([score for _, score in plates], np.float32)


@pytest.mark.parametrize("box", [BOX, (400.0, 300.0, 420.0, 310.0), (-20.0, 500.0, 40.0, 700.0)])
def test_a_close_up_shows_the_box_in_its_middle_and_tells_the_way_back(box):
    image = np.zeros((700, 1000, 3), np.uint8)
    x1, y1, x2, y2 = (round(max(side, 0)) for side in box)
    image[y1:y2, x1:x2] = 255
    close, mapping = geometry.close_up(image, box, 128, 192)
    assert close.shape == (128, 192, 3) and close.dtype == np.uint8
    low, high = mapping.forward(np.reshape(box, (2, 2)))
    np.testing.assert_allclose((low + high) / 2, [96, 64], atol=1e-3)
    share = (high - low) / [192 * geometry.CLOSE[0], 128 * geometry.CLOSE[1]]
    assert max(share) == pytest.approx(1) and min(share) < 1
    rows, columns = np.nonzero(close[..., 0] > 127)
    seen = mapping.forward(np.array([[max(box[0], 0), max(box[1], 0)], box[2:]]))
    found = [columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, seen, atol=1.0)


def test_what_lies_beyond_the_picture_is_grey():
    close, _ = geometry.close_up(np.zeros((90, 90, 3), np.uint8), (0.0, 40.0, 40.0, 50.0), 128, 192)
    assert (close[:, :5] == geometry.PAD_VALUE).all() and (close[:, -50:-10] == 0).all()


@pytest.mark.parametrize("box", [(5.0, 5.0, 5.0, 5.0), (-90.0, -90.0, -40.0, -70.0), (0, 0, 1, 1)])
def test_any_box_of_any_picture_has_a_close_up(box):
    for image in (np.zeros((1, 1, 3), np.uint8), np.zeros((3, 900, 3), np.uint8)):
        assert geometry.close_up(image, box, 128, 192)[0].shape == (128, 192, 3)


def test_a_large_plate_is_averaged_down_not_skipped_over():
    image = np.zeros((1600, 1600, 3), np.uint8)
    image[:, ::2] = 200
    close, _ = geometry.close_up(image, (100.0, 100.0, 1500.0, 1300.0), 128, 192)
    assert np.ptp(close[30:100, 60:130]) <= 2


def test_the_candidate_is_where_the_close_up_shows_it():
    _, mapping = geometry.close_up(np.zeros((700, 1000, 3), np.uint8), BOX, 128, 192)
    moved = mapping.forward(np.array([[404.0, 302.0], [608.0, 352.0]])).ravel()
    looked = closer.looked_at(
        detection(), mapping, *shown((tuple(moved), 0.81), ((0, 0, 20, 9), 0.9))
    )
    np.testing.assert_allclose(looked.box, (402, 301, 604, 351), atol=1e-3)
    np.testing.assert_allclose(looked.corners[2], (608, 352), atol=1e-3)
    assert looked.confidence == pytest.approx((0.64 * 0.81) ** 0.5)


def test_a_candidate_that_the_close_up_does_not_show_is_none():
    assert closer.looked_at(detection(), UNMOVED, *shown()) is None
    assert closer.looked_at(detection(), UNMOVED, *shown(((0, 0, 50, 20), 0.9))) is None


def test_settled_plates_are_sure_single_and_inside():
    outside = detection((-10.0, 10.0, 90.0, 40.0), 0.9)
    double, unsure = detection((-12.0, 11.0, 88.0, 42.0), 0.8), detection(confidence=0.5)
    beyond = detection((-90.0, 10.0, -50.0, 20.0), 0.9)
    [kept] = closer.settled([unsure, double, beyond, outside], 640, 480, min_score=0.6, iou=0.5)
    assert kept.box == (0.0, 10.0, 90.0, 40.0) and kept.corners == outside.corners
    assert closer.settled([unsure], 640, 480, min_score=0.6, iou=0.5) == []


@pytest.fixture
def models(tmp_path):
    """A function: the tiny detector with a closer look; what each answers with."""
    def build(score, close):
        folder = tiny.build_detector(tmp_path / "detector", score=score)
        tiny.build_detector(folder / closer.FOLDER, score=close)
        return folder

    return build


def test_a_detector_looks_closer_where_it_has_the_network(models):
    picture = np.zeros((480, 720, 3), np.uint8)
    folder = models(0.9, 0.6)
    [once] = PlateDetector(folder, second_look=False).predict(picture)
    detector = PlateDetector(folder)
    [plate] = detector.predict(picture)
    assert detector.closer.folder == folder / closer.FOLDER
    assert list(detector.engines) == ["detector", "closer"]
    assert once.confidence == pytest.approx(0.9)
    assert plate.confidence == pytest.approx((0.9 * 0.6) ** 0.5, abs=1e-3)
    _, mapping = geometry.close_up(picture, once.box, tiny.HEIGHT, tiny.WIDTH)
    inner = mapping.inverse(np.reshape(tiny.BOX, (2, 2)) + [[1, 1], [-1, -1]])
    np.testing.assert_allclose([plate.corners[0], plate.corners[2]], inner, atol=1e-3)
    np.testing.assert_allclose(plate.box, (inner.ravel() + once.box) / 2, atol=1e-3)
    assert detector.twin().predict(picture) == [plate]


def test_the_threshold_is_that_of_both_looks(models):
    picture = np.zeros((480, 720, 3), np.uint8)
    folder = models(0.31, 0.31)  # the tiny manifests' threshold is 0.3
    assert len(PlateDetector(folder).predict(picture)) == 1
    assert PlateDetector(folder, min_score=0.32).predict(picture) == []


def test_a_candidate_may_be_less_sure_than_a_plate(models):
    picture = np.zeros((480, 720, 3), np.uint8)
    detector = PlateDetector(models(0.35, 0.9), min_score=0.5)
    [plate] = detector.predict(picture)
    assert plate.confidence == pytest.approx((0.35 * 0.9) ** 0.5, abs=1e-3)


def test_a_broken_closer_look_is_an_error(models):
    folder = models(0.9, 0.9)
    (folder / closer.FOLDER / "model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="closer"):
        PlateDetector(folder)


def test_numbers_that_are_none_are_an_error(models, monkeypatch):
    detector = PlateDetector(models(0.9, 0.9))
    broken = detector.closer.run(np.zeros((1, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8))
    broken["scores"][:] = np.nan
    monkeypatch.setattr(detector.closer, "run", lambda _: broken)
    with pytest.raises(ModelError, match="closer.*not finite"):
        detector.predict(np.zeros((480, 720, 3), np.uint8))
