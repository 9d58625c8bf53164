"""Whether the machine was fit to be measured on: what disturbs timings, read from Linux.

What cannot be read is None and never counts as noise, nor as quiet: the report says "unknown".
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alpr_edge.cpu import BUSY, load_average

BACKGROUND = 0.1
"""Cores that others may use before a run is called noisy."""
STEADY_GOVERNORS = frozenset({"performance"})
_PROC, CPUS = Path("/proc"), Path("/sys/devices/system/cpu")
_WATCH_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """One look at the machine. ``background`` are the cores that other processes kept busy while
    this one slept, ``throttled`` how often the CPU slowed itself since it was started,
    ``governor`` the cores' frequency governors."""

    load: float
    background: float | None
    throttled: int | None
    governor: str | None

    @classmethod
    def now(cls, proc: Path = _PROC, sys: Path = CPUS) -> Conditions:
        """Look for half a second, in which this process does nothing."""
        return cls(
            load=load_average(), background=_background(proc), throttled=_throttled(sys),
            governor=_governors(sys),
        )


def noise(before: Conditions, after: Conditions) -> list[str]:
    """What was wrong with a run between two looks; nothing: the run is quiet. The load average
    after it is the run's own."""
    reasons = []
    if before.load > BUSY:
        reasons.append(f"load average {before.load:.2f} before (at most {BUSY:g})")
    for when, look in (("before", before), ("after", after)):
        if look.background is not None and look.background > BACKGROUND:
            used = f"{look.background:.2f} cores {when}"
            reasons.append(f"others used {used} (at most {BACKGROUND:g})")
    if None not in (before.throttled, after.throttled) and before.throttled != after.throttled:
        reasons.append("the CPU throttled itself")
    if before.governor is not None and before.governor not in STEADY_GOVERNORS:
        reasons.append(f"frequency governor {before.governor} (steady: performance)")
    return reasons


def told(before: Conditions, after: Conditions) -> dict[str, Any]:
    """Both looks and the verdict, for a report."""
    return {
        "before": dataclasses.asdict(before), "after": dataclasses.asdict(after),
        "noise": noise(before, after),
    }


def _background(proc: Path) -> float | None:
    """Busy cores in a short while in which this process sleeps."""
    begin = _busy_seconds(proc)
    mine, start = time.process_time(), time.monotonic()
    time.sleep(_WATCH_SECONDS)
    elapsed, end = time.monotonic() - start, _busy_seconds(proc)
    if begin is None or end is None:
        return None
    return round(max(0.0, end - begin - (time.process_time() - mine)) / elapsed, 3)


def _busy_seconds(proc: Path) -> float | None:
    """CPU time of all processes since the start, waiting not counted."""
    first = told_by(proc / "stat").partition("\n")[0].split()
    if len(first) < 9 or first[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, first[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _throttled(sys: Path) -> int | None:
    counts = [told_by(path) for path in _cores(sys, "thermal_throttle/core_throttle_count")]
    return sum(map(int, counts)) if counts and all(c.isdigit() for c in counts) else None


def _governors(sys: Path) -> str | None:
    found = {told_by(path) for path in _cores(sys, "cpufreq/scaling_governor")} - {""}
    return ", ".join(sorted(found)) or None


def _cores(sys: Path, name: str) -> Sequence[Path]:
    return sorted(sys.glob(f"cpu[0-9]*/{name}"))


def told_by(path: Path) -> str:
    """What a file of the kernel's says; nothing where it cannot be read."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
