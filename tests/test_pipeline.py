from __future__ import annotations

import dataclasses
import math
import shutil

import cv2
import numpy as np
import pytest
import tiny

from alpr_edge import ALPR, Detection, ImageError, ModelError, Plate, Reading, UsageError
from alpr_edge import manifest as manifests
from alpr_edge.decode import box_iou, nms, select
from alpr_edge.detector import PlateDetector, StagedDetector, WholePicture
from alpr_edge.engine import Engine
from alpr_edge.geometry import (
    ENLARGED,
    PAD_VALUE,
    PLATE_HEIGHT,
    PLATE_WIDTH,
    as_quad,
    box_quad,
    letterbox,
    quad_box,
    rectify,
)
from alpr_edge.picks import MODELS
from alpr_edge.reader import PlateReader, decode_logits
from alpr_edge.stages import Stage
from alpr_edge.tuning import Chooser


@pytest.fixture(scope="module")
def alpr(tiny_models) -> ALPR:
    return ALPR(models=tiny_models, threads=1)


class Fixed:
    """A user's own detector and reader."""

    def __init__(self, count: int) -> None:
        quad = box_quad((1.0, 2.0, 31.0, 12.0))
        self.detections = [
            Detection(box=(1.0, 2.0, 31.0, 12.0), corners=quad, confidence=0.9 - i / 10)
            for i in range(count)
        ]
        self.batches: list[tuple[int, ...]] = []

    def predict(self, image):
        if image.ndim == 3:
            return self.detections
        self.batches.append(image.shape)
        return [
            Reading(text="AB1", confidence=0.5, char_confidences=(0.9, 0.9, 0.9), rows=None)
        ] * len(image)


def test_only_the_detector_has_several_threads():
    """Two networks that have leave memory behind with each frame where all cores are busy."""
    asked = {}

    def load(folder, *, threads):
        asked[folder.name] = threads
        return Engine(folder, threads=threads)

    PlateDetector(MODELS / "detector", threads=2, load=load)
    assert asked == {"detector": 2, "closer": 1}
    assert Chooser(threads=2).setting("reader").threads == 1


def test_plate_is_in_the_pictures_own_pixels(alpr, frame):
    """The tiny detector's frame is half the picture's size: its numbers double, by hand."""
    [plate] = alpr.predict(frame)
    np.testing.assert_allclose(plate.box, (32, 48, 128, 80), atol=1e-4)
    np.testing.assert_allclose(plate.corners, [(34, 50), (126, 50), (126, 78), (34, 78)], atol=1e-4)
    assert plate.detection_confidence == pytest.approx(0.9)
    assert (plate.text, plate.rows, plate.region) == (tiny.TEXT, 1, "CN")


def test_confidence_is_the_product_over_all_slots(alpr, frame):
    """Each slot: e^12 against 74 others of e^0; seven slots have a character, three the pad."""
    [plate] = alpr.predict(frame)
    slot = np.exp(12) / (np.exp(12) + 74)
    assert plate.confidence == pytest.approx(slot**10)
    assert plate.char_confidences == pytest.approx((slot,) * 7)


def test_path_and_array_give_the_same(alpr, frame, tmp_path):
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), frame)
    plates = alpr.predict(path)
    assert plates == alpr.predict(str(path)) == alpr.predict(frame)
    np.testing.assert_array_equal(alpr.draw(path, plates), alpr.draw(frame, plates))


def test_batch_is_each_on_its_own(alpr, frame):
    frames = [frame, frame[:64], frame[:, :96]]
    assert alpr.predict_batch(frames) == [alpr.predict(f) for f in frames]
    assert alpr.predict_batch([]) == []
    with pytest.raises(ImageError, match="^picture 1 of the batch: frame is NoneType"):
        alpr.predict_batch([frame, None])
    with pytest.raises(ImageError, match="several pictures, not a path"):
        alpr.predict_batch("frame.png")


@pytest.mark.parametrize("own", [{"detector": 5}, {"reader": object()}])
def test_what_cannot_predict_is_refused_at_once(own):
    with pytest.raises(UsageError, match="is a (int|object) without the method predict"):
        ALPR(**own)


