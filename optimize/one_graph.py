"""Both trained networks as one graph from a camera's frame to the raw readings of its best plates.

Compared with the two-stage pipeline of the same weights: the same plates, texts and corners.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openvino

from alpr_edge import manifest as manifests
from alpr_edge.data import Sample, Split
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from alpr_edge.manifest import (
    MODEL_BIN,
    MODEL_XML,
    AnyTask,
    InputSpec,
    Manifest,
    Metric,
    OutputSpec,
    PipelineDecode,
)
from optimize.capped import run_capped, settle
from optimize.compare import check_raw, raw_differences
from optimize.convert import convert
from optimize.evaluate import Latency
from optimize.export import deployable, export, run_onnx, run_torch, trained_manifest, write_onnx
from optimize.frame_network import FrameConfig, FrameNetwork
from optimize.options import timing
from optimize.pictures import Pictures, calibration_pictures, network_inputs
from optimize.steps import MODEL_ONNX, StepResult, Tolerances, run_step, save_ir
from optimize.two_routes import check_plates, compare_plates, looking_once
from training.networks import build

NAME = "one-graph"
TASK: AnyTask = "pipeline"
QUADS = "quads"
PIXELS = 0.1
"""How far a corner may differ between engines, in pixels of the frame: a thousandth of a wide
frame would be two pixels, and another text."""
TWO_STAGES = "fp32"
"""The folder under OUT of the two-stage pipeline of the same weights."""


def two_stages(
    checkpoints: Sequence[Path], out: Path, data: Path, *, size: tuple[int, int],
    limit: int | None = None,
) -> list[StepResult]:
    """Export and convert the detector and the reader to ``out/fp32``, what is compared with.

    Raises:
        ModelError: the checkpoints are not one detector and one reader, in this order.
        AlprEdgeError: see :func:`optimize.export.export` and :func:`optimize.convert.convert`.
    """
    results = []
    for checkpoint, task in zip(checkpoints, ("detector", "reader"), strict=True):
        if (got := deployable(checkpoint).task) != task:
            raise ModelError(f"{checkpoint} is a {got}; allowed: a detector, then a reader")
        pictures = calibration_pictures(data, crops=task == "reader", limit=limit)
        onnx = export(checkpoint, out, pictures, size=size, tolerances=Tolerances())
        results += [onnx, convert(onnx.folder, out, pictures, tolerances=Tolerances())]
    return results


def one_graph(
    detector: Path, reader: Path, out: Path, pictures: Pictures, config: FrameConfig, *,
    tolerances: Tolerances,
) -> StepResult:
    """Write ``out/one-graph/pipeline``: model.onnx, model.xml and model.bin of the two checkpoints,
    compared with ``out/fp32`` (:func:`two_stages`) on the held out ``pictures``.

    Raises:
        ModelError: a checkpoint cannot be read, or ``out/fp32`` is not intact.
        StepFailedError: PyTorch, ONNX Runtime and OpenVINO answer differently, or the graph's
            plates are not those of the two stages.
    """
    weights = [deployable(path) for path in (detector, reader)]
    stages = [
        trained_manifest(w, path, config.size)
        for w, path in zip(weights, (detector, reader), strict=True)
    ]
    planned = pipeline_manifest(*stages, config)

    def make(folder: Path) -> Manifest:
        network = FrameNetwork(
            *(build(w) for w in weights), facts=stages[0].detector_decode, config=config
        ).eval()
        made = _write(network, planned, folder)
        raw = _compare_raw(network, made, folder, pictures.raw(), tolerances)
        same = compare_plates(Engine(folder), looking_once(out / TWO_STAGES), pictures.held_out)
        check_plates(NAME, same, tolerances)
        return dataclasses.replace(made, parity=raw | same.figures())

    inputs = {
        "weights": [w.sha256 for w in weights], "config": config, "pictures": pictures.digest(),
        "tolerances": tolerances, "tools": planned.tools,
    }
    return run_step(NAME, TASK, out, out / NAME / TASK, inputs, make)


def _write(network: FrameNetwork, planned: Manifest, folder: Path) -> Manifest:
    """ONNX, IR and manifest."""
    write_onnx(network, planned, folder / MODEL_ONNX)
    save_ir(openvino.convert_model(folder / MODEL_ONNX), folder)
    files = manifests.hash_files(folder, (MODEL_ONNX, MODEL_XML, MODEL_BIN))
    made = dataclasses.replace(planned, files=files)
    manifests.save(made, folder)
    return made


def _compare_raw(
    network: FrameNetwork, made: Manifest, folder: Path, frames: Sequence[Sample],
    tolerances: Tolerances,
) -> dict[str, float]:
    """How far each output of PyTorch and of OpenVINO is from ONNX Runtime's.

    Raises:
        StepFailedError: farther than is allowed.
    """
    inputs = list(network_inputs(made, frames))
    engine = Engine(folder)
    routes = {
        "torch": [run_torch(network, made, x) for x in inputs],
        "openvino": [engine.run(x) for x in inputs],
    }
    by_onnx = run_onnx(folder / MODEL_ONNX, made, inputs)
    fine = dataclasses.replace(tolerances, raw=PIXELS / max(made.input.shape))
    figures: dict[str, float] = {}
    for route, outputs in routes.items():
        differences = raw_differences(by_onnx, outputs)
        step = f"{NAME}, {route} beside onnxruntime"
        check_raw(step, {QUADS: differences[QUADS]}, fine)
        check_raw(step, differences, tolerances)
        figures |= {f"{route} {name}": value for name, value in differences.items()}
    return figures


def pipeline_manifest(detector: Manifest, reader: Manifest, config: FrameConfig) -> Manifest:
    """The manifest of the graph of two trained networks, its files and parity still to come."""
    count = str(config.plates)
    return Manifest(
        name=f"{detector.name}+{reader.name}", task=TASK, version=detector.version,
        licence=detector.licence, created=manifests.now(), step=NAME, precision="FP32", files={},
        input=InputSpec(shape=(1, *config.frame, 3), resize="letterbox"),
        outputs=(
            OutputSpec(name=QUADS, axes=(count, "4", "2")),
            OutputSpec(name="scores", axes=(count,)),
            *(OutputSpec(name=o.name, axes=(count, *o.axes[1:])) for o in reader.outputs),
        ),
        decode=PipelineDecode(detector=detector, reader=reader),
        tools=manifests.tool_versions("torch", "onnx", "onnxscript", "onnxruntime", "openvino"),
        trained_on=tuple(dict.fromkeys((*detector.trained_on, *reader.trained_on))),
    )


def time_routes(
    graph: Path, out: Path, data: Path, *, target: str, threads: int, runs: int,
    limit: int | None = None,
) -> tuple[Latency, Latency]:
    """:func:`optimize.two_routes.time_both` at ``target``, the graph beside ``out/fp32``; also
    written into the graph's manifest, in place of older times at the same target.

    Raises:
        UsageError: this CPU cannot execute the target. OutputError: the manifest cannot be
            written. AlprEdgeError: see :func:`optimize.capped.run_capped`.
    """
    settle()
    found = run_capped(
        "routes", target, graph=graph, models=out / TWO_STAGES, data=data, limit=limit,
        threads=threads, runs=runs,
    )
    one, two = (Latency(**latency) for latency in found["latencies"])
    made = manifests.load(graph)
    common: dict[str, Any] = {
        "split": Split.CALIB.value, "isa": target,
        "command": f"python -m optimize {NAME} --target {target} {timing(threads, runs, limit)}",
    }
    times = {
        "p50 ms": one.p50, "p90 ms": one.p90, "p50 ms of two stages": two.p50,
        "p90 ms of two stages": two.p90, "load average before": found["load_before"],
    }
    metrics = (
        *(metric for metric in made.metrics if metric.isa != target),
        *(Metric(what=what, value=value, **common) for what, value in times.items()),
    )
    manifests.save(dataclasses.replace(made, metrics=metrics), graph)
    return one, two
