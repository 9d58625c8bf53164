"""The table of input sizes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpr_edge.data import PlateTruth, Sample, Split
from alpr_edge.errors import DataError
from alpr_edge.metrics import FrameResult
from alpr_edge.types import Detection
from benchmarks import sizes


def frame(width: int, found: bool, **changes: Any) -> FrameResult:
    box = (100.0, 100.0, 100.0 + width, 120.0)
    corners = ((100.0, 100.0), (100.0 + width, 100.0), (100.0 + width, 120.0), (100.0, 120.0))
    plate = PlateTruth(box=box, corners=corners)
    sample = Sample(path=Path("a.png"), dataset="rendered", split=Split.DEV, width=1280,
                    height=720, plates=(plate,))
    sample = dataclasses.replace(sample, **changes)
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


def test_without_completely_annotated_frames_no_threshold_is_alike():
    with pytest.raises(DataError, match="no frame is completely annotated, of 2"):
        sizes.row([frame(50, True, complete=False)] * 2)


def test_a_corner_error_that_nobody_knows_is_told_as_such():
    one = sizes.row([frame(50, False)])
    assert one["corner_median"] is None and json.dumps(one, allow_nan=False)
    assert "| - |" in sizes.markdown([one | {"input": "384x640", "ms": 12.34}], "facts")
