"""Variants counted, measured, compared, picked and shown, on models known in advance."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import openvino
import pytest
import tiny
from drawn import build_data
from in_process import work_here
from openvino import opset13 as ops

pytest.importorskip("torch", reason="needs the extra 'optimize'")

from alpr_edge import isa
from alpr_edge import manifest as manifests
from alpr_edge.data import PlateTruth, Sample, Split
from alpr_edge.errors import DataError, OutputError, UsageError
from alpr_edge.metrics import FrameResult
from alpr_edge.types import Detection
from optimize import count, evaluate, measure, report, select, steps, tables
from optimize.evaluate import Accuracy, Judging, Latency
from optimize.report import Measured, Variant


def weights(*shape: int, zeros: int = 0) -> np.ndarray:
    values = np.ones(shape, np.float32)
    values.flat[:zeros] = 0
    return values


def test_counts_of_a_graph_by_hand():
    """Convolution 3 → 4, 3x3, to 4x4; depthwise 3x3; a matrix product of (1, 64) and (64, 5)."""
    x = ops.parameter(openvino.PartialShape([-1, 3, 8, 8]), np.float32, name="x")
    one = [1, 1]
    first = ops.convolution(x, ops.constant(weights(4, 3, 3, 3, zeros=10)), [2, 2], one, one, one)
    depth = ops.group_convolution(
        first, ops.constant(weights(4, 1, 1, 3, 3)), one, one, one, one
    )
    rows = ops.reshape(depth, ops.constant(np.array([-1, 64])), False)
    model = openvino.Model([ops.matmul(rows, ops.constant(weights(64, 5)), False, False)], [x])
    found = count.count_model(model)
    assert found.macs == 4 * 16 * 27 + 4 * 16 * 9 + 64 * 5
    assert found.parameters == 4 * 27 + 4 * 9 + 64 * 5
    assert found.zeros == 10


@pytest.mark.parametrize("transposed", [False, True])
def test_a_matrix_product_sums_over_the_shared_side(transposed):
    a = ops.parameter([2, 6, 3] if transposed else [2, 3, 6], np.float32)
    product = ops.matmul(a, ops.constant(weights(6, 5)), transposed, False)
    assert count.count_model(openvino.Model([product], [a])).macs == 2 * 3 * 5 * 6


def test_scales_and_ranges_are_no_parameters():
    x = ops.parameter([1, 4], np.float32)
    eight = ops.convert(ops.constant(np.ones((4, 4), np.int8)), "f32")
    scaled = ops.multiply(eight, ops.constant(np.ones((4, 1), np.float32)))
    low, high = (ops.constant(np.float32(v)) for v in (-1, 1))
    quantized = ops.fake_quantize(x, low, high, low, high, 256)
    product = ops.matmul(quantized, scaled, False, False)
    found = count.count_model(openvino.Model([product], [x]))
    assert (found.parameters, found.macs) == (16, 16)
    assert count.in_8_bits(product)
    plain = ops.matmul(x, ops.constant(weights(4, 4)), False, False)
    assert not count.in_8_bits(plain)


def variant(name: str, hits: str, p50: float, size: int, **changes) -> Variant:
    facts = {
        "name": name, "task": "reader", "model": name, "steps": ("train", "export", "convert"),
        "precision": "FP32", "height": 48, "width": 192, "parameters": 1_500_000, "zeros": 15_000,
        "macs": 120_000_000, "bytes": size, "parent": None,
        "accuracy": Accuracy(hits=hits), "latency": Latency(p50=p50, p90=p50 + 1),
    }
    return Variant(**(facts | changes))


def measured(*variants: Variant, target: str = "zen2") -> Measured:
    return Measured(
        target=target, task=variants[0].task, onednn="Intel AVX2", cpu="A CPU", openvino="1",
        threads=2, runs=9, load_before=0.1, load_after=0.2, pictures="digest", variants=variants,
    )


ROOT = variant("fp32", "1111110000", 8.0, 4_000_000)
LOSSY = variant("lossy", "1111000000", 2.0, 1_000_000, parent="fp32")
GOOD = variant("good", "1111101000", 4.0, 2_000_000, parent="fp32")
SLOW = variant("slow", "1111100000", 9.0, 5_000_000)


def test_drops_are_paired_and_in_points():
    lost = report.drop(ROOT, LOSSY)
    assert lost.hits == lost.worst == pytest.approx(20)
    assert lost.low < 20 < lost.high
    assert report.drop(ROOT, GOOD).hits == 0  # one lost, one won
    sees_all = dataclasses.replace(
        GOOD, accuracy=Accuracy(hits="1" * 10, average_precision=0.5)
    )
    sure = dataclasses.replace(ROOT, accuracy=Accuracy(hits="1" * 10, average_precision=0.75))
    assert report.drop(sure, sees_all).worst == pytest.approx(25)


def test_the_front_and_the_pick():
    found = measured(ROOT, LOSSY, GOOD, SLOW)
    assert [v.name for v in select.front(found)] == ["lossy", "good"]
    assert select.fastest(found, 0.5).name == "good"
    assert select.fastest(found, 20.0).name == "lossy"
    assert select.fastest(measured(ROOT, LOSSY), 0.5).name == "fp32"


def test_a_report_is_read_as_it_was_written():
    found = measured(ROOT, LOSSY)
    entry = json.loads(json.dumps(found.to_json()))
    assert Measured.from_json(entry) == found
    assert entry["variants"][1]["drop_of_parent"]["hits"] == pytest.approx(20)
    assert entry["variants"][0]["rate"] | {"low": 0, "high": 0} == {
        "k": 6, "n": 10, "value": 0.6, "low": 0, "high": 0
    }


def test_tables_tell_every_variant_and_the_pick():
    told = {
        "split": "dev", "measured": [measured(ROOT, LOSSY).to_json()],
        "picks": [{"task": "reader", "target": "n100", "measured_at": "zen2", "variant": "fp32",
                   "max_drop": 0.5, "drop": 0.0, "speed_up": 1.0, "predicted": True}],
    }
    text = tables.tables(told)
    lines = text.splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    row = "| lossy | export → convert | 48x192 | 1.50 M (1% zero) | 1.00 | 0.120 | 2.00 ms |"
    assert row in text
    assert "4/10 = 40.0%" in text and "+20.00 (" in text
    assert "unreliable" not in text
    assert "Pick for reader on n100 (predicted from zen2): **fp32**" in lines[-1]
    told["measured"][0]["load_before"] = 3.0
    assert "load average was 3.0 before: the times are unreliable" in tables.tables(told)
    assert tables.tables(None) == tables.NOTHING


def test_the_document_is_that_of_the_committed_report():
    text = tables.DOCUMENT.read_text("utf-8")
    assert text == tables.document(text)


def test_detections_are_counted_at_the_threshold_and_averaged_below_it(tmp_path):
    detector = evaluate.open_detector(tiny.build_detector(tmp_path / "d"))  # threshold 0.3
    assert detector.min_score == 0.2

    def plate(x: float) -> tuple:
        return (x, 0.0, x + 100, 20.0)

    def detection(x: float, confidence: float) -> Detection:
        corners = ((x, 0.0), (x + 100, 0.0), (x + 100, 20.0), (x, 20.0))
        return Detection(box=plate(x), corners=corners, confidence=confidence)

    sample = Sample(
        path=Path("a.png"), dataset="drawn", split=Split.DEV, width=1280, height=720,
        plates=(PlateTruth(box=plate(0)), PlateTruth(box=plate(300))),
    )
    found = [detection(0, 0.9), detection(300, 0.25), detection(900, 0.22)]
    accuracy = evaluate.detector_accuracy(detector, [FrameResult(sample=sample, detections=found)])
    assert accuracy == Accuracy(hits="10", average_precision=1.0, false_per_picture=0.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return build_data(tmp_path_factory.mktemp("drawn") / "data", count=3, splits=("calib", "dev"))


@pytest.fixture
def readers(tmp_path):
    """A root that is always right and a variant that is always wrong."""
    return [tiny.build_reader(tmp_path / "out" / name / "reader", text)
            for name, text in (("fp32", "A1"), ("wrong", "A2"))]


@pytest.fixture
def in_process(monkeypatch):
    return work_here(monkeypatch)


def test_measured_once_picked_and_copied(readers, data, tmp_path, in_process):
    out = tmp_path / "out"
    assert measure.find_variants(out, "reader") == sorted(readers)
    found = measure.measure(readers, out, Judging(data=data), runs=3)
    assert [v.accuracy.hits for v in found.variants] == ["111", "000"]
    assert in_process == ["evaluate", "evaluate", "time"]
    assert measure.measure(readers, out, Judging(data=data), runs=3) == found
    assert len(in_process) == 3  # all kept
    written = manifests.load(readers[1])
    assert {(m.what, m.value, m.isa) for m in written.metrics} >= {
        ("read exactly", 0.0, "zen2"), ("drop in points", 100.0, "zen2")
    }
    assert len(written.metrics) == len({m.what for m in written.metrics})
    [pick] = select.select(out, "zen2", 0.5)
    assert (pick.variant, pick.drop, pick.predicted) == ("fp32", 0.0, False)
    assert manifests.load(out / "pick" / "reader").files == manifests.load(readers[0]).files
    assert json.loads((out / "report.json").read_text())["picks"][0]["variant"] == "fp32"
    assert measure.find_variants(out, "reader") == sorted(readers)  # the pick is none


def test_a_changed_model_is_measured_anew(readers, data, tmp_path, in_process):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)
    shutil.rmtree(readers[1])
    tiny.build_reader(readers[1], "A1")
    found = measure.measure(readers, out, Judging(data=data), runs=3)
    assert [v.accuracy.hits for v in found.variants] == ["111", "111"]
    assert in_process == ["evaluate", "evaluate", "time", "evaluate", "time"]
    shutil.rmtree(readers[0])
    tiny.build_reader(readers[0], "A3")
    with pytest.raises(UsageError, match="made anew after it was measured"):
        select.select(out, "zen2", -1.0)


def test_a_target_beyond_this_cpu_is_predicted_only(
    readers, data, tmp_path, in_process, monkeypatch
):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)
    monkeypatch.setattr(isa, "cpu_flags", lambda: frozenset({"avx2", "fma"}))
    [pick] = select.select(out, "n100", 0.5)
    assert (pick.target, pick.measured_at, pick.predicted) == ("n100", "zen2", True)
    with pytest.raises(UsageError, match="no variant measured at native"):
        select.select(out, "native", 0.5)


def test_wrong_variants_are_refused(readers, data, tmp_path):
    out, judging = tmp_path / "out", Judging(data=data)
    detector = tiny.build_detector(out / "fp32" / "detector")
    with pytest.raises(UsageError, match=r"tasks \['detector', 'reader'\]"):
        measure.measure([readers[1], detector], out, judging)
    with pytest.raises(UsageError, match="is not in"):
        measure.measure(readers, tmp_path / "elsewhere", judging)
    steps.write_json(out / "report.json", report.load_report(out / "absent", "val"))
    with pytest.raises(UsageError, match="tells of split val, not dev"):
        measure.measure(readers, out, judging)
    with pytest.raises(DataError, match="no annotated plate on 0 plate cut-outs of split val"):
        Judging(data=data, split="val").pictures("reader")


def test_a_pick_that_cannot_be_written_leaves_nothing(
    readers, data, tmp_path, in_process, monkeypatch
):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)

    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match="No space left on device; choose another --out"):
        select.select(out, "zen2", 0.5)
    assert list((out / "pick").iterdir()) == []


def test_remembered_values_are_computed_once(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"a": [1, 2.5]}

    note = tmp_path / "steps" / "x.json"
    assert [steps.remembered(note, {"k": k}, make) for k in (1, 1, 2)] == [{"a": [1, 2.5]}] * 3
    note.write_text("{")
    steps.remembered(note, {"k": 2}, make)
    assert len(calls) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        steps.write_json(tmp_path / "file" / "x.json", {})
