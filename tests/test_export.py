"""Trained weights to ONNX: random weights of tiny networks, on drawn pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from drawn import build_data
from trained import TASKS

from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from optimize import steps
from optimize.__main__ import main
from training.checkpoint import load_weights, save_weights
from training.reader.model import reader_tiny


@pytest.mark.parametrize("task", TASKS)
def test_the_chain_of_ancestors_reaches_the_weights(models, checkpoints, task):
    made = manifests.load(models / "int8" / task)
    chain = (made, *made.ancestors)
    assert [m.step for m in chain] == ["quantize", "convert", "export", "train"]
    assert made.precision == "INT8" and made.ancestors[0].precision == "FP32"
    weights = next(path for path in checkpoints if path.stem == task)
    assert made.ancestors[-1].files == {weights.name: load_weights(weights).sha256}
    assert made.ancestors[-1].metrics[0].value == 0.25
    if task == "detector":  # a tiny reader is mostly description
        assert made.parity["bytes"] < 0.6 * made.parity["bytes_of_parent"]
    assert made.tools["overflow_fix"] == "enable"
    assert {"openvino", "nncf"} <= made.tools.keys()


def test_the_checkpoints_notes_reach_the_manifest(models):
    assert manifests.load(models / "int8" / "reader").reader_decode.temperature == 1.5
    assert manifests.load(models / "fp32" / "detector").input.shape == (1, 64, 96, 3)


@pytest.mark.parametrize("task", TASKS)
def test_onnx_keeps_the_contract(models, task):
    graph = onnx.load(models / "onnx" / task / steps.MODEL_ONNX).graph
    made = manifests.load(models / "onnx" / task)
    assert [i.name for i in graph.input] == ["image"]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [o.name for o in graph.output] == [o.name for o in made.outputs]
    assert not [i.name for i in graph.initializer if "ctc" in i.name]
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    assert (batch.dim_param != "") == (task == "reader")


@pytest.mark.parametrize("task", TASKS)
def test_torch_and_ir_agree_also_in_batches(models, checkpoints, task):
    """Two routes: the trained module itself, and the deployed file."""
    from optimize.export import run_torch
    from training.networks import build

    weights = load_weights(next(path for path in checkpoints if path.stem == task))
    engine = Engine(models / "fp32" / task, threads=1)
    _, height, width, _ = engine.manifest.input.shape
    shape = (3 if task == "reader" else 1, height, width, 3)
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    wanted = run_torch(build(weights), engine.manifest, image)
    for name, got in engine.run(image).items():
        assert got.shape == wanted[name].shape
        np.testing.assert_allclose(got, wanted[name], atol=2e-4)
    if task == "reader":
        alone = engine.run(image[1:2])["logits"]
        np.testing.assert_allclose(alone[0], wanted["logits"][1], atol=2e-4)


def test_bad_checkpoints_and_data_are_refused(checkpoints, data, tmp_path, capsys):
    common = ["--out", str(tmp_path / "out"), "--target", "native"]
    short = tmp_path / "short.safetensors"
    short.write_bytes(checkpoints[0].read_bytes()[:1000])
    assert main(["all", str(short), "--data", str(data), *common]) == 3
    assert "not a readable safetensors file" in capsys.readouterr().err
    weights = load_weights(checkpoints[0])
    other = tmp_path / "pretrained.safetensors"
    save_weights(other, task="pretrain", config=reader_tiny().config, state=weights.state, notes={})
    for command in ("all", "export"):
        assert main([command, str(other), "--data", str(data), *common]) == 3
        assert "task 'pretrain'; allowed: detector, reader" in capsys.readouterr().err
    empty = build_data(tmp_path / "empty", count=0)
    assert main(["export", str(checkpoints[0]), "--data", str(empty), *common]) == 2
    assert "0 plates of split calib" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_wrong_use_ends_with_its_exit_code(data, checkpoints, tmp_path, capsys):
    common = ["--data", str(data), "--out", str(tmp_path)]
    assert main(["all", str(tmp_path / "absent.safetensors"), *common]) == 3
    twice = tmp_path / "again.safetensors"
    twice.write_bytes(checkpoints[0].read_bytes())
    assert main(["all", str(checkpoints[0]), str(twice), *common]) == 2
    assert main(["convert", str(tmp_path), *common]) == 3
    with pytest.raises(SystemExit) as stopped:
        main(["all", str(checkpoints[0]), *common, "--size", "100x640"])
    assert stopped.value.code == 2
    assert "multiples of 32" in capsys.readouterr().err


def test_weights_that_do_not_fit_are_a_model_error(checkpoints):
    from training.networks import build

    weights = load_weights(checkpoints[0])
    with pytest.raises(ModelError, match="do not fit"):
        build(dataclasses.replace(weights, config=weights.config | {"width": 64}))
    with pytest.raises(ModelError, match="allowed: detector, reader"):
        build(dataclasses.replace(weights, task="painter"))
