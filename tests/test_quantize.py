"""IR to INT8."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import openvino
import pytest
import tiny
from drawn import build_data
from openvino import opset13 as ops
from trained import PLAIN, TASKS, replaced

from alpr_edge import manifest as manifests
from alpr_edge.alphabet import CLASSES
from alpr_edge.engine import Engine
from optimize import options, quantize
from optimize.steps import Tolerances


@pytest.mark.parametrize("task", TASKS)
def test_int8_is_executed_in_8_bits(models, task):
    least = {"detector": 60, "reader": 4}[task]  # convolutions; a reader's matmuls stay in FP32
    counts = Engine(models / "int8" / task, threads=1).executed_precisions()
    assert counts.get("u8", 0) + counts.get("i8", 0) >= least
    assert manifests.load(models / "int8" / task).parity["int8_layers"] >= least


def test_overflow_fix_leaves_weights_7_bits(models):
    """But for depthwise kernels (groups, 1, 1, h, w), whose products are added in 32 bits."""
    model = openvino.Core().read_model(models / "int8" / "detector" / manifests.MODEL_XML)
    weights = [
        op.get_data() for op in model.get_ops()
        if op.get_type_name() == "Constant" and op.get_element_type() == openvino.Type.i8
    ]
    plain = [w for w in weights if w.ndim == 4]
    assert len(plain) > 20
    assert max(int(np.abs(w.astype(int)).max()) for w in plain) == 64


def test_matrix_products_stay_float_unless_asked_for(models):
    path = models / "fp32" / "reader" / manifests.MODEL_XML
    items = [np.zeros((1, 48, 192, 3), np.uint8)]
    kinds = {}
    for matmuls in ("fp32", "int8"):
        model = quantize.quantize_model(
            openvino.Core().read_model(path), items, quantize.QuantizeConfig(matmuls=matmuls)
        )
        kinds[matmuls] = {
            consumer.get_node().get_type_name()
            for op in model.get_ops() if op.get_type_name() == "FakeQuantize"
            for consumer in op.output(0).get_target_inputs()
        }
    assert "MatMul" not in kinds["fp32"] and "MatMul" in kinds["int8"]
    assert "Convolution" in kinds["fp32"] & kinds["int8"]


def test_last_layers_stay_float(models):
    model = openvino.Core().read_model(models / "int8" / "detector" / manifests.MODEL_XML)
    ends = {op.get_friendly_name(): op for op in model.get_ops()}
    tail = [ends[name] for name in quantize.tail(model)]
    assert sum(op.get_type_name() == "Convolution" for op in tail) == 3  # one a level
    assert not [op for op in tail if op.get_type_name() == "FakeQuantize"]


def test_tail_of_a_small_graph():
    x = ops.parameter([1, 4], np.float32, name="x")
    weight = ops.constant(np.ones((4, 4), np.float32))
    first = ops.matmul(x, weight, False, False, name="first")
    last = ops.matmul(first, weight, False, False, name="last")
    model = openvino.Model([ops.softmax(last, 1, name="end"), ops.relu(last, name="other")], [x])
    assert quantize.tail(model) == ["end", "last", "other"]


def test_a_step_beyond_tolerance_fails_the_command(failing, monkeypatch):
    monkeypatch.setattr(quantize, "quantize_model", lambda model, items, config: model)
    told = failing("quantize", "fp32", *PLAIN, "--min-agreement", "0")
    assert "layers run in 8 bits, of the parent" in told and "allowed: more than the parent" in told
    monkeypatch.setattr(options, "tolerances", lambda given: Tolerances(agreement=1.01))
    told = failing("quantize", "fp32", *PLAIN)
    assert "quantize: 2 of 2 texts equal at native, not capped" in told and "at least 101%" in told


def test_black_calibration_pictures_are_caught(failing, tmp_path):
    black = build_data(tmp_path / "black")
    for path in (black / "crops").iterdir():
        cv2.imwrite(str(path), np.zeros((32, 96, 3), np.uint8))
    told = failing("quantize", "fp32", *PLAIN, data=black)
    assert "quantize: 6 of 6 calibration pictures are of one colour" in told
    assert "allowed: at most 10%" in told


def test_wrong_weights_are_caught(failing, monkeypatch):
    monkeypatch.setattr(quantize, "quantize_model", lambda model, items, config: replaced(
        model, lambda values: values.ndim > 1 and CLASSES in values.shape, np.negative
    ))
    told = failing("quantize", "fp32", *PLAIN)
    assert "quantize: 0 of 2 texts equal at native, not capped; allowed: at least 95%" in told


def test_a_readers_statistics_come_from_crops_and_detected_plates(tmp_path, data):
    reader = manifests.load(tiny.build_reader(tmp_path / "r"))
    config = quantize.QuantizeConfig()
    alone = list(quantize.calibration_inputs(reader, data, config))
    assert [x.shape for x in alone] == [(1, 48, 192, 3)] * 6
    detector = tiny.build_detector(tmp_path / "d")
    both = list(quantize.calibration_inputs(
        reader, data, dataclasses.replace(config, detector=detector)
    ))
    assert [x.shape for x in both] == [(1, 48, 192, 3)] * 12  # one plate found a frame
