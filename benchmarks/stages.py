"""Time of every stage of the pipeline, per model folder, and the verdict against the budget.

    python -m benchmarks stages --threads 2 --isa avx2 --models FP32 INT8 --data DATA --out S.json

Detection is letterbox + detect + postprocess of a 1920 x 1080 frame; reading is rectify + read +
text of one plate, with four plates at once beside it. All times are the pipeline's own stamps
(:meth:`alpr_edge.pipeline.ALPR.run`). Models take turns on each frame, so that a machine that
slows down slows all of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from alpr_edge import budget, geometry
from alpr_edge import manifest as manifests
from alpr_edge.cpu import load_average
from alpr_edge.data import PlateTruth, Sample, Split, read
from alpr_edge.data.folders import pictures_in
from alpr_edge.detector import PlateDetector
from alpr_edge.engine import Engine
from alpr_edge.errors import DataError, ExitCode, OutputError, UsageError
from alpr_edge.images import load_image
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import ALPR
from alpr_edge.reader import PlateReader
from alpr_edge.stages import DETECTION_STAGES, READING_STAGES, Stage
from alpr_edge.tuning import Chooser
from alpr_edge.types import Detection, Image, Reading
from benchmarks import isa, machine
from benchmarks.models import folder_name
from benchmarks.stages_tables import markdown

SCHEMA = 1
FRAME_HEIGHT, FRAME_WIDTH = 1080, 1920
"""The frame that detection is timed on."""
PICTURES = 24
"""Different pictures that take turns."""
BATCH = 4
"""Plates at once in the batch figure."""
WARM_UP = 10
"""Runs of each model that are not counted."""
PERCENTILES = (50, 90, 99)
DEMO = Path(__file__).parent.parent / "docs" / "demo"
"""The pictures of the repository, used where no data folder is given."""

Ms = Mapping[Stage, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """A 1920 x 1080 frame (1080, 1920, 3) uint8 BGR and plates on it, empty where unknown."""

    name: str
    frame: Image
    plates: tuple[Detection, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Times:
    """One run's stamps: a whole frame, then reading one plate, then :data:`BATCH` plates."""

    detection: Ms
    reading: Ms
    batch: Ms


class Fixed:
    """A detector that answers the same plates whatever it sees, so that their number is known."""

    def __init__(self) -> None:
        self.plates: list[Detection] = []

    def predict(self, image: Image) -> list[Detection]:
        """The plates it was given."""
        return self.plates


class NullReader:
    """A reader that does nothing: what is left is the harness's own time."""

    def predict(self, plates: NDArray[np.uint8]) -> list[Reading]:
        """Empty texts."""
        return [Reading(text="", confidence=1.0, char_confidences=(), rows=None)] * len(plates)


