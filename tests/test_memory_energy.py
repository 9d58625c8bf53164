"""Memory and energy: growth is seen, a meter that is not there is never replaced by a guess."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from alpr_edge.cpu import usable_cores
from alpr_edge.errors import AlprEdgeError, DataError, ExitCode, UsageError
from benchmarks import energy, memory
from benchmarks.__main__ import main
from benchmarks.energy import Meter, find_meter, per_frame


def test_growth_is_the_slope_of_the_second_half():
    warm_up = [(100 * i, 80.0 + 20 * i) for i in range(10)]
    flat = memory.judged([*warm_up, *((100 * i, 200.0) for i in range(10, 20))], peak=230.0)
    assert flat.growth_mb == pytest.approx(0, abs=1e-9) and flat.steady_mb == 200 and flat.met
    leak = memory.judged([(1000 * i, 100.0 + 0.5 * i) for i in range(20)], peak=110.0)
    assert leak.growth_mb == pytest.approx(5) and not leak.met
    short = memory.judged([(100 * i, 100.0 + 0.5 * i) for i in range(20)], peak=110.0)
    assert short.met and "not told of fewer than 5000 frames" in memory.text(short)
    heavy = memory.judged([(i, 251.0) for i in range(8)], peak=251.0)
    assert not heavy.met
    with pytest.raises(DataError, match="at least 4"):
        memory.judged([(1, 100.0)], peak=100.0)


WATCHED = """
from benchmarks.memory import watched
from benchmarks.pictures import picture_files
from alpr_edge.picks import MODELS
samples = list(watched(MODELS, 2, picture_files(None), 500))
print(samples[len(samples) // 2][1], samples[-1][1])
"""


@pytest.mark.slow
@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_memory_stays_flat_where_other_work_keeps_all_cores_busy():
    """Two networks of two threads each left 30 kB behind with every frame."""
    spin = [sys.executable, "-c", "while True: pass"]
    with contextlib.ExitStack() as others:
        for _ in range(usable_cores()):
            other = others.enter_context(subprocess.Popen(spin))
            others.callback(other.kill)
        done = subprocess.run(
            [sys.executable, "-c", WATCHED], cwd=ROOT, capture_output=True, text=True, check=True
        )
    middle, end = map(float, done.stdout.split())
    assert end - middle < 2


def test_a_child_that_fails_tells_why(tmp_path, capfd):
    with pytest.raises(SystemExit) as ended:
        main(["memory", "--models", str(tmp_path), "--frames", "4"])
    assert ended.value.code == ExitCode.MODEL and "error: " in capfd.readouterr().err


def test_a_child_that_was_killed_is_an_error(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(AlprEdgeError, match="was killed, perhaps for want of memory"):
        memory._run(argparse.Namespace(isa="native", frames=4), ["memory"])


def test_resident_memory_is_the_kernels(tmp_path):
    assert 10 < memory.resident() <= memory.resident("VmHWM")
    status = tmp_path / "status"
    status.write_text("Name:\tx\nVmRSS:\t  2048 kB\n")
    assert memory.resident(status=status) == 2.0
    with pytest.raises(UsageError, match="has no VmHWM"):
        memory.resident("VmHWM", status)
    with pytest.raises(UsageError, match="on Linux only"):
        memory.resident(status=tmp_path / "absent")


def test_memory_command_watches_a_process_of_its_own(tmp_path, tiny_models, capsys):
    out = tmp_path / "m.json"
    arguments = ["memory", "--frames", "12", "--threads", "1", "--models", str(tiny_models)]
    assert main([*arguments, "--out", str(out)]) in (0, 1)
    assert "steady" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["frames"] == 12 and len(report["samples"]) == 12
    assert report["peak_mb"] >= report["steady_mb"] > 10
    assert main(["memory", "--frames", "0"]) == 2


def meter(folder: Path, microjoules: int, most: int = 1_000_000) -> Path:
    package = folder / "intel-rapl:0"
    package.mkdir(exist_ok=True)
    (package / "energy_uj").write_text(f"{microjoules}\n")
    (package / "max_energy_range_uj").write_text(f"{most}\n")
    (package / "name").write_text("package-0\n")
    again = {"intel-rapl:0:0": "core", "intel-rapl:1": "psys", "intel-rapl-mmio:0": "package-0"}
    for zone, name in again.items():  # what they count is in the package's, or counts it
        (folder / zone).mkdir(exist_ok=True)
        (folder / zone / "name").write_text(f"{name}\n")
    return folder


def test_a_meter_is_found_and_counts_across_its_end(tmp_path):
    found = find_meter(meter(tmp_path, 900_000))
    assert isinstance(found, Meter) and len(found.counters) == 1
    begin = found.read()
    meter(tmp_path, 100_000)
    assert found.joules(begin, found.read()) == pytest.approx(0.2)


def test_without_a_meter_energy_is_not_available(tmp_path, monkeypatch):
    assert "no energy counters" in find_meter(tmp_path)
    meter(tmp_path, 5)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("none")
    assert "cannot be read" in find_meter(tmp_path)

    def forbidden(self, *_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", forbidden)
    assert "root only" in find_meter(tmp_path)


def test_joules_a_frame_are_what_is_above_idle(tmp_path):
    """10 W idle, 30 W working, two frames a second: 10 joules a frame."""
    found = find_meter(meter(tmp_path, 0, most=10**12))
    now, spent = [0.0], [0]

    def live(seconds: float, watts: float) -> None:
        now[0] += seconds
        spent[0] += int(seconds * watts * 1e6)
        meter(tmp_path, spent[0], most=10**12)

    told = per_frame(found, lambda n: live(0.5, 30), 4.0, lambda: now[0], lambda s: live(s, 10))
    assert told["joules_per_frame"] == pytest.approx(10)
    assert told["frames_per_second"] == pytest.approx(2)


def test_energy_command_says_that_it_cannot_measure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(energy, "find_meter", lambda: "no counters here")
    out = tmp_path / "e.json"
    assert main(["energy", "--out", str(out)]) == 0
    assert "not available (no counters here)" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["joules_per_frame"] == "not available" and report["why"] == "no counters here"
    assert main(["energy", "--seconds", "0"]) == 2
