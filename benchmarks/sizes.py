"""Input sizes of a detector: recall per plate width beside the time of detection.

    python -m benchmarks sizes --data DATA --detectors A B C --isa avx2 --threads 2

Each folder holds the same network exported at another size (``python -m optimize export --size``).
The recall is on ``--split`` (dev: it chooses), each size at the score threshold from which it makes
as many false detections as the others: a larger input sees more of everything. The time is that of
1920 x 1080 frames, taking turns.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from alpr_edge import metrics
from alpr_edge.budget import detection_ms
from alpr_edge.data import Split
from alpr_edge.detector import PlateDetector
from alpr_edge.errors import ExitCode
from alpr_edge.images import load_image
from alpr_edge.metrics import FrameResult
from alpr_edge.rates import Rate
from benchmarks import isa, machine, record
from benchmarks.accuracy import load
from benchmarks.cases import Case, Contestant, NullReader
from benchmarks.conditions import Conditions
from benchmarks.figures import finite
from benchmarks.harness import measure, unpaced
from benchmarks.scenes import make_scenes
from benchmarks.scores import WIDE_PLATE

RUNS = 100


def recalls(data: Path, split: str, detectors: Sequence[PlateDetector]) -> list[dict[str, Any]]:
    """For each detector: recall per width and of wide plates over all frames, false detections."""
    frames, _ = load(data, split, None)
    found: list[list[FrameResult]] = [[] for _ in detectors]
    for sample in track(frames, "detecting", console=Console(stderr=True), transient=True):
        image = load_image(sample.path)
        for detector, results in zip(detectors, found, strict=True):
            results.append(FrameResult(sample=sample, detections=detector.predict(image)))
    return [row(results) for results in found]


def row(results: Sequence[FrameResult]) -> dict[str, Any]:
    """The figures of one detector at its lowest threshold that is sure enough.

    Raises:
        DataError: no frame is completely annotated.
    """
    threshold = metrics.sure_threshold(results)
    results = [metrics.at_least(frame, threshold) for frame in results]
    complete = [frame for frame in results if frame.sample.complete]
    bins = metrics.recall_by_width(results)
    wide = metrics.recall_by_width(results, (WIDE_PLATE, math.inf))
    rates = metrics.detection_rates(complete, metrics.IOU_FOUND)
    corners = metrics.corner_errors(results)
    return {
        "threshold": threshold,
        "by_width": {
            f"{low:g}-{high:g}" if high < math.inf else f"≥ {low:g}": _rate(rate)
            for (low, high), rate in bins.items()
        },
        "wide": _rate(next(iter(wide.values()))),
        "complete": _rate(rates.recall),
        "precision": _rate(rates.precision),
        "corner_median": finite(corners.value),
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"k": rate.k, "n": rate.n}


def times(detectors: Sequence[PlateDetector], data: Path) -> list[float]:
    """Median milliseconds of the detection stages, the detectors taking turns."""
    contestants = [Contestant(detector, NullReader()) for detector in detectors]
    case = Case("1080p", 0)
    with tempfile.TemporaryDirectory() as folder:
        scenes = make_scenes(data, [case.frame], Path(folder), detectors[0].predict)
        taken = measure(contestants, scenes, [case], RUNS, unpaced).taken
    return [float(np.median([detection_ms(ms) for ms in runs[case]])) for runs in taken]


def markdown(rows: Sequence[dict[str, Any]], facts: str) -> str:
    """The table, a line a size."""
    widths = list(rows[0]["by_width"])
    head = ["input", "threshold", *(f"{width} px" for width in widths), f"≥ {WIDE_PLATE} px",
            "complete frames", "precision", "corner error", "detection p50"]
    lines = [facts, "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for one in rows:
        rates = [*one["by_width"].values(), one["wide"], one["complete"], one["precision"]]
        counts = [f"{r['k']}/{r['n']}" for r in rates]
        error = one["corner_median"]
        cells = [one["input"], f"{one['threshold']:.2f}", *counts,
                 "-" if error is None else f"{error:.1%}", f"{one['ms']:.1f} ms"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks sizes``."""
    parser.add_argument("--data", type=Path, required=True, help="folder of annotated pictures")
    parser.add_argument("--detectors", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--split", default=Split.DEV.value, choices=[s.value for s in Split])
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    isa.add_argument(parser)
    record.add_out(parser)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the command.

    Raises:
        AlprEdgeError: wrong options, data or models; see :mod:`alpr_edge.errors`.
    """
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    detectors = [
        PlateDetector(
            folder, threads=options.threads, min_score=metrics.SCORES[0], second_look=False
        )
        for folder in options.detectors
    ]
    rows = recalls(options.data, options.split, detectors)
    for one, detector, ms in zip(rows, detectors, times(detectors, options.data), strict=True):
        height, width = detector.engine.size
        one["input"] = f"{height}x{width}"
        one["ms"] = ms
    facts = (
        f"{machine.facts()['cpu']}, isa {named['onednn']}, {options.threads} threads; "
        f"recall at IoU > {metrics.IOU_FOUND:g} on {options.split} at "
        f"{metrics.FALSE_PER_PICTURE:g} false detections per picture, plate width in a "
        f"{metrics.FRAME_WIDTH}-pixel frame; "
        f"{', '.join(dict.fromkeys(one.engine.manifest.precision for one in detectors))}."
    )
    print(markdown(rows, facts))
    content = {"threads": options.threads, "split": options.split, "facts": facts, "rows": rows}
    record.save(record.record("sizes", arguments, named, before, content), options.out)
    return ExitCode.OK
