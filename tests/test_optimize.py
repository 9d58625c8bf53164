"""The steps from checkpoint to INT8 on tiny networks of random weights and drawn pictures."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from drawn import build_data
from in_process import work_here

torch = pytest.importorskip("torch", reason="needs the extra 'optimize'")
nncf = pytest.importorskip("nncf", reason="needs the extra 'optimize'")

import onnx
import openvino
from openvino import opset13 as ops

from alpr_edge import manifest as manifests
from alpr_edge.alphabet import CLASSES
from alpr_edge.engine import Engine
from alpr_edge.errors import DataError, ModelError
from alpr_edge.types import Detection
from optimize import accuracy_control, candidates, compare, convert, pictures, quantize, steps
from optimize.__main__ import main
from optimize.compare import Agreement
from optimize.evaluate import Judging
from optimize.steps import StepFailedError, Tolerances
from training.checkpoint import load_weights, save_weights
from training.detector.model import Detector, DetectorConfig
from training.reader.model import reader_tiny

TASKS = ("detector", "reader")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return build_data(tmp_path_factory.mktemp("drawn") / "data", splits=("calib", "dev", "train"))


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
            "--size", "64x96", "--target", "native", "--overflow-fix", "enable", "--runs", "5",
            "--min-agreement", "0", "--max-corner-shift", "1"]


@pytest.fixture(scope="session")
def models(command):
    """Everything that `python -m optimize all` writes."""
    with pytest.MonkeyPatch.context() as patch:
        work_here(patch)
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


def test_finished_steps_are_kept_and_only_what_changed_is_made_anew(
    models, command, capsys, monkeypatch
):
    works = work_here(monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in models.glob("*[0-9f]/*/*.xml")}
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().err.count("kept: nothing changed") == 10
    assert before == {path: path.stat().st_mtime_ns for path in models.glob("*[0-9f]/*/*.xml")}
    assert not works


@pytest.mark.parametrize("task", TASKS)
def test_all_ends_with_measured_variants_and_a_pick(models, task):
    report = json.loads((models / "report.json").read_text())
    entry = next(e for e in report["measured"] if e["task"] == task)
    names = [variant["name"] for variant in entry["variants"]]
    assert names == ["fp32", "fp16", "int8", "int8-half"]
    root, half, int8, _ = entry["variants"]
    assert root["drop"]["hits"] == 0 and root["macs"] == half["macs"] == int8["macs"] > 0
    assert half["parent"] == int8["parent"] == "fp32"
    assert half["parameters"] == root["parameters"] == pytest.approx(int8["parameters"], rel=0.01)
    assert half["bytes"] < 0.8 * root["bytes"]
    stored = manifests.load(models / "int8-half" / task).files[manifests.MODEL_BIN]
    assert stored != manifests.load(models / "int8" / task).files[manifests.MODEL_BIN]
    made = manifests.load(models / "int8-half" / task)
    assert [m.step for m in (made, *made.ancestors)][:3] == ["compress", "quantize", "convert"]
    assert {m.isa for m in made.metrics} == {"native"}
    pick = next(p for p in report["picks"] if p["task"] == task)
    chosen = manifests.load(models / pick["variant"] / task)
    assert manifests.load(models / "pick" / task).files == chosen.files


@pytest.fixture
def failing(models, data, tmp_path, capsys, monkeypatch):
    """Run one step on the reader, which must fail: what it told. Nothing may be left behind."""
    work_here(monkeypatch)

    def run(step: str, source: str, *options: str, data: Path = data, code: int = 1) -> str:
        arguments = [step, str(models / source / "reader"), "--data", str(data), "--out",
                     str(tmp_path / "out"), "--target", "native", *options]
        assert main(arguments) == code
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert not list(tmp_path.rglob("*.partial"))
        return capsys.readouterr().err

    return run


PLAIN = ("--overflow-fix", "enable")


def test_a_step_beyond_tolerance_fails_the_command(failing, monkeypatch):
    monkeypatch.setattr(quantize, "quantize_model", lambda model, items, config: model)
    told = failing("quantize", "fp32", *PLAIN, "--min-agreement", "1.01")
    assert "quantize: 2 of 2 texts equal at native, not capped" in told and "at least 101%" in told
    told = failing("quantize", "fp32", *PLAIN, "--min-agreement", "0")
    assert "layers run in 8 bits, of the parent" in told and "allowed: more than the parent" in told


def test_black_calibration_pictures_are_caught(failing, tmp_path):
    black = build_data(tmp_path / "black")
    for path in (black / "crops").iterdir():
        cv2.imwrite(str(path), np.zeros((32, 96, 3), np.uint8))
    told = failing("quantize", "fp32", *PLAIN, data=black)
    assert "quantize: 6 of 6 calibration pictures are of one colour" in told
    assert "allowed: at most 10%" in told


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


def replaced(model, choose, change):
    """``model`` with the first constant that ``choose`` likes changed."""
    constant = next(op for op in model.get_ordered_ops() if op.get_type_name() == "Constant"
                    and op.get_element_type() == openvino.Type.f32 and choose(op.get_data()))
    wrong = ops.constant(change(constant.get_data()))
    for user in constant.output(0).get_target_inputs():
        user.replace_source_output(wrong.output(0))
    return model


def test_a_wrong_preprocessing_constant_is_caught(failing, monkeypatch):
    real = openvino.convert_model
    monkeypatch.setattr(openvino, "convert_model", lambda path: replaced(
        real(path), lambda values: values.size == 1, lambda values: values * 1.1
    ))
    told = failing("convert", "onnx")
    assert "convert: output" in told and "of its range; allowed: 1e-03" in told


def test_wrong_weights_are_caught(failing, monkeypatch):
    monkeypatch.setattr(quantize, "quantize_model", lambda model, items, config: replaced(
        model, lambda values: values.ndim > 1 and CLASSES in values.shape, np.negative
    ))
    told = failing("quantize", "fp32", *PLAIN)
    assert "quantize: 0 of 2 texts equal at native, not capped; allowed: at least 95%" in told


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
    assert "0 plate cut-outs of split calib" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_most_accurate_candidate_is_kept(models, data, tmp_path, monkeypatch):
    """A stand-in for NNCF: one setting keeps the network, one breaks it, one fails."""
    work_here(monkeypatch)

    def quantize_to(source, out, data, config, *, tolerances):
        if config.name == "int8-c":
            raise StepFailedError("quantize: no")
        folder = tiny.build_reader(out / config.name / "reader", {"a": "A2"}.get(
            config.name[-1], "A1"
        ))
        return steps.StepResult(folder=folder, manifest=manifests.load(folder), kept=False)

    monkeypatch.setattr(candidates, "quantize", quantize_to)
    base = quantize.QuantizeConfig()
    configs = [dataclasses.replace(base, name=f"int8-{name}") for name in "abc"]
    made = candidates.quantize_best(
        models / "fp32" / "reader", tmp_path, configs, Judging(data=data), name="int8",
        tolerances=Tolerances(),
    )
    assert [result.folder.parent.name for result in made] == ["int8-a", "int8-b", "int8"]
    kept = manifests.load(tmp_path / "int8" / "reader")
    assert kept.files == made[1].manifest.files
    assert kept.tools["chosen"] == "the most accurate of 2 at zen2: int8-b"
    with pytest.raises(StepFailedError, match="quantize: no"):
        candidates.quantize_best(
            models / "fp32" / "reader", tmp_path, configs[2:], Judging(data=data), name="int8",
            tolerances=Tolerances(),
        )


def test_candidates_differ_in_one_setting_and_name():
    base = quantize.QuantizeConfig(limit=3)
    found = candidates.candidates(base)
    assert len({config.name for config in found}) == len(found)
    assert {config.overflow_fix for config in found} == {f.value for f in nncf.OverflowFix}
    assert {config.bias_correction for config in found} == set(quantize.BIAS_CORRECTIONS)
    for config in found:
        changed = [f.name for f in dataclasses.fields(config)
                   if getattr(config, f.name) != getattr(base, f.name)]
        assert len(changed) <= 2 and changed[0] == "name"


def test_accuracy_control_by_our_metric(data, tmp_path):
    crops = Judging(data=data).pictures("reader")
    right, wrong = (tiny.build_reader(tmp_path / t, t) for t in ("A1", "A2"))
    validate = accuracy_control.validation(right, crops)
    results = {}
    for folder in (right, wrong):
        compiled = openvino.compile_model(folder / manifests.MODEL_XML, "CPU")
        results[folder.name] = validate(compiled, iter([0, 2]))
    assert results == {"A1": (1.0, [1.0, 1.0]), "A2": (0.0, [0.0, 0.0])}
    frames = Judging(data=data).pictures("detector")
    detector = tiny.build_detector(tmp_path / "d")
    validate = accuracy_control.validation(detector, frames)
    compiled = openvino.compile_model(detector / manifests.MODEL_XML, "CPU")
    share, each = validate(compiled, range(2))
    assert 0 <= share <= 1 and len(each) == 2


def test_quantized_with_accuracy_control(models, data, tmp_path, monkeypatch):
    works = work_here(monkeypatch)
    assert main(["quantize-accuracy", str(models / "fp32" / "reader"), "--data", str(data),
                 "--out", str(tmp_path), "--target", "native", "--min-agreement", "0"]) == 0
    assert works == ["control", "compare"]
    made = manifests.load(tmp_path / "int8ac" / "reader")
    assert (made.step, made.precision) == ("quantize-accuracy", "INT8")
    assert made.tools["accuracy_control"] == "max drop 0.5 points on 8 pictures of dev"
    reasons = [name for name in made.tools if name.startswith("FP32: ")]
    assert "FP32: matrix product, slower in 8 bits without VNNI" in reasons


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
    compare.check_agreement("quantize", agreement(), Tolerances())
    compare.check_executed("quantize", agreement())
    compare.check_agreement("quantize", agreement(task="reader", corners=math.nan), Tolerances())
    assert agreement().figures()["agreement"] == 0.95
    assert "corners" not in agreement(corners=math.nan).figures()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"k": 18}, "18 of 20 detections found again"), ({"k": 0, "n": 0}, "nothing can be judged"),
     ({"corners": 0.021}, "corners moved by 2.1%")],
)
def test_agreement_beyond_tolerance_fails(changes, message):
    with pytest.raises(StepFailedError, match=message):
        compare.check_agreement("quantize", agreement(**changes), Tolerances())


def test_nothing_in_8_bits_fails():
    for parents in (5, 6):
        with pytest.raises(StepFailedError, match=f"quantize: 5 of 9 .* of the parent {parents};"):
            compare.check_executed("quantize", agreement(int8_layers_of_parent=parents))


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
    found = compare.compare_at(folder, folder, data, target="avx2")
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
