"""The report of :mod:`benchmarks.accuracy` as tables on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from alpr_edge import metrics

_FILE_WIDTH = 160
"""Columns where stdout is no terminal."""
_SHARES, _COUNTS = ".1%", ".3f"
_FALSE_READS = 0.01
"""The share of false reads whose threshold is shown."""
_WORST = 12
"""So many confusions are shown."""
_COUNTED = ("false_per_picture", "false_beyond_list", "false_shown_per_picture")
TITLES = {
    "recall_50": "Plates found, IoU > 0.5 (recall)",
    "precision_50": "Detections that are plates, IoU > 0.5 (precision)",
    "average_precision_50": "Average precision, IoU > 0.5",
    "recall_70": "Plates found tightly, IoU > 0.7 (recall)",
    "precision_70": "Detections that are plates, IoU > 0.7 (precision)",
    "average_precision_50_95": "Average precision, mean of IoU > 0.5 to 0.95",
    "false_per_picture": "False detections per picture",
    "false_beyond_list": "False detections per picture, plates that nobody annotated left out",
    "false_shown_per_picture": "False plates per picture that are shown (text certain enough)",
    "recall_50_by_width": f"Recall per plate width in a {metrics.FRAME_WIDTH}-px frame, IoU > 0.5",
    "corner_error": "Corner error, share of the plate's width: median (95 % interval), p95",
    "exact_match": "Cut-outs read exactly",
    "exact_match_corrected": "Cut-outs read exactly, wrong labels corrected",
    "exact_match_distinct": "Cut-outs read exactly, mean per distinct text",
    "character_errors": "Character errors (CER)",
    "exact_position": "Characters read right, by position in the true text",
    "close_up": "Cut-outs given as pictures like any other, found and read exactly",
    "cut_out": "Cut-outs read whole and where the plate is found, the surest reading right",
    "end_to_end": "Found (IoU > 0.6) and read exactly, end to end",
    "end_to_end_distinct": "Found and read exactly, mean per distinct text",
}


def tables(report: dict[str, Any]) -> Iterator[Table]:
    """The report as tables, one a figure, one column a model."""
    names = [about["folder"] for about in report["models"]]
    for name, groups in report["metrics"].items():
        if not groups:
            continue
        scale = _COUNTS if name in _COUNTED else _SHARES
        table = Table("", *names, title=TITLES[name], title_justify="left")
        paired = any("paired" in entry for entry in groups.values())
        if paired:
            table.add_column("second - first, paired")
        for group, entry in groups.items():
            cells = [_cell(figure, scale) for figure in entry["models"]]
            if paired:
                cells.append(_difference(entry["paired"]))
            table.add_row(group, *cells)
        yield table


def confidence_tables(report: dict[str, Any]) -> Iterator[Table]:
    """Of each model: what its confidence is worth a group of cut-outs, and its confusions."""
    models = zip(report["models"], report["confusion"], strict=True)
    for number, (about, confused) in enumerate(models):
        table = Table(
            "", "threshold", "false reads", "false rejects", "AUC", "calibration error",
            f"threshold for {_FALSE_READS:.0%} false reads", title_justify="left",
            title=f"Confidence of {about['folder']}: wrong of the shown, not rightly shown of all",
        )
        for group, entry in report["confidence"].items():
            table.add_row(group, *_confidence_cells(entry["models"][number]))
        yield table
        worst = Table("true", "read", "times", title_justify="left",
                      title=f"Most frequent confusions of {about['folder']}")
        for row in confused[:_WORST]:
            worst.add_row(row["truth"] or "none", row["read"] or "none", str(row["count"]))
        yield worst


def _confidence_cells(entry: dict[str, Any]) -> list[str]:
    row = next(r for r in entry["thresholds"] if r["false_reads_at_most"] == _FALSE_READS)
    wanted = "none" if row["threshold"] is None else (
        f"{row['threshold']:.3f}, {row['false_rejects']['value']:.1%} rejected"
    )
    auc = "-" if entry["auc"] is None else f"{entry['auc']:.3f}"
    shares = [_cell(entry[name], _SHARES) for name in ("false_reads", "false_rejects")]
    error = f"{entry['calibration_error']:.1%}"
    return [f"{entry['threshold']:.3f}", *shares, auc, error, wanted]


def _cell(figure: dict[str, Any], scale: str) -> str:
    if "value" not in figure:
        return "-"
    parts = [f"{figure['k']}/{figure['n']}"] if "k" in figure else []
    parts.append(format(figure["value"], scale))
    if "low" in figure:
        parts.append(f"({figure['low']:{scale}}..{figure['high']:{scale}})")
    if "p95" in figure:
        parts.append(f"p95 {figure['p95']:{scale}}, n {figure['n']}")
    return "  ".join(parts)


def _difference(paired: dict[str, Any]) -> str:
    points, low, high = (100 * paired[key] for key in ("difference", "low", "high"))
    return (
        f"{points:+.1f} points ({low:+.1f}..{high:+.1f}), lost {paired['only_a']}, "
        f"won {paired['only_b']}, p {paired['p_value']:.2g}"
    )


def _corrupted(corruption: dict[str, str] | None) -> str:
    return f" under {corruption['name']} ({corruption['strength']})" if corruption else ""


def show(report: dict[str, Any]) -> None:
    """Print the report's tables on stdout."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(
        f"{report['frames']} frames, {report['crops']} cut-outs of split {report['split']}"
        f"{_corrupted(report['corruption'])}, "
        f"isa {report['isa']['asked']} ({report['isa']['onednn']}); k/n and 95 % intervals"
    )
    for table in (*tables(report), *confidence_tables(report)):
        console.print(table)
