"""Matrix products with constant weights as 1x1 convolutions, which AVX2 computes fast in 8 bits.

Without VNNI, oneDNN's 8-bit matrix products are slower than those in FP32, but its 8-bit
convolutions are faster. A linear layer on tokens (N, L, D) is a 1x1 convolution of a picture of one
row of L pixels, (N, D, 1, L). Its bias and activation are computed on that picture too, where
OpenVINO makes them part of the convolution.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import opset13 as ops

SUFFIX = "/convolution"
"""Added to the name of a matrix product for the convolution that takes its place."""
_ACTIVATIONS = ("Gelu", "HSwish", "Relu")
_TO_PICTURE, _TO_TOKENS = [0, 3, 1, 2], [0, 2, 3, 1]
"""Orders of the axes: (N, 1, L, D) to (N, D, 1, L), and back."""


def as_convolutions(model: Any, *, but: Collection[str] = ()) -> list[str]:
    """Replace linear layers of the OpenVINO model ``model``, in place, by 1x1 convolutions.

    A linear layer is a MatMul of tokens (N, L, D), N and L free or not, with a constant of two
    axes. Those stay that ``but`` names (those that are outputs must be among them), and those whose
    tokens are the same for every picture, which NNCF should not quantize: OpenVINO 2026.4 refuses
    such a convolution with asymmetric activations. The answers are the same but for rounding.

    Returns:
        The names of the convolutions, in the order of computing.
    """
    pictures: dict[str, Any] = {}
    chosen = [op for op in _seeing(model) if is_linear(op) and op.get_friendly_name() not in but]
    for matmul in chosen:
        _replace(matmul, pictures)
    model.validate_nodes_and_infer_types()
    return [matmul.get_friendly_name() + SUFFIX for matmul in chosen]


def is_linear(op: Any) -> bool:
    """Whether ``op`` is a product of tokens (N, L, D) with a constant matrix."""
    return (
        op.get_type_name() == "MatMul"
        and not op.get_attributes()["transpose_a"]
        and op.get_input_partial_shape(0).rank == 3
        and op.get_input_partial_shape(1).rank == 2
        and _constant(op.input_value(1)) is not None
    )


def _seeing(model: Any) -> list[Any]:
    """The operations that depend on more of the model's input than its shape, in order."""
    found: list[Any] = []
    names: set[str] = set()
    for op in model.get_ordered_ops():
        kind = op.get_type_name()
        sources = {value.get_node().get_friendly_name() for value in op.input_values()}
        if kind == "Parameter" or (kind != "ShapeOf" and sources & names):
            names.add(op.get_friendly_name())
            found.append(op)
    return found


def _replace(matmul: Any, pictures: dict[str, Any]) -> None:
    """Put a convolution, and axes moved before and after it, in the place of ``matmul``.

    ``pictures`` has, by the name of the tokens, the pictures that tokens were made of: the next
    layer takes these.
    """
    name = matmul.get_friendly_name()
    tokens = matmul.input_value(0)
    picture = pictures.get(tokens.get_node().get_friendly_name())
    if picture is None:
        row = ops.unsqueeze(tokens, ops.constant([1]))
        picture = ops.transpose(row, ops.constant(_TO_PICTURE)).output(0)
    convolution = ops.convolution(picture, _kernel(matmul), [1, 1], [0, 0], [0, 0], [1, 1])
    convolution.set_friendly_name(name + SUFFIX)
    last = _with_followers(matmul, convolution)
    users = last.output(0).get_target_inputs()
    row = ops.transpose(last, ops.constant(_TO_TOKENS))
    made = ops.squeeze(row, ops.constant([1]))
    made.set_friendly_name(f"{name}/tokens")
    for user in users:
        user.replace_source_output(made.output(0))
    pictures[made.get_friendly_name()] = last.output(0)


def _kernel(matmul: Any) -> Any:
    """The weights as (D', D, 1, 1)."""
    weights = _values(matmul.input_value(1))
    rows = weights if matmul.get_attributes()["transpose_b"] else weights.T
    return ops.constant(np.ascontiguousarray(rows[:, :, None, None]))


def _with_followers(matmul: Any, convolution: Any) -> Any:
    """Give the bias and the activation that alone use ``matmul`` the ``convolution`` instead; the
    last of these operations."""
    channels = convolution.get_output_partial_shape(0)[1].get_length()
    for user in matmul.output(0).get_target_inputs():
        user.replace_source_output(convolution.output(0))
    last = convolution
    user = _only_user(last, ("Add",))
    if user is not None:
        bias = user.get_node().input(1 - user.get_index())
        values = _bias(bias.get_source_output(), channels)
        if values is not None:
            bias.replace_source_output(ops.constant(values).output(0))
            last = _moved(user)
    user = _only_user(last, _ACTIVATIONS)
    return last if user is None else _moved(user)


def _moved(user: Any) -> Any:
    """The operation of an input, its shape that of its new inputs."""
    op = user.get_node()
    op.validate_and_infer_types()
    return op


def _only_user(op: Any, kinds: Collection[str]) -> Any:
    """The input that alone takes what ``op`` computes, if it is of one of these kinds, or None."""
    users = list(op.output(0).get_target_inputs())
    if len(users) == 1 and users[0].get_node().get_type_name() in kinds:
        return users[0]
    return None


def _bias(value: Any, channels: int) -> NDArray[np.float32] | None:
    """A constant (..., 1, channels) as (1, channels, 1, 1); None if ``value`` is something else."""
    constant = _constant(value)
    if constant is None:
        return None
    values = _values(value)
    if values.size != channels or values.shape[-1] != channels:
        return None
    return values.reshape(1, channels, 1, 1)


def _constant(value: Any) -> Any:
    """The Constant that ``value`` is, perhaps of another type before; None if it is computed."""
    node = value.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _values(value: Any) -> NDArray[np.float32]:
    return np.asarray(_constant(value).get_data(), np.float32)
