from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import tiny

from alpr_edge import ALPR, Reading, ctc
from alpr_edge.alphabet import CLASSES, PAD, SLOTS, encode
from alpr_edge.detector import WholePicture
from alpr_edge.geometry import box_quad, rectify
from alpr_edge.reader import PlateReader, Spelling, joint, spellings
from alpr_edge.rereading import Again, outlines, settled, sharper, views, vote
from alpr_edge.rows import alone
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


def test_a_blurred_edge_is_steeper_when_sharper():
    plate = np.full((48, 192, 3), 90, np.uint8)
    plate[:, 96:] = 160
    blurred = cv2.GaussianBlur(plate, (0, 0), 2.0)
    seen = sharper(blurred)
    assert (seen.shape, seen.dtype) == (plate.shape, np.uint8)
    steepest = [np.diff(one.astype(int), axis=1).max() for one in (blurred, seen)]
    assert steepest[1] > 1.5 * steepest[0]
    flat = np.full((48, 192, 3), 77, np.uint8)
    np.testing.assert_array_equal(sharper(flat), flat)


def test_outlines_of_a_point_are_points():
    assert np.isfinite(outlines(box_quad((5, 5, 5, 5)))).all()


@pytest.mark.parametrize(("confidence", "rows", "count"), [
    (0.9, 1, 0), (0.89, 1, 1), (0.75, 1, 1), (0.74, 1, 7), (0.005, 1, 7), (0.0049, 1, 0),
    (0.9, 2, 0), (0.89, 2, 2), (0.74, 2, 11), (0.0049, 2, 6),
])
def test_uncertain_plates_are_looked_at_again(confidence, rows, count):
    plate, corners = strokes(), box_quad((0, 0, 192, 48))
    reading = dataclasses.replace(read_as("A", confidence), rows=rows)
    shown = views(plate, corners, rectify(plate, corners), reading)
    assert [view.shape for view in shown.pictures] == [(48, 192, 3)] * count
    bare = views(plate, corners, rectify(plate, corners), reading, whole=False)
    assert len(bare.pictures) == (2 if rows == 2 and confidence < 0.9 else 0)


def test_a_plate_of_two_rows_is_shown_with_other_outlines_sharper_then_row_by_row(frame):
    corners, reading = box_quad((10, 10, 50, 30)), dataclasses.replace(read_as("A", 0.3), rows=2)
    plate = rectify(frame, corners)
    shown = views(frame, corners, plate, reading)
    for view, outline in zip(shown.whole[:-1], outlines(corners), strict=True):
        np.testing.assert_array_equal(view, rectify(frame, outline))
    np.testing.assert_array_equal(shown.whole[-1], sharper(plate))
    smaller = outlines(corners)[1]
    rows = alone(frame, corners, plate, 2)
    np.testing.assert_array_equal(shown.rows[0], rows)
    np.testing.assert_array_equal(shown.rows[1], [sharper(row) for row in rows])
    inside = alone(frame, smaller, rectify(frame, smaller), 2)
    np.testing.assert_array_equal(shown.rows[2], inside)
    assert shown.pictures == (*shown.whole, *shown.rows[0], *shown.rows[1], *shown.rows[2])


def strokes(top: int = 24) -> np.ndarray:
    """A plate (48, 192, 3) with strokes from ``top`` down."""
    plate = np.full((48, 192, 3), 200, np.uint8)
    for left in range(10, 180, 12):
        plate[top:, left : left + 4] = 20
    return plate


def test_of_a_plate_of_one_row_the_text_is_shown_alone_too():
    plate, corners = strokes(), box_quad((0, 0, 192, 48))
    reading = dataclasses.replace(read_as("A", 0.3), rows=1)
    shown = views(plate, corners, rectify(plate, corners), reading)
    row, = alone(plate, corners, rectify(plate, corners), 1)
    np.testing.assert_array_equal(shown.rows, [[row], [sharper(row)]])


def test_a_row_that_fills_its_plate_is_not_shown_twice():
    plate, corners = strokes(top=0), box_quad((0, 0, 192, 48))
    reading = dataclasses.replace(read_as("A", 0.3), rows=1)
    shown = views(plate, corners, rectify(plate, corners), reading)
    assert len(shown.whole) == 5 and shown.rows == ()


def test_a_row_alone_has_a_vote():
    first = dataclasses.replace(read_as("B", 0.3), rows=1)
    again = [Again(rows=((np.zeros((48, 192, 3), np.uint8),),))]
    told, = settled([first], again, [saying("B", sure=0.4)], [saying("8", sure=0.99)])
    assert (told.text, told.rows) == ("8", 1)


