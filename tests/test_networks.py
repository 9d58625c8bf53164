"""PyTorch and ONNX Runtime beside OpenVINO, and what is measured without having been trained."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
import tiny

pytest.importorskip("torch", reason="needs the extra 'optimize'")

from alpr_edge import isa
from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from alpr_edge.errors import LibraryError, UsageError
from optimize import checkpoints as checkpoints_module
from optimize import evaluate, measure, networks
from optimize.evaluate import Judging
from optimize.export import deployable, trained_manifest
from optimize.networks import Kind
from optimize.pictures import calibration_pictures
from optimize.steps import StepResult
from training import torch_cap

TASKS = ("detector", "reader")


@pytest.mark.parametrize("task", TASKS)
def test_three_libraries_answer_alike(models, task):
    """``torch``, ``onnx`` and ``fp32`` are one network."""
    opened = [networks.open_network(models / name / task, threads=1)
              for name in ("torch", "onnx", "fp32")]
    assert [networks.kind_of(network.manifest) for network in opened] == list(Kind)
    assert type(opened[2]) is Engine
    _, height, width, _ = opened[0].manifest.input.shape
    assert {network.size for network in opened} == {(height, width)}
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    wanted = opened[0].run(image)
    for network in opened[1:]:
        got = network.run(image)
        assert list(got) == list(wanted)
        first = network.manifest.outputs[0].name  # a detector's scores are sorted
        np.testing.assert_allclose(got[first], wanted[first], atol=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_what_the_root_was_made_from_is_measured_like_it(models, data, task):
    pictures = Judging(data=data, limit=2).pictures(task)
    found = [evaluate.evaluate(models / name / task, pictures) for name in ("torch", "fp32")]
    assert found[0].hits == found[1].hits
    report = evaluate.time_networks(
        [models / name / task for name in ("onnx", "torch")], pictures, threads=1, runs=2
    )
    assert all(0 < latency.p50 <= latency.p90 for latency in report)


def test_the_checkpoint_is_kept_with_its_manifest(models, checkpoints):
    for path in checkpoints:
        folder = models / "torch" / path.stem
        assert (folder / path.name).read_bytes() == path.read_bytes()
        made = manifests.load(models / "fp32" / path.stem)
        assert made.ancestors[-1].files == manifests.load(folder).files


def test_another_networks_checkpoint_is_refused(models, tmp_path):
    """The root here is a reader that was made from something else."""
    root = tiny.build_reader(tmp_path / "fp32" / "reader")
    made = measure._loaded([root], tmp_path)
    other = models / "torch" / "reader"
    with pytest.raises(UsageError, match="holds another network than the one"):
        measure._counts(other, manifests.load(other), made)
    with pytest.raises(UsageError, match="allowed: a trained IR"):
        measure._loaded([other], models)


def test_all_three_libraries_are_capped(monkeypatch):
    monkeypatch.setenv(torch_cap.ATEN_CAP, "default")
    names = (isa.CAP_VARIABLES[0], torch_cap.ATEN_CAP, torch_cap.MKL_CAP)
    caps = {
        target: tuple(torch_cap.environment(target).get(name) for name in names)
        for target in ("zen2", "avx512_vnni", "native")
    }
    assert caps == {
        "zen2": ("AVX2", "avx2", "AVX2"), "avx512_vnni": ("AVX512_CORE_VNNI", "avx512", "AVX512"),
        "native": (None, None, None),
    }
    assert os.environ[torch_cap.ATEN_CAP] == "default"


def test_a_cap_that_pytorch_ignores_is_an_error(monkeypatch):
    monkeypatch.setenv(torch_cap.ATEN_CAP, "avx2")
    torch_cap.check_cap("AVX2")
    with pytest.raises(LibraryError, match="says it uses AVX512 with ATEN_CPU_CAPABILITY=avx2"):
        torch_cap.check_cap("AVX512")
    monkeypatch.delenv(torch_cap.ATEN_CAP)
    torch_cap.check_cap("AVX512")


def test_a_size_that_was_not_trained_is_exported_as_such(data, tmp_path, monkeypatch):
    """Stand-ins for export and convert: what they are given is what counts."""
    pictures = calibration_pictures(data, crops=True, limit=2)
    given = []

    def export(path, out, pictures, *, tolerances):
        given.append(trained_manifest(deployable(path), path, (64, 96)))
        return StepResult(folder=out / "onnx", manifest=given[-1], kept=False)

    monkeypatch.setattr(checkpoints_module, "export", export)
    monkeypatch.setattr(checkpoints_module, "convert", lambda folder, out, *_, **__: out / "fp32")
    for _ in range(2):
        made = checkpoints_module.untrained("tiny", tmp_path, pictures)
        assert made == tmp_path / "untrained-tiny" / "fp32"
    assert [(m.name, m.step) for m in given] == [("reader-tiny", "untrained")] * 2
    assert given[0].files == given[1].files
    named = "variant 'huge': the reader has edge, deep, small, seed, tiny"
    with pytest.raises(UsageError, match=named):
        checkpoints_module.untrained("huge", tmp_path, pictures)


def test_a_size_that_was_not_trained_is_timed_only(readers, data, tmp_path, in_process):
    made = dataclasses.replace(manifests.load(readers[1]), step="untrained")
    manifests.save(made, readers[1])
    found = measure.measure(readers, tmp_path / "out", Judging(data=data), runs=2)
    random = found.variants[1]
    assert (random.accuracy, random.trained, in_process) == (None, False, ["evaluate", "time"])
    told = {metric.what for metric in manifests.load(readers[1]).metrics}
    assert "p50 ms" in told and "read exactly" not in told
    with pytest.raises(UsageError, match="allowed: a trained IR"):
        measure.measure(readers[::-1], tmp_path / "out", Judging(data=data))
