"""Step 1: trained weights to ONNX, compared with PyTorch."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import alpr_edge
from alpr_edge import manifest as manifests
from alpr_edge.alphabet import CHARACTERS, CLASSES, SLOTS
from alpr_edge.errors import ModelError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from alpr_edge.manifest import (
    TASKS,
    DetectorDecode,
    InputSpec,
    Manifest,
    Metric,
    OutputSpec,
    ReaderDecode,
)
from optimize.compare import CELLS, Outputs, check_raw, raw_differences
from optimize.pictures import Pictures, network_inputs
from optimize.steps import MODEL_ONNX, StepResult, Tolerances, run_step
from training.checkpoint import Weights, load_weights
from training.detector.evaluate import HEIGHT, OVERLAP, SURE, WIDTH
from training.networks import build

DETECTOR_SIZE = (HEIGHT, WIDTH)
"""Height and width of the detector's input where nothing else is asked for."""
MAX_BATCH = 64
_LICENCE = "Apache-2.0"


class Graph(nn.Module):
    """The network one level down, so that no parameter has the name of an input or output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The network's outputs, a tuple in the manifest's order."""
        return tuple(self.network(image))


def export(
    checkpoint: Path, out: Path, pictures: Pictures, *,
    size: tuple[int, int] = DETECTOR_SIZE, tolerances: Tolerances,
) -> StepResult:
    """Write ``out/onnx/TASK/model.onnx``; ``size`` is the detector's input.

    Raises:
        ModelError: the checkpoint cannot be read or does not fit this version's network.
        StepFailedError: ONNX Runtime and PyTorch answer differently.
    """
    weights = deployable(checkpoint)
    trained = descended(trained_manifest(weights, checkpoint, size), weights)
    tools = manifests.tool_versions("torch", "onnx", "onnxscript", "onnxruntime")

    def make(folder: Path) -> Manifest:
        network = build(weights)
        path = folder / MODEL_ONNX
        write_onnx(network, trained, path)
        inputs = list(network_inputs(trained, pictures.raw()))
        torch_outputs = [run_torch(network, trained, x) for x in inputs]
        differences = raw_differences(torch_outputs, run_onnx(path, trained, inputs))
        check_raw("export", differences, tolerances)
        return manifests.derive(
            trained, step="export", files=manifests.hash_files(folder, (MODEL_ONNX,)),
            parity=differences | {"pictures": float(len(inputs))},
            tools=tools,
        )

    inputs = {"weights": weights.sha256, "trained": _facts(trained), "pictures": pictures.digest(),
              "tolerances": tolerances, "tools": tools}
    return run_step("export", trained.task, out, out / "onnx" / trained.task, inputs, make)


def deployable(checkpoint: Path) -> Weights:
    """The weights of a detector or reader.

    Raises:
        ModelError: the checkpoint cannot be read, or is of another task.
    """
    weights = load_weights(checkpoint)
    if weights.task not in TASKS:
        raise ModelError(
            f"{checkpoint} is of task {weights.task!r}; allowed: {', '.join(TASKS)}. Give the "
            "weights that training wrote for one of these"
        )
    return weights


