"""Worked examples of what is made of timings."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import statistics


def test_percentiles_by_hand():
    told = statistics.summary(list(range(101)))
    assert (told["p50"], told["p90"], told["p95"], told["p99"], told["max"]) == (
        50, 90, 95, 99, 100
    )
    assert statistics.summary([1.0, 2.0]) == {
        "p50": 1.5, "p90": 1.9, "p95": 1.95, "p99": 1.99, "max": 2.0
    }


@pytest.mark.parametrize(("exceeding", "percentile", "needed"), [
    (0, 0.9, 44),  # 0.9 ** 44 < 0.01 < 0.9 ** 43
    (0, 0.99, 459),  # 0.99 ** 459 < 0.01 < 0.99 ** 458
    (1, 0.9, 64),  # LoadGen's least for single stream
    (1, 0.99, 662),
])
def test_fewest_samples_are_those_of_mlperf(exceeding, percentile, needed):
    assert statistics.fewest(exceeding, percentile) == needed


def test_early_stopping_by_hand():
    assert statistics.early_stopping(list(range(63)), 0.9) is None
    assert statistics.early_stopping(list(range(64)), 0.9) == 63  # t = 1: the highest
    values = np.arange(200.0)
    allowed = max(t for t in range(1, 40) if statistics.fewest(t, 0.9) <= 200)
    assert statistics.early_stopping(values[::-1], 0.9) == 200 - allowed
    assert statistics.early_stopping(values, 0.9) > np.percentile(values, 90)


def test_the_estimate_is_rarely_below_the_true_percentile():
    rng = np.random.default_rng(0)
    draws = rng.exponential(size=(400, 200))
    true = -np.log(0.1)
    low = sum(statistics.early_stopping(row, 0.9) < true for row in draws)
    assert low <= 400 * 0.02


def test_paired_ratio_sees_through_a_machine_that_slows_down():
    drift = np.linspace(1, 3, 200)
    found = statistics.paired_ratio(10 * drift, 11 * drift)
    assert found.value == pytest.approx(1.1)
    assert (found.low, found.high) == pytest.approx((1.1, 1.1))
    with pytest.raises(ValueError, match="19 and 19 runs cannot be paired in 20 blocks"):
        statistics.paired_ratio([1.0] * 19, [1.0] * 19)
    with pytest.raises(ValueError, match="30 and 40 runs cannot be paired"):
        statistics.paired_ratio([1.0] * 30, [1.0] * 40)


def test_paired_ratio_takes_neighbours_together():
    rng = np.random.default_rng(2)
    moods = [np.repeat(rng.normal(1, 0.05, 20), 10) for _ in range(2)]
    first, second = (10 * mood + rng.normal(0, 0.05, 200) for mood in moods)
    found = statistics.paired_ratio(first, second * 1.2)
    assert found.low < 1.2 < found.high
    assert found.high - found.low > 0.03  # as single runs: a third of it


@pytest.mark.parametrize(("freedom", "known"), [
    (1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (19, 2.093),
])
def test_students_t_as_in_the_tables(freedom: int, known: float):
    assert statistics.student(freedom) == pytest.approx(known, rel=0.01)


def test_the_interval_of_a_ratio_covers_it_where_each_process_has_its_own_speed():
    rng, covered = np.random.default_rng(5), 0
    for _ in range(300):
        speeds = [np.repeat(rng.normal(1, 0.02, 10), 20) for _ in range(2)]
        first, second = (speed * rng.normal(1, 0.02, 200) for speed in speeds)
        found = statistics.paired_ratio(first, second, 10)
        covered += found.low <= 1 <= found.high
    assert covered >= 300 * 0.91  # blocks of ten neighbours: 0.77
