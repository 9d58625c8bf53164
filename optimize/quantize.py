"""Step 3: OpenVINO IR to INT8 by post-training quantization (NNCF), compared by decoded results.

Weights become signed 8-bit numbers a channel, activations 8-bit numbers a tensor, from statistics
on the calib pictures. From the last weighted layers to the outputs everything stays in floating
point: they cost little, and scores, distances and logits need more than 256 values.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from alpr_edge import manifest as manifests
from alpr_edge.detector import PlateDetector
from alpr_edge.manifest import MODEL_BIN, MODEL_XML, Manifest
from optimize.compare import check_agreement, compare_at
from optimize.pictures import calibration_pictures, detected_plates, network_inputs
from optimize.steps import StepResult, Tolerances, run_step

_MATMULS = ["MatMul", "ScaledDotProductAttention"]
_WEIGHTED = frozenset({"Convolution", "GroupConvolution", "MatMul"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """How to quantize.

    ``overflow_fix``: which weights use 7 of 8 bits. A CPU without VNNI adds products in 16 bits,
    which saturate with weights of 8 bits; ``enable`` (all layers but depthwise ones, whose products
    are added in 32 bits) is right for AVX2.
    ``matmuls``: quantize matrix products too. With VNNI that halves a reader's time, on AVX2 its
    8-bit matrix products are slower than those in FP32.
    ``isa``: the instruction set at which the result is judged. ``limit``: at most so many pictures
    of each kind. ``detector``: folder of the model that cuts the reader's plates out of frames;
    None calibrates a reader on the plate cut-outs alone.
    """

    overflow_fix: str = nncf.OverflowFix.ENABLE.value
    matmuls: bool = False
    isa: str = "avx2"
    limit: int | None = None
    detector: Path | None = None


def quantize(
    source: Path, out: Path, data: Path, config: QuantizeConfig, *, tolerances: Tolerances
) -> StepResult:
    """Write ``out/int8/TASK`` from the folder ``source`` of :func:`optimize.convert.convert`.

    Raises:
        ModelError: ``source`` or the detector is no intact model folder.
        StepFailedError: decoded results differ too much, or nothing runs in 8 bits.
    """
    parent = manifests.load(source)
    pictures = calibration_pictures(data, crops=parent.task == "reader", limit=config.limit)

    def make(folder: Path) -> Manifest:
        items = list(calibration_inputs(parent, data, config))
        model = openvino.Core().read_model(source / MODEL_XML)
        quantized = quantize_model(model, items, config)
        openvino.save_model(quantized, folder / MODEL_XML, compress_to_fp16=False)
        made = manifests.derive(
            parent, step="quantize", precision="INT8", files=manifests.hash_files(folder),
            tools=manifests.tool_versions("openvino", "nncf")
            | {"overflow_fix": config.overflow_fix, "matmuls": "INT8" if config.matmuls else "FP32",
               "calibrated_on": f"{len(items)} pictures"},
        )
        manifests.save(made, folder)  # the engine needs it
        agreement = compare_at(
            source, folder, data, instruction_set=config.isa, limit=config.limit
        )
        check_agreement(agreement, tolerances)
        sizes = {"bytes": float(_size(folder)), "bytes_of_parent": float(_size(source))}
        return dataclasses.replace(
            made, parity=agreement.figures() | sizes, tools=made.tools | {"isa": agreement.isa}
        )

    inputs: dict[str, Any] = {
        "parent": manifests.digest(parent), "pictures": pictures.digest(),
        "config": dataclasses.replace(config, detector=None), "tolerances": tolerances,
        "detector": _detector_facts(data, config),
        "tools": manifests.tool_versions("openvino", "nncf"),
    }
    return run_step("quantize", parent.task, out, out / "int8" / parent.task, inputs, make)


def calibration_inputs(
    manifest: Manifest, data: Path, config: QuantizeConfig
) -> Iterator[NDArray[np.uint8]]:
    """What statistics are taken on, (1, H, W, 3) uint8 BGR each: letterboxed frames for a detector;
    plate cut-outs, and plates that the detector finds in frames, for a reader."""
    if manifest.task == "detector":
        frames = calibration_pictures(data, crops=False, limit=config.limit)
        yield from network_inputs(manifest, frames.statistics)
        return
    crops = calibration_pictures(data, crops=True, limit=config.limit)
    yield from network_inputs(manifest, crops.statistics)
    if config.detector is not None:
        frames = calibration_pictures(data, crops=False, limit=config.limit)
        for plate in detected_plates(PlateDetector(config.detector), frames.statistics):
            yield plate[None]


def quantize_model(model: Any, items: list[NDArray[np.uint8]], config: QuantizeConfig) -> Any:
    """An INT8 copy of the OpenVINO model ``model``; all of ``items`` are looked at."""
    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(
        model,
        nncf.Dataset(items),
        subset_size=len(items),
        model_type=nncf.ModelType.TRANSFORMER if config.matmuls else None,
        ignored_scope=nncf.IgnoredScope(
            names=tail(model), types=[] if config.matmuls else _MATMULS, validate=False
        ),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix(config.overflow_fix)
        ),
    )


def tail(model: Any) -> list[str]:
    """Names of the operations from the last weighted layer before each output to that output."""
    names: set[str] = set()
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    while waiting:
        node = waiting.pop()
        name, kind = node.get_friendly_name(), node.get_type_name()
        if name in names or kind in ("Constant", "Parameter"):
            continue
        names.add(name)
        if kind not in _WEIGHTED:
            waiting += [value.get_node() for value in node.input_values()]
    return sorted(names)


def _detector_facts(data: Path, config: QuantizeConfig) -> str:
    """Which detector finds plates in which frames, by hash."""
    if config.detector is None:
        return "none"
    frames = calibration_pictures(data, crops=False, limit=config.limit)
    return f"{manifests.digest(manifests.load(config.detector))} {frames.digest()}"


def _size(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in (MODEL_XML, MODEL_BIN))
