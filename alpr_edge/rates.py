"""Shares, ratios and errors with their k, their n and their 95 % interval, and two models compared
on the same items."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence, Sized

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054

Interval = tuple[float, float]


def wilson(share: float, n: int) -> Interval:
    """95 % score interval of a share of n items (Wilson 1927); 0..1 for n = 0."""
    if not n:
        return 0.0, 1.0
    shrink = 1 + Z95**2 / n
    centre = (share + Z95**2 / (2 * n)) / shrink
    half = Z95 / shrink * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclasses.dataclass(frozen=True, slots=True)
class Rate:
    """``k`` of ``n``."""

    k: int
    n: int

    @classmethod
    def of(cls, hits: Iterable[bool]) -> Rate:
        """The share of True in ``hits``."""
        hits = list(hits)
        return cls(sum(map(bool, hits)), len(hits))

    @property
    def value(self) -> float:
        """The share k / n, NaN for n = 0."""
        return self.k / self.n if self.n else math.nan

    def interval(self) -> Interval:
        """95 % score interval (:func:`wilson`); 0..1 for n = 0."""
        return wilson(self.value, self.n)


@dataclasses.dataclass(frozen=True, slots=True)
class Ratio:
    """Counts per size, item by item, for figures where k may exceed n: edits per character, false
    detections per picture."""

    counts: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def k(self) -> int:
        """All counts."""
        return sum(self.counts)

    @property
    def n(self) -> int:
        """All sizes."""
        return sum(self.sizes)

    @property
    def value(self) -> float:
        """Counts per size k / n, NaN for n = 0."""
        return self.k / self.n if self.n else math.nan

    def interval(self) -> Interval:
        """95 % percentile bootstrap interval over the items; NaN for n = 0.

        For k = 0, where a bootstrap would claim certainty, the exact Poisson interval.
        """
        if not self.n:
            return math.nan, math.nan
        if not self.k:
            return 0.0, -math.log(0.025) / self.n
        counts, sizes = np.array(self.counts), np.array(self.sizes)
        return _bootstrap(self.counts, lambda drawn: counts[drawn].sum() / sizes[drawn].sum())


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """Median and tail of a list of errors."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """The number of values."""
        return len(self.values)

    def quantile(self, share: float) -> float:
        """The value that ``share`` of the values do not exceed, NaN without values."""
        return float(np.quantile(self.values, share)) if self.values else math.nan

    @property
    def value(self) -> float:
        """The median."""
        return self.quantile(0.5)

    def interval(self) -> Interval:
        """95 % percentile bootstrap interval of the median; NaN without values."""
        if not self.values:
            return math.nan, math.nan
        values = np.array(self.values)
        return _bootstrap(values, lambda drawn: np.median(values[drawn]))


def _bootstrap(items: Sized, figure: Callable[[NDArray[np.int64]], float]) -> Interval:
    """95 % percentile interval of a figure of the drawn items' numbers, over 1000 resamples that
    are the same on every call, one at a time: all together would take 8 kB an item."""
    rng, n = np.random.default_rng(0), len(items)
    low, high = np.quantile([figure(rng.integers(0, n, n)) for _ in range(1000)], [0.025, 0.975])
    return float(low), float(high)


@dataclasses.dataclass(frozen=True, slots=True)
class Paired:
    """Two models A and B on the same items: who was right where."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @classmethod
    def of(cls, hits_a: Sequence[bool], hits_b: Sequence[bool]) -> Paired:
        """Counts of two hit lists over the same items in the same order.

        Raises:
            ValueError: the lists differ in length.
        """
        pairs = [(bool(a), bool(b)) for a, b in zip(hits_a, hits_b, strict=True)]
        return cls(
            both=pairs.count((True, True)), only_a=pairs.count((True, False)),
            only_b=pairs.count((False, True)), neither=pairs.count((False, False)),
        )

    @property
    def n(self) -> int:
        """The number of items."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def difference(self) -> float:
        """B's rate less A's (negative: B lost), NaN without items."""
        return (self.only_b - self.only_a) / self.n if self.n else math.nan

    def interval(self) -> Interval:
        """95 % interval of :attr:`difference` (adjusted Wald, Bonett and Price 2012)."""
        a, b = (self.only_a + 1) / (self.n + 2), (self.only_b + 1) / (self.n + 2)
        half = Z95 * math.sqrt(max(0.0, a + b - (b - a) ** 2) / (self.n + 2))
        return max(-1.0, b - a - half), min(1.0, b - a + half)

    @property
    def p_value(self) -> float:
        """Two-sided exact probability of so uneven a split by chance (McNemar)."""
        discordant = self.only_a + self.only_b
        tail = sum(math.comb(discordant, i) for i in range(min(self.only_a, self.only_b) + 1))
        return min(1.0, float(2 * tail / 2**discordant))
