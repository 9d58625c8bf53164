"""What the closer look refuses again and again in the same place is not looked at each time."""

import numpy as np
import pytest

from alpr_edge.detector import StagedDetector
from alpr_edge.geometry import box_quad
from alpr_edge.types import Detection
from alpr_edge.watch.camera_detector import CameraDetector
from alpr_edge.watch.clutter import AGAIN, FORGOTTEN, REFUSED_FOR, SURER, Clutter
from alpr_edge.watch.config import CameraConfig

SIGN, PLATE = (10.0, 10.0, 50.0, 30.0), (100.0, 60.0, 160.0, 80.0)


def seen(box, score=0.5):
    return Detection(box=box, corners=box_quad(box), confidence=score)


class Picky(StagedDetector):
    """Its candidates are what each picture is made of; the closer look takes the surest ones."""

    def __init__(self, least: float = 0.6) -> None:
        self.least, self.looked_at = least, []

    def letterbox(self, image):
        return image

    def infer(self, image):
        return None

    def postprocess(self, outputs, image):
        return self.candidates

    def look_closer(self, detections, image):
        self.looked_at = list(detections)
        return [one for one in detections if one.confidence >= self.least]


@pytest.fixture
def watched():
    """``watched(time, *candidates)``: those that were looked at closer in one more picture."""
    picky = Picky()
    detector = CameraDetector(picky, CameraConfig(name="gate", source="0"))
    detector.clutter = Clutter()

    def look(time, *candidates):
        picky.candidates, detector.time = list(candidates), time
        detector.predict(np.zeros((100, 200, 3), np.uint8))
        return picky.looked_at

    return look


def test_a_place_is_believed_once_it_was_refused_for_some_time(watched):
    sign, plate = seen(SIGN), seen(PLATE, 0.9)
    for time in (0.0, REFUSED_FOR / 2, REFUSED_FOR):
        assert watched(time, sign, plate) == [sign, plate]
    assert watched(REFUSED_FOR + 0.1, sign, plate) == [plate]


def test_it_is_looked_at_again_after_a_while_and_then_believed_again(watched):
    sign = seen(SIGN)
    watched(0.0, sign), watched(REFUSED_FOR, sign)
    last = REFUSED_FOR + AGAIN
    assert watched(last - 0.1, sign) == []
    assert watched(last + 0.1, sign) == [sign]
    assert watched(last + 0.2, sign) == []


def test_what_moves_is_looked_at_in_every_picture(watched):
    for step in range(40):
        box = tuple(np.add(SIGN, (5.0 * step, 0, 5.0 * step, 0)).tolist())
        assert watched(step / 10, seen(box)) == [seen(box)]


def test_what_gets_surer_is_another_thing(watched):
    watched(0.0, seen(SIGN)), watched(REFUSED_FOR, seen(SIGN))
    surer = seen(SIGN, 0.5 + SURER)
    assert watched(REFUSED_FOR + 1, seen(SIGN, 0.5 + SURER / 2)) == []
    assert watched(REFUSED_FOR + 1, surer) == [surer]


def test_a_plate_seen_where_something_was_refused_ends_that(watched):
    watched(0.0, seen(SIGN)), watched(REFUSED_FOR, seen(SIGN))
    watched(REFUSED_FOR + 1, seen(SIGN, 0.9))
    assert watched(REFUSED_FOR + 2, seen(SIGN)) == [seen(SIGN)]


def test_a_place_is_forgotten_and_a_clock_set_back_forgets_all(watched):
    for later in (FORGOTTEN + 1, -10.0):
        watched(0.0, seen(SIGN)), watched(REFUSED_FOR, seen(SIGN))
        watched(REFUSED_FOR + later, seen(SIGN))
        assert watched(REFUSED_FOR + later + 0.1, seen(SIGN)) == [seen(SIGN)]


def test_without_a_memory_all_is_looked_at():
    picky = Picky()
    detector = CameraDetector(picky, CameraConfig(name="folder", source="0"))
    picky.candidates = [seen(SIGN)]
    for time in (0.0, REFUSED_FOR, REFUSED_FOR + 1):
        detector.time = time
        detector.predict(np.zeros((100, 200, 3), np.uint8))
        assert picky.looked_at == [seen(SIGN)]
