"""Accuracy reports as tables: every figure with its count and its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpr_edge.errors import DataError
from benchmarks.accuracy_tables import TITLES
from benchmarks.report_facts import facts

_LEFT_OUT = frozenset((
    "average_precision_50", "average_precision_50_95", "precision_70", "exact_position",
))
"""Figures that only the command prints."""
_ALIKE = "isa", "split", "limit", "crops"
"""What corrupted pictures' reports must have in common to stand in one table."""


def accuracy(report: Mapping[str, Any]) -> list[str]:
    """One accuracy report as tables, a row a group of pictures."""
    names = [model_title(model) for model in report["models"]]
    lines = [
        f"{facts(report)}  ",
        f"{report['frames']} frames and {report['crops']} cut-outs of split {report['split']}; k/n "
        "and 95 % intervals.",
    ]
    for figure, title in TITLES.items():
        groups = report["metrics"].get(figure, {})
        if not groups or figure in _LEFT_OUT:
            continue
        paired = any("paired" in entry for entry in groups.values())
        head = ["", *names, *(["second - first"] if paired else [])]
        lines += ["", f"### {title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for group, entry in groups.items():
            cells = [cell(value, figure) for value in entry["models"]]
            if paired:
                cells.append(difference(entry.get("paired")))
            lines.append(f"| {group} | {' | '.join(cells)} |")
    return lines + confidence(report)


def corruptions(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Reports of corrupted pictures as one table: a row a corruption, cut-outs read exactly.

    Raises:
        DataError: they are not all of the same model, pictures and instruction set.
    """
    figure = "exact_match"
    groups = list(reports[0]["metrics"][figure])
    one = reports[0]
    for report in reports:
        differ = [name for name in _ALIKE if report.get(name) != one.get(name)]
        differ += ["models"] if report["models"][-1] != one["models"][-1] else []
        if differ:
            names = " and ".join(" ".join(r["corruption"].values()) for r in (one, report))
            raise DataError(f"reports of corruptions {names} differ in {', '.join(differ)}; one "
                            "table needs the same: measure them again")
    lines = [
        f"{facts(one)}  ",
        f"Cut-outs of split {one['split']} read exactly by {model_title(one['models'][-1])}; k/n "
        "and 95 % intervals.",
        "", f"| | {' | '.join(groups)} |", "|---" * (len(groups) + 1) + "|",
    ]
    for report in reports:
        corruption, entries = report["corruption"], report["metrics"][figure]
        cells = [cell(entries[group]["models"][-1], figure) for group in groups]
        lines.append(f"| {corruption['name']}, {corruption['strength']} | {' | '.join(cells)} |")
    return lines


def confidence(report: Mapping[str, Any]) -> list[str]:
    """What the last model's confidence is worth, a row a group of cut-outs."""
    groups = report.get("confidence", {})
    if not groups:
        return []
    lines = ["", f"### Confidence, {model_title(report['models'][-1])}", "",
             "| | threshold | false reads (of the shown) | false rejects (of all) | AUC | "
             "calibration error |", "|---" * 6 + "|"]
    for group, entry in groups.items():
        model = entry["models"][-1]
        shares = [cell(model[name], name) for name in ("false_reads", "false_rejects")]
        auc = "-" if model["auc"] is None else f"{model['auc']:.3f}"
        lines.append(f"| {group} | {model['threshold']:.3f} | {' | '.join(shares)} | {auc} | "
                     f"{model['calibration_error']:.1%} |")
    return lines


def model_title(model: Mapping[str, Any]) -> str:
    """A model folder with the precisions of both networks."""
    detector, reader = model["detector"]["precision"], model["reader"]["precision"]
    return f"{model['folder']} ({detector}, {reader})"


def cell(value: Mapping[str, Any], figure: str) -> str:
    """A figure with its count and interval: a share in per cent, false detections as a number."""
    if value.get("n") == 0 or value["value"] is None:
        return "-"
    style = ".3f" if figure.endswith(("_per_picture", "_beyond_list")) else ".1%"
    text = format(value["value"], style)
    if "k" in value:
        text = f"{value['k']}/{value['n']} = {text}"
    if "p95" in value:
        text += f", p95 {value['p95']:.1%}"
    if "low" not in value:
        return text
    return f"{text} ({format(value['low'], style)} to {format(value['high'], style)})"


def difference(paired: Mapping[str, Any] | None) -> str:
    """A paired difference in points, with its interval."""
    if paired is None:
        return "-"
    low, high = 100 * paired["low"], 100 * paired["high"]
    return f"{100 * paired['difference']:+.1f} points ({low:+.1f} to {high:+.1f})"
