"""The report of ``python -m benchmarks compare --against`` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpr_edge.isa import NATIVE
from benchmarks.report_accuracy import cell, difference
from benchmarks.report_facts import facts, told_noise

ALL = "all"
"""The group of all sets, told last."""
TITLES = {
    "end_to_end": "Plates found (IoU > 0.6) and read exactly",
    "text": "Plates read exactly, wherever the reader says they are",
}


def markdown(report: Mapping[str, Any]) -> str:
    """Conditions, times, then each figure of exactness, a row a set."""
    asked, readers = report["isa"]["asked"], report["readers"]
    lines = [
        *told_noise(report),
        f"{facts(report)} {report['frames']} {report['pictures']} of split {report['split']}, "
        "readers taking turns on each.",
        f"`{report['command']}`", "",
        "| reader | instruction set | time of a picture, p50 / p90 | times ours (95 % interval) |",
        "|---" * 4 + "|", *(_speed(reader, asked) for reader in readers),
    ]
    for name, title in TITLES.items():
        lines += _exact([r for r in readers if r.get("exact", {}).get(name)], name, title)
    failed = [reader for reader in readers if reader["failure"]]
    return "\n".join([*lines, *(["", *map(_failure, failed)] if failed else [])])


def _speed(reader: Mapping[str, Any], asked: str) -> str:
    latency = reader.get("latency")
    if latency is None:
        return f"| {reader['name']} | - | failed | |"
    cap = NATIVE if asked == NATIVE else f"capped to {asked}" if reader["capped"] else "not capped"
    ratio = reader.get("ratio")
    times = f"{latency['p50']:.1f} / {latency['p90']:.1f} ms"
    ours = f"{ratio['value']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f})" if ratio else ""
    return f"| {reader['name']} | {cap} | {times} | {ours} |"


def _exact(readers: list[Mapping[str, Any]], name: str, title: str) -> list[str]:
    """One figure: a column a reader, a row a set; last the difference to ours on all."""
    if not readers:
        return []
    groups = list(dict.fromkeys(group for r in readers for group in r["exact"][name]))
    lines = [f"**{title}**", "", f"| | {' | '.join(r['name'] for r in readers)} |",
             "|---" * (len(readers) + 1) + "|"]
    for group in sorted(groups, key=ALL.__eq__):
        values = [reader["exact"][name].get(group) for reader in readers]
        cells = [cell(value, name) if value else "-" for value in values]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    paired = [reader.get("paired", {}).get(name) for reader in readers]
    return ["", *lines, f"| less ours, all | {' | '.join(map(difference, paired))} |"]


def _failure(reader: Mapping[str, Any]) -> str:
    return f"- {reader['name']} failed at {reader['failure']}"
