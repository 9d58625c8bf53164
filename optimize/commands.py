"""The steps as commands: options to functions, and ``all``, which runs them one after the other.

A new step is one function here and one row of :data:`STEPS`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alpr_edge import manifest as manifests
from alpr_edge.errors import UsageError
from optimize import options as groups
from optimize import retrain
from optimize.steps import TASKS, StepResult, Tolerances

Making = Callable[[argparse.Namespace, Path], list[StepResult]]
"""From the options and a source folder (or checkpoint) to the model folders made."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A step that makes variants. ``source`` is the folder under OUT that it starts from with
    ``all``, None the checkpoint; ``options`` are the groups of options that it takes besides data,
    folder and target; ``usual``: ``all`` runs it unless ``--steps`` says otherwise."""

    name: str
    help: str
    make: Making
    source: str | None
    options: tuple[Callable[[argparse.ArgumentParser], None], ...] = ()
    usual: bool = True


def export_step(options: argparse.Namespace, checkpoint: Path) -> list[StepResult]:
    """Trained weights to ONNX."""
    import torch

    from optimize.export import DETECTOR_SIZE, deployable, export
    from optimize.pictures import calibration_pictures

    torch.set_num_threads(1)  # single pictures gain nothing, a busy machine loses much
    crops = deployable(checkpoint).task == "reader"
    pictures = calibration_pictures(options.data, crops=crops, limit=options.limit)
    size = options.size or DETECTOR_SIZE
    return [export(checkpoint, options.out, pictures, size=size, tolerances=Tolerances())]


def convert_step(options: argparse.Namespace, source: Path) -> list[StepResult]:
    """ONNX to OpenVINO IR, in FP32 and with its weights in FP16."""
    from optimize.convert import compress, convert
    from optimize.pictures import calibration_pictures

    crops = manifests.load(source).task == "reader"
    pictures = calibration_pictures(options.data, crops=crops, limit=options.limit)
    plain = convert(source, options.out, pictures, tolerances=Tolerances())
    half = compress(
        plain.folder, options.out, options.data, name="fp16", target=options.target,
        limit=options.limit, tolerances=_tolerances(options),
    )
    return [plain, half]


def quantize_step(options: argparse.Namespace, source: Path) -> list[StepResult]:
    """OpenVINO IR to INT8: the best of several settings, or the one asked for; then the same with
    what is left in FP32 stored in FP16."""
    from optimize.candidates import candidates, quantize_best
    from optimize.convert import compress
    from optimize.quantize import quantize

    config = _quantize_config(options, source, "int8")
    tolerances = _tolerances(options)
    if _asked_for(options):
        results = [quantize(source, options.out, options.data, config, tolerances=tolerances)]
    else:
        results = quantize_best(
            source, options.out, candidates(config), judging(options), name=config.name,
            tolerances=tolerances,
        )
    half = compress(
        results[-1].folder, options.out, options.data, name="int8-half", target=options.target,
        limit=options.limit, tolerances=tolerances,
    )
    return [*results, half]


def quantize_accuracy_step(options: argparse.Namespace, source: Path) -> list[StepResult]:
    """OpenVINO IR to INT8 by NNCF's accuracy control with our metric on dev."""
    from optimize.accuracy_control import quantize_with_control

    config = _quantize_config(options, source, "int8ac")
    return [quantize_with_control(
        source, options.out, config, judging(options), max_drop=options.max_drop,
        tolerances=_tolerances(options),
    )]


