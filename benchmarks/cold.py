"""Cold start: what a fresh process spends before its first result, with and without a cache.

    python -m benchmarks cold --data DATA --isa zen2 --threads 2 --out cold.json

Fresh processes, those with OpenVINO's cache of compiled models and those without taking turns, each
import the runtime, load and compile the networks and read one picture. The files are in the
system's page cache: one process of each kind goes before those that are counted, and fills the
cache of compiled models. Starting Python itself is not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge.errors import ExitCode, ModelError, UsageError
from benchmarks import isa, record
from benchmarks.conditions import Conditions
from benchmarks.models import folder_name
from benchmarks.pictures import add_reading, picture_files
from benchmarks.report_facts import told_noise

CHILD = "benchmarks.cold_start"
"""The module that a fresh process runs."""
FEWEST = 5
"""Processes of each kind that a median needs."""
STEPS = ("import", "load", "compile", "first_result")

Start = dict[str, float]
"""Milliseconds of each of :data:`STEPS` in one process."""


def start(models: Path, threads: int, picture: Path, cache: Path | None = None) -> Start:
    """One fresh process.

    Raises:
        ModelError: it failed; the message has its last word.
    """
    command = [sys.executable, "-m", CHILD, str(models), str(threads), str(picture)]
    done = subprocess.run(
        [*command, *([str(cache)] if cache else [])], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip() or "no output").splitlines()[-1]
        raise ModelError(f"{models}: a fresh process ended with {done.returncode} ({reason})")
    found: Start = json.loads(done.stdout)
    return found


def measure(
    models: Path, threads: int, picture: Path, runs: int
) -> tuple[list[Start], list[Start]]:
    """``runs`` fresh processes without the cache and as many with it, taking turns."""
    without, cached = [], []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(-1, runs):
            found = start(models, threads, picture), start(models, threads, picture, Path(folder))
            if run >= 0:
                without.append(found[0])
                cached.append(found[1])
    return without, cached


def medians(without: Sequence[Start], cached: Sequence[Start]) -> dict[str, Any]:
    """The report's figures. ``total_ms`` is from before the import to the first result."""
    def median(starts: Sequence[Start], steps: Sequence[str]) -> float:
        return round(float(np.median([sum(one[step] for step in steps) for one in starts])), 2)

    return {
        **{f"{step}_ms": median(without, [step]) for step in STEPS},
        **{f"{step}_cached_ms": median(cached, [step]) for step in STEPS},
        "total_ms": median(without, STEPS), "total_cached_ms": median(cached, STEPS),
        "samples": {"without": list(without), "cached": list(cached)},
    }


def markdown(report: dict[str, Any]) -> str:
    """The figures as a table."""
    rows = {step.replace("_", " "): step for step in STEPS} | {"**together**": "total"}
    figures = medians(**report["samples"])
    return "\n".join([
        *told_noise(report),
        f"{report['machine']['cpu']}, {report['threads']} threads, ISA {report['isa']['asked']} "
        f"(oneDNN: {report['isa']['onednn']}), models {report['folder']}; medians of "
        f"{report['runs']} fresh processes of each kind, ms.",
        "", "| | no cache | compiled models cached |", "|---|---|---|",
        *(f"| {name} | {figures[f'{step}_ms']:.1f} | {figures[f'{step}_cached_ms']:.1f} |"
          for name, step in rows.items()),
    ])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks cold``."""
    add_reading(parser)
    parser.add_argument("--runs", type=int, default=FEWEST,
                        help=f"fresh processes of each kind (default: {FEWEST}, the fewest)")


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the command.

    Raises:
        AlprEdgeError: wrong options, data or models.
    """
    for name, fewest in (("runs", FEWEST), ("threads", 1)):
        if (number := getattr(options, name)) < fewest:
            raise UsageError(f"--{name} is {number}; allowed: {fewest} or more")
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    picture = picture_files(options.data)[0]
    found = measure(options.models, options.threads, picture, options.runs)
    content = {
        "folder": folder_name(options.models), "threads": options.threads, "runs": options.runs,
        "picture": picture.name, **medians(*found),
    }
    report = record.record("cold", arguments, named, before, content)
    print(markdown(report))
    record.save(report, options.out)
    return ExitCode.OK