class Contestant:
    """One model folder: its pipeline, and the same reader behind a fixed number of plates."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        chooser = Chooser(models=folder)
        self.detector = PlateDetector(chooser.setting("detector").folder, threads=threads)
        self.reader = PlateReader(chooser.setting("reader").folder, threads=threads)
        self.whole = ALPR(detector=self.detector, reader=self.reader)
        self.fixed = Fixed()
        self.reading = ALPR(detector=self.fixed, reader=self.reader)

    def run(self, scene: Scene, plates: Sequence[Detection]) -> Times:
        """Time one frame and ``plates`` (at least one) on it."""
        detection = self.whole.run(scene.frame).ms
        self.fixed.plates = [plates[0]]
        reading = self.reading.run(scene.frame).ms
        self.fixed.plates = [plates[i % len(plates)] for i in range(BATCH)]
        return Times(
            detection=detection, reading=reading, batch=self.reading.run(scene.frame).ms
        )


def load_scenes(data: Path | None) -> list[Scene]:
    """At most :data:`PICTURES` scenes, evenly spread: from the val frames of ``data`` that show a
    plate, or from the repository's demo pictures.

    Raises:
        DataError: there are none; the message says what is missing.
    """
    if data is not None:
        samples = [s for s in read(data) if s.split == Split.VAL and not s.crop and s.plates]
        if not samples:
            raise DataError(f"{data} has no frame of split {Split.VAL} that shows a plate")
        return [_annotated(sample) for sample in _spread(samples)]
    pictures = pictures_in(DEMO) if DEMO.is_dir() else []
    if not pictures:
        raise DataError(f"no pictures in {DEMO}; give --data, a folder of annotated pictures")
    return [
        Scene(name=path.name, frame=_frame(load_image(path))[0], plates=())
        for path in _spread(pictures)
    ]


def _spread(items: Sequence[Any]) -> list[Any]:
    count = min(PICTURES, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _frame(image: Image) -> tuple[Image, geometry.Letterbox]:
    return geometry.letterbox(image, FRAME_HEIGHT, FRAME_WIDTH)


def _annotated(sample: Sample) -> Scene:
    frame, mapping = _frame(load_image(sample.path))

    def seen(plate: PlateTruth) -> Detection:
        quad = plate.corners or plate.corners_pseudo or geometry.box_quad(plate.box)
        corners = geometry.as_quad(mapping.forward(np.array(quad)))
        return Detection(box=geometry.quad_box(corners), corners=corners, confidence=1.0)

    plates = tuple(seen(plate) for plate in sample.plates)
    return Scene(name=sample.path.name, frame=frame, plates=plates)


def plates_of(scenes: Sequence[Scene], detector: PlateDetector) -> list[Sequence[Detection]]:
    """Plates to read on each scene: the annotated ones, else those found; where there are none,
    those of the scenes before.

    Raises:
        DataError: there is no plate on any scene.
    """
    known = [scene.plates or detector.predict(scene.frame) for scene in scenes]
    some = next((plates for plates in known if plates), None)
    if some is None:
        raise DataError("no plate on any picture, so reading cannot be timed; give --data")
    chosen = []
    for plates in known:
        some = plates or some
        chosen.append(some)
    return chosen


def measure(
    contestants: Sequence[Contestant], scenes: Sequence[Scene], runs: int,
    advance: Callable[[], None] = lambda: None,
) -> list[list[Times]]:
    """``runs`` counted runs of each contestant, taking turns: A B, A B, and after each pass over
    the scenes with another one first."""
    plates = plates_of(scenes, contestants[0].detector)
    times: list[list[Times]] = [[] for _ in contestants]
    for run in range(-WARM_UP, runs):
        index = run % len(scenes)
        first = (run // len(scenes)) % len(contestants)
        for turn in range(len(contestants)):
            who = (first + turn) % len(contestants)
            taken = contestants[who].run(scenes[index], plates[index])
            if run >= 0:
                times[who].append(taken)
        advance()
    return times


def harness_ms(scene: Scene, runs: int) -> float:
    """Median total of the pipeline with networks that do nothing."""
    null = ALPR(detector=Fixed(), reader=NullReader())
    return float(np.median([null.run(scene.frame).ms[Stage.TOTAL] for _ in range(runs)]))


def figures(times: Sequence[Times]) -> dict[str, Any]:
    """Percentiles of each stage and of the sums, in milliseconds; the batch is for all its plates
    together."""
    parts = {
        "detection": (DETECTION_STAGES, [t.detection for t in times]),
        "reading": (READING_STAGES, [t.reading for t in times]),
        f"reading_batch_{BATCH}": (READING_STAGES, [t.batch for t in times]),
    }
    return {
        name: {
            **{stage.value: percentiles([ms[stage] for ms in runs]) for stage in stages},
            "total": percentiles([sum(ms[stage] for stage in stages) for ms in runs]),
        }
        for name, (stages, runs) in parts.items()
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99 of ``values``, linearly interpolated."""
    found = np.percentile(values, PERCENTILES)
    return {f"p{p}": round(float(v), 4) for p, v in zip(PERCENTILES, found, strict=True)}


