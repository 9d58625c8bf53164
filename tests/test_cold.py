"""Cold start: medians by hand, fresh processes, wrong options."""

from __future__ import annotations

import json

import pytest

from alpr_edge.errors import ModelError, UsageError
from benchmarks import cold, conditions, isa, pictures
from benchmarks.__main__ import main


def start(*milliseconds):
    return dict(zip(cold.STEPS, milliseconds, strict=True))


def test_medians_by_hand():
    without = [start(100, 10, 500, 30), start(300, 10, 700, 30), start(200, 40, 600, 20)]
    cached = [start(100, 10, 50, 30), start(100, 10, 90, 30), start(100, 10, 70, 30)]
    found = cold.medians(without, cached)
    assert (found["import_ms"], found["load_ms"], found["compile_ms"]) == (200, 10, 600)
    assert (found["compile_cached_ms"], found["first_result_ms"]) == (70, 30)
    assert (found["total_ms"], found["total_cached_ms"]) == (860, 210)
    assert (found["import_cached_ms"], found["load_cached_ms"]) == (100, 10)
    assert found["samples"]["cached"] == cached


def test_processes_take_turns_and_the_first_of_each_kind_is_not_counted(monkeypatch, tmp_path):
    calls = []

    def fake(models, threads, picture, cache=None):
        calls.append(cache is not None)
        return start(len(calls), 0, 0, 0)

    monkeypatch.setattr(cold, "start", fake)
    without, cached = cold.measure(tmp_path, 1, tmp_path, 2)
    assert calls == [False, True] * 3
    assert [one["import"] for one in without + cached] == [3, 5, 4, 6]


def test_a_fresh_process_tells_its_steps_and_fills_the_cache(tiny_models, tmp_path, frame):
    import cv2
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    (tmp_path / "cache").mkdir()
    found = cold.start(tiny_models, 1, tmp_path / "a.png", tmp_path / "cache")
    assert tuple(found) == cold.STEPS and min(found.values()) > 0
    assert list((tmp_path / "cache").glob("*.blob"))


def test_a_process_that_fails_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(cold, "CHILD", "no.such.module")
    with pytest.raises(ModelError, match="ended with 1"):
        cold.start(tmp_path, 1, tmp_path / "a.png")


def test_the_command_writes_a_report(tiny_models, tmp_path, monkeypatch, data, capsys):
    monkeypatch.setattr(pictures, "DEMO", data / "frames")
    steps = {True: start(1, 5, 2, 3), False: start(1, 2, 3, 4)}
    monkeypatch.setattr(cold, "start", lambda *given: steps[len(given) == 4])
    monkeypatch.setattr(conditions, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(isa, "verify_isa", lambda name: "as asked")
    out = tmp_path / "cold.json"
    assert main(["cold", "--models", str(tiny_models), "--out", str(out)]) == 0
    report = json.loads(out.read_text("utf-8"))
    assert report["kind"] == "cold" and report["runs"] == 5 and report["total_ms"] == 10
    told = capsys.readouterr().out
    assert "| load | 2.0 | 5.0 |" in told and "| first result | 4.0 | 3.0 |" in told
    assert "| **together** | 10.0 | 11.0 |" in told


@pytest.mark.parametrize(("option", "told"), [
    (["--runs", "4"], "--runs is 4; allowed: 5 or more"),
    (["--threads", "0"], "--threads is 0; allowed: 1 or more"),
])
def test_too_few_processes_or_threads_are_refused(option, told, capsys):
    assert main(["cold", *option]) == UsageError.exit_code
    assert told in capsys.readouterr().err
