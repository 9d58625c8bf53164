"""Conditions and reports: what disturbs a measurement is seen and told."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from alpr_edge.errors import DataError, OutputError
from benchmarks import conditions, record
from benchmarks.conditions import Conditions, noise

QUIET = Conditions(load=0.1, background=0.02, throttled=3, governor="performance")


def test_a_quiet_run_has_nothing_to_tell():
    assert noise(QUIET, dataclasses.replace(QUIET, load=2.0)) == []  # the run's own load
    unknown = Conditions(load=0.1, background=None, throttled=None, governor=None)
    assert noise(unknown, unknown) == []


@pytest.mark.parametrize(("before", "after", "reason"), [
    ({"load": 0.6}, {}, "load average 0.60 before"),
    ({"background": 0.3}, {}, "others used 0.30 cores before"),
    ({}, {"background": 0.3}, "others used 0.30 cores after"),
    ({}, {"throttled": 4}, "throttled"),
    ({"governor": "powersave"}, {}, "governor powersave"),
])
def test_every_disturbance_is_named(before, after, reason):
    [told] = noise(dataclasses.replace(QUIET, **before), dataclasses.replace(QUIET, **after))
    assert reason in told


def test_the_machine_is_read_from_linux_files(tmp_path, monkeypatch):
    monkeypatch.setattr(conditions, "_WATCH_SECONDS", 0.0)
    assert Conditions.now(tmp_path, tmp_path).background is None
    (tmp_path / "stat").write_text("cpu 10 0 5 100 7 0 1 0 0 0\nintr 0\n")
    for core, count in (("cpu0", "2"), ("cpu1", "1")):
        (tmp_path / core / "thermal_throttle").mkdir(parents=True)
        (tmp_path / core / "thermal_throttle" / "core_throttle_count").write_text(count)
        (tmp_path / core / "cpufreq").mkdir()
        (tmp_path / core / "cpufreq" / "scaling_governor").write_text("powersave\n")
    look = Conditions.now(tmp_path, tmp_path)
    assert (look.background, look.throttled, look.governor) == (0.0, 3, "powersave")


def test_background_counts_what_others_did(tmp_path, monkeypatch):
    seconds = iter((100.0, 100.8))
    monkeypatch.setattr(conditions, "_busy_seconds", lambda proc: next(seconds))
    monkeypatch.setattr(conditions, "_WATCH_SECONDS", 0.4)
    assert conditions._background(tmp_path) == pytest.approx(2.0, rel=0.1)


def test_a_command_tells_no_place_of_this_machine():
    given = ["stages", "--data", "/srv/my data", "--models", "out/fp32", "--out", "/tmp/s.json"]
    wanted = "python -m benchmarks stages --data DATA --models out/fp32 --out s.json"
    assert record.command(given) == wanted
    assert record.command(["stages", "--data=/srv/x"]) == "python -m benchmarks stages --data=DATA"
    given = ["compare", "--against", "other=/srv/venv/bin/python -m peer"]
    assert record.command(given) == "python -m benchmarks compare --against 'other=python -m peer'"


def test_a_report_is_written_and_read_again(tmp_path):
    path = tmp_path / "a.json"
    report = record.record("stages", ["stages"], {"asked": "native"}, QUIET, {"runs": 3})
    record.save(report, path)
    assert record.load(path) == report == json.loads(path.read_text())
    assert report["conditions"]["before"]["load"] == 0.1 and report["runs"] == 3
    record.save(report, None)
    with pytest.raises(OutputError, match="choose another"):
        record.save(report, tmp_path / "no" / "a.json")


def test_a_full_disk_leaves_the_report_before(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    record.save({"runs": 3}, path)
    written = Path.write_bytes

    def full(self, data):
        written(self, data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        record.save({"runs": 4}, path)
    assert json.loads(path.read_text()) == {"runs": 3} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("text", "reason"), [
    ("{", "is no JSON"), ("[]", "is no report"), ('{"schema": 99}', "is no report of schema"),
])
def test_what_is_no_report_is_refused(tmp_path, text, reason):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=reason):
        record.load(tmp_path / "a.json")
    with pytest.raises(DataError, match="cannot be read"):
        record.load(tmp_path / "absent.json")


def test_outside_a_repository_the_commit_is_unknown(monkeypatch):
    def fail(*_, **__):
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(record.subprocess, "run", fail)
    assert record.commit() == "unknown"
