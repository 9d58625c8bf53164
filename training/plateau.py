"""When the loss no longer falls: plateau detection as dlib's trainer does it (King 2018, "Automatic
Learning Rate Scheduling That Really Works").

A line is fitted to the latest k losses, for every k. Under Gaussian noise the line's slope is
normally distributed, so the fit tells the probability that the loss falls. The longest k at which
that probability is still below ``probability`` is the number of steps without a decrease.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge.errors import UsageError

RIDGE = 1e-6
"""dlib's prior on slope and intercept; it decides only where the losses are all but constant."""


def count_steps_without_decrease(values: Sequence[float], probability: float = 0.51) -> int:
    """How many of the latest ``values`` (oldest first) show no evidence of a fall.

    Raises:
        UsageError: ``probability`` is not between 0.5 and 1.
    """
    return count_steps_without_decrease_robust(values, probability, quantile_discard=0.0)


def count_steps_without_decrease_robust(
    values: Sequence[float], probability: float = 0.51, quantile_discard: float = 0.10
) -> int:
    """The same without the largest ``quantile_discard`` of the values, so that a few bad batches
    do not hide a plateau. Steps whose value is dropped still count.

    Raises:
        UsageError: ``probability`` is not between 0.5 and 1, or the share not in 0..1.
    """
    if not 0.5 < probability < 1:
        raise UsageError(f"probability {probability}: give one between 0.5 and 1, both excluded")
    if not 0 <= quantile_discard <= 1:
        raise UsageError(f"quantile_discard {quantile_discard}: give a share in 0..1")
    latest = np.asarray(values, np.float64)[::-1]
    if len(latest) < 3:
        return 0
    last = math.floor((len(latest) - 1) * (1 - quantile_discard) + 0.5)
    keep = latest <= np.partition(latest, last)[last]
    kept = np.cumsum(keep)  # points of the fit after each step backwards
    flat = np.concatenate([[False], _no_fall(latest[keep], probability)])[kept]
    steps = np.flatnonzero(flat)
    return int(steps[-1]) + 1 if len(steps) else 0


def _no_fall(latest: NDArray[np.float64], probability: float) -> NDArray[np.bool_]:
    """For each k: do the first k values, latest first, show no fall? Not asked below 3 points.

    The k-th line minimises Σ (y - slope·x - intercept)² + RIDGE (slope² + intercept²), with
    x = 0, 1, ... backwards in time, so that a falling loss has a positive slope.
    """
    x = np.arange(len(latest), dtype=np.float64)
    n = x + 1
    sum_x, sum_xx = np.cumsum(x), np.cumsum(x * x) + RIDGE
    sum_y, sum_xy = np.cumsum(latest), np.cumsum(x * latest)
    count = n + RIDGE
    determinant = sum_xx * count - sum_x**2
    slope = (count * sum_xy - sum_x * sum_y) / determinant
    intercept = (sum_xx * sum_y - sum_x * sum_xy) / determinant
    cost = np.cumsum(latest**2) - slope * sum_xy - intercept * sum_y
    with np.errstate(divide="ignore", invalid="ignore"):  # below 3 points, not asked
        variance = np.maximum(cost, 0) / (n - 2) * 12 / (n**3 - n)
        evidence = NormalDist().inv_cdf(probability) * np.sqrt(variance)
    return (n > 2) & ((slope <= 0) | (slope < evidence))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plateau:
    """When to lower the rate: after ``patience`` steps without a decrease the rate is multiplied
    by ``factor``, at most down to ``minimum`` times the base rate."""

    patience: int = 2000
    factor: float = 0.1
    minimum: float = 1e-3


class PlateauRate:
    """Follows the losses of a run; ``rate`` is the factor on the base rate."""

    def __init__(self, config: Plateau) -> None:
        self.config = config
        self.rate = 1.0
        self.losses: list[float] = []

    def add(self, loss: float) -> None:
        """Remember one step's loss."""
        self.losses.append(loss)

    def check(self) -> bool:
        """Lower the rate and forget the losses if both counts reach the patience; did it?"""
        patience = self.config.patience
        reached = (
            len(self.losses) >= patience
            and count_steps_without_decrease(self.losses) >= patience
            and count_steps_without_decrease_robust(self.losses) >= patience
        )
        if reached:
            self.rate = max(self.rate * self.config.factor, self.config.minimum)
            self.losses = []
        return reached

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"rate": self.rate, "losses": list(self.losses)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.rate, self.losses = state["rate"], list(state["losses"])
