"""What a network costs, counted by hand."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from alpr_edge.count import Macs, count_macs, in_8_bits
from optimize import count


def weights(*shape: int, zeros: int = 0) -> np.ndarray:
    values = np.ones(shape, np.float32)
    values.flat[:zeros] = 0
    return values


def test_counts_of_a_graph_by_hand():
    """Convolution 3 → 4, 3x3, to 4x4; depthwise 3x3; a matrix product of (1, 64) and (64, 5)."""
    x = ops.parameter(openvino.PartialShape([-1, 3, 8, 8]), np.float32, name="x")
    one = [1, 1]
    first = ops.convolution(x, ops.constant(weights(4, 3, 3, 3, zeros=10)), [2, 2], one, one, one)
    depth = ops.group_convolution(
        first, ops.constant(weights(4, 1, 1, 3, 3)), one, one, one, one
    )
    rows = ops.reshape(depth, ops.constant(np.array([-1, 64])), False)
    model = openvino.Model([ops.matmul(rows, ops.constant(weights(64, 5)), False, False)], [x])
    found = count.count_model(model)
    assert found.macs == 4 * 16 * 27 + 4 * 16 * 9 + 64 * 5
    assert found.parameters == 4 * 27 + 4 * 9 + 64 * 5
    assert found.zeros == 10


@pytest.mark.parametrize("transposed", [False, True])
def test_a_matrix_product_sums_over_the_shared_side(transposed):
    a = ops.parameter([2, 6, 3] if transposed else [2, 3, 6], np.float32)
    product = ops.matmul(a, ops.constant(weights(6, 5)), transposed, False)
    assert count.count_model(openvino.Model([product], [a])).macs == 2 * 3 * 5 * 6


def test_scales_and_ranges_are_no_parameters():
    x = ops.parameter([1, 4], np.float32)
    eight = ops.convert(ops.constant(np.ones((4, 4), np.int8)), "f32")
    scaled = ops.multiply(eight, ops.constant(np.ones((4, 1), np.float32)))
    low, high = (ops.constant(np.float32(v)) for v in (-1, 1))
    quantized = ops.fake_quantize(x, low, high, low, high, 256)
    product = ops.matmul(quantized, scaled, False, False)
    model = openvino.Model([product], [x])
    found = count.count_model(model)
    assert (found.parameters, found.macs) == (16, 16)
    assert count_macs(model) == Macs(total=16, of_8_bits=16)
    assert in_8_bits(product)
    plain = ops.matmul(x, ops.constant(weights(4, 4)), False, False)
    assert not in_8_bits(plain)
    assert count_macs(openvino.Model([plain], [x])) == Macs(total=16, of_8_bits=0)


def test_a_table_that_is_looked_up_is_no_parameter():
    x = ops.parameter([2], np.int32)
    table = ops.constant(weights(50, 4))
    found = ops.gather(table, x, ops.constant(np.int64(0)))
    model = openvino.Model([ops.matmul(found, ops.constant(weights(4, 3)), False, False)], [x])
    assert count.count_model(model).parameters == 4 * 3
