"""What is set against each other in the report: a model's accuracy and its time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.cases import JUDGED, NETWORKS
from benchmarks.report_facts import Report, noise
from benchmarks.scores import ALL

JUDGED_BY = {"detector": "plates found, IoU > 0.5", "reader": "cut-outs read exactly"}
"""What ``optimize`` counts as a hit of each network."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One model: milliseconds, and its accuracy in per cent with the 95 % interval."""

    name: str
    ms: float
    value: float
    low: float
    high: float
    picked: bool = False

    @classmethod
    def of(cls, name: str, ms: float, rate: Mapping[str, Any], picked: bool = False) -> Point:
        """From a rate as the reports hold it, a share."""
        shares = {key: 100 * float(rate[key]) for key in ("value", "low", "high")}
        return cls(name=name, ms=ms, picked=picked, **shares)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """Points that may be compared, what their axes are, and the file's name without .svg."""

    name: str
    title: str
    time: str
    accuracy: str
    points: tuple[Point, ...]


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in both, the fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.ms, -p.value)):
        if not best or point.value > best[-1].value:
            best.append(point)
    return best


def variants(name: str, report: Report) -> list[Panel]:
    """One panel a network and target of ``optimize``'s report ``name``: all variants of known
    accuracy."""
    return [panel for entry in report["measured"] for panel in _variants(name, entry, report)]


def _variants(name: str, entry: Report, report: Report) -> Iterator[Panel]:
    picked = {pick["variant"] for pick in report["picks"]
              if (pick["task"], pick["target"]) == (entry["task"], entry["target"])}
    points = tuple(
        Point.of(variant["name"], variant["latency"]["p50"], variant["rate"],
                 variant["name"] in picked)
        for variant in entry["variants"] if variant["rate"]
    )
    if points:
        count = next(variant["rate"]["n"] for variant in entry["variants"] if variant["rate"])
        yield Panel(
            name=f"{name}-{entry['task']}-{entry['target']}",
            title=f"{entry['task']} at {entry['target']}, {entry['threads']} threads, "
                  f"{entry['runs']} runs, {entry['cpu']}"
                  + ", NOISY" * bool(noise({"measured": [entry]})),
            time="the network alone, p50, ms",
            accuracy=f"% of {count} of {report['split']}: {JUDGED_BY[entry['task']]}",
            points=points,
        )


def pipelines(accuracies: Mapping[str, Report], timed: Mapping[str, Report]) -> list[Panel]:
    """One panel for each pair of an ``accuracy`` and a ``stages`` report of one instruction set
    that tell of the same models (by their digests): plates read end to end over the total."""
    panels = []
    for name, accuracy in accuracies.items():
        rates = accuracy["metrics"].get("end_to_end", {}).get(ALL, {}).get("models", [])
        known = {digests(model): rate
                 for model, rate in zip(accuracy["models"], rates, strict=False) if rate.get("n")}
        for times, stages in timed.items():
            points = tuple(
                Point.of(model["folder"], model["cases"][str(JUDGED)]["total"]["p50"],
                         known[digests(model)])
                for model in stages["models"]
                if digests(model) in known and str(JUDGED) in model["cases"]
            )
            if points and stages["isa"]["onednn"] == accuracy["isa"]["onednn"]:
                panels.append(_pipeline((name, times), accuracy, stages, points))
    return panels


def digests(model: Report) -> tuple[str, ...]:
    """Which networks a model folder of a report had."""
    return tuple(model[name]["digest"] for name in NETWORKS if name in model)


def _pipeline(
    names: tuple[str, str], accuracy: Report, stages: Report, points: tuple[Point, ...]
) -> Panel:
    count = accuracy["metrics"]["end_to_end"][ALL]["models"][0]["n"]
    return Panel(
        name="-".join(names),
        title=f"{names[0]}: whole pipeline at {stages['isa']['asked']}, {stages['threads']} "
              f"threads, {stages['runs']} runs, {stages['machine']['cpu']}"
              + ", NOISY" * bool(noise(stages)),
        time=f"{JUDGED}, total without load, p50, ms",
        accuracy=f"% of {count} plates of {accuracy['split']} read end to end", points=points,
    )
