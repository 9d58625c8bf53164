"""The reader's confidence and confusions over the cut-outs, as parts of the accuracy report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from alpr_edge import confidence
from benchmarks.figures import finite, number

ALL_CROPS = "all crops"
"""The pool whose reliability bins and curve are written too."""
FALSE_READ_RATES = (0.001, 0.005, 0.01, 0.02)
"""Shares of false reads whose thresholds are told."""
CURVE_POINTS = 100
"""At most so many points of the curve are written."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Certainty:
    """One model's readings of the cut-outs, in order: its confidence, whether the text is right.

    ``least`` is the confidence from which its pipeline shows a plate.
    """

    confidences: Sequence[float]
    rights: Sequence[bool]
    least: float


def entries(groups: Mapping[str, Sequence[int]], models: Sequence[Certainty]) -> dict[str, Any]:
    """Group → ``models``: false reads and rejects at the shipped threshold, thresholds for given
    rates, AUC and calibration, one entry a model; of all cut-outs the reliability bins and the
    curve too."""
    return {
        group: {"models": [_entry(model, members, group == ALL_CROPS) for model in models]}
        for group, members in groups.items() if members
    }


def _entry(model: Certainty, members: Sequence[int], whole: bool) -> dict[str, Any]:
    sure = np.array([model.confidences[i] for i in members], np.float64)
    right = np.array([model.rights[i] for i in members], bool)
    bins = confidence.reliability(sure, right)
    curve = confidence.curve(sure, right)
    entry = {
        "n": len(members),
        "threshold": model.least,
        "false_reads": number(confidence.false_reads(sure, right, model.least)),
        "false_rejects": number(confidence.false_rejects(sure, right, model.least)),
        "auc": finite(curve.auc),
        "calibration_error": finite(confidence.calibration_error(bins)),
        "thresholds": [_threshold(sure, right, most) for most in FALSE_READ_RATES],
    }
    if whole:
        entry["reliability"] = [
            {"low": b.low, "high": b.high, "confidence": finite(b.mean_confidence),
             "right": number(b.right)}
            for b in bins
        ]
        entry["curve"] = _curve(curve)
    return entry


def _threshold(sure: np.ndarray, right: np.ndarray, most: float) -> dict[str, Any]:
    """The lowest threshold with at most so many false reads and what it costs; null: none has."""
    threshold = confidence.threshold_for(sure, right, most)
    if threshold is None:
        return {"false_reads_at_most": most, "threshold": None}
    rejects = number(confidence.false_rejects(sure, right, threshold))
    return {"false_reads_at_most": most, "threshold": threshold, "false_rejects": rejects}


def _curve(curve: confidence.Curve) -> dict[str, list[float] | None]:
    """Points of the curve, evenly thinned; null where right or wrong readings are absent."""
    count = len(curve.thresholds)
    kept = np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).round().astype(int))
    wrong, right = curve.roc()
    columns = {
        "threshold": curve.thresholds, "far": curve.far, "frr": curve.frr,
        "wrong_shown": wrong[1:], "right_shown": right[1:],
    }
    return {
        name: [round(float(v), 6) for v in values[kept]] if np.isfinite(values).all() else None
        for name, values in columns.items()
    }


def confusion(texts: Sequence[str], truths: Sequence[str]) -> list[dict[str, Any]]:
    """Characters taken for others, the most frequent first; "" read: missed, "" truth: added."""
    pairs = sorted(confidence.confusions(texts, truths).items(), key=lambda row: (-row[1], row[0]))
    return [{"truth": true, "read": read, "count": count} for (read, true), count in pairs]
