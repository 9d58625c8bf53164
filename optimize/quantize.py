"""Step 3: OpenVINO IR to INT8 by post-training quantization (NNCF), compared by decoded results.

Weights become signed 8-bit numbers a channel, activations 8-bit numbers a tensor, from statistics
on the calib pictures. From the last weighted layers to the outputs everything stays in floating
point: what they answer is what is judged.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from alpr_edge import manifest as manifests
from alpr_edge.count import in_8_bits
from alpr_edge.detector import PlateDetector
from alpr_edge.errors import ModelError
from alpr_edge.manifest import MODEL_XML, Manifest
from optimize import convolutions
from optimize.compare import check_agreement, check_executed, compare_at
from optimize.networks import Kind, kind_of
from optimize.pictures import calibration_pictures, detected_plates, network_inputs
from optimize.steps import (
    TARGET,
    StepFailedError,
    StepResult,
    Tolerances,
    fingerprint,
    model_bytes,
    run_step,
    save_ir,
)

Matmuls = Literal["fp32", "int8", "convolutions"]
"""What becomes of matrix products, :class:`QuantizeConfig`."""
_PRODUCTS = ["MatMul", "ScaledDotProductAttention"]
_BETWEEN = ["Add", "Multiply", "MVN", "Softmax", "ReduceMean"]
"""What is between the linear layers: in 8 bits it would cost accuracy, and time to convert."""
_FLOAT_TYPES: dict[Matmuls, list[str]] = {
    "fp32": _PRODUCTS, "int8": [], "convolutions": _PRODUCTS + _BETWEEN,
}
WEIGHTED = frozenset({"Convolution", "GroupConvolution", "MatMul"})
"""The types of the operations that may run in 8 bits."""
FLAT = 4.0
"""A picture whose values deviate by less, of 255, shows nothing."""
MAX_FLAT = 0.1
"""Greatest share of such pictures among those that statistics are taken on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """How to quantize; the result is ``out/NAME/TASK``.

    ``overflow_fix``: which weights use 7 of 8 bits. A CPU without VNNI adds products in 16 bits,
    which saturate with weights of 8 bits; ``enable`` (all layers but depthwise ones, whose products
    are added in 32 bits) is right for AVX2.
    ``preset``: activations symmetric (``performance``) or asymmetric (``mixed``); None is NNCF's
    own choice. ``bias_correction``: ``fast``, ``full`` (slow) or ``none``.
    ``matmuls``: matrix products stay in FP32 (``fp32``), or are quantized (``int8``), which pays
    only with VNNI, or become convolutions where one factor is constant and these are quantized
    (``convolutions``, :mod:`optimize.convolutions`), which pays on AVX2 too.
    ``target``: where the result is judged. ``limit``: at most so many pictures of each kind.
    ``detector``: folder of the model that cuts the reader's plates out of frames; None calibrates a
    reader on the plate cut-outs alone.
    """

    name: str = "int8"
    overflow_fix: str = nncf.OverflowFix.ENABLE.value
    preset: str | None = None
    bias_correction: str = "fast"
    matmuls: Matmuls = "fp32"
    target: str = TARGET
    limit: int | None = None
    detector: Path | None = None

    def arguments(self) -> dict[str, Any]:
        """What NNCF's functions take of it."""
        return {
            "preset": None if self.preset is None else nncf.QuantizationPreset(self.preset),
            "fast_bias_correction": self.bias_correction != "full",
            "model_type": nncf.ModelType.TRANSFORMER if self.matmuls == "int8" else None,
            "advanced": nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix(self.overflow_fix),
                disable_bias_correction=self.bias_correction == "none",
            ),
        }

    def notes(self) -> dict[str, str]:
        """What a manifest's ``tools`` tell of it."""
        return {
            "overflow_fix": self.overflow_fix, "preset": self.preset or "NNCF's own",
            "bias_correction": self.bias_correction,
            "matmuls": self.matmuls,
        }


def quantize(
    source: Path, out: Path, data: Path, config: QuantizeConfig, *, tolerances: Tolerances
) -> StepResult:
    """Write ``out/NAME/TASK`` from the folder ``source`` of :func:`optimize.convert.convert`.

    Raises:
        ModelError: ``source`` or the detector is no intact model folder, or it is in INT8 already.
        StepFailedError: the calibration pictures show nothing, decoded results differ too much, or
            nothing runs in 8 bits.
    """
    parent = manifests.load(source)
    if kind_of(parent) != Kind.OPENVINO:
        raise ModelError(f"{source} is no OpenVINO IR; give the folder that convert made, OUT/fp32/"
                         f"{parent.task}")
    if parent.precision == "INT8":
        raise ModelError(f"{source} is in INT8 already; give OUT/fp32/{parent.task}")

    def make(folder: Path) -> Manifest:
        items = list(calibration_inputs(parent, data, config))
        check_shows_something(items)
        model = quantize_model(openvino.Core().read_model(source / MODEL_XML), items, config)
        save_ir(model, folder)
        notes = config.notes() | {"calibrated_on": f"{len(items)} pictures"}
        made = quantized_manifest("quantize", parent, folder, model, notes)
        return judged("quantize", made, source, folder, data, config, tolerances)

    inputs = quantize_inputs(parent, data, config) | {"tolerances": tolerances}
    return run_step(
        f"quantize-{config.name}", parent.task, out, out / config.name / parent.task, inputs, make
    )


