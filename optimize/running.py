"""The commands that run steps: one of them, all of them, or one graph."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from alpr_edge import manifest as manifests
from alpr_edge.errors import UsageError
from optimize import options as groups
from optimize.commands import STEPS, Step
from optimize.judging import judging, measure_task, select_and_show
from optimize.steps import TARGET, StepResult


def run_all(options: argparse.Namespace) -> None:
    """The steps of each checkpoint, a detector first (the reader's plates are cut out by it), then
    measure and select.

    Raises:
        UsageError: checkpoints of the same task, or a target that this CPU cannot execute.
        AlprEdgeError: a step failed; see the steps.
    """
    from optimize.capped import verified
    from optimize.export import deployable

    tasks = {path: deployable(path).task for path in options.source}
    if len(set(tasks.values())) < len(options.source):
        raise UsageError(
            f"checkpoints of {list(tasks.values())}; allowed: one detector, one reader or both"
        )
    verified(options.target)
    for task in tasks.values():
        judging(options, options.target).pictures(task)
    steps = [step for step in STEPS if step.name in options.steps]
    _check_root(options.out, steps, list(tasks.values()))
    total = len(steps) * len(tasks) + 2
    done = 0
    for path in sorted(tasks, key=lambda path: tasks[path]):
        for step in steps:
            done += 1
            source = options.out / step.source / tasks[path] if step.source else path
            run_step_command(step, options, source, f"{done}/{total} ")
        if tasks[path] == "detector" and options.detector is None:
            options.detector = options.out / "fp32" / "detector"
    print(f"{total - 1}/{total} measure ...", file=sys.stderr, flush=True)
    for task in sorted(tasks.values()):
        measure_task(options, [], task, options.target)
    print(f"{total}/{total} select", file=sys.stderr, flush=True)
    select_and_show(options.out, [options.target], options.max_drop)


def _check_root(out: Path, steps: Sequence[Step], tasks: Sequence[str]) -> None:
    """Before what may take hours.

    Raises:
        UsageError: no step makes what the others start from, or are told against.
    """
    if any(step.name == "convert" for step in steps):
        return
    for task in tasks:
        if not (out / "fp32" / task / manifests.FILENAME).is_file():
            raise UsageError(
                f"no step makes {out / 'fp32' / task}, which drops are told against; add export "
                "and convert to --steps"
            )


def run_step_command(
    step: Step, options: argparse.Namespace, source: Path, number: str = ""
) -> None:
    """Run one step and tell what it made.

    Raises:
        AlprEdgeError: the step failed.
    """
    title = f"{number}{step.name}"
    print(f"{title} {source} ...", file=sys.stderr, flush=True)
    begin = time.perf_counter()
    _tell(title, step.make(options, source), begin)


def _tell(title: str, results: list[StepResult], begin: float) -> None:
    for result in results:
        how = "kept: nothing changed" if result.kept else f"{time.perf_counter() - begin:.0f} s"
        figures = ", ".join(f"{key} {value:.4g}" for key, value in result.manifest.parity.items())
        print(f"{title} → {result.folder} ({how}): {figures}", file=sys.stderr, flush=True)


def run_one_graph(options: argparse.Namespace) -> None:
    """``one-graph``: the two stages to OUT/fp32, both in one graph, then the times of both.

    Raises:
        AlprEdgeError: see :mod:`optimize.one_graph`.
    """
    import torch

    from optimize import one_graph as graphs
    from optimize.capped import verified
    from optimize.export import DETECTOR_SIZE
    from optimize.frame_network import FrameConfig
    from optimize.pictures import calibration_pictures

    for target in options.targets or [TARGET]:
        verified(target)
    torch.set_num_threads(1)
    begin = time.perf_counter()
    frames = calibration_pictures(options.data, crops=False, limit=options.limit)
    config = FrameConfig(
        frame=options.frame, size=options.size or DETECTOR_SIZE, plates=options.plates
    )
    checkpoints = options.detector, options.reader
    _tell("two stages", graphs.two_stages(
        checkpoints, options.out, options.data, size=config.size, limit=options.limit
    ), begin)
    made = graphs.one_graph(
        *checkpoints, options.out, frames, config, tolerances=groups.tolerances(options)
    )
    _tell("one graph", [made], begin)
    print(f"frame to texts, {options.runs} runs taking turns, {options.threads} threads:")
    for target in options.targets or [TARGET]:
        one, two = graphs.time_routes(
            made.folder, options.out, options.data, target=target, threads=options.threads,
            runs=options.runs, limit=options.limit,
        )
        print(
            f"  {target}: one graph p50 {one.p50:.1f} ms, p90 {one.p90:.1f} ms; two stages p50 "
            f"{two.p50:.1f} ms, p90 {two.p90:.1f} ms"
        )
