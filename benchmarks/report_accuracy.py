"""Accuracy reports as tables: every figure with its count and its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report_facts import facts

TITLES = {
    "recall_50": "Plates found (recall, IoU > 0.5)",
    "recall_50_by_width": "Plates found per plate width in a 1280-pixel frame (IoU > 0.5)",
    "precision_50": "Detections that are plates (precision, IoU > 0.5)",
    "false_per_picture": "False detections per picture",
    "false_beyond_list": "False detections per picture, plates that nobody annotated left out",
    "false_shown_per_picture": "False plates per picture that are shown (text certain enough)",
    "recall_70": "Plates found tightly (recall, IoU > 0.7)",
    "corner_error": "Corner error, share of the plate's width: median",
    "exact_match": "Cut-outs read exactly",
    "exact_match_corrected": "Cut-outs read exactly, wrong labels corrected",
    "exact_match_distinct": "Cut-outs read exactly, mean per distinct text",
    "character_errors": "Character errors (CER)",
    "close_up": "Cut-outs given as pictures like any other, found and read exactly",
    "cut_out": "Cut-outs read whole and where the plate is found, the surest reading right",
    "end_to_end": "Found (IoU > 0.6) and read exactly, end to end",
    "end_to_end_distinct": "Found and read exactly, mean per distinct text",
}


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
        if not groups:
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
    """Reports of corrupted pictures as one table: a row a corruption, cut-outs read exactly."""
    figure = "exact_match"
    groups = list(reports[0]["metrics"][figure])
    one = reports[0]
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
