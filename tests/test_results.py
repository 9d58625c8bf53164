"""The documents made from reports, and the table of input sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alpr_edge.data import PlateTruth, Sample, Split
from alpr_edge.errors import DataError
from alpr_edge.markdown import markers, replace_block
from alpr_edge.metrics import FrameResult
from alpr_edge.types import Detection
from benchmarks import results, sizes


def test_cells_by_hand():
    value = {"k": 9, "n": 10, "value": 0.9, "low": 0.6, "high": 0.98}
    assert results.cell(value, "recall_50") == "9/10 = 90.0% (60.0% to 98.0%)"
    assert results.cell(value, "false_per_picture") == "9/10 = 0.900 (0.600 to 0.980)"
    assert results.cell({"value": 0.5}, "average_precision_50") == "50.0%"
    assert results.cell({"k": 0, "n": 0, "value": None}, "recall_50") == "-"
    paired = {"difference": -0.01, "low": -0.03, "high": 0.012}
    assert results.difference(paired) == "-1.0 points (-3.0 to +1.2)"
    assert results.difference(None) == "-"


def test_confidence_is_a_table_of_the_last_model():
    share = {"k": 1, "n": 4, "value": 0.25, "low": 0.05, "high": 0.7}
    model = {
        "threshold": 0.5, "false_reads": share, "false_rejects": {"k": 0, "n": 0}, "auc": None,
        "calibration_error": 0.021,
    }
    about = {part: {"precision": "INT8"} for part in ("detector", "reader")} | {"folder": "a"}
    report = {"models": [{}, about], "confidence": {"us": {"models": [{}, model]}}}
    lines = results.confidence(report)
    assert lines[1] == "### Confidence, a (INT8, INT8)"
    assert lines[-1] == "| us | 0.500 | 1/4 = 25.0% (5.0% to 70.0%) | - | - | 2.1% |"
    assert len({line.count("|") for line in lines[3:]}) == 1
    assert results.confidence({"models": []}) == []


def test_corruptions_are_a_table_of_the_last_model():
    rate = {"k": 9, "n": 10, "value": 0.9, "low": 0.6, "high": 0.98}
    about = {part: {"precision": "FP16"} for part in ("detector", "reader")} | {"folder": "a"}
    report = {
        "split": "val", "models": [{}, about], "isa": {"asked": "avx2", "onednn": "Intel AVX2"},
        "corruption": {"name": "far", "strength": "strong"},
        "metrics": {"exact_match": {"us": {"models": [{}, rate]}}},
    }
    lines = results.corruptions([report])
    assert "a (FP16, FP16), ISA avx2 (oneDNN: Intel AVX2)" in lines[0]
    assert lines[2:] == ["| | us |", "|---|---|", "| far, strong | 9/10 = 90.0% (60.0% to 98.0%) |"]


def test_the_readme_block_is_replaced_and_its_absence_told():
    begin, end = markers("results")
    text = f"a\n{begin}\nold\n{end}\nb"
    assert replace_block(text, "results", "new") == f"a\n{begin}\nnew\n{end}\nb"
    with pytest.raises(DataError, match="lacks the markers"):
        replace_block("no markers", "results", "new")


def test_no_report_or_a_broken_one_is_told(tmp_path):
    with pytest.raises(DataError, match="holds no report"):
        results.load(tmp_path)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="is no JSON"):
        results.load(tmp_path)


def test_documents_are_those_of_the_committed_reports():
    reports = results.load(results.REPORTS)
    assert results.DOCUMENT.read_text("utf-8") == results.document(reports)
    readme = results.README.read_text("utf-8")
    assert readme == replace_block(readme, results.BLOCK, results.summary(reports))


def frame(width: int, found: bool) -> FrameResult:
    box = (100.0, 100.0, 100.0 + width, 120.0)
    corners = ((100.0, 100.0), (100.0 + width, 100.0), (100.0 + width, 120.0), (100.0, 120.0))
    plate = PlateTruth(box=box, corners=corners)
    sample = Sample(path=Path("a.png"), dataset="rendered", split=Split.DEV, width=1280,
                    height=720, plates=(plate,))
    detections = [Detection(box=box, corners=corners, confidence=0.9)] if found else []
    return FrameResult(sample=sample, detections=detections)


def test_a_size_is_one_row():
    one = sizes.row([frame(30, False), frame(50, True), frame(300, True)])
    assert one["by_width"]["20-40"] == {"k": 0, "n": 1}
    assert one["by_width"]["≥ 200"] == {"k": 1, "n": 1}
    assert one["wide"] == {"k": 2, "n": 2}
    assert one["corner_median"] == 0
    table = sizes.markdown([one | {"input": "384x640", "ms": 12.34}], "facts").splitlines()
    assert table[0] == "facts"
    assert len({line.count("|") for line in table[2:]}) == 1
    assert "| 384x640 |" in table[-1] and "12.3 ms" in table[-1]
    assert json.dumps(one)
    assert np.isfinite(one["corner_median"])
