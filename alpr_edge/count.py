"""Multiply-accumulates of a network, counted from its graph; the functions take OpenVINO's model
and operations, but need no OpenVINO themselves.

A MAC is one product added to a sum; a network's GMAC are those of its convolutions and matrix
products for one picture, as usual (He et al. 2016). Element-wise work is not counted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

BYTES = ("i8", "u8")
"""Element types of 8 bits."""
SCALING = ("Multiply", "Subtract", "Divide")
"""Operations that turn 8 bits back into numbers, after a conversion."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Macs:
    """``of_8_bits`` of all the multiply-accumulates have factors of 8 bits (:func:`in_8_bits`)."""

    total: int
    of_8_bits: int


def count_macs(model: Any) -> Macs:
    """The multiply-accumulates of an OpenVINO model whose shapes are all fixed."""
    total = of_8_bits = 0
    for op in model.get_ops():
        count = _MACS.get(op.get_type_name())
        if count is not None:
            macs = count(op)
            total += macs
            of_8_bits += macs if in_8_bits(op) else 0
    return Macs(total=total, of_8_bits=of_8_bits)


def in_8_bits(op: Any) -> bool:
    """Whether a convolution or matrix product has weights of 8 bits, or quantized factors."""
    factor = op.input_value(1).get_node().get_type_name()
    return weights_of(op, 1) in BYTES or factor == "FakeQuantize"


def weights_of(op: Any, port: int) -> str | None:
    """Element type of :func:`constant_behind` an input, or None where there is none."""
    constant = constant_behind(op, port)
    return None if constant is None else constant.get_element_type().to_string()


def constant_behind(op: Any, port: int) -> Any:
    """The constant behind an input (through conversion, scaling and reshaping), or None where the
    input is computed from something else."""
    node = op.input_value(port).get_node()
    while node.get_type_name() in ("Convert", "Reshape", "Transpose", *SCALING):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _convolution(op: Any) -> int:
    """Kernel (O, I, h, w): each output element is a sum of I * h * w products."""
    return int(math.prod(op.get_output_shape(0)) * math.prod(op.get_input_shape(1)[1:]))


def _group_convolution(op: Any) -> int:
    """Kernel (groups, O, I, h, w), O and I of one group."""
    return int(math.prod(op.get_output_shape(0)) * math.prod(op.get_input_shape(1)[2:]))


def _matmul(op: Any) -> int:
    """Each output element is a sum of as many products as the first factor has columns."""
    side = -2 if op.get_attributes()["transpose_a"] else -1
    return int(math.prod(op.get_output_shape(0)) * op.get_input_shape(0)[side])


_MACS: dict[str, Callable[[Any], int]] = {
    "Convolution": _convolution, "GroupConvolution": _group_convolution, "MatMul": _matmul,
}
