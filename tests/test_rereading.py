from __future__ import annotations

import numpy as np
import pytest
import tiny

from alpr_edge import ALPR, Reading
from alpr_edge.detector import WholePicture
from alpr_edge.geometry import box_quad
from alpr_edge.reader import PlateReader
from alpr_edge.rereading import outlines, settled, surest, uncertain
from alpr_edge.stages import Stage


def read_as(text: str, confidence: float) -> Reading:
    return Reading(text=text, confidence=confidence, char_confidences=(), rows=1)


def test_outlines_are_larger_smaller_and_lean_either_way():
    larger, smaller, left, right = outlines(box_quad((100, 50, 300, 100)))
    np.testing.assert_allclose(larger, box_quad((94, 47, 306, 103)))
    np.testing.assert_allclose(smaller, box_quad((106, 53, 294, 97)))
    np.testing.assert_allclose(left, [(92.5, 50), (292.5, 50), (307.5, 100), (107.5, 100)])
    np.testing.assert_allclose(right, [(107.5, 50), (307.5, 50), (292.5, 100), (92.5, 100)])


def test_outlines_turn_and_grow_with_the_plate():
    plain = np.array(outlines(box_quad((100, 50, 300, 100))))
    turn = np.array([[0, 1], [-1, 0]]) * 2  # a quarter, and twice as large
    quad = tuple(map(tuple, np.array(box_quad((100, 50, 300, 100))) @ turn))
    np.testing.assert_allclose(np.array(outlines(quad)), plain @ turn, atol=1e-4)


def test_outlines_of_a_point_are_points():
    assert np.isfinite(outlines(box_quad((5, 5, 5, 5)))).all()


def test_only_uncertain_plates_are_read_again_each_with_its_own():
    first = [read_as("A", 0.9), read_as("B", 0.2), read_as("C", 0.5), read_as("D", 0.1)]
    assert uncertain([*first, read_as("E", 0.01), read_as("F", 0.02)]) == [1, 3, 5]
    assert uncertain(first) == [1, 3]
    more = [read_as("B2", 0.6), read_as("B", 0.2), read_as("D", 0.1), read_as("D2", 0.05)]
    assert [r.text for r in settled(first, [1, 3], more)] == ["A", "B2", "C", "D"]
    assert settled(first, [], []) == first


def test_the_surest_is_less_sure_where_the_others_disagree():
    agreed = surest([read_as("A", 0.2), read_as("A", 0.6), read_as("A", 0.4)])
    assert (agreed.text, agreed.confidence) == ("A", 0.6)
    doubted = surest([read_as("A", 0.2), read_as("B", 0.6), read_as("A", 0.4)])
    assert (doubted.text, doubted.confidence) == ("B", pytest.approx(0.6 * 0.6 / 1.2))
    assert surest([read_as("A", 0.0), read_as("B", 0.0)]).confidence == 0.0


class Unsure(PlateReader):
    """The tiny reader, which first doubts and then is as sure as it is told."""

    def __init__(self, folder, *later: float) -> None:
        super().__init__(folder)
        self.later, self.batches = later, []

    def decode(self, outputs):
        readings = super().decode(outputs)
        self.batches.append(len(readings))
        if len(self.batches) == 1:
            return [read_as("FIRST", 0.3) for _ in readings]
        return [read_as(f"AGAIN{i}", sure) for i, sure in enumerate(self.later)]


def test_the_pipeline_reads_an_uncertain_plate_again(tiny_models, frame, monkeypatch):
    monkeypatch.setattr("alpr_edge.pipeline._staged_reader", lambda reader: reader)
    reader = Unsure(tiny_models / "reader", 0.1, 0.2, 0.8, 0.1)
    result = ALPR(detector=WholePicture(), reader=reader).run(frame)
    assert reader.batches == [1, 4] and result.read == 1
    [plate] = result.plates
    assert (plate.text, plate.confidence) == ("AGAIN2", pytest.approx(0.8 * 0.8 / 1.5))
    parts = [ms for stage, ms in result.ms.items() if stage is not Stage.TOTAL]
    assert list(result.ms) == list(Stage) and sum(parts) == pytest.approx(result.ms[Stage.TOTAL])


def test_not_if_it_should_not(tiny_models, frame, monkeypatch):
    monkeypatch.setattr("alpr_edge.pipeline._staged_reader", lambda reader: reader)
    reader = Unsure(tiny_models / "reader")
    alpr = ALPR(detector=WholePicture(), reader=reader, min_confidence=0.0, reread=False)
    assert [plate.text for plate in alpr.predict(frame)] == ["FIRST"] and reader.batches == [1]


def test_a_certain_plate_is_read_once(tiny_models, frame):
    reader = PlateReader(tiny_models / "reader")
    alpr = ALPR(detector=WholePicture(), reader=reader)
    calls = []
    alpr._read.infer = lambda plates, infer=reader.infer: calls.append(len(plates)) or infer(plates)
    assert [plate.text for plate in alpr.predict(frame)] == [tiny.TEXT] and calls == [1]