def quiet_nncf() -> None:
    """NNCF says errors only. Its own ``set_log_level`` would silence everybody's log."""
    logging.getLogger("nncf").setLevel(logging.ERROR)


def quantized_manifest(
    step: str, parent: Manifest, folder: Path, model: Any, notes: dict[str, str]
) -> Manifest:
    """The manifest of the INT8 IR in ``folder``, which is ``model``; its notes say which weighted
    layers stayed in floating point, and why."""
    return manifests.derive(
        parent, step=step, precision="INT8", files=manifests.hash_files(folder),
        tools=manifests.tool_versions("openvino", "nncf") | notes
        | float_layers(model, notes["matmuls"] == "int8"),
    )


def judged(
    step: str, made: Manifest, source: Path, folder: Path, data: Path, config: QuantizeConfig,
    tolerances: Tolerances,
) -> Manifest:
    """The manifest with the figures of the comparison with the parent in ``source``.

    Raises:
        StepFailedError: decoded results differ too much, or nothing runs in 8 bits.
    """
    manifests.save(made, folder)  # the engine needs it
    agreement = compare_at(source, folder, data, target=config.target, limit=config.limit)
    check_agreement(step, agreement, tolerances)
    check_executed(step, agreement)
    sizes = {"bytes": float(model_bytes(folder)), "bytes_of_parent": float(model_bytes(source))}
    return dataclasses.replace(
        made, parity=agreement.figures() | sizes, tools=made.tools | {"isa": agreement.isa}
    )


def quantize_inputs(parent: Manifest, data: Path, config: QuantizeConfig) -> dict[str, Any]:
    """What a quantized model depends on."""
    pictures = calibration_pictures(data, crops=parent.task == "reader", limit=config.limit)
    return {
        "parent": fingerprint(parent), "pictures": pictures.digest(),
        "config": dataclasses.replace(config, detector=None),
        "detector": _detector_facts(data, config),
        "modules": [manifests.hash_file(Path(path)) for path in (__file__, convolutions.__file__)],
        "tools": manifests.tool_versions("openvino", "nncf"),
    }


def check_shows_something(items: Sequence[NDArray[np.uint8]]) -> None:
    """
    Raises:
        StepFailedError: more than :data:`MAX_FLAT` of the pictures are of one colour.
    """
    flat = sum(float(item.std()) < FLAT for item in items)
    if not items or flat > MAX_FLAT * len(items):
        raise StepFailedError(
            f"quantize: {flat} of {len(items)} calibration pictures are of one colour (standard "
            f"deviation below {FLAT:g} of 255); allowed: at most {MAX_FLAT:.0%}. Statistics of "
            "such pictures are worth nothing: look at split calib of --data"
        )


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
    """An INT8 copy of the OpenVINO model ``model``, which is prepared; all of ``items`` are looked
    at."""
    quiet_nncf()
    prepare(model, config)
    arguments = config.arguments()
    return nncf.quantize(
        model, nncf.Dataset(items), subset_size=len(items), ignored_scope=ignored(model, config),
        advanced_parameters=arguments.pop("advanced"), **arguments,
    )


def prepare(model: Any, config: QuantizeConfig) -> None:
    """Change the OpenVINO model ``model`` into what is then quantized."""
    if config.matmuls == "convolutions":
        convolutions.as_convolutions(model, but=tail(model))


def ignored(model: Any, config: QuantizeConfig) -> nncf.IgnoredScope:
    """What stays in floating point from the beginning."""
    return nncf.IgnoredScope(
        names=tail(model), types=_FLOAT_TYPES[config.matmuls], validate=False
    )


def float_layers(model: Any, matmuls: bool) -> dict[str, str]:
    """The weighted layers that are not in 8 bits, by reason; ``matmuls``: they were to be."""
    ends = set(tail(model))
    found: dict[str, list[str]] = {}
    for op in model.get_ordered_ops():
        if op.get_type_name() in WEIGHTED and not in_8_bits(op):
            name = op.get_friendly_name()
            if name in ends:
                reason = "the last before an output"
            elif op.get_type_name() == "MatMul" and not matmuls:
                reason = "matrix product, slower in 8 bits without VNNI"
            else:
                reason = "lost accuracy, or left so by NNCF"
            found.setdefault(f"FP32: {reason}", []).append(name)
    return {reason: ", ".join(names) for reason, names in found.items()}


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
        if kind not in WEIGHTED:
            waiting += [value.get_node() for value in node.input_values()]
    return sorted(names)


def _detector_facts(data: Path, config: QuantizeConfig) -> str:
    """Which detector finds plates in which frames, by hash."""
    if config.detector is None:
        return "none"
    frames = calibration_pictures(data, crops=False, limit=config.limit)
    return f"{fingerprint(manifests.load(config.detector))} {frames.digest()}"