def trained_manifest(weights: Weights, path: Path, size: tuple[int, int]) -> Manifest:
    """The manifest of the trained weights themselves, the first ancestor of every model."""
    common: dict[str, Any] = {
        "version": alpr_edge.__version__, "licence": _LICENCE, "created": manifests.now(),
        "step": weights.notes.get("made_by", "train"), "precision": "FP32",
        "files": {path.name: weights.sha256},
        "tools": {"commit": str(weights.notes.get("commit", "unknown"))},
        "trained_on": tuple(weights.notes.get("trained_on", ())),
        "metrics": tuple(
            Metric(what=name, value=float(value), split="dev",
                   command=f"python -m training {weights.task}")
            for name, value in weights.notes.get("dev", {}).items()
        ),
    }
    name = f"{weights.task}-{weights.notes.get('variant', 'edge')}"
    if weights.task == "detector":
        return Manifest(
            name=name, task="detector", **common,
            input=InputSpec(shape=(1, *size, 3), resize="letterbox"),
            outputs=(
                OutputSpec(name="scores", axes=("N", "K")),
                OutputSpec(name="boxes", axes=("N", "K", "4")),
                OutputSpec(name="corners", axes=("N", "K", "4", "2")),
                OutputSpec(name=CELLS, axes=("N", "K")),
            ),
            decode=DetectorDecode(
                nms_iou=OVERLAP,
                score_threshold=float(weights.notes.get("score_threshold", SURE)),
            ),
        )
    return Manifest(
        name=name, task="reader", **common,
        input=InputSpec(shape=(-1, PLATE_HEIGHT, PLATE_WIDTH, 3), resize="rectify"),
        outputs=(
            OutputSpec(name="logits", axes=("N", str(SLOTS), str(CLASSES))),
            OutputSpec(name="ctc", axes=("N", "L", str(CLASSES))),
            OutputSpec(name="rows", axes=("N", "2")),
        ),
        decode=ReaderDecode(
            alphabet=CHARACTERS, slots=SLOTS,
            temperature=float(weights.notes.get("temperature", 1.0)),
            confidence_threshold=float(weights.notes.get("confidence_threshold", 0.0)),
        ),
    )


def descended(manifest: Manifest, weights: Weights) -> Manifest:
    """``manifest`` with the checkpoints that its weights were made from as ancestors."""
    lineage = weights.notes.get("lineage", [])
    if not lineage:
        return manifest
    plain = dataclasses.replace(manifest, metrics=(), tools={})
    made: Manifest | None = None
    for line in lineage:
        facts = {"step": line["step"], "files": {line["file"]: line["sha256"]},
                 "created": "unknown"}
        made = manifests.derive(made, **facts) if made else dataclasses.replace(plain, **facts)
    own = {name: str(weights.notes[name]) for name in ("ratio", "zeros", "kept")
           if name in weights.notes}
    assert made is not None
    return manifests.derive(
        made, step=weights.notes["made_by"], files=manifest.files, metrics=manifest.metrics,
        created=manifest.created, tools=manifest.tools | own,
    )


def write_onnx(network: nn.Module, manifest: Manifest, path: Path) -> None:
    """Export ``network`` with the input and outputs of ``manifest``, and check the file."""
    batch, *rest = manifest.input.shape
    free = batch == -1
    example = torch.zeros((2 if free else batch, *rest), dtype=torch.uint8)
    dynamic = ({0: torch.export.Dim("N", min=1, max=MAX_BATCH)},) if free else None
    with _quiet():
        torch.onnx.export(
            Graph(network).eval(), (example,), str(path), dynamo=True, external_data=False,
            verbose=False, dynamic_shapes=dynamic, input_names=[manifest.input.name],
            output_names=[output.name for output in manifest.outputs],
        )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def run_torch(network: nn.Module, manifest: Manifest, image: NDArray[np.uint8]) -> Outputs:
    """The outputs of one picture (1, H, W, 3) by name."""
    with torch.inference_mode():
        values = network(torch.from_numpy(image))
    names = [output.name for output in manifest.outputs]
    return {name: value.numpy() for name, value in zip(names, values, strict=True)}


def run_onnx(path: Path, manifest: Manifest, images: list[NDArray[np.uint8]]) -> list[Outputs]:
    """The outputs of each picture (1, H, W, 3) by name, by ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in manifest.outputs]
    return [
        dict(zip(names, session.run(names, {manifest.input.name: image}), strict=True))
        for image in images
    ]


def _facts(manifest: Manifest) -> dict[str, Any]:
    """The manifest without its time of creation."""
    return manifests.to_dict(dataclasses.replace(manifest, created=""))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings about its own deprecations and absent torchvision."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
