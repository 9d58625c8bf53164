"""``report.json``: what was measured of every variant, and what follows from it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import alpr_edge
from alpr_edge.errors import UsageError
from alpr_edge.metrics import Paired, Rate
from optimize.evaluate import Accuracy, Latency
from optimize.steps import read_json

SCHEMA = 1
REPORT = "report.json"
ROOT, PICK = "fp32", "pick"
"""Names of the variant that drops are told against, and of the copy of the one picked."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One model and all that was measured of it. ``steps`` are its chain's, oldest first;
    ``parent`` is the name of the variant it was made from, None where that is not measured."""

    name: str
    task: str
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
    accuracy: Accuracy
    latency: Latency

    @property
    def rate(self) -> Rate:
        """Plates found, or cut-outs read exactly."""
        return Rate(self.accuracy.hits.count("1"), len(self.accuracy.hits))


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
        return max(self.hits, self.average_precision or -math.inf)


def drop(root: Variant, variant: Variant) -> Drop:
    """What ``variant`` lost against ``root``."""
    mine, theirs = ([hit == "1" for hit in v.accuracy.hits] for v in (root, variant))
    paired = Paired.of(mine, theirs)
    low, high = paired.interval()
    precisions = root.accuracy.average_precision, variant.accuracy.average_precision
    lost = None if None in precisions else 100 * (precisions[0] - precisions[1])
    return Drop(
        hits=0.0 - 100 * paired.difference, low=-100 * high, high=-100 * low,
        average_precision=lost,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The variants of one task at one target, the root first, and what they were measured under."""

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
            low, high = variant.rate.interval()
            values["rate"] = {"k": variant.rate.k, "n": variant.rate.n,
                              "value": variant.rate.value, "low": low, "high": high}
            values["drop"] = dataclasses.asdict(drop(self.root, variant))
            if variant.parent in names:
                values["drop_of_parent"] = dataclasses.asdict(drop(names[variant.parent], variant))
        return entry

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Measured:
        """The inverse of :meth:`to_json`."""
        variants = tuple(
            Variant(**(
                {field.name: values[field.name] for field in dataclasses.fields(Variant)}
                | {"steps": tuple(values["steps"]), "accuracy": Accuracy(**values["accuracy"]),
                   "latency": Latency(**values["latency"])}
            ))
            for values in entry["variants"]
        )
        return cls(**(entry | {"variants": variants}))


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
            f"{path} tells of split {report['split']}, not {split}; choose another --report"
        )
    return report


def of_target(report: dict[str, Any], target: str, task: str) -> Measured | None:
    """What the report holds of one task at one target."""
    for entry in report["measured"]:
        if (entry["target"], entry["task"]) == (target, task):
            return Measured.from_json(entry)
    return None
