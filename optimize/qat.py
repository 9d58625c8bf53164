"""Quantization-aware training: the network learns while its 8 bits are simulated (NNCF).

Fake quantizers are put where post-training quantization has them (:mod:`optimize.quantize`: matrix
products and the last layers before the outputs stay FP32, weights of 7 bits where AVX2 would
saturate). The network learns on, with its FP32 parent as its teacher, and goes straight from
PyTorch to OpenVINO IR: NNCF 3.4's quantizers have no ONNX export.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch import nn

from alpr_edge import manifest as manifests
from alpr_edge.errors import UsageError
from alpr_edge.manifest import Manifest
from optimize.export import deployable
from optimize.hooked import Hooked, recover
from optimize.quantize import (
    QuantizeConfig,
    calibration_inputs,
    check_shows_something,
    judged,
    quantize_inputs,
    quantized_manifest,
    quiet_nncf,
)
from optimize.steps import StepResult, Tolerances, run_step, save_ir
from training.checkpoint import Weights, data_hash
from training.detector.model import Detector
from training.networks import build
from training.options import RunOptions
from training.reader.model import Reader
from training.selection import EVERYTHING, Selection

TRANSFORMER = ["linear", "matmul", "__matmul__", "layer_norm", "add", "__add__", "mul",
               "__mul__", "mean"]
"""A reader's operations that stay in floating point with its matrix products, as NNCF calls them:
without those, 8 bits between them gain nothing."""
TAILS = {"detector": r"(.*/)?predict/.*", "reader": r"(head|ctc|rows)/.*"}
"""The last weighted layers before the outputs, as NNCF names PyTorch's operations."""


def quantize_aware(
    checkpoint: Path, out: Path, data: Path, config: QuantizeConfig, *, minutes: float,
    options: RunOptions, tolerances: Tolerances, selection: Selection = EVERYTHING,
) -> StepResult:
    """Write ``out/NAME/TASK`` from ``checkpoint``, of which ``out/fp32/TASK`` was made, its parent.

    The run is in ``out/runs``; it goes on where it was interrupted.

    Raises:
        UsageError: ``out/fp32`` was made of another checkpoint, or convolutions are asked for in
            the place of matrix products. ModelError: ``out/fp32`` is no intact model folder, or the
            checkpoint is not ours. StepFailedError: see :func:`optimize.quantize.quantize`.
    """
    if config.matmuls == "convolutions":
        raise UsageError(
            "qat got --matmuls convolutions; allowed: fp32, int8. The trained network keeps its "
            "layers: convolutions take their place only in step quantize"
        )
    weights = deployable(checkpoint)
    source = out / "fp32" / weights.task
    parent = manifests.load(source)
    check_made_of(parent, weights, checkpoint, source)
    inputs = quantize_inputs(parent, data, config) | selection.hashes() | {
        "data": data_hash(data), "tolerances": tolerances, "minutes": minutes,
    }

    def make(folder: Path) -> Manifest:
        items = list(calibration_inputs(parent, data, config))
        check_shows_something(items)
        student = simulated(build(weights), items, config)
        figures = recover(
            student, checkpoint, data, run_folder(out, config.name, weights.task, inputs), minutes,
            options, selection=selection,
        )
        model = to_openvino(student, parent)
        save_ir(model, folder)
        notes = config.notes() | {
            "calibrated_on": f"{len(items)} pictures", "trained": f"{minutes:g} minutes",
            "dev": ", ".join(f"{name} {value:.4f}" for name, value in figures.items()),
        }
        made = quantized_manifest("qat", parent, folder, model, notes)
        return judged("qat", made, source, folder, data, config, tolerances)

    folder = out / config.name / weights.task
    return run_step(f"qat-{config.name}", weights.task, out, folder, inputs, make)


def check_made_of(parent: Manifest, weights: Weights, checkpoint: Path, source: Path) -> None:
    """
    Raises:
        UsageError: ``parent``, in ``source``, was not made of the ``checkpoint``'s ``weights``.
    """
    if not any(weights.sha256 in made.files.values() for made in parent.ancestors):
        raise UsageError(
            f"{source} was not made of {checkpoint}; run export and convert of this checkpoint "
            "first, with the same --out"
        )


def run_folder(out: Path, name: str, task: str, inputs: dict[str, Any]) -> Path:
    """Where the training of a variant runs; another one for other inputs."""
    text = repr(sorted((key, str(value)) for key, value in inputs.items()))
    return out / "runs" / f"{name}-{task}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def simulated(
    network: Detector | Reader, items: Sequence[NDArray[np.uint8]], config: QuantizeConfig
) -> Hooked:
    """The network with fake quantizers, their ranges from ``items`` (1, H, W, 3) uint8; batch norms
    keep their statistics while it learns."""
    quiet_nncf()
    task = "reader" if isinstance(network, Reader) else "detector"
    arguments = config.arguments()
    scope = nncf.IgnoredScope(
        patterns=[TAILS[task]], validate=False,
        types=TRANSFORMER if task == "reader" and config.matmuls == "fp32" else [],
    )

    def hook(hooked: nn.Module) -> nn.Module:
        return nncf.quantize(
            hooked, nncf.Dataset([torch.from_numpy(item) for item in items]),
            subset_size=len(items), ignored_scope=scope,
            advanced_parameters=arguments.pop("advanced"), **arguments,
        )

    return Hooked(network, hook, freeze_norms=True)


def to_openvino(student: Hooked, manifest: Manifest) -> Any:
    """The OpenVINO model, with the input and outputs that ``manifest`` names."""
    batch, *rest = manifest.input.shape
    example = torch.zeros((2 if batch == -1 else batch, *rest), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rounding makes the tracer's second run differ a little
        model = openvino.convert_model(
            student.eval(), example_input=example,
            input=[(openvino.PartialShape(list(manifest.input.shape)), openvino.Type.u8)],
        )
    model.input(0).get_tensor().set_names({manifest.input.name})
    for output, named in zip(model.outputs, manifest.outputs, strict=True):
        output.get_tensor().set_names({named.name})
    return model