def saying(slots: str, tokens: str | None = None, sure: float = 0.9) -> Spelling:
    """A look whose slots, and whose tokens, spell a text, each character with the same surety."""
    def logits(text: str, length: int) -> np.ndarray:
        picked = np.append(encode(text)[: len(text)], np.full(length - len(text), PAD))
        scores = np.zeros((length, CLASSES), np.float32)
        scores[np.arange(length), picked] = np.log(sure / (1 - sure) * (CLASSES - 1))
        return scores

    return scored(logits(slots, SLOTS), logits(tokens or slots, 2 * SLOTS))


def scored(logits: np.ndarray, tokens: np.ndarray) -> Spelling:
    return spellings(logits[None], tokens[None], 1.0)[0]


def test_each_plate_is_settled_with_its_own_views():
    first = [read_as("A", 0.9), read_as("B", 0.2), read_as("C", 0.5), read_as("D", 0.1)]
    looks = [saying(reading.text) for reading in first]
    more = [saying("B2", sure=0.99), saying("B", sure=0.3), saying("D")]
    view = np.zeros((48, 192, 3), np.uint8)
    again = [Again(whole=(view,) * count) for count in (0, 2, 0, 1)]
    told = settled(first, again, looks, more)
    assert [reading.text for reading in told] == ["A", "B2", "C", "D"]
    assert told[0] is first[0] and told[2] is first[2]
    assert settled(first, [Again()] * 4, looks, []) == first


def classes(text: str) -> tuple[int, ...]:
    return tuple(encode(text)[: len(text)].tolist())


def test_two_rows_alone_spell_the_whole_text():
    first = dataclasses.replace(read_as("AB1O", 0.3), rows=2)
    view = np.zeros((48, 192, 3), np.uint8)
    again = [Again(whole=(view,), rows=((view, view),))]
    more = [saying("AB1O", sure=0.3), saying("AB", sure=0.99), saying("10", sure=0.99)]
    told, = settled([first], again, [saying("AB1O", sure=0.6)], more)
    assert (told.text, told.rows) == ("AB10", 2)


def probability(said: Spelling, text: tuple[int, ...]) -> float:
    return float(np.exp(ctc.log_likelihoods(said.paths[None], [text])[0, 0]))


@pytest.mark.parametrize("text", ["AB10", "AB1", "B10", "AB100", "ABAB", "A"])
def test_tokens_of_a_row_above_another_spell_a_text_in_every_way_to_share_it(text):
    upper, lower, whole = saying("AB", sure=0.5), saying("10", sure=0.4), classes(text)
    ways = [probability(upper, whole[:k]) * probability(lower, whole[k:])
            for k in range(len(whole) + 1)]
    assert probability(upper.above(lower), whole) == pytest.approx(sum(ways))


def test_an_upper_row_that_fills_all_slots_leaves_it_to_the_other_looks():
    full = saying("A" * SLOTS).above(saying("1"))
    told = vote(dataclasses.replace(read_as("AB1", 0.4), rows=2), [saying("AB1", sure=0.8), full])
    assert told.text == "AB1" and 0 < told.confidence < 1


@pytest.mark.parametrize(("above", "below"), [("AB", "10"), ("AB", "X")])
def test_slots_of_a_row_above_another_share_the_text_where_the_upper_one_ends(above, below):
    upper, lower = saying(above, sure=0.8), saying(below, sure=0.7)
    expected = upper.certain(classes(above)).prod() * lower.certain(classes("10")).prod()
    expected /= (1 - upper.certain(())[0]) * (1 - lower.certain(())[0])  # neither is empty
    told = upper.above(lower).certain(classes(above + "10"))
    assert told.prod() == pytest.approx(expected)


def test_a_row_that_shows_hardly_anything_is_not_taken_for_none():
    first = dataclasses.replace(read_as("GJ38C3999", 0.004), rows=2)
    slots = np.full((SLOTS, CLASSES), -8.0, np.float32)
    slots[:, PAD] = 0.0  # all but nothing is there; if anything, it is GJ38C
    slots[np.arange(5), encode("GJ38C")[:5]] = -1.0
    upper = scored(slots, np.repeat(slots, 2, axis=0))
    again = [Again(rows=((np.zeros((48, 192, 3), np.uint8),) * 2,))]
    told, = settled([first], again, [saying("CG07K3999", sure=0.2)], [upper, saying("3999")])
    assert told.text != "3999"
    assert told.confidence < 0.6


