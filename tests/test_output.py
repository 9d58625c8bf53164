from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from alpr_edge.budget import DETECTION_BUDGET_MS, READING_BUDGET_MS, verdict
from alpr_edge.output import CSV_COLUMNS, FORMATS, error_record, record_of
from alpr_edge.pipeline import Result
from alpr_edge.stages import Stage
from alpr_edge.types import Plate

PLATE = Plate(
    text="皖A12345", confidence=0.98765432, char_confidences=(0.99,) * 7, rows=1, region="CN",
    kind="blue", box=(1.234, 2.0, 30.0, 12.0),
    corners=((1.239, 2.0), (30.0, 2.0), (30.0, 12.0), (1.0, 12.0)), detection_confidence=0.9,
)


def result(*plates: Plate) -> Result:
    return Result(
        plates=plates, read=len(plates), ms={stage: 1.23456 for stage in Stage},
        image=np.zeros((20, 40, 3), np.uint8),
    )


def written(name: str, *records) -> str:
    stream = io.StringIO()
    writer = FORMATS[name](stream)
    for record in records:
        writer.write(record)
    writer.close()
    return stream.getvalue()


@pytest.fixture
def records():
    return [
        record_of("a.jpg", result(PLATE, PLATE)),
        record_of("b.jpg", result()),
        error_record("c.jpg", ValueError("c.jpg: broken")),
    ]


def test_record_is_exactly_the_documented_object():
    assert record_of("a.jpg", result(PLATE)) == {
        "schema": 1,
        "file": "a.jpg",
        "width": 40,
        "height": 20,
        "plates": [{
            "text": "皖A12345",
            "confidence": 0.987654,
            "char_confidences": [0.99] * 7,
            "rows": 1,
            "region": "CN",
            "kind": "blue",
            "box": [1.23, 2.0, 30.0, 12.0],
            "corners": [[1.24, 2.0], [30.0, 2.0], [30.0, 12.0], [1.0, 12.0]],
            "detection_confidence": 0.9,
            "whole": True,
        }],
        "ms": dict.fromkeys(
            ("load", "letterbox", "detect", "postprocess", "closer", "rectify", "read", "text",
             "total"),
            1.235,
        ),
    }
    assert error_record("x", ValueError("y")) == {"file": "x", "error": "y"}


def test_json_is_one_array_and_jsonl_one_object_a_line(records):
    assert json.loads(written("json", *records)) == records
    assert json.loads(written("json")) == []
    lines = written("jsonl", *records).splitlines()
    assert [json.loads(line) for line in lines] == records
    assert "皖" in lines[0]


def test_csv_has_a_row_a_plate_and_one_for_a_picture_without(records):
    rows = list(csv.DictReader(io.StringIO(written("csv", *records))))
    assert [row["file"] for row in rows] == ["a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert list(rows[0]) == CSV_COLUMNS
    assert (rows[0]["text"], rows[0]["x1"], rows[0]["tl_x"]) == ("皖A12345", "1.23", "1.24")
    assert (rows[0]["bl_y"], rows[0]["ms_total"]) == ("12.0", "1.235")
    assert rows[2]["text"] == "" and rows[3]["error"] == "c.jpg: broken"


def test_table_shows_file_plate_confidence_and_stages(records):
    records[1]["file"] = "[red]b.jpg"
    text = written("table", *records)
    for expected in ("a.jpg", "皖A12345", "98.8%", "[red]b.jpg", "no plate", "error", "letterbox"):
        assert expected in text


@pytest.mark.parametrize("columns, stages", [(80, False), (160, True)])
def test_a_terminal_shows_whole_plates_and_the_stages_where_there_is_room(
    records, monkeypatch, columns, stages
):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    writer = FORMATS["table"](stream)
    for record in records:
        writer.write(record)
    writer.close()
    text = stream.getvalue()
    assert all(told in text for told in ("皖A12345", "98.8%", "total ms"))
    assert ("letterbox" in text) == stages


def times(detect: float, read: float) -> dict[Stage, float]:
    return dict.fromkeys(Stage, 0.0) | {Stage.DETECT: detect, Stage.READ: read}


def test_verdict_is_by_medians_and_by_plate():
    got = verdict([(times(50, 60), 2), (times(90, 20), 1), (times(500, 0), 0)])
    assert (got.detection_ms, got.reading_ms, got.met) == (90, 25, True)
    assert "MET" in str(got)


@pytest.mark.parametrize("detect, read, met", [
    (DETECTION_BUDGET_MS, READING_BUDGET_MS, True),
    (DETECTION_BUDGET_MS + 1, 1, False),
    (1, READING_BUDGET_MS + 1, False),
])
def test_verdict_at_the_limits(detect, read, met):
    assert verdict([(times(detect, read), 1)]).met is met


def test_verdict_without_plates_or_pictures():
    got = verdict([(times(10, 0), 0)])
    assert got.met and got.reading_ms is None and "no plate" in str(got)
    with pytest.raises(ValueError, match="no picture"):
        verdict([])


def test_a_long_name_is_not_folded_where_no_terminal_is():
    stream, name = io.StringIO(), "x" * 200
    writer = FORMATS["table"](stream)
    writer.write({"file": name, "error": "no such file"})
    writer.close()
    assert name in stream.getvalue()


@pytest.mark.parametrize("name", ["a[1].jpg", "x:car:1.jpg", "a\\[red]b.jpg", "[bold]c"])
def test_a_table_shows_names_as_they_are(name):
    assert name in written("table", {"file": name, "error": "no such file"})


def test_a_plate_at_the_pictures_edge_is_told_apart():
    cut = dataclasses.replace(PLATE, whole=False)
    rows = list(csv.DictReader(io.StringIO(written("csv", record_of("a", result(PLATE, cut))))))
    assert [row["whole"] for row in rows] == ["true", "false"]
