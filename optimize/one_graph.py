"""Both trained networks as one graph from a camera's frame to the raw readings of its best plates.

Compared with the two-stage pipeline of the same weights: the same plates, texts and corners.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino

from alpr_edge import ALPR, geometry, metrics
from alpr_edge import manifest as manifests
from alpr_edge.data import Sample
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from alpr_edge.images import load_image
from alpr_edge.manifest import MODEL_BIN, MODEL_XML, InputSpec, Manifest, OutputSpec, PipelineDecode
from alpr_edge.reader import decode_logits
from alpr_edge.types import Detection, Plate, Reading
from optimize.compare import Outputs, check_raw, raw_differences
from optimize.convert import convert
from optimize.evaluate import PICTURES, Latency, take_turns
from optimize.export import deployable, export, run_onnx, run_torch, trained_manifest, write_onnx
from optimize.frame_network import FrameConfig, FrameNetwork
from optimize.pictures import Pictures, calibration_pictures, fit, network_inputs, spread
from optimize.steps import MODEL_ONNX, StepFailedError, StepResult, Tolerances, run_step, save_ir
from training.networks import build

NAME = "one-graph"
TASK = "pipeline"
IOU_SAME = 0.9
"""Overlap from which both routes found the same plate."""
FOUND, READ = ("quads", "scores"), ("logits", "ctc", "rows")
"""Outputs of the detector's part and of the reader's."""
CARRIED = 10
"""How many times more the reader's outputs may differ between engines than the detector's: it reads
on corners whose last bit, 1e-4 pixels, is 0.01 levels of grey at an edge."""
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
        alpr = ALPR(models=out / TWO_STAGES, min_confidence=0)
        same = compare_plates(Engine(folder), alpr, pictures.held_out)
        check_plates(same, tolerances)
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
    """The greatest difference of any output from ONNX Runtime's, by PyTorch and by OpenVINO."""
    inputs = list(network_inputs(made, frames))
    engine = Engine(folder)
    routes = {
        "torch": [run_torch(network, made, x) for x in inputs],
        "openvino": [engine.run(x) for x in inputs],
    }
    by_onnx = run_onnx(folder / MODEL_ONNX, made, inputs)
    figures = {}
    for route, outputs in routes.items():
        differences = raw_differences(outputs, by_onnx)
        for names, allowed in ((FOUND, tolerances), (READ, _looser(tolerances))):
            chosen = {name: differences[name] for name in names}
            check_raw(f"{NAME}, {route} and onnxruntime", chosen, allowed)
        figures[f"raw_{route}"] = max(differences.values())
    return figures


def _looser(tolerances: Tolerances) -> Tolerances:
    return dataclasses.replace(tolerances, raw=CARRIED * tolerances.raw)


def pipeline_manifest(detector: Manifest, reader: Manifest, config: FrameConfig) -> Manifest:
    """The manifest of the graph of two trained networks, its files and parity still to come."""
    count = str(config.plates)
    return Manifest(
        name=f"{detector.name}+{reader.name}", task=TASK, version=detector.version,
        licence=detector.licence, created=manifests.now(), step=NAME, precision="FP32", files={},
        input=InputSpec(shape=(1, *config.frame, 3), resize="letterbox"),
        outputs=(
            OutputSpec(name=FOUND[0], axes=(count, "4", "2")),
            OutputSpec(name=FOUND[1], axes=(count,)),
            *(OutputSpec(name=o.name, axes=(count, *o.axes[1:])) for o in reader.outputs),
        ),
        decode=PipelineDecode(detector=detector, reader=reader),
        tools=manifests.tool_versions("torch", "onnx", "onnxscript", "onnxruntime", "openvino"),
        trained_on=tuple(dict.fromkeys((*detector.trained_on, *reader.trained_on))),
    )


