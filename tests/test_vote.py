"""The vote over characters, by hand, and what grammars make of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from passing import seen_plate

from alpr_edge.alphabet import CHARACTERS
from alpr_edge.errors import UsageError
from alpr_edge.types import Plate
from alpr_edge.watch.confusable import GROUPS, canonical, confusions, lookalikes
from alpr_edge.watch.grammar import GRAMMARS, corrected, fits, layouts
from alpr_edge.watch.vote import INDEPENDENT, Ballot, Vote


def read(text: str, *certain: float, confidence: float | None = None, rows: int = 1) -> Plate:
    plate = seen_plate(text, 500.0)
    sure = math.prod(certain) if confidence is None else confidence
    return Plate(**{
        name: getattr(plate, name) for name in Plate.__dataclass_fields__
    } | {"char_confidences": certain, "confidence": sure, "rows": rows})


def voted(*plates: Plate) -> Vote:
    ballot = Ballot()
    for plate in plates:
        ballot.add(plate)
    vote = ballot.vote()
    assert vote is not None
    return vote


def test_one_read_is_as_certain_as_its_weight_makes_it():
    """log-probabilities 0.9 and 0.1 spread over 73 others (C has no lookalike), times 0.9."""
    vote = voted(read("C", 0.9))
    others = 73 * (0.1 / 73) ** 0.9
    assert vote.char_confidences[0] == pytest.approx(0.9**0.9 / (0.9**0.9 + others))
    assert (vote.text, vote.reads, vote.agreeing, vote.rows) == ("C", 1, 1, 1)


def test_lookalikes_get_most_of_what_is_not_certain():
    shares = np.exp(voted(read("8", 0.8, confidence=1.0)).average[0])
    assert shares[CHARACTERS.index("8")] == pytest.approx(0.8)
    assert shares[CHARACTERS.index("B")] == pytest.approx(0.2 * 0.6)
    assert shares[CHARACTERS.index("C")] == pytest.approx(0.2 * 0.4 / 72)
    assert shares.sum() == pytest.approx(1)


def test_certain_reads_outvote_more_uncertain_ones():
    vote = voted(*[read("AB8", 0.6, 0.6, 0.5)] * 3, *[read("ABB", 0.99, 0.99, 0.98)] * 2)
    assert (vote.text, vote.agreeing, vote.reads) == ("ABB", 2, 5)


def test_characters_of_different_reads_are_put_together():
    """Nobody read the text that all reads together say: nobody agrees with it."""
    vote = voted(read("XB3", 0.3, 0.9, 0.9, confidence=0.3), read("AX3", 0.9, 0.3, 0.9,
                 confidence=0.3), read("ABX", 0.9, 0.9, 0.3, confidence=0.3))
    assert (vote.text, vote.agreeing) == ("AB3", 0)


def test_reads_of_another_length_are_laid_beside():
    whole, part = read("AB123CD", *[0.95] * 7), read("123CD", *[0.95] * 5)
    vote = voted(whole, whole, part)
    assert (vote.text, vote.agreeing, vote.reads) == ("AB123CD", 2, 3)
    share = 2 * whole.confidence / (2 * whole.confidence + part.confidence)
    assert vote.confidence == pytest.approx(math.prod(vote.char_confidences) * share)
    assert min(vote.char_confidences[2:]) > max(vote.char_confidences[:2])


def test_many_reads_count_as_a_few():
    vote = voted(*[read("C", 0.9, confidence=1.0)] * 50)
    own, others = 0.9**INDEPENDENT, 73 * (0.1 / 73) ** INDEPENDENT
    assert vote.char_confidences[0] == pytest.approx(own / (own + others))


def test_reads_of_one_view_count_as_one():
    ballot = Ballot()
    for _ in range(50):
        ballot.add(read("C", 0.9, confidence=1.0), new=0.0)
    vote = ballot.vote()
    assert vote is not None
    assert vote.char_confidences[0] == pytest.approx(0.9)


def test_order_does_not_matter_and_absorbing_is_adding():
    plates = [read("AB8", 0.6, 0.6, 0.5), read("ABB", 0.9, 0.8, 0.7, rows=2), read("AB", 0.6, 0.6)]
    one, two = voted(*plates), voted(*plates[::-1])
    assert (one.text, one.rows) == (two.text, two.rows) == ("ABB", 2)
    assert one.confidence == pytest.approx(two.confidence)
    first, second = Ballot(), Ballot()
    first.add(plates[0])
    for plate in plates[1:]:
        second.add(plate)
    second.absorb(first)
    joined = second.vote()
    assert joined is not None
    assert joined.confidence == pytest.approx(one.confidence)
    assert joined.reads == 3


def test_nothing_was_read():
    ballot = Ballot()
    ballot.add(seen_plate("", 500.0))
    assert (ballot.vote(), ballot.leader, ballot.reads) == (None, "", 0)


def test_lookalikes_are_mutual_and_in_one_group():
    assert len("".join(GROUPS)) == len(set("".join(GROUPS)))
    assert all(a in lookalikes(b) for a in CHARACTERS for b in lookalikes(a))
    assert lookalikes("8") == "B"
    assert lookalikes("0") == "ODQ"
    assert lookalikes("京") == ""
    assert confusions("AB1", "ABI") == 1
    assert confusions("A81", "ABI") == 2
    assert confusions("AB1", "AB1") == 0
    assert confusions("AB1", "AC1") is None
    assert confusions("AB1", "AB") is None
    assert canonical("AB1QO") == canonical("481D0") == "48100"


@pytest.mark.parametrize(("name", "right", "wrong"), [
    ("cn", "京A12345", "A京12345"), ("cn", "粤BD12345", "粤BXI234"), ("cn", "粤B1234警", "B1234警"),
    ("de", "BMW123", "123BMW"), ("de", "SAD12E", "SAD12X"), ("nl", "12ABC3", "1AB2C3"),
    ("fr", "AB123CD", "AB12CDE"), ("gb", "AB12CDE", "AB123CD"), ("us", "ABC1234", "AB1C234"),
    ("in", "MH12AB1234", "MHX2AB1234"), ("br", "ABC1D23", "AB1CD23"), ("vn", "30A12345", "3A12345"),
    ("id", "B1234ABC", "1234ABC"), ("tn", "123T4567", "123A4567"),
])
def test_layouts(name, right, wrong):
    assert fits(right, name)
    assert not fits(wrong, name)


def test_layouts_are_expanded_and_no_longer_than_a_text():
    assert {"an", "aan"} & layouts("id") == {"an", "aan"}
    assert all(1 <= len(layout) <= 10 for name in GRAMMARS for layout in layouts(name))
    with pytest.raises(UsageError, match="allowed: br, cn"):
        layouts("zz")


def test_a_grammar_re_ranks_lookalikes():
    vote = voted(*[read("ABI2CDE", *[0.95] * 2, 0.6, *[0.95] * 4)] * 3)
    text, certain, correction = corrected(vote, ["gb"])
    assert text == "AB12CDE"
    assert correction is not None
    assert (correction.read, correction.grammar) == ("ABI2CDE", "gb")
    assert certain[:2] == vote.char_confidences[:2]
    assert 0.9 < certain[2] <= 1.0


def test_a_grammar_changes_nothing_else():
    unlike = voted(*[read("ABX2CDE", *[0.5] * 7)] * 3)
    assert corrected(unlike, ["gb"]) == ("ABX2CDE", unlike.char_confidences, None)
    sure = voted(*[read("ABI2CDE", *[0.9999] * 7)] * 3)
    assert corrected(sure, ["gb"])[0] == "ABI2CDE"
    right = voted(*[read("AB12CDE", *[0.6] * 7)] * 3)
    assert corrected(right, ["gb", "de"])[2] is None
    longer = voted(*[read("AB12CDEFG", *[0.6] * 9)] * 3)
    assert corrected(longer, ["gb"])[2] is None
    assert corrected(longer, [])[2] is None


def test_a_text_that_fits_one_of_the_grammars_stays():
    vote = voted(*[read("ABI2CDE", *[0.6] * 7)] * 3)
    assert corrected(vote, ["gb", "nl"])[0] == "AB12CDE"
    german = voted(*[read("ABI12", *[0.6] * 5)] * 3)
    assert corrected(german, ["us", "de"]) == ("ABI12", german.char_confidences, None)


def test_only_what_does_not_fit_is_changed():
    """4B124 is no German plate, AB124 is; the B could be an 8 and stays."""
    vote = voted(*[read("4B124", 0.9, 0.6, 0.9, 0.9, 0.9)] * 3)
    assert corrected(vote, ["de"])[0] == "AB124"
    assert corrected(vote, ["tn"])[2] is None
