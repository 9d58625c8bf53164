"""Plateau detection: by hand, against dlib, and the rate that follows it."""

from __future__ import annotations

import numpy as np
import pytest

from alpr_edge.errors import UsageError
from training.plateau import (
    Plateau,
    PlateauRate,
    count_steps_without_decrease,
    count_steps_without_decrease_robust,
)


def random_series(seed: int) -> np.ndarray:
    """Noise round a level, a fall, a fall that ends, or a rise; of many lengths and scales."""
    rng = np.random.default_rng(seed)
    steps = np.arange(rng.integers(0, 400))
    half = len(steps) // 2
    shapes = [0 * steps, -steps, -np.minimum(steps, half), steps, 100 * np.exp(-steps / 40)]
    trend = shapes[seed % len(shapes)] * rng.choice([0.001, 0.01, 0.1])
    noise = rng.standard_normal(len(steps)) + 20 * (rng.random(len(steps)) > 0.97)
    return rng.choice([1e-3, 1, 100]) * (trend + noise + rng.choice([0, 5, 50]))


def test_equal_to_dlib_on_random_series() -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed (extra dev)")
    seen = set()
    for seed in range(100):
        values = random_series(seed)
        plain = count_steps_without_decrease(values)
        assert plain == dlib.count_steps_without_decrease(values), seed
        robust = count_steps_without_decrease_robust(values)
        assert robust == dlib.count_steps_without_decrease_robust(values), seed
        sure = count_steps_without_decrease_robust(values, 0.9, 0.25)
        assert sure == dlib.count_steps_without_decrease_robust(values, 0.9, 0.25), seed
        seen |= {plain, robust}
    assert len(seen) > 60  # many answers, not only none and all


@pytest.mark.parametrize("level", [0.0, 1e-4, 1.0, 1000.0])
@pytest.mark.parametrize("slope", [0.0, -1e-3, 1e-3])
def test_equal_to_dlib_without_noise(level, slope) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed (extra dev)")
    values = level * (1 + slope * np.arange(60))
    assert count_steps_without_decrease(values) == dlib.count_steps_without_decrease(values)
    robust = dlib.count_steps_without_decrease_robust(values)
    assert count_steps_without_decrease_robust(values) == robust


def test_by_hand() -> None:
    assert count_steps_without_decrease([5, 4, 3, 2, 1]) == 0  # falls
    assert count_steps_without_decrease([1, 2, 3, 4, 5]) == 5  # rises
    assert count_steps_without_decrease([2, 2, 2, 2]) == 4  # stands
    assert count_steps_without_decrease([9, 7, 5, 3, 1, 2, 3]) == 4  # 3 1 2 3 has slope 0.1
    assert count_steps_without_decrease([3, 2]) == 0  # a line needs 3 points


def test_one_bad_batch_hides_the_plateau_from_the_plain_count_only() -> None:
    values = [100.0, *[1.0, 1.1] * 5]
    assert count_steps_without_decrease(values) < 11
    assert count_steps_without_decrease_robust(values) == 11  # the dropped step counts


def test_wrong_probabilities_are_told() -> None:
    with pytest.raises(UsageError, match="between 0.5 and 1"):
        count_steps_without_decrease([1, 2, 3], 0.5)
    with pytest.raises(UsageError, match="share in 0..1"):
        count_steps_without_decrease_robust([1, 2, 3], 0.51, 1.5)


def test_the_rate_falls_after_the_patience_down_to_the_minimum() -> None:
    follower = PlateauRate(Plateau(patience=5, factor=0.1, minimum=0.05))
    rates = []
    for _ in range(15):
        follower.add(1.0)
        follower.check()
        rates.append(follower.rate)
    assert rates == pytest.approx([1.0] * 4 + [0.1] * 5 + [0.05] * 6)


def test_a_falling_loss_keeps_the_rate() -> None:
    follower = PlateauRate(Plateau(patience=5))
    for step in range(50):
        follower.add(10 - 0.1 * step)
        assert not follower.check()
    assert follower.rate == 1.0


def test_a_resumed_follower_goes_on() -> None:
    config = Plateau(patience=4, factor=0.5, minimum=0.1)
    whole, first = PlateauRate(config), PlateauRate(config)
    for _ in range(6):
        for follower in (whole, first):
            follower.add(1.0)
            follower.check()
    second = PlateauRate(config)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        for follower in (whole, second):
            follower.add(1.0)
            follower.check()
    assert (whole.rate, whole.losses) == (second.rate, second.losses) == (0.25, [])