def plates_of(outputs: Outputs, manifest: Manifest) -> list[tuple[Detection, Reading]]:
    """The plates in the graph's outputs, most certain first; a box is that around the corners."""
    there = outputs["scores"] > 0
    quads, scores, logits, ctc, rows = (outputs[o.name][there] for o in manifest.outputs)
    temperature = manifest.pipeline_decode.reader.reader_decode.temperature
    readings = decode_logits(logits, ctc, rows.argmax(axis=-1) + 1, temperature)
    return [
        (Detection(box=geometry.quad_box(q), corners=geometry.as_quad(q), confidence=s), reading)
        for q, s, reading in zip(quads, scores.tolist(), readings, strict=True)
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Same:
    """What the graph shares with the two stages on ``pictures`` frames.

    ``found`` of the two stages' ``plates`` are there (:data:`IOU_SAME`); ``extra`` the two stages
    have not. ``sure`` of those found were read at least as certainly as the runtime asks for, and
    ``texts`` of them have the same text. ``corners`` is the median distance of the
    corners of those found as a fraction of the plate's width, ``pixels`` the greatest of any corner
    in pixels of the frame.
    """

    pictures: int
    plates: int
    found: int
    extra: int
    sure: int
    texts: int
    corners: float
    pixels: float

    def figures(self) -> dict[str, float]:
        """All figures, for a manifest."""
        return {name: float(value) for name, value in dataclasses.asdict(self).items()}


def compare_plates(graph: Engine, alpr: ALPR, frames: Sequence[Sample]) -> Same:
    """The graph beside the two stages' best K plates, on the same frames."""
    count = int(graph.manifest.outputs[0].axes[0])
    least = graph.manifest.pipeline_decode.reader.reader_decode.confidence_threshold
    plates = extra = sure = texts = 0
    shifts, pixels = [], []
    for sample in frames:
        frame = fit(graph.manifest, load_image(sample.path))
        wanted = alpr.predict(frame)[:count]
        got = plates_of(graph.run(frame[None]), graph.manifest)
        found = same_plates([detection for detection, _ in got], wanted)
        plates += len(wanted)
        extra += found.count(-1)
        for (detection, reading), index in zip(got, found, strict=True):
            if index >= 0:
                plate = wanted[index]
                if plate.confidence >= least:  # else noise, which a grey level reads otherwise
                    sure += 1
                    texts += reading.text == plate.text
                shifts.append(metrics.corner_error(detection.corners, plate.corners))
                moved = np.subtract(detection.corners, plate.corners)
                pixels.append(float(np.linalg.norm(moved, axis=1).max()))
    return Same(
        pictures=len(frames), plates=plates, found=len(shifts), extra=extra, sure=sure,
        texts=texts, corners=float(np.median(shifts or [0])), pixels=max(pixels, default=0.0),
    )


def same_plates(detections: Sequence[Detection], plates: Sequence[Plate]) -> list[int]:
    """For each detection the plate whose quad's box it overlaps by :data:`IOU_SAME`, or -1."""
    return metrics.match(
        np.array([detection.box for detection in detections]),
        np.array([detection.confidence for detection in detections]),
        np.array([geometry.quad_box(plate.corners) for plate in plates]),
        IOU_SAME,
    ).tolist()


def check_plates(same: Same, tolerances: Tolerances) -> None:
    """
    Raises:
        StepFailedError: too few plates or texts are those of the two stages, or corners moved.
    """
    for what, k, n in (
        ("plates found", same.found, same.plates), ("texts equal", same.texts, same.sure)
    ):
        if n == 0 or k / n < tolerances.agreement:
            raise StepFailedError(
                f"{NAME}: {k} of {n} {what} on {same.pictures} frames; allowed: at least "
                f"{tolerances.agreement:.0%} of at least 1. Is the frame's size the camera's?"
            )
    if same.corners > tolerances.corners:
        raise StepFailedError(
            f"{NAME}: corners moved by {same.corners:.1%} of the plate's width (median); allowed: "
            f"{tolerances.corners:.1%}. Is the frame's size the camera's?"
        )


def time_both(
    folder: Path, models: Path, frames: Sequence[Sample], *, threads: int, runs: int
) -> tuple[Latency, Latency]:
    """Milliseconds from a frame to its texts, taking turns: by the graph in ``folder``, and by the
    two stages in ``models``, which read only the plates they find."""
    graph = Engine(folder, threads=threads)
    alpr = ALPR(models=models, threads=threads, min_confidence=0)
    chosen = spread(frames, PICTURES)
    inputs = [fit(graph.manifest, load_image(sample.path)) for sample in chosen]
    one, two = take_turns(
        (
            lambda index: plates_of(graph.run(inputs[index][None]), graph.manifest),
            lambda index: alpr.predict(inputs[index]),
        ),
        len(chosen), runs,
    )
    return one, two
