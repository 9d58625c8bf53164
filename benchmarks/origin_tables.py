"""The report of ``python -m training origin`` as Markdown: the origin's own design beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.cases import JUDGED
from benchmarks.report_facts import facts, told_noise
from benchmarks.statistics import BLOCKS, paired_ratio

PARTS = ("detection", "reading", "total")


def markdown(report: Mapping[str, Any]) -> str:
    """Conditions, then a row a contestant: p50 and p90 of each part, and how many times ours."""
    models = report["models"]
    lines = [
        *told_noise(report),
        f"{facts(report)} PyTorch {report['machine']['torch']}, {report['isa']['torch']}. "
        f"{report['runs']} runs of {JUDGED}, taking turns.",
        f"`{report['command']}`", "",
        f"| ms, p50 / p90 (times ours) | {' | '.join(PARTS)} |", "|---" * (len(PARTS) + 1) + "|",
    ]
    ours = models[0]["cases"][str(JUDGED)]
    for model in models:
        height, width = model["input"]
        name = f"{model['name']}, {height} x {width}"
        name += " (random weights: latency only)" if model["untrained"] else ""
        case = model["cases"][str(JUDGED)]
        cells = [_cell(case, part, None if case is ours else ours) for part in PARTS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(case: Mapping[str, Any], part: str, ours: Mapping[str, Any] | None) -> str:
    times = f"{case[part]['p50']:.1f} / {case[part]['p90']:.1f}"
    if ours is None:
        return times
    first, second = ours["parts"][part], case["parts"][part]
    if len(first) < BLOCKS:
        return f"{times} ({case[part]['p50'] / ours[part]['p50']:.1f}x)"
    ratio = paired_ratio(first, second)
    return f"{times} ({ratio.value:.1f}x, {ratio.low:.1f} to {ratio.high:.1f})"