def test_a_repeated_character_at_the_border_of_the_rows_is_two():
    both = saying("A1").above(saying("12"))
    assert both.texts == (classes("A112"),)


def test_rows_with_more_characters_than_slots_are_no_text_too_long():
    both = saying("ABCDEFGH").above(saying("12345"))
    assert all(len(text) <= SLOTS for text in both.texts)
    assert np.isfinite(joint([both], both.texts)).all()


def test_the_number_of_rows_is_what_the_first_look_saw():
    first = dataclasses.replace(read_as("A", 0.2), rows=2)
    assert vote(first, [saying("A"), saying("A")]).rows == 2


def test_many_looks_outvote_a_surer_one():
    first = read_as("X", 0.2)
    sure, doubtful = saying("AX", sure=0.97), saying("AY", sure=0.96)
    assert vote(first, [sure, doubtful]).text == "AX"
    assert vote(first, [sure, doubtful, doubtful]).text == "AY"


def test_slots_and_tokens_vote_alike():
    """Where a look's slots and tokens differ, the other look decides."""
    first = read_as("X", 0.2)
    for torn in (saying("AX", "AY"), saying("AY", "AX")):
        assert vote(first, [torn, saying("AY", sure=0.6)]).text == "AY"


def test_agreement_is_as_sure_as_the_surest_and_doubt_less():
    first = read_as("A", 0.2)
    one, surer, other = saying("A", sure=0.8), saying("A", sure=0.9), saying("B", sure=0.85)
    agreed = vote(first, [one, surer])
    assert agreed.confidence == pytest.approx(0.9 ** SLOTS) and len(agreed.char_confidences) == 1
    doubted = vote(first, [one, surer, other])
    assert doubted.text == "A" and doubted.confidence < agreed.confidence


def test_a_text_longer_than_the_tokens_can_spell_has_a_finite_confidence():
    logits = np.zeros((SLOTS, CLASSES), np.float32)
    logits[:, 3] = 2
    long = scored(logits, np.zeros((1, CLASSES), np.float32))
    assert np.isfinite(vote(read_as("A", 0.1), [long, long]).confidence)


class Unsure(PlateReader):
    """The tiny reader, which first doubts and then says what it is told, look by look."""

    def __init__(self, folder, *later: Spelling) -> None:
        super().__init__(folder)
        self.later, self.batches = later, []

    def infer(self, plates):
        self.batches.append(len(plates))
        return super().infer(plates)

    def decode(self, outputs):
        return [read_as("FIRST", 0.3) for _ in super().decode(outputs)]

    def spellings(self, outputs):
        return [saying("FIRST", sure=0.5)] if len(outputs["rows"]) == 1 else list(self.later)


def test_the_pipeline_reads_an_uncertain_plate_again(tiny_models, frame, monkeypatch):
    monkeypatch.setattr("alpr_edge.pipeline._staged_reader", lambda reader: reader)
    texts = "AGAIN1", "AGAIN2", "AGAIN2", "FIRST", "AGAIN2"
    reader = Unsure(tiny_models / "reader", *(saying(text, sure=0.95) for text in texts))
    alpr = ALPR(detector=WholePicture(), reader=reader, min_confidence=0.0, turned=False)
    result = alpr.run(frame)
    assert reader.batches == [1, 5] and result.read == 1
    assert [plate.text for plate in result.plates] == ["AGAIN2"]
    parts = [ms for stage, ms in result.ms.items() if stage is not Stage.TOTAL]
    assert list(result.ms) == list(Stage) and sum(parts) == pytest.approx(result.ms[Stage.TOTAL])


def test_not_if_it_should_not(tiny_models, frame, monkeypatch):
    monkeypatch.setattr("alpr_edge.pipeline._staged_reader", lambda reader: reader)
    reader = Unsure(tiny_models / "reader")
    never = {"reread": False, "turned": False}
    alpr = ALPR(detector=WholePicture(), reader=reader, min_confidence=0.0, **never)
    assert [plate.text for plate in alpr.predict(frame)] == ["FIRST"] and reader.batches == [1]


def test_a_certain_plate_is_read_once(tiny_models, frame):
    reader = PlateReader(tiny_models / "reader")
    alpr = ALPR(detector=WholePicture(), reader=reader)
    calls = []
    alpr._read.infer = lambda plates, infer=reader.infer: calls.append(len(plates)) or infer(plates)
    assert [plate.text for plate in alpr.predict(frame)] == [tiny.TEXT] and calls == [1]