def judge(times: Sequence[Times]) -> budget.Verdict:
    """The budget's verdict: detection of the frame, reading of one plate."""
    reading = set(READING_STAGES)
    return budget.verdict(
        ({stage: (t.reading if stage in reading else t.detection)[stage] for stage in Stage}, 1)
        for t in times
    )


def report(
    contestants: Sequence[Contestant], times: Sequence[Sequence[Times]]
) -> list[dict[str, Any]]:
    """One entry a model folder: what it is, its figures, its verdict, its ratio to the first."""
    entries: list[dict[str, Any]] = []
    for contestant, taken in zip(contestants, times, strict=True):
        verdict = judge(taken)
        entry: dict[str, Any] = {
            "folder": folder_name(contestant.folder),
            "detector": about(contestant.detector.engine),
            "reader": about(contestant.reader.engine),
            "ms": figures(taken),
            "verdict": {**dataclasses.asdict(verdict), "met": verdict.met, "text": str(verdict)},
        }
        first = entries[0] if entries else entry
        entry["speed_up"] = {
            part: round(first["ms"][part]["total"]["p50"] / ms["total"]["p50"], 3)
            for part, ms in entry["ms"].items()
        }
        entries.append(entry)
    return entries


def about(engine: Engine) -> dict[str, Any]:
    """What a network is and how it is executed."""
    manifest = engine.manifest
    return {
        "name": manifest.name, "version": manifest.version, "step": manifest.step,
        "precision": manifest.precision, "digest": manifests.digest(manifest),
        "files": manifest.files, "input": list(manifest.input.shape), "threads": engine.threads,
        "inference_precision": engine.inference_precision,
        "executed_precisions": engine.executed_precisions(),
        "executed_kernels": engine.executed_kernels(),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks stages``."""
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--isa", default=isa.NATIVE, choices=isa.ISAS, help="instruction set")
    parser.add_argument(
        "--models", type=Path, nargs="+", metavar="DIR", default=[MODELS],
        help="model folders to time side by side (default: the models that are shipped)",
    )
    parser.add_argument(
        "--data", type=Path, help="folder of annotated pictures (default: the demo pictures)"
    )
    parser.add_argument("--runs", type=int, default=200, help="counted runs (default: 200)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the command; ``arguments`` are repeated in a child process for another ISA.

    Raises:
        AlprEdgeError: wrong options, data or models; see :mod:`alpr_edge.errors`.
    """
    if options.runs < 1:
        raise UsageError(f"--runs is {options.runs}; allowed: 1 or more")
    for file in (options.out, options.markdown):
        if file and not file.resolve().parent.is_dir():
            raise OutputError(f"{file}: its folder does not exist; make it first")
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = load_average()  # of others: loading our own models counts too later on
    named = {"asked": options.isa, "onednn": isa.verify_isa(options.isa)}
    scenes = load_scenes(options.data)
    contestants = [
        Contestant(folder, options.threads) for folder in dict.fromkeys(options.models)
    ]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("timing", total=WARM_UP + options.runs)
        times = measure(contestants, scenes, options.runs, lambda: progress.advance(task))
    found = {
        "schema": SCHEMA, "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(), "isa": named, "threads": options.threads,
        "load_before": before, "load_after": load_average(), "runs": options.runs,
        "pictures": "demo" if options.data is None else "val frames",
        "scenes": [scene.name for scene in scenes], "frame": [FRAME_WIDTH, FRAME_HEIGHT],
        "harness_ms": round(harness_ms(scenes[0], options.runs), 4),
        "models": report(contestants, times),
    }
    text = markdown(found)
    print(text)
    _write(json.dumps(found, indent=1, ensure_ascii=False), options.out)
    _write(text, options.markdown)
    met = all(model["verdict"]["met"] for model in found["models"])
    return ExitCode.OK if met else ExitCode.FAILED


def _write(text: str, path: Path | None) -> None:
    try:
        if path is not None:
            path.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; choose another") from error
