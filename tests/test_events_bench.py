"""`python -m benchmarks events`: scores by hand, the report, the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alpr_edge.errors import DataError, ExitCode
from alpr_edge.rates import Rate
from benchmarks import events
from benchmarks.__main__ import main
from benchmarks.event_scores import Vehicle, load_truth, score


def vehicle(text: str, counts: bool = True) -> Vehicle:
    return Vehicle(text=text, style="eu", night=False, parked=False, counts=counts)


FOUR = [vehicle("AB123CD"), vehicle("XY987Z"), vehicle("京A12345"), vehicle("QQ5555")]


def test_everything_right():
    scores = score(FOUR, [one.text for one in FOUR])
    assert scores.recall == scores.precision == scores.exact == Rate(4, 4)
    assert scores.duplicates == Rate(0, 4)
    assert scores.wrong == ()


def test_missed_misread_told_twice_and_nobodys():
    scores = score(FOUR, ["AB123CD", "AB123C0", "XY98", "京A12345", "LLLLLLL"])
    assert scores.recall == Rate(3, 4)
    assert scores.precision == Rate(4, 5)
    assert scores.exact == Rate(2, 3)
    assert scores.duplicates == Rate(1, 3)
    assert scores.wrong == (
        "missed QQ5555 (eu)", "read XY98 on XY987Z (eu)", "told 2 times AB123CD (eu)",
        "nobody's LLLLLLL",
    )


def test_who_cannot_be_read_counts_neither_way():
    hidden = [vehicle("AB123CD"), vehicle("XY987Z", counts=False)]
    assert score(hidden, ["AB123CD", "XY987Z"]).precision == Rate(2, 2)
    assert score(hidden, ["AB123CD"]).recall == Rate(1, 1)


def test_no_events():
    scores = score(FOUR, [])
    assert (scores.recall, scores.precision) == (Rate(0, 4), Rate(0, 0))
    assert not events.met(scores)


def truth_file(folder: Path, **changes: Any) -> Path:
    def row(text: str, **more: Any) -> dict[str, Any]:
        return {"text": text, "style": "eu", "parked": False, "first": 0, "visible": [1.0] * 12,
                "quads": [[0, 0, 60, 0, 60, 15, 0, 15]] * 12, **more}

    content = {"schema": 1, "seed": 7, "night": 100, "vehicles": [
        row("AB123CD"), row("XY987Z", first=120), row("HIDDEN1", visible=[1.0] * 7 + [0.9] * 5),
        row("SMALL12", quads=[[0, 0, 59, 0, 59, 15, 0, 15]] * 12),
    ], **changes}
    path = folder / "truth.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_truth(tmp_path: Path):
    vehicles, truth = load_truth(truth_file(tmp_path))
    assert [(v.text, v.night, v.counts) for v in vehicles] == [
        ("AB123CD", False, True), ("XY987Z", True, True), ("HIDDEN1", False, False),
        ("SMALL12", False, False)]
    assert truth["seed"] == 7
    with pytest.raises(DataError, match="no truth of schema 1"):
        load_truth(truth_file(tmp_path, schema=2))
    with pytest.raises(DataError, match="cannot be read as a truth file"):
        load_truth(tmp_path / "none.json")


def told(text: str, final: bool) -> SimpleNamespace:
    return SimpleNamespace(text=text, final=final, latency_ms=40.0)


@pytest.mark.parametrize(("texts", "code"), [
    (["AB123CD", "XY987Z"], ExitCode.OK), (["AB123CD"], ExitCode.FAILED),
])
def test_command(
    texts: list[str], code: ExitCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    run = {"events": [told(text, final) for text in texts for final in (False, True)],
           "frames": 200, "idle": 50, "seconds": 8.0, "cpu": 1.5}
    monkeypatch.setattr(events, "watched", lambda options: run)
    out = tmp_path / "events.json"
    assert main(["events", "v.mp4", str(truth_file(tmp_path)), "--out", str(out)]) == code
    report = json.loads(out.read_text("utf-8"))
    assert (report["kind"], report["seed"], report["fps"]) == ("events", 7, 25.0)
    assert report["events"]["last"]["recall"]["k"] == len(texts)
    assert report["met"] is (code == ExitCode.OK)
    printed = capsys.readouterr().out
    assert f"| last | {len(texts)}/2" in printed
    assert "frame to event p50 40 ms" in printed
    assert ("missed XY987Z (eu, night)" in printed) is (code == ExitCode.FAILED)


def test_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    truth = str(truth_file(tmp_path))
    assert main(["events", "v.mp4", truth, "--every", "0"]) == ExitCode.USAGE
    assert "--every is 0; allowed: 1 or more" in capsys.readouterr().err
