"""Variants measured alike: IRs, and the checkpoint and the ONNX that they were made from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny

from alpr_edge import manifest as manifests
from alpr_edge.cpu import BUSY
from alpr_edge.data import PlateTruth, Sample, Split
from alpr_edge.errors import DataError, UsageError
from alpr_edge.metrics import FrameResult
from alpr_edge.types import Detection
from optimize import evaluate, measure, report, select, steps
from optimize.evaluate import Accuracy, Judging


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


def test_measured_once_picked_and_copied(readers, data, tmp_path, in_process):
    out = tmp_path / "out"
    assert measure.find_variants(out, "reader") == sorted(readers)
    found = measure.measure(readers, out, Judging(data=data), runs=3)
    assert [v.accuracy.hits for v in found.variants] == ["1" * 8, "0" * 8]
    assert in_process == ["evaluate", "evaluate", "time"]
    assert measure.measure(readers, out, Judging(data=data), runs=3) == found
    assert len(in_process) == 3  # all kept
    written = manifests.load(readers[1])
    assert {(m.what, m.value, m.isa) for m in written.metrics} >= {
        ("read exactly", 0.0, "zen2"), ("drop in points", 100.0, "zen2")
    }
    assert len(written.metrics) == len({m.what for m in written.metrics})
    [pick] = select.select(out, ["zen2"], 0.5)
    assert (pick.variant, pick.drop, pick.predicted) == ("fp32", 0.0, False)
    assert manifests.load(out / "pick" / "reader").files == manifests.load(readers[0]).files
    assert json.loads((out / "report.json").read_text())["picks"][0]["variant"] == "fp32"
    assert measure.find_variants(out, "reader") == sorted(readers)  # the pick is none


def test_latencies_of_a_busy_machine_are_taken_again(
    readers, data, tmp_path, in_process, monkeypatch
):
    loads = iter([BUSY + 1, 0.0, BUSY, 0.0])  # before and after
    monkeypatch.setattr(evaluate, "load_average", lambda: next(loads))
    out = tmp_path / "out"
    before = [
        measure.measure(readers, out, Judging(data=data), runs=3).load_before for _ in range(3)
    ]
    assert before == [BUSY + 1, BUSY, BUSY]
    assert in_process.count("time") == 2


@pytest.mark.parametrize("changed", ["usable_cores", "manifests.tool_versions"])
def test_latencies_are_taken_again_with_other_cores_or_tools(
    readers, data, tmp_path, in_process, monkeypatch, changed
):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3, latency_only=True)
    monkeypatch.setattr(f"optimize.measure.{changed}", lambda *_: "others")
    measure.measure(readers, out, Judging(data=data), runs=3, latency_only=True)
    assert in_process == ["time", "time"]


def test_a_reader_is_timed_on_as_many_threads_as_it_runs_on(readers, data, tmp_path, in_process):
    out, opened = tmp_path / "out", []
    detector = tiny.build_detector(out / "fp32" / "detector")
    with pytest.MonkeyPatch.context() as patch:
        load = evaluate.open_network
        patch.setattr(evaluate, "open_network", lambda folder, *, threads: (
            opened.append(threads), load(folder, threads=threads)
        )[1])
        found = [
            measure.measure(folders, out, Judging(data=data), threads=2, runs=3, latency_only=True)
            for folders in (readers, [detector])
        ]
    assert [entry.threads for entry in found] == [1, 2]
    assert opened == [1, 1, 2]


def test_a_manifests_figures_tell_how_they_were_taken(readers, data, tmp_path, in_process):
    judging = Judging(data=data, limit=5)
    measure.measure(readers, tmp_path / "out", judging, threads=2, runs=3)
    figures = {m.what: m for m in manifests.load(readers[0]).metrics}
    assert figures["p50 ms"].command == (
        "python -m optimize measure --target zen2 --split dev --threads 1 --runs 3 --limit 5"
    )
    assert figures["load average before"].value == 0.1


def test_a_changed_model_is_measured_anew(readers, data, tmp_path, in_process):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)
    shutil.rmtree(readers[1])
    tiny.build_reader(readers[1], "A1")
    found = measure.measure(readers, out, Judging(data=data), runs=3)
    assert [v.accuracy.hits for v in found.variants] == ["1" * 8, "1" * 8]
    assert in_process == ["evaluate", "evaluate", "time", "evaluate", "time"]
    shutil.rmtree(readers[0])
    tiny.build_reader(readers[0], "A3")
    with pytest.raises(UsageError, match="made anew after it was measured"):
        select.select(out, ["zen2"], -1.0)


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
    with pytest.raises(DataError, match="no annotated plate among 0 plates of split val"):
        Judging(data=data, split="val").pictures("reader")
