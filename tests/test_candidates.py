"""Settings of INT8 tried, and INT8 with accuracy control."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import tiny
from in_process import work_here

nncf = pytest.importorskip("nncf", reason="needs the extra 'optimize'")

import openvino

from alpr_edge import manifest as manifests
from optimize import accuracy_control, candidates, options, quantize, steps
from optimize.__main__ import main
from optimize.evaluate import Judging
from optimize.steps import StepFailedError, Tolerances


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
    found = candidates.candidates(base, "detector")
    assert len({config.name for config in found}) == len(found)
    assert {config.overflow_fix for config in found} == {f.value for f in nncf.OverflowFix}
    assert {config.bias_correction for config in found} == set(options.BIAS_CORRECTIONS)
    for config in found:
        changed = [f.name for f in dataclasses.fields(config)
                   if getattr(config, f.name) != getattr(base, f.name)]
        assert len(changed) <= 2 and changed[0] == "name"
    more = candidates.candidates(base, "reader")
    assert more[:len(found)] == found
    assert {config.matmuls for config in found} == {"fp32"}  # a detector has none
    assert {config.matmuls for config in more[len(found):]} == {"int8", "convolutions"}


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


def test_accuracy_control_tells_the_pictures_that_it_judged_on(models, data, tmp_path, monkeypatch):
    shutil.copytree(data, tmp_path / "data")
    frames = tmp_path / "data" / "frames.jsonl"
    rows = [json.loads(line) for line in frames.read_text().splitlines()]
    first = next(row for row in rows if row["split"] == "dev")
    first["plates"] = []  # no metric
    frames.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(nncf, "quantize_with_accuracy_control", lambda model, **_: model)
    (tmp_path / "made").mkdir()
    found = accuracy_control.control_work(
        source=str(models / "fp32" / "detector"), folder=str(tmp_path / "made"),
        data=str(tmp_path / "data"), split="dev", limit=None, max_drop=0.5,
        config=dataclasses.asdict(quantize.QuantizeConfig()),
    )
    assert found["judged_on"] == sum(row["split"] == "dev" for row in rows) - 1


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
