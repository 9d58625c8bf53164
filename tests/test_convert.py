"""ONNX to IR, and weights stored in 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as ops
from trained import replaced

from alpr_edge import manifest as manifests
from optimize import convert


def test_halved_weights_are_stored_in_16_bits_and_little_else_changes():
    x = ops.parameter([1, 32], np.float32)
    weight = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    low, high = ops.constant(np.float32(-3)), ops.constant(np.float32(3))
    quantized = ops.fake_quantize(x, low, high, low, high, 256)
    product = ops.matmul(quantized, ops.constant(weight), False, False)
    large = ops.constant(np.full(32, 1e6, np.float32))  # beyond FP16
    model = openvino.Model([ops.add(product, ops.reduce_sum(large, ops.constant([0])))], [x])
    image = np.ones((1, 32), np.float32)
    run = {"INFERENCE_PRECISION_HINT": "f32"}
    wanted = openvino.compile_model(model, "CPU", run)([image])[0]
    half = convert.halved(model)
    kinds = {op.get_element_type().to_string(): op.get_data() for op in half.get_ops()
             if op.get_type_name() == "Constant" and op.get_data().size == weight.size}
    np.testing.assert_array_equal(kinds["f16"], weight.astype(np.float16))
    got = openvino.compile_model(half, "CPU", run)([image])[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=0.05)
    assert np.isfinite(got).all()


def test_a_wrong_preprocessing_constant_is_caught(failing, monkeypatch):
    real = openvino.convert_model
    monkeypatch.setattr(openvino, "convert_model", lambda path: replaced(
        real(path), lambda values: values.size == 1, lambda values: values * 1.1
    ))
    told = failing("convert", "onnx")
    assert "convert: output" in told and "of its range; allowed: 1e-03" in told


def test_a_full_disk_is_one_clear_error(failing, monkeypatch):
    """OpenVINO writes by itself; what Python writes fails differently."""
    def full(model, path, compress_to_fp16):
        Path(path).write_text("half")
        raise RuntimeError("Check failed\nbasic_ios::clear: iostream error")

    with monkeypatch.context() as patch:
        patch.setattr(openvino, "save_model", full)
        told = failing("convert", "onnx", code=4)
    assert "cannot be written by OpenVINO (basic_ios::clear: iostream error): is the disk" in told

    def no_space(manifest, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifests, "save", no_space)
    told = failing("convert", "onnx", code=4)
    assert "No space left on device; choose another --out" in told
