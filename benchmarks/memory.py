"""Resident memory of a process that reads pictures for long, and whether it grows.

    python -m benchmarks memory --frames 10000 --out memory.json

A fresh process does what ``alpr-edge read`` does, over the same pictures again and again, and notes
its resident set (VmRSS) as it goes; its peak is VmHWM, the kernel's own. Growth is the slope of a
line through the second half of the notes: what is allocated once has its place by then.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from alpr_edge import heap
from alpr_edge.errors import AlprEdgeError, DataError, ExitCode, UsageError
from alpr_edge.pipeline import ALPR
from benchmarks import isa, record
from benchmarks.conditions import Conditions
from benchmarks.launches import KILLED
from benchmarks.models import folder_name
from benchmarks.pictures import add_reading, picture_files

MB = 1024.0
"""Kilobytes in what is called MB here, as in the kernel's VmRSS."""
NOTES = 200
"""How often a run notes its memory."""
STEADY_MB, GROWTH_MB = 250.0, 1.0
"""Bars: the steady resident set, and growth over 10 000 frames."""
LONG = 5_000
"""Frames from which growth is judged: before, the first pictures' memory is still on its way."""
STATUS = Path("/proc/self/status")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Of a run over ``frames``: megabytes after the first picture, in the second half (median), at
    the peak, and the growth per 10 000 frames; ``samples`` are (frame, MB)."""

    frames: int
    first_mb: float
    steady_mb: float
    peak_mb: float
    growth_mb: float
    samples: tuple[tuple[int, float], ...]

    @property
    def met(self) -> bool:
        """Whether both bars are kept."""
        grows = self.frames >= LONG and self.growth_mb > GROWTH_MB
        return self.steady_mb <= STEADY_MB and not grows


def resident(field: str = "VmRSS", status: Path = STATUS) -> float:
    """A field of the process's status in MB.

    Raises:
        UsageError: the system does not tell it.
    """
    try:
        lines = status.read_text("ascii").splitlines()
    except OSError as error:
        raise UsageError(f"{status} cannot be read ({error.strerror}): memory is measured on Linux "
                         "only") from error
    for line in lines:
        name, _, value = line.partition(":")
        if name == field:
            return float(value.split()[0]) / MB
    raise UsageError(f"{status} has no {field}: memory is measured on Linux only")


def judged(samples: Sequence[tuple[int, float]], peak: float) -> Memory:
    """What the notes of a run say.

    Raises:
        DataError: there are fewer than four.
    """
    if len(samples) < 4:
        raise DataError(f"{len(samples)} notes of memory; at least 4 are needed: more --frames")
    half = np.array(samples[len(samples) // 2 :], float)
    slope = float(np.polyfit(half[:, 0], half[:, 1], 1)[0])
    return Memory(
        frames=samples[-1][0], first_mb=samples[0][1], steady_mb=float(np.median(half[:, 1])),
        peak_mb=peak, growth_mb=slope * 10_000, samples=tuple(samples),
    )


def watched(models: Path, threads: int | None, files: Sequence[Path], frames: int) -> Iterator[
    tuple[int, float]
]:
    """Read ``frames`` pictures in this process; (frame, MB) now and then."""
    alpr = ALPR(models=models, threads=threads)
    every = max(1, frames // NOTES)
    for number in range(1, frames + 1):
        alpr.predict(files[number % len(files)])
        if number in (1, frames) or number % every == 0:
            yield number, round(resident(), 2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks memory``."""
    parser.add_argument("--frames", type=int, default=10_000, help="pictures to read (10000)")
    add_reading(parser)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measure in a fresh process; 1 where a bar is missed.

    Raises:
        AlprEdgeError: wrong options, data or models.
    """
    if options.frames < 1:
        raise UsageError(f"--frames is {options.frames}; allowed: 1 or more")
    if options.child:
        return _child(options)
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    memory = judged(*_run(options, arguments))
    content: dict[str, Any] = {"folder": folder_name(options.models), "threads": options.threads,
                               **dataclasses.asdict(memory), "met": memory.met}
    print(text(memory))
    record.save(record.record("memory", arguments, named, before, content), options.out)
    return ExitCode.OK if memory.met else ExitCode.FAILED


def text(memory: Memory) -> str:
    """One line."""
    growth = f"{memory.growth_mb:+.1f} MB per 10 000 frames (at most {GROWTH_MB:g})"
    if memory.frames < LONG:
        growth = f"not told of fewer than {LONG} frames"
    return (
        f"memory over {memory.frames} frames: steady {memory.steady_mb:.0f} MB (at most "
        f"{STEADY_MB:.0f}), peak {memory.peak_mb:.0f} MB, growth {growth}"
    )


def _run(
    options: argparse.Namespace, arguments: Sequence[str]
) -> tuple[list[tuple[int, float]], float]:
    """The notes of a fresh process, and its peak.

    Raises:
        SystemExit: the process failed; it told why. AlprEdgeError: it was killed.
    """
    command = [sys.executable, "-m", "benchmarks", *arguments, "--child"]
    notes: list[tuple[int, float]] = []
    peak = 0.0
    environment = isa.capped_environment(options.isa)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            with Progress(console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task("reading", total=options.frames)
                for line in child.stdout:
                    number, megabytes, peak = json.loads(line)
                    notes.append((number, megabytes))
                    progress.update(task, completed=number)
        except KeyboardInterrupt:
            child.terminate()
            raise
    if child.returncode < 0:
        raise AlprEdgeError(KILLED)
    if child.returncode:
        raise SystemExit(child.returncode)
    return notes, peak


def _child(options: argparse.Namespace) -> int:
    heap.keep_freed()
    files = picture_files(options.data)
    for number, megabytes in watched(options.models, options.threads, files, options.frames):
        print(json.dumps([number, megabytes, round(resident("VmHWM"), 2)]), flush=True)
    return ExitCode.OK
