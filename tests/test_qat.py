"""What learns with NNCF's hooks: masks that hold, 8 bits that reach the IR; on tiny networks."""

from __future__ import annotations

import copy
import dataclasses
import shutil

import numpy as np
import openvino
import pytest
from drawn import build_data
from in_process import work_here

torch = pytest.importorskip("torch", reason="needs the extra 'optimize'")
nncf = pytest.importorskip("nncf", reason="needs the extra 'optimize'")

from nncf.torch.quantization.extensions import QuantizedFunctionsCPU
from nncf.torch.quantization.reference import ReferenceQuantizedFunctions

from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from optimize import retrain
from optimize.__main__ import main, parser
from optimize.quantize import QuantizeConfig
from optimize.sparse import folded, masked
from training import distill
from training.checkpoint import commit, load_weights, save_weights
from training.detector.model import Detector, DetectorConfig
from training.networks import build
from training.reader.model import Reader, ReaderConfig

READER = ReaderConfig(
    width=16, heads=2, encoder_layers=1, decoder_layers=1, stem=(8, 8, 8), dropout=0.0
)

DETECTOR = DetectorConfig(channels=16, bifpn_layers=1, head_layers=1)


@pytest.fixture(scope="module", autouse=True)
def _plain_kernels():
    """NNCF's own in PyTorch, which need no compiler; short runs; no child processes."""
    torch.set_num_threads(1)
    loop = distill.distill_loop
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuantizedFunctionsCPU, "_loaded_namespace", ReferenceQuantizedFunctions)
        patch.setattr(torch._dynamo.config, "disable", True)
        patch.setattr(distill, "BATCH", 2)
        patch.setattr("optimize.hooked.distill_loop", lambda task, minutes: dataclasses.replace(
            loop(task, minutes), steps=2, amp=False))
        patch.setattr("training.distill.distill_loop", lambda task, minutes: dataclasses.replace(
            loop(task, minutes), steps=2, amp=False))
        work_here(patch)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with data, a checkpoint, and out/fp32 of it."""
    folder = tmp_path_factory.mktemp("root")
    torch.manual_seed(0)
    build_data(folder / "data", count=4, splits=("train", "calib", "dev"))
    save_weights(folder / "reader.safetensors", task="reader", config=READER,
                 state=Reader(READER).state_dict(), notes={"variant": "tiny"})
    assert run(folder, "export", "reader.safetensors") == 0
    assert run(folder, "convert", "out/onnx/reader", "--min-agreement", "0") == 0
    return folder


def run(folder, step: str, source: str, *options: str) -> int:
    return main([step, str(folder / source), "--data", str(folder / "data"), "--out",
                 str(folder / "out"), "--target", "native", *options])


TRAINING = ("--minutes", "9", "--train-threads", "1", "--workers", "0")


def test_masks_hold_while_it_learns_and_are_folded():
    torch.manual_seed(0)
    student = masked(Reader(READER), 0.5)
    batch = {"image": torch.randint(0, 256, (2, 48, 192, 3), dtype=torch.uint8),
             "text": torch.full((2, 10), 3), "rows": torch.zeros(2).long()}
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for _ in range(2):
        _, outputs = student.train().inside(batch["image"])
        student.losses(outputs, batch)["loss"].backward()
        optimizer.step()
    again = Reader(READER)
    again.load_state_dict(folded(student))
    for name, weight in again.named_parameters():
        if name.endswith("weight") and weight.ndim > 1:
            assert (weight == 0).float().mean().item() == pytest.approx(0.5, abs=0.02), name
    with torch.inference_mode():
        for wanted, got in zip(
            copy.deepcopy(student).eval()(batch["image"]), again.eval()(batch["image"]),
            strict=True,
        ):
            torch.testing.assert_close(got, wanted)


def test_sparsify_counts_the_zeros_of_the_ir(root, capsys, monkeypatch):
    assert run(root, "sparsify", "reader.safetensors", "--zeros", "0.5", *TRAINING) == 0
    made = manifests.load(root / "out" / "sparse-50" / "fp32" / "reader")
    assert made.parity["zeros"] == pytest.approx(0.5, abs=0.01)
    assert made.parity["deflated_bytes"] < 0.75 * made.parity["weight_bytes"]
    assert [m.step for m in (made, *made.ancestors)] == ["convert", "export", "sparsify", "train"]
    weights = load_weights(root / "out" / "sparse-50" / "weights" / "reader.safetensors")
    assert build(weights).config == READER and weights.notes["commit"] == commit()
    capsys.readouterr()
    assert run(root, "sparsify", "reader.safetensors", "--zeros", "0.5", *TRAINING) == 0
    assert capsys.readouterr().err.count("kept: nothing changed") == 2

    monkeypatch.setattr("optimize.sparse.folded", lambda student: {
        name: tensor for name, tensor in student.network.state_dict().items()
        if "nncf" not in name
    })
    assert run(root, "sparsify", "reader.safetensors", "--zeros", "0.6", *TRAINING) == 1
    told = capsys.readouterr().err
    assert "sparsify: 0.0% of the weights in the IR are zeros; allowed: 60.0%" in told
    assert not (root / "out" / "sparse-60" / "fp32" / "reader").exists()


def test_prune_recovers_and_deploys_step_by_step(root, monkeypatch):
    monkeypatch.setattr("optimize.prune.BATCHES", 1)
    deploy = retrain.deploy
    monkeypatch.setattr(retrain, "deploy", lambda checkpoint, out, options: (
        deploy(checkpoint, out, options) if out.name == "pruned-2" else []
    ))
    options = ("--ratio", "0.01", "0.02", *TRAINING)
    assert run(root, "prune", "reader.safetensors", *options) == 0
    made = manifests.load(root / "out" / "pruned-2" / "fp32" / "reader")
    assert [m.step for m in (made, *made.ancestors)] == [
        "convert", "export", "distill", "prune", "distill", "prune", "train",
    ]
    assert load_weights(root / "reader.safetensors").sha256 in made.ancestors[-1].files.values()
    weights = load_weights(root / "out" / "pruned-2" / "weights" / "reader.safetensors")
    assert build(weights).config != READER


def test_qat_reaches_the_ir_in_8_bits(root):
    options = ("--min-agreement", "0", *TRAINING)
    assert run(root, "qat", "reader.safetensors", *options) == 0
    folder = root / "out" / "qat" / "reader"
    made = manifests.load(folder)
    assert made.precision == "INT8" and made.step == "qat" and made.parity["int8_layers"] >= 4
    assert [m.step for m in made.ancestors] == ["convert", "export", "train"]
    engine = Engine(folder, threads=1)
    outputs = engine.run(np.zeros((3, 48, 192, 3), np.uint8))
    assert {name: value.shape for name, value in outputs.items()} == {
        "logits": (3, 10, 75), "ctc": (3, 48, 75), "rows": (3, 2),
    }


def test_a_simulated_detector_converts_and_answers_as_in_pytorch(tiny_models):
    from optimize.qat import simulated, to_openvino

    torch.manual_seed(0)
    manifest = manifests.load(tiny_models / "detector")
    item = np.random.default_rng(0).integers(0, 256, manifest.input.shape, np.uint8)
    student = simulated(Detector(DETECTOR), [item], QuantizeConfig(bias_correction="none"))
    model = to_openvino(student, manifest)
    found = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(item)
    with torch.no_grad():
        scores, *_ = student.eval()(torch.from_numpy(item))
    np.testing.assert_allclose(found["scores"], scores.numpy(), atol=0.02)


def test_qat_wants_the_checkpoint_that_fp32_was_made_of(root, tmp_path, capsys):
    other = root / "other.safetensors"
    save_weights(other, task="reader", config=READER, state=Reader(READER).state_dict(), notes={})
    assert run(root, "qat", "other.safetensors", *TRAINING) == 2
    assert "was not made of" in capsys.readouterr().err


def test_what_a_network_learns_from_decides_whether_it_is_kept(root, tmp_path, monkeypatch):
    monkeypatch.setattr("optimize.qat.run_step", lambda *given: given[4])
    data, listed = tmp_path / "data", tmp_path / "texts.jsonl"
    shutil.copytree(root / "data", data)

    def inputs():
        options = parser().parse_args([
            "qat", str(root / "reader.safetensors"), "--data", str(data), "--out",
            str(root / "out"), "--frame-texts", str(listed), *TRAINING,
        ])
        return retrain._inputs(options), retrain.qat_step(options, options.source)[0]

    listed.write_text("{}")
    before = inputs()
    assert inputs() == before
    listed.write_text("{ }")
    more = inputs()
    assert all(old["frame_texts"] != new["frame_texts"] for old, new in zip(before, more,
                                                                           strict=True))
    (data / "train.csv").write_text("image_path,plate_text\n")
    assert all(old["data"] != new["data"] for old, new in zip(more, inputs(), strict=True))


def test_qat_makes_no_convolutions(root, capsys):
    assert run(root, "qat", "reader.safetensors", *TRAINING, "--matmuls", "convolutions") == 2
    assert "got --matmuls convolutions; allowed: fp32, int8" in capsys.readouterr().err


def test_batch_norms_keep_their_statistics():
    from optimize.qat import simulated

    item = np.random.default_rng(0).integers(0, 256, (1, 48, 192, 3), np.uint8)
    student = simulated(Reader(READER), [item], QuantizeConfig(bias_correction="none"))
    assert not any(
        module.training for module in student.train().modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    )
    assert student.training
