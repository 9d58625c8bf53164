"""Capped child processes: how their errors end this one, and waiting before something is timed."""

import subprocess

import pytest
import tiny

from alpr_edge.errors import ExitCode
from optimize import capped
from optimize.__main__ import main
from optimize.capped import ChildError
from optimize.steps import StepFailedError


@pytest.mark.parametrize(("lacking", "code", "told"), [
    ("model", ExitCode.MODEL, "no manifest at"), ("data", ExitCode.USAGE, "does not exist"),
])
def test_a_childs_error_ends_the_command_as_its_own(tmp_path, data, capsys, lacking, code, told):
    """Once all were exit code 1: the gate failed."""
    model, absent = tiny.build_reader(tmp_path / "a", "A1"), tmp_path / "absent"
    folder = str(absent if lacking == "model" else model)
    pictures = str(absent if lacking == "data" else data)
    assert main(["compare", folder, folder, "--data", pictures, "--target", "native"]) == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("code", "stderr", "told"), [
    (-9, "", r"compare at x was killed \(-9\), perhaps for want of memory.* told: nothing"),
    (1, "Traceback ...\nMemoryError\n", r"broke down \(1\), perhaps for .*\nMemoryError$"),
])
def test_a_child_that_was_killed_has_not_failed_a_gate(monkeypatch, code, stderr, told):
    monkeypatch.setattr(capped, "verified", lambda target: "x")
    monkeypatch.setattr(capped.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess(
        [], code, stdout="", stderr=stderr
    ))
    with pytest.raises(ChildError, match=f"(?s){told}"):
        capped.run_capped("compare", "native")
    assert not issubclass(ChildError, StepFailedError)  # for which a candidate is left out


@pytest.mark.parametrize(("loads", "looks"), [
    ([0.3], 0),
    ([1.8, 1.2, 0.7, 0.4], 3),
    ([1.8, 1.2, 1.3, 0.1], 2),  # others work too: that is told, not waited for
    ([9 - 0.01 * number for number in range(900)], 30),
])
def test_it_waits_as_long_as_the_load_falls(monkeypatch, loads, looks):
    now, left, slept = 0.0, iter(loads), []

    def sleep(seconds):
        nonlocal now
        now += seconds
        slept.append(seconds)

    monkeypatch.setattr(capped, "load_average", lambda: next(left))
    monkeypatch.setattr(capped.time, "monotonic", lambda: now)
    monkeypatch.setattr(capped.time, "sleep", sleep)
    capped.settle()
    assert len(slept) == looks
