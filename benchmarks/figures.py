"""The kinds of figures in a report, and how each is written as JSON."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from alpr_edge.confidence import DistinctRate
from alpr_edge.rates import Paired, Rate, Ratio, Spread

Hits = list[bool]
Figure = Hits | Rate | Ratio | DistinctRate | Spread | float
Figures = dict[str, dict[str, Figure]]
"""Name of the figure → group of samples → figure. Hits are compared pair by pair."""


def number(figure: Figure) -> dict[str, Any]:
    """A figure with its count and its 95 % interval; what is not finite is left out."""
    if isinstance(figure, float):
        return {"value": figure} if math.isfinite(figure) else {}
    if isinstance(figure, list):
        figure = Rate.of(figure)
    low, high = figure.interval()
    if isinstance(figure, Spread):
        extra = {"n": figure.n, "p95": figure.quantile(0.95)} if figure.n else {"n": 0}
    else:
        k = figure.k if isinstance(figure.k, int) else round(figure.k, 2)
        extra = {"k": int(k) if k == int(k) else k, "n": figure.n}
    known = {"value": figure.value, "low": low, "high": high}
    return extra | {key: value for key, value in known.items() if math.isfinite(value)}


def finite(value: float) -> float | None:
    """The value for a report, None where it is not finite: JSON has no NaN."""
    return value if math.isfinite(value) else None


def paired(first: Hits, second: Hits) -> dict[str, Any]:
    """Two hit lists over the same items: who was right where, and the second's rate less the
    first's with its 95 % interval."""
    counts = Paired.of(first, second)
    low, high = counts.interval()
    return {
        **dataclasses.asdict(counts), "difference": counts.difference, "low": low, "high": high,
        "p_value": counts.p_value,
    }
