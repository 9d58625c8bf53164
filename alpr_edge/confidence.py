"""What a reader's confidence is worth, and where its characters go wrong.

Legend: N readings of plates whose text is known, each with its confidence and whether it is right
(every character). A reading is *shown* where its confidence reaches the threshold. Choose a
threshold on split dev; on val it is only reported.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from alpr_edge.edits import align
from alpr_edge.rates import Interval, Rate, wilson

BINS = 10
"""Bins of equal width of a reliability table."""

Floats64 = NDArray[np.float64]
Confidences = Sequence[float] | NDArray[np.floating]
Rights = Sequence[bool] | NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """The readings with low <= confidence < high (the last bin: <= high)."""

    low: float
    high: float
    mean_confidence: float
    right: Rate

    @property
    def gap(self) -> float:
        """Mean confidence less the share right (positive: too sure), NaN where the bin is empty."""
        return self.mean_confidence - self.right.value


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curve:
    """The counts at every threshold that changes them, the highest first.

    ``thresholds`` (M,) float64, ``right_shown`` and ``wrong_shown`` (M,) int64; ``rights`` and
    ``wrongs`` of all readings.
    """

    thresholds: Floats64
    right_shown: NDArray[np.int64]
    wrong_shown: NDArray[np.int64]
    rights: int
    wrongs: int

    @property
    def far(self) -> Floats64:
        """False reads: the share of the shown readings that are wrong, (M,)."""
        return np.asarray(self.wrong_shown / (self.right_shown + self.wrong_shown), np.float64)

    @property
    def frr(self) -> Floats64:
        """False rejects: the share of all plates whose right reading is not shown, (M,)."""
        return np.asarray(1 - self.right_shown / (self.rights + self.wrongs), np.float64)

    def roc(self) -> tuple[Floats64, Floats64]:
        """The share of the wrong readings shown and that of the right ones, (M + 1,) each, from 0;
        NaN where there are none of them."""
        shares = []
        for shown, total in ((self.wrong_shown, self.wrongs), (self.right_shown, self.rights)):
            counts = np.concatenate([[0], shown]).astype(np.float64)
            shares.append(counts / total if total else np.full_like(counts, math.nan))
        return shares[0], shares[1]

    @property
    def auc(self) -> float:
        """Area under :meth:`roc`: how often a right reading is surer than a wrong one, ties half
        (Hanley and McNeil 1982). NaN without a right or without a wrong reading."""
        if not self.rights or not self.wrongs:
            return math.nan
        wrong, right = self.roc()
        return float(((right[1:] + right[:-1]) / 2 * np.diff(wrong)).sum())


def false_reads(confidences: Confidences, rights: Rights, threshold: float) -> Rate:
    """FAR at a threshold: wrong readings of those shown."""
    return Rate.of(
        not right for c, right in zip(confidences, rights, strict=True) if c >= threshold
    )


def false_rejects(confidences: Confidences, rights: Rights, threshold: float) -> Rate:
    """FRR at a threshold: plates whose right reading is not shown, of all plates.

    A plate that was read wrongly counts too, shown or not: nobody got its text.
    """
    return Rate.of(
        not (right and c >= threshold) for c, right in zip(confidences, rights, strict=True)
    )


def curve(confidences: Confidences, rights: Rights) -> Curve:
    """:class:`Curve` of N readings; N may be 0."""
    sure, right = np.asarray(confidences, np.float64), np.asarray(rights, bool)
    if sure.shape != right.shape or sure.ndim != 1:
        raise ValueError(f"confidences {sure.shape} and rights {right.shape}; needed is one each")
    order = np.argsort(-sure, kind="stable")
    sure, right = sure[order], right[order]
    last = np.flatnonzero(np.diff(sure, append=-math.inf))  # the last of equal ones
    return Curve(
        thresholds=sure[last],
        right_shown=np.cumsum(right, dtype=np.int64)[last],
        wrong_shown=np.cumsum(~right, dtype=np.int64)[last],
        rights=int(right.sum()),
        wrongs=int((~right).sum()),
    )


def threshold_for(confidences: Confidences, rights: Rights, most: float) -> float | None:
    """The lowest threshold at which at most the share ``most`` of the shown readings is wrong.

    None where no threshold is that clean: the surest reading is wrong, or there is none.
    """
    counts = curve(confidences, rights)
    clean = np.flatnonzero(counts.far <= most)
    return float(counts.thresholds[clean[-1]]) if len(clean) else None


def reliability(confidences: Confidences, rights: Rights, bins: int = BINS) -> tuple[Bin, ...]:
    """Readings by confidence, in ``bins`` bins of equal width from 0 to 1."""
    sure, right = np.asarray(confidences, np.float64), np.asarray(rights, bool)
    number = np.minimum((sure * bins).astype(int), bins - 1)
    table = []
    for index in range(bins):
        inside = number == index
        table.append(Bin(
            low=index / bins,
            high=(index + 1) / bins,
            mean_confidence=float(sure[inside].mean()) if inside.any() else math.nan,
            right=Rate(int(right[inside].sum()), int(inside.sum())),
        ))
    return tuple(table)


def calibration_error(bins: Iterable[Bin]) -> float:
    """Expected calibration error: the bins' gaps weighted by their readings (Guo et al. 2017);
    NaN without readings."""
    filled = [b for b in bins if b.right.n]
    total = sum(b.right.n for b in filled)
    return sum(abs(b.gap) * b.right.n for b in filled) / total if total else math.nan


def by_position(texts: Iterable[str], truths: Iterable[str]) -> tuple[Rate, ...]:
    """For each position of the true texts, first to last: characters read right
    (:func:`alpr_edge.edits.align`)."""
    hits: defaultdict[int, list[bool]] = defaultdict(list)
    for text, truth in zip(texts, truths, strict=True):
        for index, (read, true) in enumerate(pair for pair in align(text, truth) if pair[1]):
            hits[index].append(read == true)
    return tuple(Rate.of(hits[index]) for index in range(len(hits)))


def confusions(texts: Iterable[str], truths: Iterable[str]) -> Counter[tuple[str, str]]:
    """How often each (read, true) pair of unequal characters occurs
    (:func:`alpr_edge.edits.align`)."""
    return Counter(
        pair for text, truth in zip(texts, truths, strict=True) for pair in align(text, truth)
        if pair[0] != pair[1]
    )


@dataclasses.dataclass(frozen=True, slots=True)
class DistinctRate:
    """The mean over distinct texts of the share of their plates that is right."""

    shares: tuple[float, ...]

    @classmethod
    def of(cls, hits: Iterable[bool], truths: Iterable[str]) -> DistinctRate:
        """Of hits and the true text of each, in the same order."""
        groups: defaultdict[str, list[bool]] = defaultdict(list)
        for hit, truth in zip(hits, truths, strict=True):
            groups[truth].append(bool(hit))
        return cls(tuple(sum(group) / len(group) for group in groups.values()))

    @property
    def k(self) -> float:
        """The sum of the shares."""
        return sum(self.shares)

    @property
    def n(self) -> int:
        """The number of distinct texts."""
        return len(self.shares)

    @property
    def value(self) -> float:
        """The mean share, NaN without texts."""
        return self.k / self.n if self.n else math.nan

    def interval(self) -> Interval:
        """95 % score interval as for k of n; wide enough, since shares vary less than hits."""
        return wilson(self.value, self.n)
