"""Every figure against numbers worked out by hand."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from alpr_edge import metrics
from alpr_edge.data import PlateTruth, Sample, Split
from alpr_edge.edits import edit_distance
from alpr_edge.errors import DataError
from alpr_edge.geometry import box_quad
from alpr_edge.metrics import FrameResult
from alpr_edge.rates import Paired, Rate, Ratio, Spread
from alpr_edge.types import Detection, Plate

UNIT = (0.0, 0.0, 10.0, 10.0)
HALF = (0.0, 0.0, 10.0, 5.0)  # IoU 0.5 with UNIT
FAR = (50.0, 50.0, 60.0, 60.0)


def detection(box, confidence=0.9, corners=None):
    return Detection(box=box, corners=corners or box_quad(box), confidence=confidence)


def sample(*boxes, dataset="any", complete=True, width=100, corners=True, texts=()):
    texts = [*texts, *[None] * (len(boxes) - len(texts))]
    return Sample(
        path=Path("x.png"), dataset=dataset, split=Split.VAL, width=width, height=100,
        complete=complete,
        plates=tuple(
            PlateTruth(box=box, corners=box_quad(box) if corners else None, text=text)
            for box, text in zip(boxes, texts, strict=True)
        ),
    )


def plate(box, text, confidence=0.9):
    return Plate(
        text=text, confidence=1.0, char_confidences=(1.0,) * len(text), rows=1, region=None,
        kind=None, box=box, corners=box_quad(box), detection_confidence=confidence,
    )


def match(boxes, confidences, truths, iou=0.5):
    return metrics.match(
        np.array(boxes, float).reshape(-1, 4), np.array(confidences, float),
        np.array(truths, float).reshape(-1, 4), iou,
    ).tolist()


def test_rate_and_wilson_interval():
    rate = Rate(8, 10)
    # z² = 3.8415; centre (0.8 + 0.19207) / 1.38415, half 1.96 / 1.38415 * sqrt(0.016 + 0.0096)
    assert rate.value == 0.8
    assert rate.interval() == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert Rate(0, 10).interval() == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert Rate(10, 10).interval() == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert Rate.of([True, False, True]) == Rate(2, 3)


def test_rate_of_nothing_says_nothing():
    assert math.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval() == (0.0, 1.0)


def test_paired_counts_difference_and_exact_p():
    a = [True] * 6 + [True] * 5 + [False] * 1 + [False] * 8
    b = [True] * 6 + [False] * 5 + [True] * 1 + [False] * 8
    paired = Paired.of(a, b)
    assert paired == Paired(both=6, only_a=5, only_b=1, neither=8)
    assert paired.n == 20
    assert paired.difference == pytest.approx(-0.2)
    assert paired.p_value == pytest.approx(2 * (1 + 6) / 64)  # binomial(6, 1/2), 0 or 1 of 6
    # (6, 2) of 22: -4/22 -+ 1.96 * sqrt((8/22 - (4/22)²) / 22)
    assert paired.interval() == pytest.approx((-0.42207, 0.05844), abs=1e-4)


def test_paired_equal_models():
    paired = Paired.of([True, False], [True, False])
    assert paired.difference == 0
    assert paired.p_value == 1
    low, high = paired.interval()
    assert low < 0 < high


def test_paired_needs_the_same_items():
    with pytest.raises(ValueError, match="zip"):
        Paired.of([True], [True, False])


def test_ratio_may_exceed_one_and_has_a_stable_interval():
    ratio = Ratio((3, 0, 1), (1, 1, 2))
    assert (ratio.k, ratio.n, ratio.value) == (4, 4, 1.0)
    low, high = ratio.interval()
    assert low < 1 < high <= 3
    assert ratio.interval() == (low, high)
    assert Ratio((2, 2), (4, 4)).interval() == (0.5, 0.5)
    assert Ratio((0,) * 100, (1,) * 100).interval() == pytest.approx((0, 0.036889), abs=1e-6)
    assert math.isnan(Ratio((), ()).value)
    assert all(map(math.isnan, Ratio((), ()).interval()))


def test_spread():
    spread = Spread((0.1, 0.2, 0.3, 0.4, 1.0))
    assert (spread.n, spread.value) == (5, 0.3)
    assert spread.quantile(0.95) == pytest.approx(0.88)  # 0.4 + 0.8 * 0.6
    low, high = spread.interval()
    assert 0.1 <= low < 0.3 < high <= 1.0
    assert math.isnan(Spread(()).value)
    assert all(map(math.isnan, Spread(()).interval()))


def test_match_needs_more_than_the_threshold():
    assert match([HALF], [1], [UNIT], iou=0.5) == [-1]
    assert match([HALF], [1], [UNIT], iou=0.49) == [0]


def test_match_lets_the_most_confident_choose_first():
    near = (1.0, 0.0, 11.0, 10.0)  # IoU 9/11 with UNIT
    assert match([near, UNIT], [0.9, 0.8], [UNIT]) == [0, -1]
    assert match([near, UNIT], [0.8, 0.9], [UNIT]) == [-1, 0]


def test_match_takes_the_best_free_truth():
    near = (1.0, 0.0, 11.0, 10.0)
    assert match([UNIT, UNIT], [0.9, 0.8], [near, UNIT]) == [1, 0]


def test_match_of_nothing():
    assert match([], [], [UNIT]) == []
    assert match([UNIT], [1], []) == [-1]


def test_detection_rates():
    frames = [
        FrameResult(sample=sample(UNIT, FAR), detections=[detection(UNIT), detection(HALF, 0.5)]),
        FrameResult(sample=sample(), detections=[detection(FAR, 0.95)]),
    ]
    rates = metrics.detection_rates(frames, 0.5)
    assert rates.recall == Rate(1, 2)
    assert rates.precision == Rate(1, 3)
    assert rates.false_per_picture == Ratio((1, 1), (1, 1))
    # by confidence: false, true, false; precision 1/2 at recall 1/2
    assert rates.average_precision == pytest.approx(0.25)
    assert metrics.plates_found(frames, 0.5) == [True, False]


def test_false_detections_do_not_count_where_plates_are_unboxed():
    frame = FrameResult(
        sample=sample(UNIT, complete=False), detections=[detection(UNIT), detection(FAR)]
    )
    rates = metrics.detection_rates([frame], 0.5)
    assert rates.precision == Rate(1, 1)
    assert rates.average_precision == 1
    assert rates.false_per_picture == Ratio((), ())


def test_average_precision_uses_the_envelope():
    # right, wrong, right, right of 4 plates: precisions 1, 1/2, 2/3, 3/4, envelope 1, 3/4, 3/4
    value = metrics.average_precision(
        np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]), 4
    )
    assert value == pytest.approx((1 + 0.75 + 0.75) / 4)
    assert metrics.average_precision(np.array([]), np.array([], bool), 3) == 0
    assert math.isnan(metrics.average_precision(np.array([]), np.array([], bool), 0))


def test_corner_error_is_a_share_of_the_mean_edge():
    truth = ((0.0, 0.0), (12.0, 0.0), (10.0, 5.0), (2.0, 5.0))  # edges 12 and 8: width 10
    moved = ((3.0, 4.0), (12.0, 0.0), (10.0, 5.0), (2.0, 5.0))  # one corner by 5
    assert metrics.corner_error(truth, truth) == 0
    assert metrics.corner_error(moved, truth) == pytest.approx(5 / 4 / 10)


def test_corner_errors_only_where_corners_are_the_plate_edge():
    shifted = detection(UNIT, corners=box_quad((1.0, 0.0, 11.0, 10.0)))
    def errors(**options):
        frame = FrameResult(sample=sample(UNIT, **options), detections=[shifted])
        return metrics.corner_errors([frame])

    assert errors(dataset="ccpd_tilt").values == pytest.approx((0.1,))
    assert errors(dataset="rendered").n == 1
    assert errors(dataset="nl_tudelft").n == 0
    assert errors(dataset="world_faisal").n == 0
    assert errors(dataset="ccpd_base", corners=False).n == 0


def test_recall_by_width_counts_in_a_1280_frame():
    wide, narrow = (0.0, 0.0, 4.0, 2.0), (0.0, 10.0, 3.0, 12.0)  # 51.2 and 38.4 px of 1280
    frame = FrameResult(sample=sample(wide, narrow), detections=[detection(wide)])
    assert metrics.plate_width(frame.sample, frame.sample.plates[0]) == pytest.approx(51.2)
    rates = metrics.recall_by_width([frame], (0, 40, math.inf))
    assert rates == {(0, 40): Rate(0, 1), (40, math.inf): Rate(1, 1)}


@pytest.mark.parametrize(
    ("text", "truth", "edits"),
    [("", "", 0), ("", "AB1", 3), ("AB1", "", 3), ("AB1", "AB1", 0), ("AB1", "A81", 1),
     ("AB12", "B12", 1), ("KITTEN", "SITTING", 3), ("京A1", "沪A1", 1)],
)
def test_edit_distance(text, truth, edits):
    assert edit_distance(text, truth) == edits


def test_character_errors_are_pooled_over_characters():
    errors = metrics.character_errors(["AB1", "X"], ["AB12", "YZ"])
    assert errors == Ratio((1, 2), (4, 2))
    assert errors.value == 0.5


def test_end_to_end_needs_place_and_text():
    truths = sample(UNIT, FAR, texts=("AB1", "CD2")).plates
    assert metrics.end_to_end_hits(truths, [plate(UNIT, "AB1"), plate(FAR, "CD2")]) == [True, True]
    assert metrics.end_to_end_hits(truths, [plate(UNIT, "AB1"), plate(FAR, "CDZ")]) == [True, False]
    assert metrics.end_to_end_hits(truths, [plate(FAR, "AB1")]) == [False, False]
    loose = (0.0, 0.0, 10.0, 6.0)  # IoU 0.6, which is not above 0.6
    assert metrics.end_to_end_hits(truths, [plate(loose, "AB1")]) == [False, False]


def test_end_to_end_leaves_out_plates_of_unknown_text():
    truths = sample(UNIT, FAR, texts=(None, "CD2")).plates
    assert metrics.end_to_end_hits(truths, [plate(UNIT, "ZZ9"), plate(FAR, "CD2")]) == [True]
    assert metrics.end_to_end_hits(sample(UNIT).plates, []) == []


def test_a_truth_longer_than_the_slots_counts_as_wrong():
    truths = sample(UNIT, texts=("ABCDEFGHIJK",)).plates
    assert metrics.end_to_end_hits(truths, [plate(UNIT, "ABCDEFGHIJ")]) == [False]


def test_the_sure_threshold_by_hand():
    """One false detection of 0.61 in ten frames is 0.1 a frame; one more, of 0.45, is too much."""
    def seen(*scores: float) -> FrameResult:
        sample = Sample(path=Path("a.png"), dataset="drawn", split=Split.DEV, width=9, height=9,
                        plates=())
        quad = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        return FrameResult(sample=sample, detections=[
            Detection(box=(0.0, 0.0, 1.0, 1.0), corners=quad, confidence=score) for score in scores
        ])

    frames = [seen(0.61, 0.45), *(seen() for _ in range(9))]
    assert metrics.sure_threshold(frames) == 0.46
    assert metrics.sure_threshold([seen(0.95)]) == metrics.SCORES[-1]
    assert metrics.sure_threshold(frames, 0.05) == 0.62
    assert [d.confidence for d in metrics.at_least(frames[0], 0.5).detections] == [0.61]
    unknown = dataclasses.replace(frames[0].sample, complete=False)
    with pytest.raises(DataError, match="no frame is completely annotated"):
        metrics.sure_threshold([dataclasses.replace(frames[0], sample=unknown)])


def test_what_nobody_annotated_is_not_false():
    first, second = Path("a.png"), Path("b.png")

    def frame(path, *boxes):
        return FrameResult(
            sample=dataclasses.replace(sample(UNIT), path=path),
            detections=[detection(box) for box in boxes],
        )

    away = (5.0, 5.0, 7.0, 6.0)
    frames = [frame(first, UNIT, away), frame(second, away)]
    kept = metrics.less_listed(frames, {first: [(5.0, 5.0, 7.0, 7.0), UNIT]})
    assert [[d.box for d in one.detections] for one in kept] == [[UNIT], [away]]
