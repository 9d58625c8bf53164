"""The commands that judge: ``measure``, ``select``, and what ``all`` shares with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alpr_edge import manifest as manifests
from alpr_edge.errors import UsageError
from alpr_edge.manifest import TASKS
from optimize.steps import TARGET


def measure_all(options: argparse.Namespace) -> None:
    """``measure``: the named variants, the root first, or all of ``--out``, at each target.

    Raises:
        UsageError: there is no variant. AlprEdgeError: see :func:`optimize.measure.measure`.
    """
    from optimize.report import REPORT

    for variant in options.untrained:
        make_untrained(options, variant)
    tasks = [manifests.load(options.source[0]).task] if options.source else [
        task for task in TASKS if _has_variants(options.out, task)
    ]
    if not tasks:
        raise UsageError(f"{options.out} has no variant OUT/NAME/TASK; run the other steps first")
    for target in options.targets or [TARGET]:
        for task in tasks:
            measure_task(options, options.source, task, target)
    show(options.report or options.out / REPORT)


def make_untrained(options: argparse.Namespace, variant: str) -> None:
    """A reader of a named size with random weights among the variants of ``--out``."""
    from optimize.checkpoints import untrained
    from optimize.pictures import calibration_pictures

    pictures = calibration_pictures(options.data, crops=True, limit=options.limit)
    untrained(variant, options.out, pictures)


def _has_variants(out: Path, task: str) -> bool:
    from optimize.measure import find_variants

    return bool(find_variants(out, task))


def measure_task(
    options: argparse.Namespace, folders: list[Path], task: str, target: str
) -> Any:
    """Measure the variants of one task: ``folders``, else all of ``--out``, fp32 as the root."""
    from optimize.measure import find_variants, measure
    from optimize.report import ROOT

    root = options.out / ROOT / task
    chosen = folders or [
        root, *(folder for folder in find_variants(options.out, task) if folder != root)
    ]
    return measure(
        chosen, options.out, judging(options, target), threads=options.threads, runs=options.runs,
        report=getattr(options, "report", None),
        latency_only=getattr(options, "latency_only", False),
    )


def select_all(options: argparse.Namespace) -> None:
    """``select``: pick for each target, then print the report."""
    select_and_show(options.out, options.targets or [TARGET], options.max_drop)


def select_and_show(out: Path, targets: Sequence[str], max_drop: float) -> None:
    """Pick for each target, then print the report.

    Raises:
        AlprEdgeError: see :func:`optimize.select.select`.
    """
    from optimize.report import REPORT
    from optimize.select import select

    select(out, targets, max_drop)
    show(out / REPORT)


def show(report: Path) -> None:
    """Print a report."""
    from optimize.steps import read_json
    from optimize.tables import tables

    print(tables(read_json(report)))


def judging(options: argparse.Namespace, target: str) -> Any:
    """What variants are judged on."""
    from optimize.evaluate import Judging

    return Judging(
        data=options.data, target=target, split=getattr(options, "split", "dev"),
        limit=options.limit,
    )
