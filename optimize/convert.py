"""Step 2: ONNX to OpenVINO IR in FP32, compared with ONNX Runtime; any IR with its weights in FP16.

FP16 halves the file; the arithmetic stays f32, so it costs no accuracy beyond the rounding of the
weights and gains no time on a CPU.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from alpr_edge.manifest import MODEL_XML, Manifest
from optimize.compare import check_agreement, check_raw, compare_at, raw_differences
from optimize.count import is_parameter
from optimize.export import run_onnx
from optimize.networks import Kind, kind_of
from optimize.pictures import Pictures, calibration_pictures, network_inputs
from optimize.steps import (
    MODEL_ONNX,
    StepResult,
    Tolerances,
    fingerprint,
    model_bytes,
    run_step,
    save_ir,
)

FEW = 16
"""Constants of fewer values stay in FP32: they save nothing, and single factors matter most."""
_LARGEST = float(np.finfo(np.float16).max)


def convert(
    source: Path, out: Path, pictures: Pictures, *, tolerances: Tolerances,
    check: Callable[[Path], dict[str, float]] | None = None,
) -> StepResult:
    """Write ``out/fp32/TASK`` from the folder ``source`` of :func:`optimize.export.export`.

    ``check`` looks at the IR's folder; its figures are told in the manifest.

    Raises:
        ModelError: ``source`` is no intact model folder.
        StepFailedError: OpenVINO and ONNX Runtime answer differently.
    """
    parent = manifests.load(source)
    if kind_of(parent) != Kind.ONNX:
        raise ModelError(f"{source} is no ONNX model; give the folder that export made, OUT/onnx/"
                         f"{parent.task}")
    tools = manifests.tool_versions("openvino", "onnxruntime")

    def make(folder: Path) -> Manifest:
        model = openvino.convert_model(source / MODEL_ONNX)
        save_ir(model, folder)
        made = manifests.derive(
            parent, step="convert", files=manifests.hash_files(folder),
            tools=tools,
        )
        manifests.save(made, folder)  # the engine needs it
        engine = Engine(folder)
        inputs = list(network_inputs(parent, pictures.raw()))
        differences = raw_differences(
            run_onnx(source / MODEL_ONNX, parent, inputs), [engine.run(x) for x in inputs]
        )
        check_raw("convert", differences, tolerances)
        parity = differences | {"pictures": float(len(inputs))} | (check(folder) if check else {})
        return dataclasses.replace(made, parity=parity)

    inputs = {"parent": fingerprint(parent), "pictures": pictures.digest(),
              "tolerances": tolerances, "tools": tools}
    return run_step("convert", parent.task, out, out / "fp32" / parent.task, inputs, make)


def compress(
    source: Path, out: Path, data: Path, *, name: str, target: str, limit: int | None = None,
    tolerances: Tolerances,
) -> StepResult:
    """Write ``out/NAME/TASK``: the IR in ``source`` with all floating-point weights stored in FP16.

    Judged by decoded results at ``target``; the raw differences are told beside.

    Raises:
        ModelError: ``source`` is no intact model folder.
        StepFailedError: decoded results differ too much.
    """
    parent = manifests.load(source)
    pictures = calibration_pictures(data, crops=parent.task == "reader", limit=limit)

    def make(folder: Path) -> Manifest:
        save_ir(halved(openvino.Core().read_model(source / MODEL_XML)), folder)
        made = manifests.derive(
            parent, step="compress", files=manifests.hash_files(folder),
            precision="FP16" if parent.precision == "FP32" else parent.precision,
            tools=manifests.tool_versions("openvino"),
        )
        manifests.save(made, folder)  # the engine needs it
        agreement = compare_at(source, folder, data, target=target, limit=limit)
        check_agreement("compress", agreement, tolerances)
        inputs = list(network_inputs(parent, pictures.raw()))
        engines = (Engine(source), Engine(folder))
        differences = raw_differences(*([engine.run(x) for x in inputs] for engine in engines))
        sizes = {"bytes": float(model_bytes(folder)), "bytes_of_parent": float(model_bytes(source))}
        return dataclasses.replace(made, parity=differences | agreement.figures() | sizes)

    inputs = {"parent": fingerprint(parent), "pictures": pictures.digest(), "target": target,
              "tolerances": tolerances, "openvino": openvino.__version__}
    folder = out / name / parent.task
    return run_step(f"compress-{name}", parent.task, out, folder, inputs, make)


def halved(model: Any) -> Any:
    """``model`` with its floating-point parameters stored in FP16 and converted to FP32 when it is
    loaded. OpenVINO's own ``compress_to_fp16`` leaves a model with quantized layers as it is."""
    for op in model.get_ordered_ops():
        if op.get_type_name() != "Constant" or op.get_element_type() != openvino.Type.f32:
            continue
        values = op.get_data()
        if values.size < FEW or np.abs(values).max() > _LARGEST or not is_parameter(op):
            continue
        name = op.get_friendly_name()
        small = ops.constant(values.astype(np.float16), name=f"{name}/half")
        converted = ops.convert(small, "f32", name=f"{name}/single")
        for user in op.output(0).get_target_inputs():
            user.replace_source_output(converted.output(0))
    return model