def test_every_stage_is_stamped_and_they_add_up(alpr, frame):
    result = alpr.run(frame)
    assert list(result.ms) == list(Stage)
    parts = [ms for stage, ms in result.ms.items() if stage is not Stage.TOTAL]
    assert min(parts) >= 0 and sum(parts) == pytest.approx(result.ms[Stage.TOTAL])
    assert result.read == 1 and result.image is frame


def test_the_callers_array_is_not_written_on(alpr, frame):
    before = frame.copy()
    plates = alpr.predict(frame)
    drawn = alpr.draw(frame, plates)
    np.testing.assert_array_equal(frame, before)
    assert drawn.shape == frame.shape and (drawn != frame).any()
    frame.flags.writeable = False
    assert alpr.predict(frame) == plates


@pytest.mark.parametrize("shape", [
    (1, 1, 3), (1, 500, 3), (500, 1, 3), (64, 96, 3), (10_000, 10_000, 3),
])
def test_any_size_works(alpr, shape):
    for plate in alpr.predict(np.zeros(shape, np.uint8)):
        x1, y1, x2, y2 = plate.box
        assert 0 <= x1 < x2 <= shape[1] and 0 <= y1 < y2 <= shape[0]


@pytest.mark.parametrize("bad", [None, np.zeros((4, 4)), np.zeros((4, 4, 3)), "absent.jpg"])
def test_bad_frames_raise(alpr, bad):
    with pytest.raises(ImageError):
        alpr.predict(bad)


def test_own_detector_and_reader(frame):
    fixed = Fixed(3)
    plates = ALPR(detector=fixed, reader=fixed).predict(frame)
    assert [p.detection_confidence for p in plates] == [0.9, 0.8, 0.7]
    assert fixed.batches == [(3, PLATE_HEIGHT, PLATE_WIDTH, 3)]
    assert plates[0].region is None and plates[0].kind is None and plates[0].rows is None


class Halved(StagedDetector):
    """A user's own detector of three steps, of which each says that it ran."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def letterbox(self, image):
        self.steps.append("letterbox")
        return image[::2, ::2]

    def infer(self, framed):
        self.steps.append("infer")
        return framed.shape

    def postprocess(self, outputs, framed):
        self.steps.append("postprocess")
        return Fixed(outputs == framed.shape).detections


def test_a_detector_of_three_steps_is_run_step_by_step(frame):
    halved = Halved()
    alpr = ALPR(detector=halved, reader=Fixed(0))
    assert len(alpr.predict(frame)) == len(halved.predict(frame)) == 1
    assert halved.steps == ["letterbox", "infer", "postprocess"] * 2


def test_a_detector_with_its_own_predict_is_run_by_that(frame):
    class Own(Halved):
        def predict(self, image):
            return super().predict(image)[:0]

    assert ALPR(detector=Own(), reader=Fixed(0)).predict(frame) == []


@pytest.mark.parametrize(("shape", "halvings"), [
    ((128, 192, 3), 1), ((129, 193, 3), 1), ((100, 400, 3), 2), ((400, 100, 3), 2),
    ((192, 288, 3), 1), ((64, 96, 3), 0), ((127, 191, 3), 0), ((7, 5, 3), 0), ((40, 50, 3), 0),
    ((1, 500, 3), 0),
])
def test_a_letterbox_is_the_resized_picture_and_grey(shape, halvings):
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)[:, ::-1]  # its own steps
    framed, mapping = letterbox(image, 64, 96)
    for _ in range(halvings):
        rows, columns = (side // 2 for side in image.shape[:2])
        blocks = image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, 3)
        image = ((blocks.sum((1, 3), np.uint16) + 2) // 4).astype(np.uint8)
    height, width = (
        round((side << halvings) * scale)
        for side, scale in zip(image.shape, (mapping.scale_y, mapping.scale_x), strict=False)
    )
    resized = cv2.resize(np.ascontiguousarray(image), (width, height))
    np.testing.assert_array_equal(framed[:height, :width], resized)
    assert (framed[height:] == PAD_VALUE).all() and (framed[:, width:] == PAD_VALUE).all()
    assert height == 64 or width == 96 or mapping.scale_x == pytest.approx(ENLARGED, rel=0.1)


def test_a_small_picture_is_enlarged_as_far_as_asked():
    image = np.zeros((20, 30, 3), np.uint8)
    for given, scale in ((), ENLARGED), ((1.0,), 1.0), ((math.inf,), 3.2):
        _, mapping = letterbox(image, 64, 96, *given)
        assert (mapping.scale_x, mapping.scale_y) == (scale, scale)


@pytest.mark.parametrize("size", [(1080, 1920), (1163, 721), (719, 1279), (480, 640), (200, 310)])
def test_a_letterbox_maps_a_point_where_it_is_seen(size):
    """A dark blot's centre, also where odd sides lose their last pixel."""
    height, width = size
    wanted = np.array([0.8 * width, 0.7 * height])
    y, x = np.mgrid[:height, :width] + 0.5
    blot = np.exp(-((x - wanted[0]) ** 2 + (y - wanted[1]) ** 2) / (2 * (height / 40) ** 2))
    image = np.repeat((255 - 255 * blot).astype(np.uint8)[..., None], 3, axis=2)
    framed, mapping = letterbox(image, 384, 640)
    x, y = np.round(mapping.forward(wanted)).astype(int)
    dark = 255.0 - framed[y - 40 : y + 40, x - 40 : x + 40, 0]
    rows, columns = np.mgrid[y - 40 : y + 40, x - 40 : x + 40] + 0.5
    seen = np.array([(dark * columns).sum(), (dark * rows).sum()]) / dark.sum()
    assert np.abs(mapping.inverse(seen) - wanted).max() < 0.1 * height / 384


