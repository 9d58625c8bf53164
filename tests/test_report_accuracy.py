"""Accuracy reports as tables."""

from __future__ import annotations

import pytest

from alpr_edge.errors import DataError
from benchmarks import report_accuracy


def test_cells_by_hand():
    value = {"k": 9, "n": 10, "value": 0.9, "low": 0.6, "high": 0.98}
    assert report_accuracy.cell(value, "recall_50") == "9/10 = 90.0% (60.0% to 98.0%)"
    assert report_accuracy.cell(value, "false_per_picture") == "9/10 = 0.900 (0.600 to 0.980)"
    assert report_accuracy.cell({"value": 0.5}, "average_precision_50") == "50.0%"
    assert report_accuracy.cell({"k": 0, "n": 0, "value": None}, "recall_50") == "-"
    paired = {"difference": -0.01, "low": -0.03, "high": 0.012}
    assert report_accuracy.difference(paired) == "-1.0 points (-3.0 to +1.2)"
    assert report_accuracy.difference(None) == "-"


def test_confidence_is_a_table_of_the_last_model():
    share = {"k": 1, "n": 4, "value": 0.25, "low": 0.05, "high": 0.7}
    model = {
        "threshold": 0.5, "false_reads": share, "false_rejects": {"k": 0, "n": 0}, "auc": None,
        "calibration_error": 0.021,
    }
    about = {part: {"precision": "INT8"} for part in ("detector", "reader")} | {"folder": "a"}
    report = {"models": [{}, about], "confidence": {"us": {"models": [{}, model]}}}
    lines = report_accuracy.confidence(report)
    assert lines[1] == "### Confidence, a (INT8, INT8)"
    assert lines[-1] == "| us | 0.500 | 1/4 = 25.0% (5.0% to 70.0%) | - | - | 2.1% |"
    assert len({line.count("|") for line in lines[3:]}) == 1
    assert report_accuracy.confidence({"models": []}) == []


def test_corruptions_are_a_table_of_the_last_model():
    rate = {"k": 9, "n": 10, "value": 0.9, "low": 0.6, "high": 0.98}
    about = {part: {"precision": "FP16"} for part in ("detector", "reader")} | {"folder": "a"}
    report = {
        "split": "val", "models": [{}, about], "isa": {"asked": "avx2", "onednn": "Intel AVX2"},
        "machine": {"cpu": "A CPU", "usable_cores": 2, "openvino": "1", "alpr_edge": "0"},
        "corruption": {"name": "far", "strength": "strong"},
        "metrics": {"exact_match": {"us": {"models": [{}, rate]}}},
    }
    lines = report_accuracy.corruptions([report])
    assert "A CPU, 2 cores, ISA avx2 (oneDNN: Intel AVX2)" in lines[0]
    assert "split val read exactly by a (FP16, FP16)" in lines[1]
    assert lines[3:] == ["| | us |", "|---|---|", "| far, strong | 9/10 = 90.0% (60.0% to 98.0%) |"]
    far = report | {"corruption": {"name": "blur", "strength": "medium"}, "crops": 3}
    with pytest.raises(DataError, match="far strong and blur medium differ in crops"):
        report_accuracy.corruptions([report, far])
    with pytest.raises(DataError, match="differ in models"):
        report_accuracy.corruptions([report, report | {"models": [about | {"folder": "b"}]}])
