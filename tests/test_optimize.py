"""The steps from checkpoint to INT8 on tiny networks of random weights and drawn pictures."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tiny
from drawn import build_data

torch = pytest.importorskip("torch", reason="needs the extra 'optimize'")
nncf = pytest.importorskip("nncf", reason="needs the extra 'optimize'")

import onnx
import openvino
from openvino import opset13 as ops

from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from alpr_edge.errors import DataError, ModelError
from alpr_edge.types import Detection
from optimize import compare, pictures, quantize, steps
from optimize.__main__ import main
from optimize.compare import Agreement
from optimize.steps import StepFailedError, Tolerances
from training.checkpoint import load_weights, save_weights
from training.detector.model import Detector, DetectorConfig
from training.reader.model import reader_tiny

TASKS = ("detector", "reader")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return build_data(tmp_path_factory.mktemp("drawn") / "data", splits=("calib", "train"))


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Random weights; the detector is made bold, so that it finds something."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    detector = Detector(DetectorConfig(channels=16, bifpn_layers=1, head_layers=1, bins=5))
    for head in detector.heads:
        torch.nn.init.zeros_(head.predict.bias)
    paths = []
    for task, network in (("reader", reader_tiny()), ("detector", detector)):
        paths.append(folder / f"{task}.safetensors")
        save_weights(
            paths[-1], task=task, config=network.config, state=network.state_dict(),
            notes={"variant": "tiny", "dev": {"exact": 0.25}, "temperature": 1.5},
        )
    return paths


@pytest.fixture(scope="session")
def command(data, checkpoints, tmp_path_factory):
    """The arguments of the run that ``models`` is made by."""
    out = tmp_path_factory.mktemp("out")
    return ["all", *map(str, checkpoints), "--data", str(data), "--out", str(out),
            "--size", "64x96", "--isa", "native",
            "--min-agreement", "0", "--max-corner-shift", "1"]


@pytest.fixture(scope="session")
def models(command):
    """Everything that `python -m optimize all` writes."""
    assert main(command) == 0
    return Path(command[command.index("--out") + 1])


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
    for matmuls in (False, True):
        model = quantize.quantize_model(
            openvino.Core().read_model(path), items, quantize.QuantizeConfig(matmuls=matmuls)
        )
        kinds[matmuls] = {
            consumer.get_node().get_type_name()
            for op in model.get_ops() if op.get_type_name() == "FakeQuantize"
            for consumer in op.output(0).get_target_inputs()
        }
    assert "MatMul" not in kinds[False] and "MatMul" in kinds[True]
    assert "Convolution" in kinds[False] & kinds[True]


def test_last_layers_stay_float(models):
    model = openvino.Core().read_model(models / "int8" / "detector" / manifests.MODEL_XML)
    ends = {op.get_friendly_name(): op for op in model.get_ops()}
    tail = [ends[name] for name in quantize.tail(model)]
    assert sum(op.get_type_name() == "Convolution" for op in tail) == 3  # one a level
    assert not [op for op in tail if op.get_type_name() == "FakeQuantize"]


def test_finished_steps_are_kept_and_only_what_changed_is_made_anew(models, command, capsys):
    before = {path: path.stat().st_mtime_ns for path in models.rglob("*.xml")}
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().err.count("kept: nothing changed") == 6
    assert {path: path.stat().st_mtime_ns for path in models.rglob("*.xml")} == before


def test_a_step_beyond_tolerance_fails_the_command(models, data, tmp_path, capsys):
    arguments = ["quantize", str(models / "fp32" / "reader"), "--data", str(data),
                 "--out", str(tmp_path), "--isa", "native", "--min-agreement", "1.01"]
    assert main(arguments) == 1
    assert "texts equal" in capsys.readouterr().err
    assert not (tmp_path / "int8" / "reader").exists()


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


def test_raw_differences_by_hand():
    parent = [{"a": np.array([1.0, -4.0]), "b": np.array([0.1])}, {"a": np.array([2.0, 0.0]),
                                                                  "b": np.array([0.2])}]
    child = [{"a": np.array([1.0, -4.5]), "b": np.array([0.1])}, {"a": np.array([2.0, 0.25]),
                                                                 "b": np.array([0.5])}]
    found = compare.raw_differences(parent, child)
    assert found == pytest.approx({"a": 0.5 / 4, "b": 0.3})  # b's range is less than 1
    compare.check_raw("step", {"a": 1e-3}, Tolerances())
    for bad in (1.1e-3, math.nan):
        with pytest.raises(StepFailedError, match="output 'a' differs"):
            compare.check_raw("step", {"a": bad}, Tolerances())


def agreement(**changes) -> Agreement:
    facts = {"task": "detector", "pictures": 9, "k": 19, "n": 20, "corners": 0.01,
             "int8_layers": 5, "layers": 9, "isa": "x"}
    return Agreement(**(facts | changes))


def test_agreement_within_tolerance_passes():
    compare.check_agreement(agreement(), Tolerances())
    compare.check_agreement(agreement(task="reader", corners=math.nan), Tolerances())
    assert agreement().figures()["agreement"] == 0.95
    assert "corners" not in agreement(corners=math.nan).figures()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"k": 18}, "18 of 20 detections found again"), ({"k": 0, "n": 0}, "nothing can be judged"),
     ({"corners": 0.021}, "corners moved by 2.1%"), ({"int8_layers": 0}, "none of 9")],
)
def test_agreement_beyond_tolerance_fails(changes, message):
    with pytest.raises(StepFailedError, match=message):
        compare.check_agreement(agreement(**changes), Tolerances())


def test_find_again_by_hand():
    def plate(x, shift=0.0):
        corners = ((x, 0.0), (x + 100, 0.0), (x + 100, 20.0), (x, 20.0))
        moved = tuple((a + shift, b) for a, b in corners)
        return Detection(box=(x, 0.0, x + 100, 20.0), corners=moved, confidence=0.9)

    found = compare.find_again([plate(0), plate(500)], [plate(10, 3.0), plate(900)])
    assert found == pytest.approx([0.13, math.nan], nan_ok=True)  # 13 pixels of a width of 100


def test_decoded_comparison_of_models_known_in_advance(tmp_path, data):
    same = tiny.build_reader(tmp_path / "a", "A1"), tiny.build_reader(tmp_path / "b", "A1")
    other = tiny.build_reader(tmp_path / "c", "A2")
    for folder, k in ((same[1], 2), (other, 0)):
        found = compare.compare_decoded(same[0], folder, data, instruction_set="x")
        assert (found.k, found.n, found.int8_layers > found.layers) == (k, 2, False)


@pytest.mark.parametrize(
    ("mine", "theirs", "result"),  # the tiny detector's threshold is 0.3
    [(0.9, 0.25, (2, 2, 0, 0.0)), (0.9, 0.1, (0, 2, 0, math.nan)), (0.1, 0.9, (0, 0, 2, math.nan))],
)
def test_a_plate_may_slip_below_the_threshold_a_little(tmp_path, data, mine, theirs, result):
    folders = tiny.build_detector(tmp_path / "d", mine), tiny.build_detector(tmp_path / "e", theirs)
    found = compare.compare_decoded(*folders, data, instruction_set="x")
    numbers = (found.k, found.n, found.extra, found.corners)
    assert numbers == pytest.approx(result, nan_ok=True)


def test_the_child_process_is_capped(tmp_path, data):
    folder = tiny.build_reader(tmp_path / "a", "A1")
    found = compare.compare_at(folder, folder, data, instruction_set="avx2")
    assert (found.k, found.n, found.isa) == (2, 2, "Intel AVX2")


def test_compare_command_prints_json(tmp_path, data, capsys):
    folder = str(tiny.build_reader(tmp_path / "a", "A1"))
    assert main(["compare", folder, folder, "--data", str(data)]) == 0
    assert json.loads(capsys.readouterr().out)["k"] == 2


def test_statistics_and_comparison_never_share_a_picture(data):
    for crops in (False, True):
        found = pictures.calibration_pictures(data, crops=crops)
        assert [len(found.statistics), len(found.held_out)] == [6, 2]
        paths = [s.path for s in (*found.statistics, *found.held_out)]
        assert len(set(paths)) == 8
        assert all(path.name.startswith("calib") for path in paths)
        assert len(found.raw()) == 2
    assert len(pictures.calibration_pictures(data, crops=True, limit=5).statistics) == 3
    with pytest.raises(DataError, match="has 1 frames of split calib"):
        pictures.calibration_pictures(data, crops=False, limit=1)


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


def test_tail_of_a_small_graph():
    x = ops.parameter([1, 4], np.float32, name="x")
    weight = ops.constant(np.ones((4, 4), np.float32))
    first = ops.matmul(x, weight, False, False, name="first")
    last = ops.matmul(first, weight, False, False, name="last")
    model = openvino.Model([ops.softmax(last, 1, name="end"), ops.relu(last, name="other")], [x])
    assert quantize.tail(model) == ["end", "last", "other"]


def fake_step(out, inputs, made):
    def make(folder):
        made.append(dict(inputs))
        (folder / "model.xml").write_text(str(inputs))
        (folder / "model.bin").write_text("")
        return tiny.base_manifest("reader", folder)

    return steps.run_step("convert", "reader", out, out / "fp32" / "reader", inputs, make)


def test_steps_are_made_once_for_the_same_inputs(tmp_path):
    made = []
    assert [fake_step(tmp_path, {"a": 1}, made).kept for _ in range(2)] == [False, True]
    assert not fake_step(tmp_path, {"a": 2}, made).kept
    (tmp_path / "fp32" / "reader" / "model.bin").write_text("damaged")
    assert not fake_step(tmp_path, {"a": 2}, made).kept
    (tmp_path / "steps" / "convert-reader.json").write_text("{")
    assert not fake_step(tmp_path, {"a": 2}, made).kept
    assert made == [{"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}]


def test_a_failed_step_leaves_no_result(tmp_path):
    fake_step(tmp_path, {"a": 1}, [])

    def fail(folder):
        raise StepFailedError("no")

    with pytest.raises(StepFailedError):
        steps.run_step("convert", "reader", tmp_path, tmp_path / "fp32" / "reader", {"a": 2}, fail)
    assert not (tmp_path / "fp32" / "reader").exists()
    assert not fake_step(tmp_path, {"a": 1}, []).kept
