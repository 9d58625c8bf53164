from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny

from alpr_edge import ALPR, Reading
from alpr_edge.detector import WholePicture
from alpr_edge.geometry import box_quad, rectify
from alpr_edge.reader import PlateReader
from alpr_edge.rereading import outlines, settled, surest, views
from alpr_edge.stages import Stage
from alpr_edge.unfold import row_gap, unfold


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


@pytest.mark.parametrize(("confidence", "rows", "count"), [
    (0.5, 1, 0), (0.49, 1, 4), (0.02, 1, 4), (0.019, 1, 0),
    (0.9, 2, 0), (0.89, 2, 1), (0.49, 2, 5), (0.019, 2, 1),
])
def test_uncertain_plates_are_looked_at_again(frame, confidence, rows, count):
    corners = box_quad((10, 10, 50, 30))
    reading = dataclasses.replace(read_as("A", confidence), rows=rows)
    shown = views(frame, corners, rectify(frame, corners), reading)
    assert [view.shape for view in shown] == [(48, 192, 3)] * count
    bare = views(frame, corners, rectify(frame, corners), reading, outlined=False)
    assert len(bare) == count % 4


def test_the_last_view_of_a_plate_of_two_rows_has_them_side_by_side(frame):
    corners, reading = box_quad((10, 10, 50, 30)), dataclasses.replace(read_as("A", 0.3), rows=2)
    plate = rectify(frame, corners)
    *others, unfolded = views(frame, corners, plate, reading)
    for view, outline in zip(others, outlines(corners), strict=True):
        np.testing.assert_array_equal(view, rectify(frame, outline))
    np.testing.assert_array_equal(unfolded, unfold(frame, corners, row_gap(plate)))


def test_each_plate_is_settled_with_its_own_views():
    first = [read_as("A", 0.9), read_as("B", 0.2), read_as("C", 0.5), read_as("D", 0.1)]
    more = [read_as("B2", 0.6), read_as("B", 0.2), read_as("D", 0.1)]
    view = np.zeros((48, 192, 3), np.uint8)
    again = [[], [view, view], [], [view]]
    assert [r.text for r in settled(first, again, more)] == ["A", "B2", "C", "D"]
    assert settled(first, [[]] * 4, []) == first


def test_the_number_of_rows_is_what_the_first_look_saw():
    first, second = (dataclasses.replace(read_as("A", sure), rows=rows)
                     for sure, rows in ((0.2, 2), (0.8, 1)))
    assert surest([first, second]) == dataclasses.replace(second, rows=2)


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
