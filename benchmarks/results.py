"""docs/results.md and the README's table, made from the reports of the other commands.

    python -m benchmarks results

reads every report in docs/results (accuracy-*.json, corrupt-*.json, stages-*.json, sizes.json) and
writes the two documents anew, so that no figure in them is typed by hand.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpr_edge.errors import DataError, ExitCode, OutputError
from alpr_edge.markdown import replace_block
from benchmarks import sizes, stages_tables

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "docs" / "results"
DOCUMENT = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
BLOCK = "results"
"""The README's block that the table is in."""

TITLES = {
    "recall_50": "Plates found (recall, IoU > 0.5)",
    "recall_50_by_width": "Plates found per plate width in a 1280-pixel frame (IoU > 0.5)",
    "precision_50": "Detections that are plates (precision, IoU > 0.5)",
    "false_per_picture": "False detections per picture",
    "false_shown_per_picture": "False plates per picture that are shown (text certain enough)",
    "recall_70": "Plates found tightly (recall, IoU > 0.7)",
    "corner_error": "Corner error, share of the plate's width: median",
    "exact_match": "Cut-outs read exactly",
    "exact_match_distinct": "Cut-outs read exactly, mean per distinct text",
    "character_errors": "Character errors (CER)",
    "end_to_end": "Found (IoU > 0.6) and read exactly, end to end",
    "end_to_end_distinct": "Found and read exactly, mean per distinct text",
}
SUMMARY = (
    ("plates found, ccpd_base", "recall_50", "ccpd_base"),
    ("plates found, other complete frames", "recall_50", "other complete frames"),
    ("the same, at least 40 px wide in 1280", "recall_50_by_width", ">= 40 px, complete frames"),
    ("at least 40 px wide, incomplete frames too", "recall_50_by_width", ">= 40 px, all frames"),
    ("median corner error, ccpd_base", "corner_error", "ccpd_base"),
    ("false detections per picture", "false_per_picture", "all frames"),
    ("false plates shown per picture", "false_shown_per_picture", "all frames"),
    ("read exactly, cn_ccpd_crops", "exact_match", "cn_ccpd_crops"),
    ("read exactly, all labelled cut-outs", "exact_match", "all crops"),
    ("read exactly, plates of two rows", "exact_match", "two rows"),
    ("end to end, ccpd_base", "end_to_end", "ccpd_base"),
)
"""Rows of the README's table: label, figure, group."""


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """All reports of ``folder`` by the file's stem.

    Raises:
        DataError: there is none, or one is no JSON.
    """
    try:
        reports = {
            path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))
        }
    except ValueError as error:
        raise DataError(f"{folder}: a report is no JSON ({error}); measure again") from error
    if not reports:
        raise DataError(f"{folder} holds no report; see docs/benchmark.md for the commands")
    return reports


def document(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of docs/results.md."""
    parts = ["# Results", "", "Made by `python -m benchmarks results` from the reports in",
             "`docs/results`; [benchmark.md](benchmark.md) has the method and the commands."]
    for name, report in reports.items():
        if name.startswith("stages"):
            parts += ["", f"## Speed: {name.partition('-')[2]}", "", stages_tables.markdown(report)]
    for name, report in reports.items():
        if name.startswith("accuracy"):
            parts += ["", f"## Accuracy: {name.partition('-')[2]}", "", *accuracy(report)]
    corrupted = [report for name, report in reports.items() if name.startswith("corrupt")]
    if corrupted:
        parts += ["", "## Accuracy under corruptions", "", *corruptions(corrupted)]
    if "sizes" in reports:
        parts += ["", "## The detector's input size", "",
                  sizes.markdown(reports["sizes"]["rows"], reports["sizes"]["facts"])]
    return "\n".join(parts) + "\n"


def accuracy(report: Mapping[str, Any]) -> list[str]:
    """One accuracy report as tables, a row a group of pictures."""
    names = [_model(model) for model in report["models"]]
    isa = report["isa"]
    lines = [
        f"{report['frames']} frames and {report['crops']} cut-outs of split {report['split']}, ISA "
        f"{isa['asked']} (oneDNN: {isa['onednn']}), {report['machine']['cpu']}; k/n and 95 % "
        "intervals.",
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
        f"Cut-outs of split {one['split']} read exactly by {_model(one['models'][-1])}, "
        f"ISA {one['isa']['asked']} (oneDNN: {one['isa']['onednn']}).",
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
    lines = ["", f"### Confidence, {_model(report['models'][-1])}", "",
             "| | threshold | false reads (of the shown) | false rejects (of all) | AUC | "
             "calibration error |", "|---" * 6 + "|"]
    for group, entry in groups.items():
        model = entry["models"][-1]
        shares = [cell(model[name], name) for name in ("false_reads", "false_rejects")]
        auc = "-" if model["auc"] is None else f"{model['auc']:.3f}"
        lines.append(f"| {group} | {model['threshold']:.3f} | {' | '.join(shares)} | {auc} | "
                     f"{model['calibration_error']:.1%} |")
    return lines


def _model(model: Mapping[str, Any]) -> str:
    detector, reader = model["detector"]["precision"], model["reader"]["precision"]
    return f"{model['folder']} ({detector}, {reader})"


def cell(value: Mapping[str, Any], figure: str) -> str:
    """A figure with its count and interval: a share in per cent, false detections as a number."""
    if value.get("n") == 0 or value["value"] is None:
        return "-"
    style = ".3f" if figure.endswith("_per_picture") else ".1%"
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


def summary(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The README's table: speed and accuracy of the shipped models at the target's ISA."""
    lines = ["| | FP32 | shipped | |", "|---|---|---|---|"]
    stages = reports["stages-avx2"]
    for label, part in (("detection, 1080p frame, p50", "detection"),
                        ("reading, one plate, p50", "reading")):
        values = [model["ms"][part]["total"]["p50"] for model in stages["models"]]
        lines.append(f"| {label} | {' | '.join(f'{v:.1f} ms' for v in values)} | |")
    for label, figure, group in SUMMARY:
        entry = reports["accuracy-avx2"]["metrics"][figure][group]
        cells = [cell(value, figure) for value in entry["models"]]
        lines.append(f"| {label} | {' | '.join(cells)} | {difference(entry.get('paired'))} |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``python -m benchmarks results`` has no options."""


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Write both documents.

    Raises:
        DataError: reports or markers are missing. OutputError: a document cannot be written.
    """
    reports = load(REPORTS)
    try:
        DOCUMENT.write_text(document(reports), "utf-8")
        readme = README.read_text("utf-8")
        README.write_text(replace_block(readme, BLOCK, summary(reports)), "utf-8")
    except OSError as error:
        raise OutputError(f"{error.filename} cannot be written: {error.strerror}") from error
    print(f"{DOCUMENT.relative_to(ROOT)} and {README.name} are made from {len(reports)} reports")
    return ExitCode.OK
