"""All steps in a row; finished ones are kept."""

from __future__ import annotations

import json
import re

import pytest
import tiny
from conftest import ROOT
from in_process import work_here
from trained import TASKS

from alpr_edge import manifest as manifests
from alpr_edge import picks
from optimize import steps
from optimize.__main__ import main
from optimize.ship import class_of
from optimize.steps import StepFailedError


def test_finished_steps_are_kept_and_only_what_changed_is_made_anew(
    models, command, capsys, monkeypatch
):
    works = work_here(monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in models.glob("*[0-9f]/*/*.xml")}
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().err.count("kept: nothing changed") == 12
    assert before == {path: path.stat().st_mtime_ns for path in models.glob("*[0-9f]/*/*.xml")}
    assert not works


@pytest.mark.parametrize("task", TASKS)
def test_all_ends_with_measured_variants_and_a_pick(models, task):
    report = json.loads((models / "report.json").read_text())
    entry = next(e for e in report["measured"] if e["task"] == task)
    names = [variant["name"] for variant in entry["variants"]]
    assert names == ["fp32", "torch", "onnx", "fp16", "int8", "int8-half"]
    root, _, onnx, half, int8, _ = entry["variants"]
    assert (onnx["parent"], root["parent"], onnx["macs"]) == ("torch", "onnx", root["macs"])
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
    folder = picks.load(models / "pick").of(task).of(class_of("native")).folder
    assert manifests.load(models / "pick" / folder).files == chosen.files


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


@pytest.mark.parametrize("task", TASKS)
def test_a_steps_code_has_what_its_network_takes_from_the_runtime(task):
    named = steps._SOURCES[task]
    network = (ROOT / f"training/{task}/model.py").read_text("utf-8")
    taken = re.findall(r"^from (alpr_edge\.\w+) import", network, re.MULTILINE)
    assert taken and {f"{name.replace('.', '/')}.py" for name in taken} <= set(named)
    assert set(named) <= set(steps._SOURCES["pipeline"])


def test_a_failed_step_leaves_no_result(tmp_path):
    fake_step(tmp_path, {"a": 1}, [])

    def fail(folder):
        raise StepFailedError("no")

    with pytest.raises(StepFailedError):
        steps.run_step("convert", "reader", tmp_path, tmp_path / "fp32" / "reader", {"a": 2}, fail)
    assert not (tmp_path / "fp32" / "reader").exists()
    assert not fake_step(tmp_path, {"a": 1}, []).kept
