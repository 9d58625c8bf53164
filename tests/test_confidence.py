"""What a confidence is worth: every number here is worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from alpr_edge import confidence as cf
from alpr_edge.data import PlateTruth, Sample, Split
from alpr_edge.data.sample import policy
from alpr_edge.edits import align
from alpr_edge.geometry import box_quad
from alpr_edge.metrics import FrameResult, mean_average_precision
from alpr_edge.rates import Rate
from alpr_edge.types import Detection

SURE = [0.9, 0.8, 0.8, 0.6, 0.3]
RIGHT = [True, True, False, True, False]


def test_false_reads_are_of_the_shown_and_false_rejects_of_all_plates():
    assert cf.false_reads(SURE, RIGHT, 0.7) == Rate(1, 3)
    assert cf.false_rejects(SURE, RIGHT, 0.7) == Rate(3, 5)  # one too unsure, two read wrongly
    assert cf.false_reads(SURE, RIGHT, 0.6) == Rate(1, 4)  # the threshold itself is shown
    assert cf.false_rejects(SURE, RIGHT, 0.0) == Rate(2, 5)
    assert cf.false_reads(SURE, RIGHT, 0.95) == Rate(0, 0)
    assert cf.false_rejects(SURE, RIGHT, 0.95) == Rate(5, 5)


def test_curve_counts_equal_confidences_together():
    counts = cf.curve(SURE, RIGHT)
    assert counts.thresholds.tolist() == [0.9, 0.8, 0.6, 0.3]
    assert counts.right_shown.tolist() == [1, 2, 3, 3]
    assert counts.wrong_shown.tolist() == [0, 1, 1, 2]
    assert counts.far == pytest.approx([0, 1 / 3, 1 / 4, 2 / 5])
    assert counts.frr == pytest.approx([4 / 5, 3 / 5, 2 / 5, 2 / 5])


def test_curve_agrees_with_the_rates_at_each_threshold():
    rng = np.random.default_rng(0)
    sure, right = rng.integers(0, 20, 200) / 20, rng.random(200) < 0.8
    counts = cf.curve(sure, right)
    for threshold, far, frr in zip(counts.thresholds, counts.far, counts.frr, strict=True):
        assert cf.false_reads(sure, right, threshold).value == pytest.approx(far)
        assert cf.false_rejects(sure, right, threshold).value == pytest.approx(frr)


def test_roc_and_its_area():
    wrong, right = cf.curve(SURE, RIGHT).roc()
    assert wrong.tolist() == [0, 0, 0.5, 0.5, 1]
    assert right == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    # 6 pairs of a right and a wrong one: 0.9, 0.8, 0.6 beat 0.3; 0.9 beats 0.8, 0.8 ties, 0.6 loses
    assert cf.curve(SURE, RIGHT).auc == pytest.approx(4.5 / 6)
    assert cf.curve([0.9, 0.1], [True, False]).auc == 1
    assert cf.curve([0.1, 0.9], [True, False]).auc == 0
    assert math.isnan(cf.curve([0.5], [True]).auc)
    assert math.isnan(cf.curve([], []).auc)


def test_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(1)
    sure, right = rng.integers(0, 9, 60) / 9, rng.random(60) < 0.6
    pairs = np.sign(sure[right][:, None] - sure[~right][None])
    assert cf.curve(sure, right).auc == pytest.approx((pairs.mean() + 1) / 2)


def test_curve_refuses_lists_of_unequal_length():
    with pytest.raises(ValueError, match=r"\(2,\) and rights \(1,\)"):
        cf.curve([0.1, 0.2], [True])


def test_threshold_for_a_rate_of_false_reads():
    assert cf.threshold_for(SURE, RIGHT, 0.0) == 0.9
    assert cf.threshold_for(SURE, RIGHT, 0.25) == 0.6  # lower than 0.8, where a third is wrong
    assert cf.threshold_for(SURE, RIGHT, 0.5) == 0.3
    assert cf.threshold_for([0.9, 0.5], [False, True], 0.1) is None
    assert cf.threshold_for([], [], 0.1) is None


def test_reliability_bins_and_calibration_error():
    bins = cf.reliability([0.1, 0.3, 0.5, 0.9, 1.0], [False, True, False, True, True], bins=2)
    assert [(b.low, b.high) for b in bins] == [(0, 0.5), (0.5, 1)]
    assert [b.right for b in bins] == [Rate(1, 2), Rate(2, 3)]  # 0.5 is in the upper bin
    assert [b.mean_confidence for b in bins] == pytest.approx([0.2, 0.8])
    assert [b.gap for b in bins] == pytest.approx([-0.3, 0.8 - 2 / 3])
    assert cf.calibration_error(bins) == pytest.approx((2 * 0.3 + 3 * (0.8 - 2 / 3)) / 5)


def test_empty_bins_weigh_nothing():
    bins = cf.reliability([1.0, 1.0], [True, True])
    assert len(bins) == cf.BINS and sum(b.right.n for b in bins) == 2
    assert math.isnan(bins[0].mean_confidence)
    assert cf.calibration_error(bins) == 0
    assert math.isnan(cf.calibration_error(cf.reliability([], [])))


@pytest.mark.parametrize(
    ("text", "truth", "pairs"),
    [
        ("AB1", "AB1", [("A", "A"), ("B", "B"), ("1", "1")]),
        ("A81", "AB1", [("A", "A"), ("8", "B"), ("1", "1")]),
        ("AB", "CAB", [("", "C"), ("A", "A"), ("B", "B")]),
        ("AXB", "AB", [("A", "A"), ("X", ""), ("B", "B")]),
        ("AAB", "AB", [("A", ""), ("A", "A"), ("B", "B")]),
        ("", "AB", [("", "A"), ("", "B")]),
        ("", "", []),
    ],
)
def test_alignment_by_edits(text, truth, pairs):
    assert align(text, truth) == pairs


def test_characters_by_position_of_the_truth():
    # B in place 2 misread; the first of CAB missed, which moves nothing else
    assert cf.by_position(["A81", "AB", "XAB"], ["AB1", "CAB", "AB"]) == (
        Rate(2, 3), Rate(2, 3), Rate(2, 2),
    )
    assert cf.by_position([], []) == ()


def test_confusions_count_unequal_pairs():
    counted = cf.confusions(["A81", "88", "A", "AX"], ["AB1", "B8", "A1", "A"])
    assert counted == {("8", "B"): 2, ("", "1"): 1, ("X", ""): 1}


def test_repeated_plates_count_once():
    rate = cf.DistinctRate.of([True, False, True, True], ["A1", "A1", "A1", "B2"])
    assert rate.shares == pytest.approx((2 / 3, 1))
    assert (rate.k, rate.n, rate.value) == (pytest.approx(5 / 3), 2, pytest.approx(5 / 6))
    low, high = rate.interval()
    assert 0 < low < 5 / 6 < high <= 1
    once = cf.DistinctRate.of([True, False, True], "ABC")
    assert once.interval() == pytest.approx(Rate(2, 3).interval())
    assert math.isnan(cf.DistinctRate(()).value)


def test_mean_average_precision_over_the_overlaps():
    truth, shifted = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 7.2)  # IoU 0.72: found up to 0.7
    sample = Sample(
        path=Path("a.png"), dataset="rendered", split=Split.VAL, width=100, height=100,
        plates=(PlateTruth(box=truth, corners=box_quad(truth)),),
    )
    detection = Detection(box=shifted, corners=box_quad(shifted), confidence=0.9)
    assert mean_average_precision([FrameResult(sample=sample, detections=[detection])]) == 0.5
    assert math.isnan(mean_average_precision([]))


def test_rendered_styles_have_the_policy_of_rendered():
    assert policy("rendered/uk") == policy("rendered") == policy("ccpd_weather")
    assert policy("us") != policy("rendered")
