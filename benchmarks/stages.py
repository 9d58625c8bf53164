"""Time of every stage of the pipeline, per model folder, and the verdict against the budget.

    python -m benchmarks stages --threads 2 --isa zen2 --models FP32 INT8 --data DATA --out S.json

A case is a frame size and a number of plates, e.g. 1080p/1. One run of a case is one whole
:meth:`alpr_edge.pipeline.ALPR.run` of a JPEG file; all times are the pipeline's own stamps. Models
take turns on every run, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from alpr_edge import budget
from alpr_edge.errors import ExitCode, UsageError
from alpr_edge.picks import MODELS
from alpr_edge.stages import Stage
from benchmarks import harness, isa, pace, record
from benchmarks.cases import (
    JUDGED,
    PLATES,
    Case,
    ModelContestant,
    Ms,
    overhead,
    without_load,
)
from benchmarks.conditions import Conditions
from benchmarks.launches import Measured, Plan, spread
from benchmarks.models import folder_name, unlike
from benchmarks.scenes import FRAMES, make_scenes
from benchmarks.stages_tables import markdown
from benchmarks.statistics import BLOCKS, paired_ratio, summary

LAUNCHES = 10
"""Processes that share a report's runs (:mod:`benchmarks.launches`)."""
HARNESS_SHARE = 0.02
"""The harness's own cost may be this share of the shortest case's total."""


def report(found: Measured, launches: int) -> list[dict[str, Any]]:
    """One entry a model folder: what it is, the figures of each case in so many processes, its
    verdict."""
    first = found.timings.taken[0]
    return [
        {
            **model,
            "cases": {
                str(case): figures(runs, first[case], launches) for case, runs in taken.items()
            },
            "verdict": judge(taken),
        }
        for model, taken in zip(found.models, found.timings.taken, strict=True)
    ]


def figures(runs: Sequence[Ms], first: Sequence[Ms], launches: int) -> dict[str, Any]:
    """What is told of a case: milliseconds, reading that of all its plates together; ``speed_up``
    is how many times as long the first model took, run by run."""
    totals, firsts = ([without_load(ms) for ms in one] for one in (runs, first))
    blocks = launches if launches > 1 else min(BLOCKS, len(totals))
    stages = [stage for stage in Stage if stage is not Stage.TOTAL]
    return {
        "stages": {stage.value: summary([ms[stage] for ms in runs]) for stage in stages},
        "detection": summary([budget.detection_ms(ms) for ms in runs]),
        "reading": summary([budget.reading_ms(ms) for ms in runs]),
        "total": summary(totals),
        "with_load": summary([ms[Stage.TOTAL] for ms in runs]),
        "overhead": round(float(np.median([overhead(ms) for ms in runs])), 4),
        "speed_up": paired_ratio(totals, firsts, blocks).to_json(),
        "samples": [round(total, 4) for total in totals],
    }


def judge(taken: Mapping[Case, Sequence[Ms]]) -> dict[str, Any] | None:
    """The budget's verdict on :data:`~benchmarks.cases.JUDGED`; None if that was not measured."""
    if JUDGED not in taken:
        return None
    verdict = budget.verdict((ms, JUDGED.plates) for ms in taken[JUDGED])
    return {**dataclasses.asdict(verdict), "met": verdict.met, "text": str(verdict)}


def harness_report(null: Sequence[float], models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The harness's own cost, and its share of the shortest median total."""
    shortest = min(case["total"]["p50"] for model in models for case in model["cases"].values())
    told = summary(null)
    share = round(told["p50"] / shortest, 5)
    return {"total": told, "share": share, "most": HARNESS_SHARE, "met": share <= HARNESS_SHARE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks stages``."""
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    isa.add_argument(parser)
    parser.add_argument(
        "--models", type=Path, nargs="+", metavar="DIR", default=[MODELS],
        help="model folders to time side by side (default: the models that are shipped)",
    )
    parser.add_argument(
        "--data", type=Path, help="folder of annotated pictures (default: the demo pictures)"
    )
    parser.add_argument("--frames", nargs="+", default=["1080p"], choices=list(FRAMES),
                        help="frame sizes (default: 1080p)")
    parser.add_argument("--plates", type=int, nargs="+", default=[0, 1, 4], choices=PLATES,
                        help="numbers of plates (default: 0 1 4)")
    parser.add_argument("--runs", type=int, default=200, help="counted runs (default: 200)")
    parser.add_argument("--launches", type=int, default=LAUNCHES, metavar="N",
                        help=f"fresh processes that share the runs (default: {LAUNCHES})")
    record.add_out(parser)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the command; ``arguments`` are repeated in a child process for another ISA. 1 where the
    budget is missed or the harness costs too much.

    Raises:
        AlprEdgeError: wrong options, data or models; see :mod:`alpr_edge.errors`.
    """
    for name in ("runs", "threads", "launches"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name} is {getattr(options, name)}; allowed: 1 or more")
    if options.launches > options.runs:
        raise UsageError(f"--launches {options.launches} with --runs {options.runs}; each process "
                         "needs a run: at most as many launches as runs")
    record.check(options.markdown)
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    with harness.pinned(options.threads) as cores:
        content = measured(options) | {"pinned": cores}
    found = record.record("stages", arguments, named, before, content)
    text = markdown(found)
    print(text)
    record.save(found, options.out)
    record.write(text, options.markdown)
    verdicts = [model["verdict"] for model in found["models"] if model["verdict"]]
    met = found["harness"]["met"] and all(verdict["met"] for verdict in verdicts)
    return ExitCode.OK if met else ExitCode.FAILED


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """The report's content, of the options of this command."""
    folders = tuple(dict.fromkeys(options.models))
    frames, numbers = dict.fromkeys(options.frames), dict.fromkeys(options.plates)
    cases = [Case(frame, plates) for frame in frames for plates in numbers]
    with tempfile.TemporaryDirectory() as folder:
        detectors = {
            folder_name(one): ModelContestant(one, options.threads).detector for one in folders
        }
        if (warning := unlike(detectors)) is not None:
            print(f"warning: {warning}", file=sys.stderr)
        first = next(iter(detectors.values()))
        scenes = make_scenes(options.data, list(frames), Path(folder), first.predict)
        plan = Plan(
            folders=folders, threads=options.threads, scenes=scenes, cases=cases, runs=options.runs
        )
        with Progress(console=Console(stderr=True), transient=True) as progress:
            rounds = options.runs + harness.WARM_UP * options.launches
            task = progress.add_task("timing", total=rounds)
            found = spread(plan, options.launches, lambda done: progress.advance(task, done))
        null = harness.null_ms(scenes, cases[0].frame, options.runs)
    models = report(found, options.launches)
    return {
        "threads": options.threads, "runs": options.runs, "launches": options.launches,
        "pictures": "demo" if options.data is None else "val frames",
        "scenes": [scene.name for scene in scenes],
        "frames": {frame: list(FRAMES[frame][::-1]) for frame in frames},
        "pace": pace.WHAT, "pace_ms": found.timings.pace_ms,
        "harness": harness_report(null, models), "models": models,
    }

