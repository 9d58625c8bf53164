"""Which variant to ship: the fastest of each task that lost no more than is allowed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from alpr_edge import isa
from alpr_edge import manifest as manifests
from alpr_edge.errors import OutputError, UsageError
from optimize.report import PICK, REPORT, Measured, Variant, drop, load_report, of_target
from optimize.steps import TASKS, copy_model, fingerprint, write_json


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """The choice for one task and target. ``measured_at`` differs from ``target`` where this CPU
    cannot execute the target: then the pick is only ``predicted``."""

    task: str
    target: str
    measured_at: str
    variant: str
    max_drop: float
    drop: float
    speed_up: float
    front: tuple[str, ...]

    @property
    def predicted(self) -> bool:
        """Whether it was not measured at its target."""
        return self.target != self.measured_at


def front(measured: Measured) -> list[Variant]:
    """The variants that no other one beats in accuracy, latency and size together (Pareto front);
    equal ones are all on it."""

    def costs(variant: Variant) -> tuple[float, ...]:
        worst = drop(measured.root, variant).worst
        return worst, variant.latency.p50, variant.bytes

    def beaten(variant: Variant) -> bool:
        mine = costs(variant)
        return any(
            costs(other) != mine
            and all(a <= b for a, b in zip(costs(other), mine, strict=True))
            for other in measured.variants
        )

    return [variant for variant in measured.variants if not beaten(variant)]


def fastest(measured: Measured, max_drop: float) -> Variant:
    """The fastest variant that lost at most ``max_drop`` points against the root; of equally fast
    ones the smallest. The root itself always qualifies."""
    allowed = [v for v in measured.variants if drop(measured.root, v).worst <= max_drop]
    return min(allowed, key=lambda v: (v.latency.p50, v.bytes), default=measured.root)


def select(out: Path, target: str, max_drop: float, split: str = "dev") -> list[Pick]:
    """Pick from ``out/report.json``, note the picks in it and copy the models to ``out/pick/TASK``.

    For a target that this CPU cannot execute, the variants measured at the most similar target are
    judged, and the pick is marked as predicted.

    Raises:
        UsageError: nothing is measured at the target, though this CPU can execute it.
        OutputError: the picks cannot be written. ModelError: a picked model is not intact.
    """
    report = load_report(out / REPORT, split)
    picks = []
    for task in TASKS:
        measured = _measured(report, target, task)
        if measured is not None:
            picks.append(_pick(measured, target, max_drop))
            _copy(_folder(out, picks[-1]), out / PICK / task, measured)
    if not picks:
        raise UsageError(
            f"{out / REPORT} has no variant measured at {target}; run: python -m optimize measure "
            f"--target {target}"
        )
    kept = [pick for pick in report["picks"]
            if (pick["target"], pick["task"]) not in {(p.target, p.task) for p in picks}]
    report["picks"] = kept + [
        dataclasses.asdict(pick) | {"predicted": pick.predicted} for pick in picks
    ]
    write_json(out / REPORT, report)
    return picks


def _measured(report: dict[str, Any], target: str, task: str) -> Measured | None:
    """What was measured at the target or, where this CPU cannot execute it, at the one with the
    most flags in common."""
    found = of_target(report, target, task)
    if found is not None or not isa.missing_flags(target):
        return found
    others = [entry["target"] for entry in report["measured"] if entry["task"] == task]
    if not others:
        return None
    return of_target(report, max(others, key=lambda other: _likeness(other, target)), task)


def _likeness(other: str, target: str) -> int:
    """Flags of both less flags of one only."""
    theirs = isa.CAPS[other].flags if other in isa.CAPS else frozenset()
    return len(theirs & isa.CAPS[target].flags) - len(theirs ^ isa.CAPS[target].flags)


def _pick(measured: Measured, target: str, max_drop: float) -> Pick:
    chosen = fastest(measured, max_drop)
    return Pick(
        task=measured.task, target=target, measured_at=measured.target, variant=chosen.name,
        max_drop=max_drop, drop=drop(measured.root, chosen).worst,
        speed_up=measured.root.latency.p50 / chosen.latency.p50,
        front=tuple(variant.name for variant in front(measured)),
    )


def _folder(out: Path, pick: Pick) -> Path:
    return out / pick.variant / pick.task


def _copy(source: Path, folder: Path, measured: Measured) -> None:
    """Replace ``folder`` by a copy of the picked model; it appears whole or not at all."""
    partial = folder.with_name(folder.name + ".partial")
    known = {variant.model for variant in measured.variants}
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        manifest = copy_model(source, partial)
        if fingerprint(manifest) not in known:
            raise UsageError(f"{source} was made anew after it was measured; measure it again")
        manifests.save(manifest, partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}; choose another --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
