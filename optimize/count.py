"""What a network costs, counted from its IR: parameters, zeros among them, multiply-accumulates."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from alpr_edge.count import BYTES, SCALING, count_macs, weights_of
from alpr_edge.manifest import MODEL_XML

_FLOATS = ("f32", "f16", "bf16")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """``parameters`` are the elements of all constants in floating point or 8 bits, but for those
    that only quantize (scales, zero points, ranges) or are looked up (a detector's grid);
    ``zeros`` of them are exactly 0. ``macs`` is for one picture (:mod:`alpr_edge.count`)."""

    parameters: int
    zeros: int
    macs: int


def count(folder: Path) -> Counts:
    """The counts of a model folder's IR."""
    return count_model(openvino.Core().read_model(folder / MODEL_XML))


def count_model(model: Any) -> Counts:
    """The counts of an OpenVINO model with one input, whose free batch is taken as 1; ``model`` is
    left with that batch."""
    shape = model.input(0).partial_shape
    if shape.is_dynamic:
        model.reshape([1, *(side.get_length() for side in list(shape)[1:])])
    parameters = zeros = 0
    for op in model.get_ops():
        if op.get_type_name() == "Constant" and is_parameter(op):
            values = op.get_data()
            parameters += values.size
            zeros += int(values.size - np.count_nonzero(values))
    return Counts(parameters=parameters, zeros=zeros, macs=count_macs(model).total)


def is_parameter(constant: Any) -> bool:
    """Whether a constant holds parameters, :class:`Counts`."""
    kind = constant.get_element_type().to_string()
    if kind in BYTES:
        return True
    return kind in _FLOATS and not any(
        _is_looked_up(use) or _only_quantizes(use.get_node()) for use in _uses(constant)
    )


def _is_looked_up(use: Any) -> bool:
    """Whether ``use`` is of a table, entries of which are gathered."""
    return use.get_node().get_type_name() == "Gather" and use.get_index() == 0


def _only_quantizes(op: Any) -> bool:
    """Whether ``op`` is a FakeQuantize, or scales or shifts weights of 8 bits; a conversion is
    looked through."""
    kind = op.get_type_name()
    if kind == "Convert":
        return any(_only_quantizes(use.get_node()) for use in _uses(op))
    return kind == "FakeQuantize" or (kind in SCALING and weights_of(op, 0) in BYTES)


def _uses(op: Any) -> Any:
    return op.output(0).get_target_inputs()
