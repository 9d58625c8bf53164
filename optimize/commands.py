"""The steps as commands: options to functions.

A new step is one function here and one row of :data:`STEPS`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from alpr_edge import manifest as manifests
from optimize import options as groups
from optimize import retrain
from optimize.judging import judging
from optimize.steps import StepResult, Tolerances

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
    """Trained weights to ONNX; a copy of the checkpoint beside it is measured in PyTorch."""
    import torch

    from optimize.checkpoints import keep
    from optimize.export import DETECTOR_SIZE, deployable, export
    from optimize.pictures import calibration_pictures

    torch.set_num_threads(1)  # single pictures gain nothing, a busy machine loses much
    crops = deployable(checkpoint).task == "reader"
    pictures = calibration_pictures(options.data, crops=crops, limit=options.limit)
    size = options.size or DETECTOR_SIZE
    exported = export(checkpoint, options.out, pictures, size=size, tolerances=Tolerances())
    return [keep(checkpoint, options.out, size=size), exported]


def convert_step(options: argparse.Namespace, source: Path) -> list[StepResult]:
    """ONNX to OpenVINO IR, in FP32 and with its weights in FP16."""
    from optimize.convert import compress, convert
    from optimize.pictures import calibration_pictures

    crops = manifests.load(source).task == "reader"
    pictures = calibration_pictures(options.data, crops=crops, limit=options.limit)
    plain = convert(source, options.out, pictures, tolerances=Tolerances())
    half = compress(
        plain.folder, options.out, options.data, name="fp16", target=options.target,
        limit=options.limit, tolerances=groups.tolerances(options),
    )
    return [plain, half]


def quantize_step(options: argparse.Namespace, source: Path) -> list[StepResult]:
    """OpenVINO IR to INT8: the best of several settings, or the one asked for; then the same with
    what is left in FP32 stored in FP16."""
    from optimize.candidates import candidates, quantize_best
    from optimize.convert import compress
    from optimize.quantize import quantize

    task = manifests.load(source).task
    config = groups.quantize_config(options, task, "int8")
    tolerances = groups.tolerances(options)
    if groups.quantize_settings(options):
        results = [quantize(source, options.out, options.data, config, tolerances=tolerances)]
    else:
        results = quantize_best(
            source, options.out, candidates(config, task),
            judging(options, options.target), name=config.name, tolerances=tolerances,
        )
    half = compress(
        results[-1].folder, options.out, options.data, name="int8-half", target=options.target,
        limit=options.limit, tolerances=tolerances,
    )
    return [*results, half]


def quantize_accuracy_step(options: argparse.Namespace, source: Path) -> list[StepResult]:
    """OpenVINO IR to INT8 by NNCF's accuracy control with our metric on dev."""
    from optimize.accuracy_control import quantize_with_control

    config = groups.quantize_config(options, manifests.load(source).task, "int8ac")
    return [quantize_with_control(
        source, options.out, config, judging(options, options.target), max_drop=options.max_drop,
        tolerances=groups.tolerances(options),
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
        name="harden", help="a reader's GELUs to hard-swish, and recover", make=retrain.harden_step,
        source=None, usual=False, options=(groups.add_training, groups.add_size),
    ),
    Step(
        name="sparsify", help="set the smallest weights to zero (NNCF), and recover",
        make=retrain.sparsify_step, source=None, usual=False,
        options=(groups.add_training, groups.add_zeros, groups.add_size),
    ),
)
"""In the order in which ``all`` runs them."""
USUAL = tuple(step.name for step in STEPS if step.usual)
