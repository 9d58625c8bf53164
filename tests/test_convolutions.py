"""Linear layers as 1x1 convolutions: the same answers, and 8 bits where they are wanted only."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'optimize'")
pytest.importorskip("nncf", reason="needs the extra 'optimize'")

import openvino
from openvino import opset13 as ops

from alpr_edge.count import in_8_bits
from optimize.convolutions import SUFFIX, as_convolutions, is_linear
from optimize.count import count_model
from optimize.quantize import QuantizeConfig, float_layers, quantize_model, tail
from training.reader.model import reader_tiny

LINEAR, QUERIES, HEADS = 5 + 4, 2, 3
"""Linear layers of the tiny reader: those of an encoder block and a decoder block, the latter's
that see no picture yet (of the queries alone), and those before the outputs."""
MOVING = ("Unsqueeze", "Transpose", "Reshape")
PLATES = np.random.default_rng(0).integers(0, 256, (3, 48, 192, 3), np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The IR of a tiny reader of random weights, its batch free."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = reader_tiny().eval()
    for parameter in network.parameters():
        if parameter.ndim == 1:  # biases and factors, which start as 0 and 1
            torch.nn.init.normal_(parameter, 0.5, 0.2)
    path = tmp_path_factory.mktemp("reader") / "model.xml"
    model = openvino.convert_model(
        network, input=[-1, 48, 192, 3],
        example_input=torch.zeros((2, 48, 192, 3), dtype=torch.uint8),
    )
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


@pytest.fixture
def reader(source):
    return openvino.Core().read_model(source)


def compiled(model):
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return openvino.Core().compile_model(model, "CPU", settings)


def kinds(model):
    return [op.get_type_name() for op in model.get_ordered_ops()]


def linear(weights, *, transposed=False, tokens=(-1, -1, 2), bias=None):
    """A model of one linear layer on tokens of 2 numbers."""
    x = ops.parameter(openvino.PartialShape(list(tokens)), np.float32, name="x")
    y = ops.matmul(x, ops.constant(np.array(weights, np.float32)), False, transposed)
    if bias is not None:
        y = ops.add(y, ops.constant(np.array(bias, np.float32)))
    return openvino.Model([y], [x])


@pytest.mark.parametrize("batch", [1, 3])
def test_answers_are_the_same(reader, source, batch):
    wanted = compiled(reader.clone())(PLATES[:batch])
    assert as_convolutions(reader, but=tail(reader))
    for got, want in zip(compiled(reader)(PLATES[:batch]).values(), wanted.values(), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_linear_layers_become_convolutions_but_heads_and_those_of_queries_alone(reader):
    before = [op.get_friendly_name() for op in reader.get_ordered_ops() if is_linear(op)]
    ends = tail(reader)
    made = as_convolutions(reader, but=ends)
    assert len(made) == LINEAR
    assert set(made) < {name + SUFFIX for name in before if name not in ends}
    found = {op.get_friendly_name(): op.get_type_name() for op in reader.get_ops()}
    assert {found[name] for name in made} == {"Convolution"}
    left = {name for name, kind in found.items() if kind == "MatMul"}
    assert len(left) == HEADS + QUERIES and len(left & set(ends)) == HEADS
    assert {"decoder" in name for name in left - set(ends)} == {True}


def test_bias_and_activation_join_the_convolution(reader):
    """Between an MLP's two convolutions no axes are moved."""
    as_convolutions(reader, but=tail(reader))
    gelus = [op for op in reader.get_ordered_ops() if op.get_type_name() == "Gelu"]
    assert len(gelus) == 2
    for gelu in gelus:
        bias = gelu.input_value(0).get_node()
        assert bias.input_value(0).get_node().get_type_name() == "Convolution"
        users = {user.get_node().get_type_name() for user in gelu.output(0).get_target_inputs()}
        assert "Convolution" in users


def test_cost_is_counted_the_same(reader):
    before = count_model(reader.clone())
    as_convolutions(reader, but=tail(reader))
    assert count_model(reader) == before


@pytest.mark.parametrize("transposed", [False, True])
def test_one_layer_by_hand(transposed):
    """Tokens (1, 2) and (3, 4) by the columns (1, 0), (1, 1), (0, 2), plus a bias."""
    columns = [[1, 0], [1, 1], [0, 2]]
    weights = columns if transposed else np.array(columns).T
    model = linear(weights, transposed=transposed, bias=[[[10, 20, 30]]])
    assert len(as_convolutions(model)) == 1 and "MatMul" not in kinds(model)
    [answer] = compiled(model)(np.array([[[1, 2], [3, 4]]], np.float32)).values()
    assert answer.tolist() == [[[11, 23, 34], [13, 27, 38]]]


def test_weights_of_another_type_are_understood():
    x = ops.parameter([1, 5, 2], np.float32)
    half = ops.convert(ops.constant(np.array([[1, 2], [3, 4]], np.float16)), "f32")
    model = openvino.Model([ops.matmul(x, half, False, False)], [x])
    assert len(as_convolutions(model)) == 1
    [answer] = compiled(model)(np.ones((1, 5, 2), np.float32)).values()
    assert answer.tolist() == [[[4, 6]] * 5]


def test_a_sum_with_positions_is_no_bias():
    """It differs from token to token, so that it stays where it is."""
    positions = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    model = linear(np.eye(2), tokens=(-1, 3, 2), bias=positions)
    as_convolutions(model)
    [answer] = compiled(model)(np.ones((2, 3, 2), np.float32)).values()
    assert np.array_equal(answer, np.repeat(1 + positions, 2, axis=0))


def test_other_matrix_products_are_left_alone():
    x = ops.parameter([1, 3, 3], np.float32)
    flat = ops.reshape(x, ops.constant([3, 3]), False)
    three = ops.constant(np.eye(3, dtype=np.float32))
    models = [
        openvino.Model([ops.matmul(x, x, False, True)], [x]),
        openvino.Model([ops.matmul(flat, three, False, False)], [x]),
        openvino.Model([ops.matmul(x, three, True, False)], [x]),
        openvino.Model([ops.relu(x)], [x]),
    ]
    for model in models:
        before = kinds(model)
        assert as_convolutions(model) == [] and kinds(model) == before


def test_only_convolutions_are_quantized_and_run_in_8_bits(reader):
    model = quantize_model(reader, [PLATES[:1]], QuantizeConfig(matmuls="convolutions"))
    for op in model.get_ops():
        if op.get_type_name() in ("Convolution", "MatMul"):
            assert in_8_bits(op) == (op.get_type_name() == "Convolution")
    assert len(float_layers(model, False)) == 2  # before an output; other matrix products
    assert quantized_by(model) <= {"Convolution", *MOVING}
    executed = [
        op.get_rt_info()["runtimePrecision"].astype(str)
        for op in compiled(model).get_runtime_model().get_ordered_ops()
        if op.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    assert len(executed) >= LINEAR and set(executed) <= {"i8", "u8"}


def quantized_by(model):
    """The kinds of operations that fake quantizers are put before."""
    return {
        user.get_node().get_type_name()
        for op in model.get_ops() if op.get_type_name() == "FakeQuantize"
        for user in op.output(0).get_target_inputs()
    }


def test_without_linear_layers_nothing_changes():
    """As for a detector."""
    x = ops.parameter([1, 3, 8, 8], np.float32)
    one = [1, 1]
    kernel = ops.constant(np.ones((4, 3, 3, 3), np.float32))
    model = openvino.Model([ops.convolution(x, kernel, one, one, one, one)], [x])
    before = kinds(model)
    assert as_convolutions(model) == [] and kinds(model) == before
