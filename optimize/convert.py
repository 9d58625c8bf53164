"""Step 2: ONNX to OpenVINO IR in FP32, compared with ONNX Runtime."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import openvino

from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from alpr_edge.manifest import MODEL_XML, Manifest
from optimize.compare import check_raw, raw_differences
from optimize.export import run_onnx
from optimize.pictures import Pictures, network_inputs
from optimize.steps import MODEL_ONNX, StepResult, Tolerances, run_step


def convert(
    source: Path, out: Path, pictures: Pictures, *, tolerances: Tolerances
) -> StepResult:
    """Write ``out/fp32/TASK`` from the folder ``source`` of :func:`optimize.export.export`.

    Raises:
        ModelError: ``source`` is no intact model folder.
        StepFailedError: OpenVINO and ONNX Runtime answer differently.
    """
    parent = manifests.load(source)

    def make(folder: Path) -> Manifest:
        model = openvino.convert_model(source / MODEL_ONNX)
        openvino.save_model(model, folder / MODEL_XML, compress_to_fp16=False)
        made = manifests.derive(
            parent, step="convert", files=manifests.hash_files(folder),
            tools=manifests.tool_versions("openvino", "onnxruntime"),
        )
        manifests.save(made, folder)  # the engine needs it
        engine = Engine(folder)
        inputs = list(network_inputs(parent, pictures.raw()))
        differences = raw_differences(
            run_onnx(source / MODEL_ONNX, parent, inputs), [engine.run(x) for x in inputs]
        )
        check_raw("convert", differences, tolerances)
        parity = differences | {"pictures": float(len(inputs))}
        return dataclasses.replace(made, parity=parity)

    inputs = {"parent": manifests.digest(parent), "pictures": pictures.digest(),
              "tolerances": tolerances, "openvino": openvino.__version__}
    return run_step("convert", parent.task, out, out / "fp32" / parent.task, inputs, make)
