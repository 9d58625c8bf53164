"""Joules a picture costs, from the CPU's own meter (RAPL), where the system lets it be read.

    python -m benchmarks energy --seconds 20 --out energy.json

The meter counts the whole package: everything the machine did in that time. What it does without
us is measured before and subtracted. Where there is no meter, or it may not be read, the answer is
"not available": nothing is estimated.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alpr_edge.errors import ExitCode, UsageError
from alpr_edge.pipeline import ALPR
from benchmarks import isa, record
from benchmarks.conditions import Conditions
from benchmarks.models import folder_name
from benchmarks.pictures import add_reading, picture_files

NOT_AVAILABLE = "not available"
POWERCAP = Path("/sys/class/powercap")
"""Linux's interface, of Intel's and AMD's meters alike."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Meter:
    """The packages' energy counters: file and the value they begin anew at, both microjoules."""

    counters: tuple[tuple[Path, int], ...]

    def read(self) -> list[int]:
        """All counters now.

        Raises:
            OSError: one may not be read. ValueError: it holds no number.
        """
        return [int(path.read_text("ascii")) for path, _ in self.counters]

    def joules(self, begin: Sequence[int], end: Sequence[int]) -> float:
        """Between two readings; a counter that is lower at the end has begun anew once."""
        total = 0
        for (_, limit), first, last in zip(self.counters, begin, end, strict=True):
            total += last - first + (limit if last < first else 0)
        return total / 1e6


def find_meter(powercap: Path = POWERCAP) -> Meter | str:
    """The meter, or why there is none."""
    try:
        packages = sorted(zone for zone in powercap.glob("*rapl:[0-9]*") if _is_package(zone))
        if not packages:
            return f"{powercap} has no energy counters (a virtual machine, or no driver)"
        meter = Meter(counters=tuple(
            (p / "energy_uj", int((p / "max_energy_range_uj").read_text("ascii")))
            for p in packages
        ))
        meter.read()
    except PermissionError as error:
        return f"{error.filename} may be read by root only; run as root, or chmod it"
    except (OSError, ValueError) as error:
        return f"{powercap}: a counter cannot be read ({error})"
    return meter


def _is_package(zone: Path) -> bool:
    """Whether a zone counts a CPU's package: others count a part of one, or the whole platform."""
    return (zone / "name").read_text("ascii").startswith("package")


def per_frame(
    meter: Meter, predict: Callable[[int], object], seconds: float,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
) -> dict[str, float]:
    """Joules a frame above the idle machine: ``seconds`` of idling, then as many of reading."""
    start = meter.read()
    sleep(seconds)
    idle = meter.joules(start, meter.read()) / seconds
    begin, start, frames = clock(), meter.read(), 0
    while clock() - begin < seconds:
        predict(frames)
        frames += 1
    elapsed = clock() - begin
    spent = meter.joules(start, meter.read())
    return {
        "joules_per_frame": (spent - idle * elapsed) / frames, "idle_watts": idle,
        "working_watts": spent / elapsed, "frames_per_second": frames / elapsed,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks energy``."""
    parser.add_argument("--seconds", type=float, default=20.0, help="of idling, and of reading")
    add_reading(parser)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measure, or say that it cannot be measured here, which is no failure.

    Raises:
        AlprEdgeError: wrong options, data or models.
    """
    if not options.seconds > 0:
        raise UsageError(f"--seconds is {options.seconds}; allowed: more than 0")
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    meter = find_meter()
    content: dict[str, Any] = {"folder": folder_name(options.models), "threads": options.threads}
    if isinstance(meter, str):
        content |= {"joules_per_frame": NOT_AVAILABLE, "why": meter}
    else:
        alpr = ALPR(models=options.models, threads=options.threads)
        files = picture_files(options.data)
        content |= per_frame(meter, lambda n: alpr.predict(files[n % len(files)]), options.seconds)
    print(text(content))
    record.save(record.record("energy", arguments, named, before, content), options.out)
    return ExitCode.OK


def text(content: dict[str, Any]) -> str:
    """One line."""
    if content["joules_per_frame"] == NOT_AVAILABLE:
        return f"energy: {NOT_AVAILABLE} ({content['why']})"
    return (
        f"energy: {content['joules_per_frame']:.3f} J a frame above idle "
        f"({content['idle_watts']:.1f} W idle, {content['working_watts']:.1f} W working, "
        f"{content['frames_per_second']:.1f} frames a second)"
    )