@pytest.mark.parametrize("kind", [np.float32, np.float64, list, tuple])
def test_corners_may_be_an_array_or_points(frame, kind):
    quad = (3.0, 4.5), (40.0, 2.0), (41.0, 30.5), (2.5, 33.0)
    given = [list(point) for point in quad] if kind is list else (
        quad if kind is tuple else np.array(quad, kind))
    assert as_quad(given) == quad and quad_box(given) == (2.5, 2.0, 41.0, 33.0)
    assert np.array_equal(rectify(frame, given), rectify(frame, quad))


@pytest.mark.parametrize("width, multiple", [(280.0, 1), (300.0, 2), (600.0, 3), (3000.0, 4)])
def test_a_large_plate_is_averaged_down(monkeypatch, width, multiple):
    """A plate wider than 1.5 pixels for each of the 192 is warped larger than it comes out."""
    sizes = []
    warp = cv2.warpPerspective
    monkeypatch.setattr(cv2, "warpPerspective", lambda image, matrix, size, **options: (
        sizes.append(size), warp(image, matrix, size, **options))[1])
    assert rectify(np.zeros((60, 3000, 3), np.uint8), box_quad((0.0, 0.0, width, 60.0))).shape == (
        PLATE_HEIGHT, PLATE_WIDTH, 3)
    assert sizes == [(PLATE_WIDTH * multiple, PLATE_HEIGHT * multiple)]


def test_suppression_keeps_what_no_better_kept_box_overlaps():
    rng = np.random.default_rng(2)
    corner, size = rng.uniform(0, 40, (60, 2)), rng.uniform(5, 30, (60, 2))
    boxes, scores = np.hstack([corner, corner + size]), rng.random(60)
    kept: list[int] = []
    for index in np.argsort(-scores):
        if all(box_iou(boxes[index], boxes[other]).item() <= 0.3 for other in kept):
            kept.append(index)
    assert nms(boxes, scores, 0.3).tolist() == kept and 1 < len(kept) < 60


def test_doubles_vote_on_where_a_plate_is():
    boxes = np.float32([[0, 0, 40, 20], [100, 0, 140, 20], [300, 9, 300, 9], [4, 0, 44, 20]])
    corners = np.stack([box_quad(tuple(box.tolist())) for box in boxes])
    scores = np.float32([0.8, 0.6, 0.5, 0.4])
    found, quads, sure = select(scores, boxes, corners, min_score=0.3, iou=0.5)
    np.testing.assert_allclose(sure, [0.8, 0.6, 0.5])
    np.testing.assert_allclose(found[0], [0.8, 0, 40.8, 20], atol=1e-5)  # 4 : 1 of the votes
    np.testing.assert_allclose(found[1:], boxes[1:3])
    np.testing.assert_allclose(quads, np.stack([box_quad(tuple(b.tolist())) for b in found]))
    nothing = select(scores, boxes, corners, min_score=0.9, iou=0.5)
    assert [part.shape for part in nothing] == [(0, 4), (0, 4, 2), (0,)]


