"""What the detector doubts: a plate only where its text is certain."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from alpr_edge import ALPR, closer, geometry, picks
from alpr_edge.detector import DOUBTFUL, PlateDetector, StagedDetector
from alpr_edge.types import Detection, Reading
from alpr_edge.watch.camera_detector import CameraDetector
from alpr_edge.watch.clutter import Clutter
from alpr_edge.watch.config import CameraConfig

PICTURE = np.zeros((60, 100, 3), np.uint8)
BOX = (10.0, 20.0, 40.0, 30.0)


class Doubting(StagedDetector):
    """Finds what it is told to find."""

    sure = 0.56

    def __init__(self, *confidences):
        self._found = [
            Detection(box=BOX, corners=geometry.box_quad(BOX), confidence=one)
            for one in confidences
        ]

    def letterbox(self, image):
        return image

    def infer(self, framed):
        return None

    def postprocess(self, outputs, framed):
        return self._found

    def look_turned(self, image):
        return [Detection(box=BOX, corners=geometry.box_quad(BOX), confidence=0.8)]


def reading(text):
    """Uncertain if it ends with a question mark."""
    sure = 0.1 if text.endswith("?") else 0.95
    text = text.rstrip("?")
    return Reading(text=text, confidence=sure, char_confidences=(sure,) * len(text), rows=1)


@pytest.fixture
def plates(tiny_models, monkeypatch):
    """A function: texts and confidences of the detector where these texts are read."""
    def plates(confidences, texts, **options):
        options = {"turned": False, "reread": False} | options
        alpr = ALPR(
            models=tiny_models, detector=Doubting(*confidences), min_confidence=0.0, threads=1,
            **options,
        )
        alpr.reader.min_confidence = 0.6
        told = list(map(reading, texts))
        monkeypatch.setattr(alpr.reader, "decode", lambda outputs: told[: len(outputs["rows"])])
        return [(one.text, one.detection_confidence) for one in alpr.predict(PICTURE)]

    return plates


def test_a_doubtful_plate_needs_a_certain_text(plates):
    assert plates((0.6, 0.5, 0.49), ("", "AB1", "")) == [("", 0.6), ("AB1", 0.5)]
    assert plates((0.6, 0.5), ("AB1?", "AB1?")) == [("AB1", 0.6)]


def test_only_doubtful_ones_are_none_to_look_for_elsewhere(plates):
    assert plates((0.5,), ("AB1",), turned=True) == [("AB1", 0.8)]
    assert plates((0.6, 0.5), ("AB1", ""), turned=True) == [("AB1", 0.6)]


def test_a_camera_leaves_out_what_is_doubtful():
    detector = CameraDetector(Doubting(0.6, 0.5), CameraConfig(name="gate", source="0"))
    detector.clutter = Clutter()
    found = detector.look_closer(detector.postprocess(None, (None, (9, 9), (9, 9))), PICTURE)
    assert [one.confidence for one in found] == [0.6]


def test_a_reader_of_your_own_may_make_up_texts():
    class Own:
        def predict(self, plates):
            return [reading("AB1")] * len(plates)

    alpr = ALPR(detector=Doubting(0.6, 0.5), reader=Own())
    assert [one.detection_confidence for one in alpr.predict(PICTURE)] == [0.6]


def test_only_a_closer_look_doubts(tmp_path):
    folder = tmp_path / "detector"
    shutil.copytree(picks.MODELS / "detector", folder)
    detector = PlateDetector(folder, threads=1)
    assert detector.min_score == pytest.approx(detector.sure - DOUBTFUL)
    asked = PlateDetector(folder, threads=1, min_score=0.5)
    assert (asked.min_score, asked.sure) == (0.5, 0.5)
    shutil.rmtree(folder / closer.FOLDER)
    alone = PlateDetector(folder, threads=1)
    assert alone.min_score == alone.sure
