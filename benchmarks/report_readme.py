"""The README's table: speed and accuracy of the models at the target's instruction set."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cases import JUDGED
from benchmarks.isa import CAPS
from benchmarks.report_accuracy import cell, difference, model_title
from benchmarks.report_facts import Report, Reports, facts, of_kind, told_noise
from benchmarks.report_pareto import digests

BLOCK = "results"
"""The README's block that the table is in."""
TARGET, THREADS = "zen2", 2
"""What the table is of."""
ACCURACY = (
    ("plates found, ccpd_base", "recall_50", "ccpd_base"),
    ("plates found, other complete frames", "recall_50", "other complete frames"),
    ("the same, at least 40 px wide in 1280", "recall_50_by_width", ">= 40 px, complete frames"),
    ("at least 40 px wide, incomplete frames too", "recall_50_by_width", ">= 40 px, all frames"),
    ("median corner error, ccpd_base", "corner_error", "ccpd_base"),
    ("false detections per picture", "false_per_picture", "all frames"),
    ("the same, plates that nobody annotated left out", "false_beyond_list", "all frames"),
    ("false plates shown per picture", "false_shown_per_picture", "all frames"),
    ("read exactly, cn_ccpd_crops", "exact_match", "cn_ccpd_crops"),
    ("read exactly, all labelled cut-outs", "exact_match", "all crops"),
    ("the same, wrong labels corrected", "exact_match_corrected", "all crops"),
    ("as labelled by `read --crops`: whole and where found", "cut_out", "all crops"),
    ("as labelled, given as pictures like any other", "close_up", "all crops"),
    ("read exactly, plates of two rows", "exact_match", "two rows"),
    ("end to end, ccpd_base", "end_to_end", "ccpd_base"),
)
"""Rows: label, figure, group."""
ASKED_FOR = frozenset(("false_beyond_list", "cut_out", "close_up", "exact_match_corrected"))
"""Figures that a report has if it was asked for them."""
SPEED = (
    (f"detection, {JUDGED.frame} frame", "detection"), ("reading, one plate", "reading"),
    ("both, without load", "total"), ("both, with load (JPEG)", "with_load"),
)
"""Rows: label, and the name in a case of ``stages``."""


def summary(reports: Reports) -> str:
    """The table, what it was measured on above it; how to measure, where no accuracy report tells
    all rows at the target."""
    accuracy = _accuracy(reports)
    if accuracy is None:
        return (f"Not measured: `python -m benchmarks accuracy --isa {TARGET} --data DATA --out "
                f"docs/results/accuracy-{TARGET}.json`")
    told, rows = _times(reports, accuracy)
    head = ["", *map(model_title, accuracy["models"]), ""]
    for label, figure, group in ACCURACY:
        entry = accuracy["metrics"].get(figure, {}).get(group)
        if entry is None:
            continue
        rows.append([label, *(cell(value, figure) for value in entry["models"]),
                     difference(entry.get("paired"))])
    return "\n".join([
        f"Accuracy: {facts(accuracy)} Split {accuracy['split']}, {accuracy['frames']} frames, "
        f"{accuracy['crops']} cut-outs; k/n and 95 % intervals.  ", *told, "",
        f"| {' | '.join(head)} |", "|---" * len(head) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ])


def _at_target(reports: Reports, kind: str) -> list[Report]:
    """Those of a kind that ran the target's instruction set, first those that were asked to: a CPU
    that has nothing above it runs it natively too."""
    ran = [report for report in of_kind(reports, kind).values()
           if report["isa"]["onednn"] == CAPS[TARGET].onednn]
    return sorted(ran, key=lambda report: bool(report["isa"]["asked"] != TARGET))


def _accuracy(reports: Reports) -> Report | None:
    """The first accuracy report at the target that tells all rows but those asked for."""
    always = [(figure, group) for _, figure, group in ACCURACY if figure not in ASKED_FOR]
    for report in _at_target(reports, "accuracy"):
        metrics = report["metrics"]
        if all(group in metrics.get(figure, {}) for figure, group in always):
            return report
    return None


def _times(reports: Reports, accuracy: Report) -> tuple[list[str], list[list[str]]]:
    """What is told of the times, and a row a sum of stages, of the first report that times the
    models whose accuracy is told; a model that it does not time has no time."""
    for speed in _at_target(reports, "stages"):
        cases = {digests(model): model["cases"].get(str(JUDGED)) for model in speed["models"]}
        timed = [cases.get(digests(model)) for model in accuracy["models"]]
        if speed["threads"] == THREADS and any(timed):
            told = [*told_noise(speed), f"Times: {facts(speed)} {speed['runs']} runs over "
                    f"{len(speed['scenes'])} pictures ({speed['pictures']}), p50 / p90."]
            return told, [[label, *(_pair(case and case[name]) for case in timed), "-"]
                          for label, name in SPEED]
    return [f"Times of these models at {TARGET} with {THREADS} threads: not measured."], []


def _pair(values: Mapping[str, float] | None) -> str:
    return "-" if values is None else f"{values['p50']:.1f} / {values['p90']:.1f} ms"
