"""Quantize with accuracy control (NNCF): layers go back to FP32 until our metric on dev holds.

The search runs in a process capped to the target, because INT8 answers differ between instruction
sets. Metric: a reader's share of cut-outs read exactly; a detector's average precision at IoU 0.5.
Which layers went back is told in the manifest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

from alpr_edge import manifest as manifests
from alpr_edge import metrics
from alpr_edge.data import Sample
from alpr_edge.images import load_image
from alpr_edge.manifest import MODEL_XML, Manifest
from alpr_edge.metrics import FrameResult
from alpr_edge.reader import PlateReader
from optimize.capped import run_capped
from optimize.evaluate import Judging, open_detector
from optimize.pictures import network_inputs
from optimize.quantize import (
    QuantizeConfig,
    calibration_inputs,
    check_shows_something,
    ignored,
    judged,
    prepare,
    quantize_inputs,
    quantized_manifest,
    quiet_nncf,
)
from optimize.steps import StepResult, Tolerances, run_step, save_ir

Validate = Callable[[Any, Iterable[int]], tuple[float, list[float]]]
"""What NNCF calls with a compiled model and numbers of pictures: our metric (higher is better), and
for each picture how right it was."""


def quantize_with_control(
    source: Path, out: Path, config: QuantizeConfig, judging: Judging, *,
    max_drop: float, tolerances: Tolerances,
) -> StepResult:
    """Write ``out/NAME/TASK`` from an FP32 IR; ``max_drop`` is in points of the metric on dev.

    Raises:
        ModelError: ``source`` or the detector is no intact model folder.
        DataError: there is nothing to judge on.
        StepFailedError: decoded results differ too much, or nothing runs in 8 bits any more.
        ChildError: the search was killed or broke down.
    """
    parent = manifests.load(source)

    def make(folder: Path) -> Manifest:
        found = run_capped(
            "control", config.target, source=source, folder=folder, data=judging.data,
            split=judging.split, limit=judging.limit, max_drop=max_drop,
            config=dataclasses.asdict(config),
        )
        model = openvino.Core().read_model(folder / MODEL_XML)
        notes = config.notes() | {
            "calibrated_on": f"{found['calibrated_on']} pictures",
            "accuracy_control": f"max drop {max_drop:g} points on {found['judged_on']} pictures "
                                f"of {judging.split}",
        }
        made = quantized_manifest("quantize-accuracy", parent, folder, model, notes)
        return judged("quantize-accuracy", made, source, folder, judging.data, config, tolerances)

    inputs = quantize_inputs(parent, judging.data, config) | {
        "judged_on": judging.digest(parent.task), "max_drop": max_drop, "tolerances": tolerances,
    }
    folder = out / config.name / parent.task
    return run_step(f"quantize-accuracy-{config.name}", parent.task, out, folder, inputs, make)


def control_work(
    *, source: str, folder: str, data: str, split: str, limit: int | None, max_drop: float,
    config: dict[str, Any],
) -> dict[str, Any]:
    """The search, in a capped process: writes the IR into ``folder``."""
    detector = config.pop("detector")
    settings = QuantizeConfig(**config, detector=Path(detector) if detector else None)
    manifest = manifests.load(source)
    pictures = Judging(data=Path(data), split=split, limit=limit).pictures(manifest.task)
    pictures = [sample for sample in pictures if sample.plates]  # without plates, no metric
    items = list(calibration_inputs(manifest, Path(data), settings))
    check_shows_something(items)
    model = openvino.Core().read_model(Path(source) / MODEL_XML)
    prepare(model, settings)
    quiet_nncf()
    arguments = settings.arguments()
    quantized = nncf.quantize_with_accuracy_control(
        model,
        calibration_dataset=nncf.Dataset(items),
        validation_dataset=nncf.Dataset(range(len(pictures))),
        validation_fn=validation(Path(source), pictures),
        max_drop=max_drop / 100,
        drop_type=nncf.DropType.ABSOLUTE,
        subset_size=len(items),
        ignored_scope=ignored(model, settings),
        advanced_quantization_parameters=arguments.pop("advanced"),
        **arguments,
    )
    save_ir(quantized, Path(folder))
    return {"calibrated_on": len(items), "judged_on": len(pictures)}


def validation(folder: Path, pictures: list[Sample]) -> Validate:
    """The metric of the model in ``folder`` for other graphs of the same interface."""
    if manifests.load(folder).task == "reader":
        return _reading(folder, pictures)
    return _detection(folder, pictures)


def _reading(folder: Path, crops: list[Sample]) -> Validate:
    reader = PlateReader(folder)
    inputs = list(network_inputs(reader.engine.manifest, crops))

    def validate(compiled: Any, numbers: Iterable[int]) -> tuple[float, list[float]]:
        rights = []
        for i in numbers:
            text = reader.decode(_outputs(compiled, inputs[i]))[0].text
            rights.append(float(text == crops[i].plates[0].text))
        return float(np.mean(rights)), rights

    return validate


def _detection(folder: Path, frames: list[Sample]) -> Validate:
    detector = open_detector(folder)
    framed = [detector.letterbox(load_image(frame.path)) for frame in frames]

    def validate(compiled: Any, numbers: Iterable[int]) -> tuple[float, list[float]]:
        results = [
            FrameResult(
                sample=frames[i],
                detections=detector.postprocess(_outputs(compiled, framed[i].frame), framed[i]),
            )
            for i in numbers
        ]
        rates = metrics.detection_rates(results, metrics.IOU_FOUND)
        each = [float(np.mean(metrics.plates_found([r], metrics.IOU_FOUND))) for r in results]
        return rates.average_precision, each

    return validate


def _outputs(compiled: Any, image: Any) -> dict[str, Any]:
    values = compiled(image)
    return {name: values[name] for output in compiled.outputs for name in output.names}
