"""A report as tables, for the terminal and for docs/optimize.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpr_edge import markdown
from alpr_edge.cpu import BUSY
from alpr_edge.errors import OutputError
from optimize.report import Drop, Measured, Variant, drop
from optimize.select import front
from optimize.steps import read_json

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "optimize.md"
COMMITTED = ROOT / "docs" / "results" / "optimize.json"
BLOCK = "variants"
NOTHING = "Not measured yet."
_HEAD = ("variant", "made by", "input", "parameters", "MB", "GMAC", "p50", "p90", "accuracy",
         "drop", "of AP", "front")


def tables(report: Mapping[str, Any] | None) -> str:
    """The tables of a report, one a task and target, then the picks; :data:`NOTHING` without."""
    if not report or not report["measured"]:
        return NOTHING
    parts = [table(Measured.from_json(entry), report["split"]) for entry in report["measured"]]
    return "\n\n".join([*parts, *(_pick(pick) for pick in report["picks"])])


def table(measured: Measured, split: str) -> str:
    """One task at one target, a row a variant."""
    load = measured.load_before
    busy = f" The load average was {load:.1f} before: the times are unreliable." * (load > BUSY)
    what = "plates found, IoU 0.5" if measured.task == "detector" else "cut-outs read exactly"
    on_front = {variant.name for variant in front(measured)}
    lines = [
        f"**{measured.task}, {measured.target}**: {measured.cpu}, oneDNN {measured.onednn}, "
        f"OpenVINO {measured.openvino}, {measured.threads} threads, {measured.runs} runs taking "
        f"turns; accuracy is {what} on {split}, with 95 % intervals; drop in points against "
        f"{measured.root.name}, paired.{busy}",
        "", f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|",
    ]
    for variant in measured.variants:
        cells = _cells(variant, drop(measured.root, variant), variant.name in on_front)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(variant: Variant, lost: Drop, on_front: bool) -> list[str]:
    rate = variant.rate
    low, high = rate.interval()
    zeros = f" ({variant.zeros / variant.parameters:.0%} zero)" if variant.parameters else ""
    return [
        variant.name, " → ".join(variant.steps[1:]), f"{variant.height}x{variant.width}",
        f"{variant.parameters / 1e6:.2f} M{zeros}", f"{variant.bytes / 1e6:.2f}",
        f"{variant.macs / 1e9:.3f}", f"{variant.latency.p50:.2f} ms",
        f"{variant.latency.p90:.2f} ms",
        f"{rate.k}/{rate.n} = {rate.value:.1%} ({low:.1%} to {high:.1%})",
        f"{lost.hits:+.2f} ({lost.low:+.2f} to {lost.high:+.2f})",
        "-" if lost.average_precision is None else f"{lost.average_precision:+.2f}",
        "yes" if on_front else "",
    ]


def _pick(pick: Mapping[str, Any]) -> str:
    predicted = f" (predicted from {pick['measured_at']})" * pick["predicted"]
    return (
        f"Pick for {pick['task']} on {pick['target']}{predicted}: **{pick['variant']}**, "
        f"{pick['speed_up']:.2f} times as fast, drop {pick['drop']:+.2f} of at most "
        f"{pick['max_drop']:g} points."
    )


def document(text: str) -> str:
    """docs/optimize.md with the tables of the committed report.

    Raises:
        DataError: its markers are missing.
    """
    return markdown.replace_block(text, BLOCK, tables(read_json(COMMITTED)))


def write_document() -> Path:
    """Write docs/optimize.md anew.

    Raises:
        DataError: its markers are missing. OutputError: it cannot be written.
    """
    try:
        DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")
    except OSError as error:
        raise OutputError(f"{DOCUMENT} cannot be written: {error.strerror}") from error
    return DOCUMENT
