"""What is made of timings: percentiles, MLPerf's early-stopping estimate, intervals, ratios.

Legend: n samples, in milliseconds; all intervals are 95 %.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (50, 90, 95, 99)
CONFIDENCE = 0.99
"""Of the early-stopping estimate, as in MLPerf's LoadGen."""
BLOCKS = 20
"""Of neighbouring runs, taken for independent of each other where one process made them all."""

Samples = Sequence[float] | NDArray[np.floating]


def summary(values: Samples) -> dict[str, float]:
    """``p50``, ``p90``, ``p95``, ``p99`` (linearly interpolated), ``max``, and ``p90_early``
    (:func:`early_stopping`) where there are samples enough.

    Raises:
        ValueError: there is no sample.
    """
    found = np.percentile(values, PERCENTILES)
    told = {f"p{p}": float(value) for p, value in zip(PERCENTILES, found, strict=True)}
    told["max"] = float(np.max(values))
    early = early_stopping(values, 0.9)
    return {name: round(value, 4) for name, value in (
        told | ({} if early is None else {"p90_early": early})).items()}


def early_stopping(values: Samples, percentile: float) -> float | None:
    """MLPerf's single-stream estimate of a percentile: the t-th highest of n samples, t the
    largest that n allows (:func:`fewest`), so that the true percentile is not above it with a
    confidence of :data:`CONFIDENCE`. None if there are fewer samples than t = 1 needs (64 of p90).

    Source: MLPerf inference rules, "Early Stopping Criterion" (single stream).
    """
    ranked = np.sort(np.asarray(values, float))
    allowed = 0
    while fewest(allowed + 1, percentile) <= len(ranked):
        allowed += 1
    return float(ranked[-allowed]) if allowed else None


def fewest(exceeding: int, percentile: float) -> int:
    """The least n of which ``exceeding`` samples above a bound still show, with a confidence of
    :data:`CONFIDENCE`, that the true percentile is not above that bound."""
    high = exceeding + 1
    while _at_most(exceeding, high, 1 - percentile) > 1 - CONFIDENCE:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = _at_most(exceeding, middle, 1 - percentile) <= 1 - CONFIDENCE
        low, high = (low, middle) if enough else (middle, high)
    return high


def _at_most(k: int, n: int, share: float) -> float:
    """Probability of at most ``k`` hits in ``n`` draws that each hit with ``share``."""
    if k >= n:
        return 1.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1)
        + i * math.log(share) + (n - i) * math.log1p(-share)
        for i in range(k + 1)
    ]
    return math.fsum(map(math.exp, logs))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """The three numbers, rounded."""
        return {name: round(number, 5) for name, number in dataclasses.asdict(self).items()}


def paired_ratio(first: Samples, second: Samples, blocks: int = BLOCKS) -> Estimate:
    """How many times as long ``second`` took: the median of the ratios of run by run, of the same
    pictures in the same order. Above 1: slower.

    Its interval is Student's t over the logarithms of the medians of ``blocks`` of neighbouring
    runs: neighbours share the machine's mood, those of one process also how well its memory lies
    (:mod:`benchmarks.launches`), and as single runs they would make the interval too narrow.
    Several processes' runs are to be as many blocks as there are processes.

    Raises:
        ValueError: not as many of one as of the other, or fewer than ``blocks``.
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    if one.shape != two.shape or len(one) < blocks:
        raise ValueError(f"{len(one)} and {len(two)} runs cannot be paired in {blocks} blocks")
    ratios = two / one
    value, off = float(np.median(ratios)), 0.0
    logs = np.log([np.median(block) for block in np.array_split(ratios, blocks)])
    if blocks > 1:
        off = student(blocks - 1) * float(logs.std(ddof=1)) / math.sqrt(blocks)
    return Estimate(value=value, low=value * math.exp(-off), high=value * math.exp(off))


def student(freedom: int) -> float:
    """The 97.5th percentile of Student's t with so many degrees of freedom, within 1 %.

    Source: from 3 on the expansion in 1 / ``freedom`` of Fisher and Cornish 1960, "The percentile
    points of distributions having known cumulants".
    """
    if freedom < 3:
        return {1: 12.7062, 2: 4.30265}[freedom]
    return 1.95996 + 2.37227 / freedom + 2.82250 / freedom**2 + 2.55585 / freedom**3
