"""Blurred plates: beyond recovery, in each frame, also where detection missed one."""

import json

import cv2
import numpy as np
import pytest
from clips import DEMO

from alpr_edge.geometry import box_quad, rectify
from alpr_edge.pipeline import ALPR
from alpr_edge.watch.redact import HOLD, MARGIN, Covered, enlarged, redact

QUAD = ((40.0, 30.0), (120.0, 34.0), (119.0, 54.0), (39.0, 50.0))


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (90, 160, 3), np.uint8)


def inside(point, quad) -> bool:
    return cv2.pointPolygonTest(np.asarray(quad, np.float32), point, False) >= 0


def test_enlarging_adds_a_share_of_the_height_on_each_side():
    assert enlarged(box_quad((10, 20, 50, 30)), 0.5) == box_quad((5, 15, 55, 35))
    turned = ((0, 0), (0, 40), (-10, 40), (-10, 0))  # its top edge runs downwards
    assert np.allclose(enlarged(turned, 0.5), ((5, -5), (5, 45), (-15, 45), (-15, -5)))


def test_the_picture_itself_stays():
    image = noise()
    before = image.copy()
    assert redact(image, []) is image
    blurred = redact(image, [QUAD])
    assert blurred is not image and np.array_equal(image, before)
    outside = np.ones((90, 160), np.uint8)
    outer = np.asarray(enlarged(QUAD, MARGIN + 0.1))
    cv2.fillConvexPoly(outside, np.round(outer).astype(np.int32), 0)
    assert np.array_equal(blurred[outside == 1], image[outside == 1])


def test_no_stroke_is_left():
    """Two plates of different texts and equal brightness look nearly the same."""
    images = []
    for seed in (1, 2):
        plate = np.random.default_rng(seed).integers(0, 2, (20, 80, 1), np.uint8) * 200
        image = np.full((90, 160, 3), 90, np.uint8)
        image[30:50, 40:120] = plate
        images.append(image)
    quad = box_quad((40, 30, 120, 50))
    first, second = (rectify(redact(image, [quad]), quad).astype(int) for image in images)
    assert abs(first - second).max() <= 2 * 16  # two levels of brightness
    steps = abs(np.diff(first, axis=1)).max()
    assert steps <= 8  # no edges


@pytest.mark.parametrize("quad", [
    box_quad((-30, -10, 40, 20)), box_quad((150, 80, 300, 120)), box_quad((500, 500, 560, 520)),
    box_quad((10, 10, 10, 10)), box_quad((-50, -50, 400, 400)),
])
def test_quads_at_the_edge_and_outside(quad):
    assert redact(noise(), [quad]).shape == (90, 160, 3)


def test_the_shipped_reader_reads_no_redacted_plate():
    rows = [json.loads(line) for line in (DEMO / "truth.jsonl").read_text("utf-8").splitlines()]
    row = next(row for row in rows if row["image"] == "several.jpg")
    image = cv2.imread(str(DEMO / row["image"]))
    alpr = ALPR(threads=1, min_confidence=0, min_detection=0)
    quads = [tuple(map(tuple, plate["corners"])) for plate in row["plates"]]
    texts = {plate["text"] for plate in row["plates"]}
    assert texts & {plate.text for plate in alpr.predict(image)}
    assert not texts & {plate.text for plate in alpr.predict(redact(image, quads))}


def test_a_plate_that_is_missed_is_blurred_where_it_should_be():
    covered = Covered()
    assert covered.update([box_quad((100, 100, 140, 110))], 1.0) == [box_quad((100, 100, 140, 110))]
    covered.update([box_quad((110, 100, 150, 110))], 1.1)  # 100 pixels a second
    [hidden] = covered.update([], 1.3)
    assert inside((150.0, 105.0), hidden)  # its centre by now
    assert inside((131.0, 105.0), hidden) and inside((169.0, 105.0), hidden)
    [hidden] = covered.update([], 1.1 + HOLD)
    assert inside((230.0, 105.0), hidden)
    assert covered.update([], 1.2 + HOLD) == []


def test_two_plates_do_not_take_each_others_place():
    covered = Covered()
    left, right = box_quad((100, 100, 140, 110)), box_quad((300, 100, 340, 110))
    covered.update([left, right], 1.0)
    hidden = covered.update([right], 1.1)
    assert len(hidden) == 2 and any(inside((120.0, 105.0), one) for one in hidden)
    assert len(covered.update([left, right], 1.2)) == 2


def test_a_clock_that_is_set_back_forgets():
    covered = Covered()
    covered.update([QUAD], 1000.0)
    assert covered.update([], 10.0) == []
