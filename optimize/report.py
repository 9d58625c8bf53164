"""``report.json``: what was measured of every variant, and what follows from it."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import alpr_edge
from alpr_edge.errors import UsageError
from alpr_edge.rates import Paired, Rate
from optimize.evaluate import Accuracy, Latency
from optimize.networks import Kind
from optimize.steps import read_json

SCHEMA = 3
REPORT = "report.json"
ROOT, TORCH, ONNX, PICK = "fp32", "torch", "onnx", "pick"
"""Names of the variant that drops are told against, of the two that the root was made from, and of
the copy of the one picked."""
UNTRAINED = "untrained"
"""The first step of a network with random weights."""
SET_PICTURES, SET_POINTS = 1, 0.5
"""What a variant may lose of any one set: so many pictures more than it wins, or so many points."""
Runs = Sequence[tuple[str, int]]
"""Names of sets, and how many hits in a row are of each."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One model and all that was measured of it. ``steps`` are its chain's, oldest first;
    ``parent`` is the name of the variant it was made from, None where that is not measured;
    ``accuracy`` is None where only size and latency were asked for, or nothing was trained."""

    name: str
    task: str
    kind: str
    model: str
    steps: tuple[str, ...]
    precision: str
    height: int
    width: int
    parameters: int
    zeros: int
    macs: int
    bytes: int
    parent: str | None
    accuracy: Accuracy | None
    latency: Latency

    @property
    def rate(self) -> Rate | None:
        """Plates found, or cut-outs read exactly; None where accuracy was not measured."""
        if self.accuracy is None:
            return None
        return Rate(self.accuracy.hits.count("1"), len(self.accuracy.hits))

    @property
    def trained(self) -> bool:
        """Whether its weights are no random ones."""
        return self.steps[0] != UNTRAINED


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """What a variant lost, in points (positive: worse): of the hits, paired on the same pictures,
    with the 95 % interval; of a detector's average precision."""

    hits: float
    low: float
    high: float
    average_precision: float | None

    @property
    def worst(self) -> float:
        """The larger loss: what is compared with the greatest drop that is allowed. A detector that
        sees plates everywhere gains hits, but loses precision."""
        lost = self.average_precision
        return self.hits if lost is None else max(self.hits, lost)


def drop(root: Variant, variant: Variant) -> Drop | None:
    """What ``variant`` lost against ``root``; None where not both accuracies were measured."""
    if root.accuracy is None or variant.accuracy is None:
        return None
    mine, theirs = ([hit == "1" for hit in v.accuracy.hits] for v in (root, variant))
    paired = Paired.of(mine, theirs)
    low, high = paired.interval()
    precisions = root.accuracy.average_precision, variant.accuracy.average_precision
    lost = None if None in precisions else 100 * (precisions[0] - precisions[1])
    return Drop(
        hits=0.0 - 100 * paired.difference, low=-100 * high, high=-100 * low,
        average_precision=lost,
    )


def lost(root: Variant, variant: Variant) -> float:
    """The larger of the drops, in points; infinite where accuracy was not measured."""
    found = drop(root, variant)
    return math.inf if found is None else found.worst


def weak_sets(root: Variant, variant: Variant, sets: Runs) -> dict[str, int]:
    """Sets of which ``variant`` lost more than is allowed, and how many hits, those it won
    subtracted; none where accuracy was not measured."""
    if root.accuracy is None or variant.accuracy is None:
        return {}
    names = [name for name, count in sets for _ in range(count)]
    net: Counter[str] = Counter()
    for name, mine, theirs in zip(names, root.accuracy.hits, variant.accuracy.hits, strict=True):
        net[name] += int(mine) - int(theirs)
    sizes = Counter(names)
    return {
        name: lost for name, lost in net.items()
        if lost > max(SET_PICTURES, SET_POINTS / 100 * sizes[name])
    }


def speed_up(root: Variant, variant: Variant) -> float:
    """How many times as fast as the root: of the medians."""
    return root.latency.p50 / variant.latency.p50


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The variants of one task at one target, the root first, and what they were measured under.
    ``sets`` tells which hit is of which set."""

    target: str
    task: str
    onednn: str
    cpu: str
    openvino: str
    threads: int
    runs: int
    load_before: float
    load_after: float
    pictures: str
    sets: tuple[tuple[str, int], ...]
    variants: tuple[Variant, ...]

    @property
    def root(self) -> Variant:
        """The variant that drops are told against."""
        return self.variants[0]

    def to_json(self) -> dict[str, Any]:
        """All fields, and of each variant what follows from them."""
        entry = dataclasses.asdict(self)
        names = {variant.name: variant for variant in self.variants}
        for variant, values in zip(self.variants, entry["variants"], strict=True):
            values["rate"] = _rate_json(variant.rate)
            values["drop"] = _drop_json(drop(self.root, variant))
            values["weak_sets"] = self.weak_sets(variant)
            if variant.parent in names:
                values["drop_of_parent"] = _drop_json(drop(names[variant.parent], variant))
        return entry

    def weak_sets(self, variant: Variant) -> dict[str, int]:
        """:func:`weak_sets` against the root."""
        return weak_sets(self.root, variant, self.sets)

    @property
    def deployable(self) -> list[Variant]:
        """The variants that could be picked: IRs whose accuracy was measured."""
        return [v for v in self.variants if v.kind == Kind.OPENVINO and v.accuracy is not None]

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Measured:
        """The inverse of :meth:`to_json`."""
        variants = tuple(
            Variant(**(
                {field.name: values[field.name] for field in dataclasses.fields(Variant)}
                | {"steps": tuple(values["steps"]), "latency": Latency(**values["latency"]),
                   "accuracy": values["accuracy"] and Accuracy(**values["accuracy"])}
            ))
            for values in entry["variants"]
        )
        sets = tuple((name, count) for name, count in entry["sets"])
        return cls(**(entry | {"variants": variants, "sets": sets}))


def _rate_json(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    low, high = rate.interval()
    return {"k": rate.k, "n": rate.n, "value": rate.value, "low": low, "high": high}


def _drop_json(lost: Drop | None) -> dict[str, Any] | None:
    return None if lost is None else dataclasses.asdict(lost)


def load_report(path: Path, split: str) -> dict[str, Any]:
    """The report, or an empty one.

    Raises:
        UsageError: it tells of another split.
    """
    empty = {"schema": SCHEMA, "alpr_edge": alpr_edge.__version__, "split": split,
             "measured": [], "picks": []}
    report = read_json(path)
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        return empty
    if report["split"] != split:
        raise UsageError(
            f"{path} tells of split {report['split']}, not {split}; measure with another --report, "
            "or remove this one"
        )
    return report


def with_entry(report: dict[str, Any], measured: Measured) -> dict[str, Any]:
    """The report with ``measured`` in place of what it held of that task at that target; without
    the picks made from it of models that are no longer among those measured."""
    models = {variant.model for variant in measured.deployable}
    replaced = measured.target, measured.task
    picks = [
        pick for pick in report["picks"]
        if (pick["measured_at"], pick["task"]) != replaced or pick["model"] in models
    ]
    others = [
        entry for entry in report["measured"]
        if (entry["target"], entry["task"]) != replaced
    ]
    return report | {"measured": [*others, measured.to_json()], "picks": picks}