STEPS = (
    Step(
        name="export", help="trained weights to ONNX", make=export_step, source=None,
        options=(groups.add_size,),
    ),
    Step(
        name="convert", help="ONNX to OpenVINO IR, FP32 and FP16", make=convert_step,
        source="onnx", options=(groups.add_tolerances,),
    ),
    Step(
        name="quantize", help="OpenVINO IR to INT8", make=quantize_step, source="fp32",
        options=(groups.add_tolerances, groups.add_quantize),
    ),
    Step(
        name="quantize-accuracy", help="OpenVINO IR to INT8, as many layers as accuracy allows",
        make=quantize_accuracy_step, source="fp32", usual=False,
        options=(groups.add_tolerances, groups.add_quantize, groups.add_max_drop),
    ),
    Step(
        name="qat", help="INT8 by quantization-aware training; needs OUT/fp32",
        make=retrain.qat_step, source=None, usual=False,
        options=(groups.add_training, groups.add_tolerances, groups.add_quantize),
    ),
    Step(
        name="prune", help="cut channels, heads and layers, and recover", make=retrain.prune_step,
        source=None, usual=False,
        options=(groups.add_training, groups.add_ratio, groups.add_size),
    ),
    Step(
        name="sparsify", help="set the smallest weights to zero (NNCF), and recover",
        make=retrain.sparsify_step, source=None, usual=False,
        options=(groups.add_training, groups.add_zeros, groups.add_size),
    ),
)
"""In the order in which ``all`` runs them."""
USUAL = tuple(step.name for step in STEPS if step.usual)


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
        judging(options).pictures(task)
    steps = [step for step in STEPS if step.name in options.steps]
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
        measure_task(options, [], task)
    print(f"{total}/{total} select", file=sys.stderr, flush=True)
    select_and_show(options)


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
    from optimize.export import DETECTOR_SIZE
    from optimize.frame_network import FrameConfig
    from optimize.pictures import calibration_pictures

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
        *checkpoints, options.out, frames, config, tolerances=_tolerances(options)
    )
    _tell("one graph", [made], begin)
    one, two = graphs.time_both(
        made.folder, options.out / graphs.TWO_STAGES, frames.held_out,
        threads=options.threads, runs=options.runs,
    )
    print(
        f"frame to texts, {options.runs} runs taking turns, {options.threads} threads: one graph "
        f"p50 {one.p50:.1f} ms, p90 {one.p90:.1f} ms; two stages p50 {two.p50:.1f} ms, p90 "
        f"{two.p90:.1f} ms"
    )


def measure_all(options: argparse.Namespace) -> None:
    """``measure``: the named variants, the root first, or all of ``--out``.

    Raises:
        UsageError: there is no variant. AlprEdgeError: see :func:`optimize.measure.measure`.
    """
    from optimize.report import REPORT

    tasks = [manifests.load(options.source[0]).task] if options.source else [
        task for task in TASKS if _has_variants(options.out, task)
    ]
    if not tasks:
        raise UsageError(f"{options.out} has no variant OUT/NAME/TASK; run the other steps first")
    for task in tasks:
        measure_task(options, options.source, task)
    show(options.report or options.out / REPORT)


def _has_variants(out: Path, task: str) -> bool:
    from optimize.measure import find_variants

    return bool(find_variants(out, task))


def measure_task(options: argparse.Namespace, folders: list[Path], task: str) -> Any:
    """Measure the variants of one task: ``folders``, else all of ``--out``, fp32 as the root."""
    from optimize.measure import find_variants, measure
    from optimize.report import ROOT

    root = options.out / ROOT / task
    chosen = folders or [
        root, *(folder for folder in find_variants(options.out, task) if folder != root)
    ]
    return measure(
        chosen, options.out, judging(options), threads=options.threads, runs=options.runs,
        report=getattr(options, "report", None),
    )


def select_and_show(options: argparse.Namespace) -> None:
    """``select``: pick, then print the report."""
    from optimize.report import REPORT
    from optimize.select import select

    select(options.out, options.target, options.max_drop)
    show(options.out / REPORT)


def show(report: Path) -> None:
    """Print a report."""
    from optimize.steps import read_json
    from optimize.tables import tables

    print(tables(read_json(report)))


def judging(options: argparse.Namespace) -> Any:
    """What variants are judged on."""
    from optimize.evaluate import Judging

    return Judging(
        data=options.data, target=options.target, split=getattr(options, "split", "dev"),
        limit=options.limit,
    )


def _tolerances(options: argparse.Namespace) -> Tolerances:
    return Tolerances(agreement=options.min_agreement, corners=options.max_corner_shift)


def _asked_for(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of quantization that the command line fixes."""
    names = ("overflow_fix", "preset", "bias_correction", "matmuls")
    return {name: getattr(options, name) for name in names if getattr(options, name)}


def _quantize_config(options: argparse.Namespace, source: Path, name: str) -> Any:
    from optimize.quantize import QuantizeConfig

    reader = manifests.load(source).task == "reader"
    return QuantizeConfig(
        name=name, target=options.target, limit=options.limit,
        detector=options.detector if reader else None, **_asked_for(options),
    )
