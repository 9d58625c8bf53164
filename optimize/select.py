"""Pick the variants to ship from a report, for one target or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alpr_edge import isa
from alpr_edge.errors import UsageError
from alpr_edge.manifest import TASKS
from optimize.picking import Pick, fastest
from optimize.report import REPORT, Measured, load_report
from optimize.ship import by_class, ship
from optimize.steps import write_json


def select(
    out: Path, targets: Sequence[str], max_drop: float, split: str = "dev"
) -> list[Pick]:
    """Pick from ``out/report.json`` for each target, note the picks in it and write ``out/pick``,
    :func:`optimize.ship.ship`.

    For a target that this CPU cannot execute, the variants measured at the most similar target are
    judged, and the pick is marked as predicted.

    Raises:
        UsageError: nothing is measured at a target, though this CPU can execute it.
        OutputError: the picks cannot be written. ModelError: a picked model is not intact.
    """
    report = load_report(out / REPORT, split)
    found, stages = [], {}
    for task in TASKS:
        measured = {target: _measured(report, target, task) for target in targets}
        known = {target: entry for target, entry in measured.items() if entry is not None}
        if known:
            mine = [
                Pick.of(entry, fastest(entry, max_drop), target, max_drop, split)
                for target, entry in known.items()
            ]
            found += mine
            stages[task] = by_class(mine, next(iter(known.values())))
    _check_all_found(out, targets, found)
    ship(out, stages)
    new = {(pick.target, pick.task) for pick in found}
    models = {variant["model"] for entry in report["measured"] for variant in entry["variants"]}
    kept = [
        pick for pick in report["picks"]
        if (pick["target"], pick["task"]) not in new and pick["model"] in models
    ]
    report["picks"] = kept + [pick.to_json() for pick in found]
    write_json(out / REPORT, report)
    return found


def _check_all_found(out: Path, targets: Sequence[str], found: Sequence[Pick]) -> None:
    """
    Raises:
        UsageError: a target has no pick at all.
    """
    for target in targets:
        if not any(pick.target == target for pick in found):
            raise UsageError(
                f"{out / REPORT} has no variant measured at {target} with its accuracy; run: "
                f"python -m optimize measure --target {target}"
            )


def _measured(report: dict[str, Any], target: str, task: str) -> Measured | None:
    """What was measured at the target, accuracy too, or, where this CPU cannot execute it, at the
    one with the most flags in common."""
    judged = {
        entry["target"]: entry for entry in report["measured"]
        if entry["task"] == task and entry["variants"][0]["accuracy"] is not None
    }
    if target in judged or not isa.missing_flags(target):
        nearest = target
    else:
        nearest = max(judged, key=lambda other: _likeness(other, target), default=target)
    return Measured.from_json(judged[nearest]) if nearest in judged else None


def _likeness(other: str, target: str) -> int:
    """Flags of both less flags of one only."""
    theirs = isa.CAPS[other].flags if other in isa.CAPS else frozenset()
    return len(theirs & isa.CAPS[target].flags) - len(theirs ^ isa.CAPS[target].flags)
