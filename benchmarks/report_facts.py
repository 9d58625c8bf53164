"""What a report file is, where its figures come from, and what disturbed them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpr_edge.cpu import BUSY
from alpr_edge.errors import DataError

Report = Mapping[str, Any]
Reports = Mapping[str, Report]
"""Report by the name of its file, without .json: ``KIND`` or ``KIND-...``."""

RECORDED = frozenset({"budget", "cold", "energy", "memory", "model", "origin", "peers",
                      "stages", "throughput"})
"""Kinds whose figures are worth nothing without :func:`benchmarks.record.record`'s facts."""


OTHERS = {"ablations": "variants", "accuracy": "metrics", "cameras": "cameras",
          "corrupt": "metrics", "events": "events", "optimize": "measured", "sizes": "rows"}
"""The other kinds that a name may begin with, and what a report of each has."""


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """All reports of ``folder``, in the order of their names.

    Raises:
        DataError: there is none, or one is no JSON, or none that this version writes.
    """
    reports = {path.stem: _load(path) for path in sorted(folder.glob("*.json"))}
    for name in reports:
        if kind_of(name) not in RECORDED | OTHERS.keys():
            raise DataError(f"{folder / name}.json: a report's name begins with its kind, one of "
                            f"{', '.join(sorted(RECORDED | OTHERS.keys()))}; rename it")
    if not reports:
        raise DataError(f"{folder} holds no report; see docs/benchmark.md for the commands")
    return reports


def _load(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no JSON that can be read ({error}); measure again") from error
    kind = kind_of(path.stem)
    if not isinstance(report, dict) or (kind in RECORDED and report.get("kind") != kind):
        raise DataError(f"{path} is no report of `python -m benchmarks {kind}` as this version "
                        "writes it; measure again, or move it elsewhere")
    if kind in OTHERS and OTHERS[kind] not in report:
        raise DataError(f"{path} has no {OTHERS[kind]!r}, which every report named {kind} has; "
                        "measure again, or move it elsewhere")
    return report


def kind_of(name: str) -> str:
    """The command that a report is of, by its file's name."""
    return name.partition("-")[0]


def of_kind(reports: Reports, kind: str) -> dict[str, Report]:
    """The reports of one command."""
    return {name: report for name, report in reports.items() if kind_of(name) == kind}


def facts(report: Report) -> str:
    """One line: machine, instruction set, threads, versions, commit and date of a report."""
    machine, isa = report["machine"], report["isa"]
    threads = f"{report['threads'] or 'all'} threads, " if "threads" in report else ""
    return (
        f"{machine['cpu']}, {machine['usable_cores'] or machine['cores']} cores, {threads}ISA "
        f"{isa['asked']} (oneDNN: {isa['onednn']}), OpenVINO {machine['openvino']}, alpr-edge "
        f"{machine['alpr_edge']}, commit {report.get('commit', 'not recorded')}, "
        f"{report['date'][:10] if 'date' in report else 'date not recorded'}."
    )


def noise(report: Report) -> list[str]:
    """What disturbed the times of a report; nothing where it has none, as that of ``accuracy``."""
    if report.get("kind") == "accuracy":
        return []
    if "conditions" in report:
        return list(report["conditions"]["noise"])
    return [
        f"{entry['task']} at {entry['target']}: load average {entry['load_before']:.2f} before "
        f"(at most {BUSY:g})"
        for entry in report.get("measured", []) if entry["load_before"] > BUSY
    ]


def told_noise(report: Report) -> list[str]:
    """The first lines of a table: a line a reason to doubt its times."""
    return [f"noisy: {reason}  " for reason in noise(report)]
