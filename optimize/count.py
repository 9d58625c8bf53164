"""What a network costs, counted from its IR: parameters, zeros among them, multiply-accumulates.

A MAC is one product added to a sum; a network's GMAC are those of its convolutions and matrix
products for one picture, as usual (He et al. 2016). Element-wise work is not counted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from alpr_edge.manifest import MODEL_XML

_FLOATS = ("f32", "f16", "bf16")
_BYTES = ("i8", "u8")
_SCALING = ("Multiply", "Subtract", "Divide")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """``parameters`` are the elements of all constants in floating point or 8 bits, but for those
    that only quantize (scales, zero points, ranges); ``zeros`` of them are exactly 0. ``macs`` is
    for one picture."""

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
    parameters = zeros = macs = 0
    for op in model.get_ops():
        kind = op.get_type_name()
        if kind == "Constant" and is_parameter(op):
            values = op.get_data()
            parameters += values.size
            zeros += int(values.size - np.count_nonzero(values))
        elif kind in _MACS:
            macs += _MACS[kind](op)
    return Counts(parameters=parameters, zeros=zeros, macs=macs)


def is_parameter(constant: Any) -> bool:
    """Whether a constant holds parameters, :class:`Counts`."""
    kind = constant.get_element_type().to_string()
    if kind in _BYTES:
        return True
    return kind in _FLOATS and not any(_only_quantizes(use.get_node()) for use in _uses(constant))


def _only_quantizes(op: Any) -> bool:
    """Whether ``op`` is a FakeQuantize, or scales or shifts weights of 8 bits; a conversion is
    looked through."""
    kind = op.get_type_name()
    if kind == "Convert":
        return any(_only_quantizes(use.get_node()) for use in _uses(op))
    return kind == "FakeQuantize" or (kind in _SCALING and weights_of(op, 0) in _BYTES)


def _uses(op: Any) -> Any:
    return op.output(0).get_target_inputs()


def in_8_bits(op: Any) -> bool:
    """Whether a convolution or matrix product has weights of 8 bits, or quantized factors."""
    factor = op.input_value(1).get_node().get_type_name()
    return weights_of(op, 1) in _BYTES or factor == "FakeQuantize"


def weights_of(op: Any, port: int) -> str | None:
    """Element type of :func:`constant_behind` an input, or None where there is none."""
    constant = constant_behind(op, port)
    return None if constant is None else constant.get_element_type().to_string()


def constant_behind(op: Any, port: int) -> Any:
    """The constant behind an input (through conversion, scaling and reshaping), or None where the
    input is computed from something else."""
    node = op.input_value(port).get_node()
    while node.get_type_name() in ("Convert", "Reshape", "Transpose", *_SCALING):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _convolution(op: Any) -> int:
    """Kernel (O, I, h, w): each output element is a sum of I * h * w products."""
    return math.prod(op.get_output_shape(0)) * math.prod(op.get_input_shape(1)[1:])


def _group_convolution(op: Any) -> int:
    """Kernel (groups, O, I, h, w), O and I of one group."""
    return math.prod(op.get_output_shape(0)) * math.prod(op.get_input_shape(1)[2:])


def _matmul(op: Any) -> int:
    """Each output element is a sum of as many products as the first factor has columns."""
    side = -2 if op.get_attributes()["transpose_a"] else -1
    return math.prod(op.get_output_shape(0)) * op.get_input_shape(0)[side]


_MACS: dict[str, Callable[[Any], int]] = {
    "Convolution": _convolution, "GroupConvolution": _group_convolution, "MatMul": _matmul,
}
