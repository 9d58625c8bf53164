"""How long a service takes from its start until systemd hears that it is ready (make verify)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import service

from alpr_edge.cpu import BUSY, load_average

RESTART_SECONDS = 2.0
"""With compiled networks kept: from the command to READY=1."""
STARTS = 3
"""The quickest counts."""


def cpu_seconds(process: int) -> float:
    """What a process has computed so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = map(int, fields[11:13])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def seconds_to_ready(folder: Path, command: str) -> tuple[float, float]:
    """The time, and how much of it was computed."""
    with service.ready(folder, command) as (process, seconds):
        return seconds, cpu_seconds(process.pid)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["watch", "serve"])
def test_a_restart_is_ready_in_time(tmp_path, command):
    """On a busy machine what counts is the time computed: the rest was spent waiting for others."""
    service.site(tmp_path)
    first, _ = seconds_to_ready(tmp_path, command)
    assert list((tmp_path / "cache").glob("*.blob"))
    again = np.array([seconds_to_ready(tmp_path, command) for _ in range(STARTS)])
    taken, computed = again.min(axis=0)
    print(f"{command}: first start {first:.2f} s, restart {taken:.2f} s, of which computed "
          f"{computed:.2f} s; load average {load_average():.1f}")
    assert (computed if load_average() > BUSY else taken) <= RESTART_SECONDS