def test_no_plate_reads_nothing(frame):
    fixed = Fixed(0)
    assert ALPR(detector=fixed, reader=fixed).predict(frame) == [] and not fixed.batches


def test_what_has_no_text_is_no_plate_to_be_sure_of(frame):
    fixed = Fixed(2)
    empty = Reading(text="", confidence=0.98, char_confidences=(), rows=None)
    fixed_reader = Fixed(0)
    fixed_reader.predict = lambda plates: [*Fixed(0).predict(plates[:1]), empty]
    assert [p.text for p in ALPR(detector=fixed, reader=fixed_reader, min_confidence=0.1).predict(
        frame)] == ["AB1"]
    everything = ALPR(detector=fixed, reader=fixed_reader).predict(frame)
    assert [(plate.text, plate.confidence) for plate in everything] == [("AB1", 0.5), ("", 0.0)]


def test_shipped_reader_answers_an_empty_batch(tiny_models):
    reader = PlateReader(tiny_models / "reader")
    assert reader.predict(np.empty((0, PLATE_HEIGHT, PLATE_WIDTH, 3), np.uint8)) == []


def test_crowd_is_read_in_several_batches(tiny_models):
    reader = PlateReader(tiny_models / "reader")
    plates = np.zeros((7, PLATE_HEIGHT, PLATE_WIDTH, 3), np.uint8)
    assert reader.predict(plates) == 7 * reader.predict(plates[:1])


def test_reader_that_forgets_a_plate_is_an_error(frame):
    class Short(Fixed):
        def predict(self, image):
            return super().predict(image)[:1]

    with pytest.raises(UsageError, match="1 readings for 2 plates"):
        ALPR(detector=Fixed(2), reader=Short(2)).predict(frame)


def test_thresholds(tiny_models, frame):
    fixed = Fixed(3)
    assert len(ALPR(detector=fixed, reader=fixed, min_detection=0.75).predict(frame)) == 2
    assert ALPR(detector=fixed, reader=fixed, min_confidence=0.6).predict(frame) == []
    assert ALPR(models=tiny_models, min_detection=0.95).predict(frame) == []
    for wrong in ({"min_detection": 2.0}, {"min_confidence": -0.1}):
        with pytest.raises(UsageError, match="allowed: 0..1"):
            ALPR(models=tiny_models, **wrong)


def test_crops_are_read_whole(tiny_models, frame):
    [plate] = ALPR(models=tiny_models, detector=WholePicture()).predict(frame)
    assert plate.corners == ((0, 0), (192, 0), (192, 128), (0, 128))
    assert plate.detection_confidence == 1.0


class Doubter:
    """Reads another text on each plate of a batch, with the confidence given for it."""

    def __init__(self, *confidences):
        self.confidences = confidences

    def predict(self, plates):
        return [Reading(text=f"T{n}", confidence=sure, char_confidences=(sure,) * 2, rows=1)
                for n, sure in zip(range(len(plates)), self.confidences, strict=True)]


@pytest.mark.parametrize(("sure", "text"), [((0.9, 0.2, 0.8), "T0"), ((0.1, 0.2, 0.8), "T2")])
def test_of_a_cut_out_the_surest_reading_is_told(frame, sure, text):
    """The whole picture first, then the two that the detector found."""
    [plate] = ALPR(detector=Fixed(2), reader=Doubter(*sure), cut_outs=True).predict(frame)
    assert plate.text == text
    assert (plate.detection_confidence == 1.0) == (text == "T0")
    [plate] = ALPR(detector=Fixed(0), reader=Doubter(0.3), cut_outs=True).predict(frame)
    assert plate.box == (0, 0, 192, 128)


