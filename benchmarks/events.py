"""Which vehicles of a video with truth become events, exactly, once, and how fast.

    python -m training.render driveby --data DATA --out out/driveby --seed 4
    python -m benchmarks events out/driveby/driveby_4.mp4 out/driveby/driveby_4.json

The whole ``alpr-edge watch`` runs on the video, or on any other SOURCE of the same pictures such as
an RTSP server that sends it; the truth is a rendered video's. An event counts for the vehicle whose
text is nearest. The scores are those of the last announcements; those of the first ones, which are
told while a vehicle is still there, are beside them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpr_edge.errors import DataError, ExitCode, UsageError
from alpr_edge.picks import MODELS
from benchmarks import isa, record
from benchmarks.conditions import Conditions
from benchmarks.event_scores import Scores, Vehicle, load_truth, score
from benchmarks.figures import number
from benchmarks.models import folder_name
from benchmarks.report_facts import told_noise
from benchmarks.statistics import summary

CAMERA = "driveby"
FIGURES = ("recall", "precision", "exact", "duplicates")
LEAST, MOST_DUPLICATES = 0.97, 0.02
"""What recall, precision and exact must reach, and duplicates must not exceed."""


class Notes:
    """An output that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def event(self, event: Any, _media: Any) -> None:
        """Keep it."""
        self.events.append(event)

    def status(self, status: Any) -> None:
        """Nothing to keep."""

    def view(self, view: Any) -> None:
        """Nothing to keep."""

    def close(self) -> None:
        """Nothing is left to write."""


def watched(options: argparse.Namespace) -> dict[str, Any]:
    """Watch the source to its end: ``events``, and ``frames``, ``idle``, ``seconds``, ``cpu`` (of
    one core, this process).

    Raises:
        AlprEdgeError: the source cannot be read or an extra is missing.
    """
    from alpr_edge.watch.config import CameraConfig, Config, ModelConfig
    from alpr_edge.watch.watch import Watch

    camera = CameraConfig(name=CAMERA, source=options.source, every=options.every)
    config = Config(
        cameras=(camera,), model=ModelConfig(models=options.models, threads=options.threads)
    )
    notes = Notes()
    with Watch(config, [notes]) as watch:
        begin, cpu = time.perf_counter(), time.process_time()
        ended = watch.wait(options.seconds)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        counted = watch.metrics.cameras[CAMERA]
        problem = next((s.problem for s in watch.statuses() if s.problem), None)
    if ended and problem and not counted.frames:
        raise DataError(f"{options.source}: {problem}")
    return {
        "events": notes.events, "frames": counted.frames, "idle": counted.idle,
        "seconds": seconds, "cpu": cpu / seconds,
    }


def content(vehicles: Sequence[Vehicle], run: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a report."""
    events = run["events"]
    scores = {
        name: score(vehicles, [e.text for e in events if e.final is final])
        for name, final in (("last", True), ("first", False))
    }
    latencies = [event.latency_ms for event in events if not event.final]
    return {
        "vehicles": sum(vehicle.counts for vehicle in vehicles), "events": scores_json(scores),
        "wrong": list(scores["last"].wrong), "met": met(scores["last"]),
        "latency": summary(latencies) if latencies else {},
        "frames": run["frames"], "idle": run["idle"], "seconds": round(run["seconds"], 2),
        "fps": round(run["frames"] / run["seconds"], 2), "cpu": round(run["cpu"], 3),
    }


def scores_json(scores: Mapping[str, Scores]) -> dict[str, dict[str, Any]]:
    """Every figure with its k, n and interval."""
    return {
        name: {figure: number(getattr(one, figure)) for figure in FIGURES}
        for name, one in scores.items()
    }


def met(scores: Scores) -> bool:
    """Whether the bars are met."""
    high = all(rate.value >= LEAST for rate in (scores.recall, scores.precision, scores.exact))
    return high and scores.duplicates.value <= MOST_DUPLICATES


def text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    lines = [
        *told_noise(report),
        f"{report['folder']}, {report['vehicles']} vehicles, {report['frames']} frames, "
        f"{report['idle']} of them idle", "",
        "| announcement | event recall | precision | exact text | duplicates |",
        "|---|---|---|---|---|",
    ]
    for name, figures in report["events"].items():
        cells = [f"{f['k']}/{f['n']} = {f.get('value', 0):.1%}" for f in figures.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", *(f"- {line}" for line in report["wrong"])]
    late = report["latency"]
    told = f"frame to event p50 {late['p50']:.0f} ms, p95 {late['p95']:.0f} ms; " if late else ""
    lines.append(f"{told}{report['fps']:.1f} frames a second, {report['cpu']:.2f} cores")
    lines.append("met" if report["met"] else
                 f"missed: at least {LEAST:.0%}, duplicates at most {MOST_DUPLICATES:.0%}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks events``."""
    parser.add_argument("source", help="the video, or another source that shows it")
    parser.add_argument("truth", type=Path, help="its truth, a JSON file")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth frame")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of one inference")
    parser.add_argument("--models", type=Path, default=MODELS, metavar="DIR", help="models folder")
    parser.add_argument("--seconds", type=float, metavar="S",
                        help="stop after so long: a live source does not end by itself")
    isa.add_argument(parser)
    record.add_out(parser)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Watch the video and score what was told; fails where a bar is missed.

    Raises:
        AlprEdgeError: wrong options, source, truth or models.
    """
    if options.every < 1:
        raise UsageError(f"--every is {options.every}; allowed: 1 or more")
    vehicles, truth = load_truth(options.truth)
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    found = {"folder": folder_name(options.models), "threads": options.threads,
             "seed": truth["seed"]}
    report = record.record("events", arguments, named, before,
                           found | content(vehicles, watched(options)))
    print(text(report))
    record.save(report, options.out)
    return ExitCode.OK if report["met"] else ExitCode.FAILED