def test_doubles_are_suppressed_and_low_scores_left_out(tmp_path, frame):
    detector = PlateDetector(tiny.build_detector(tmp_path / "low", score=0.25))
    assert detector.predict(frame) == []
    assert len(PlateDetector(tmp_path / "low", min_score=0.0).predict(frame)) == 1


def test_detection_in_the_grey_margin_is_dropped(tiny_models):
    """A picture that fills only the left 13 pixels of the frame; the plate begins at 16."""
    assert PlateDetector(tiny_models / "detector").predict(np.zeros((64, 13, 3), np.uint8)) == []


def test_numbers_that_are_not_finite_are_an_error(tiny_models, frame):
    detector = PlateDetector(tiny_models / "detector")
    framed = detector.letterbox(frame)
    outputs = detector.infer(framed)
    for name in ("scores", "boxes", "corners"):
        broken = outputs | {name: np.full_like(outputs[name], np.nan)}
        with pytest.raises(ModelError, match="not finite"):
            detector.postprocess(broken, framed)
    with pytest.raises(ModelError, match="not finite"):
        PlateReader(tiny_models / "reader").decode(
            {"logits": np.full((1, 10, 75), np.inf, np.float32), "rows": np.zeros((1, 2)),
             "ctc": np.zeros((1, 20, 75), np.float32)}
        )


def test_models_of_the_wrong_task_or_place(tiny_models, tmp_path):
    with pytest.raises(ModelError, match="a detector is needed"):
        PlateDetector(tiny_models / "reader")
    with pytest.raises(ModelError, match="a reader is needed"):
        PlateReader(tiny_models / "detector")
    with pytest.raises(ModelError, match="no manifest"):
        ALPR(models=tmp_path)


def test_temperature_softens_and_pad_ends_the_text():
    logits = np.zeros((1, 3, 4), np.float32)
    logits[0, [0, 1, 2], [2, 0, 3]] = np.log(5)
    tokens = np.eye(4, dtype=np.float32)[None, [2, 2, 0]]  # they spell the same
    [sharp] = decode_logits(logits, tokens, np.array([2]), 1.0)
    [soft] = decode_logits(logits, tokens, np.array([2]), 2.0)
    assert (sharp.text, sharp.rows) == ("1", 2)
    assert sharp.confidence == pytest.approx((5 / 8) ** 2 / 8)  # the last slot is no pad
    assert soft.confidence == pytest.approx(5 / (5**0.5 + 3) ** 3)
    assert sharp.char_confidences == pytest.approx((5 / 8,))


def test_where_slots_and_tokens_differ_the_more_probable_text_is_the_answer():
    slots = np.log(np.float32([[[0.01, 0.59, 0.4], [0.98, 0.01, 0.01]]]))  # "0" rather than "1"
    tokens = np.log(np.float32([[[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]]))  # "1" rather than "0"
    [reading] = decode_logits(slots, tokens, np.array([1]), 1.0)
    mine = 0.59 * 0.98 * (0.2 * 0.8 + 0.2 * 0.1 + 0.1 * 0.1)  # paths: 1-, 11, -1
    its = 0.4 * 0.98 * (0.7 * 0.8 + 0.7 * 0.1 + 0.1 * 0.1)
    assert reading.text == "1"
    assert reading.confidence == pytest.approx(0.4 * 0.98 * its / (its + mine), rel=1e-5)
    assert reading.char_confidences == pytest.approx((0.4,), rel=1e-5)


def test_results_are_frozen(alpr, frame):
    [plate] = alpr.predict(frame)
    assert isinstance(plate, Plate)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plate.text = "X"


def test_the_models_own_confidence_threshold_is_the_default(tiny_models, tmp_path, frame):
    """A reader's manifest says from which confidence a plate is shown; 0 keeps all."""
    models = shutil.copytree(tiny_models, tmp_path / "models")
    manifest = manifests.load(models / "reader")
    decode = dataclasses.replace(manifest.reader_decode, confidence_threshold=1.0)
    manifests.save(dataclasses.replace(manifest, decode=decode), models / "reader")
    assert ALPR(models=models).min_confidence == 1.0
    assert ALPR(models=models).predict(frame) == []
    assert len(ALPR(models=models, min_confidence=0).predict(frame)) == 1
    assert ALPR(models=tiny_models).min_confidence == 0.0
