"""How right and how fast a model is: the two measurements that every variant gets.

Both run in a process capped to the target (:mod:`optimize.capped`).
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge import isa, metrics
from alpr_edge import manifest as manifests
from alpr_edge.cpu import cpu_name, load_average
from alpr_edge.data import Sample, Split, spread
from alpr_edge.detector import PlateDetector
from alpr_edge.images import load_image
from alpr_edge.manifest import Manifest
from alpr_edge.metrics import FrameResult
from alpr_edge.reader import PlateReader
from optimize import networks, pictures
from optimize.capped import run_capped
from optimize.networks import Kind, kind_of, open_network
from optimize.pictures import digest, judging_pictures, network_inputs
from optimize.steps import TARGET, fingerprint, hash_of, remembered

PICTURES = 16
"""Different pictures that take turns while timing."""
WARM_UP = 10
"""Runs of each model that are not counted."""
_RUNTIME = (
    "alphabet", "ctc", "decode", "detector", "engine", "geometry", "images", "metrics", "reader",
)
"""The runtime's modules that an accuracy depends on."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """``hits``, "1" or "0" in the pictures' order: for each plate whether the detector found it
    (IoU > 0.5, at its own score threshold), for each cut-out whether the reader read it exactly.

    For a detector also the average precision over all scores from 0.2, and the false detections per
    completely annotated picture.
    """

    hits: str
    average_precision: float | None = None
    false_per_picture: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Milliseconds of the network alone for one picture: p50 and p90."""

    p50: float
    p90: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judging:
    """What a variant is measured on and at: the split, at most ``limit`` pictures, the target."""

    data: Path
    target: str = TARGET
    split: str = Split.DEV.value
    limit: int | None = None

    def pictures(self, task: str) -> list[Sample]:
        """The pictures of one task.

        Raises:
            DataError: there is no plate among them.
        """
        return judging_pictures(
            self.data, crops=task == "reader", split=self.split, limit=self.limit
        )

    def digest(self, task: str) -> str:
        """SHA-256 of the pictures of one task, read once a process."""
        return _digest(self, task)


@functools.cache
def _digest(judging: Judging, task: str) -> str:
    return digest(judging.pictures(task))


def detector_accuracy(detector: PlateDetector, frames: Sequence[FrameResult]) -> Accuracy:
    """From detections of at least ``metrics.SCORES[0]`` or the threshold, whichever is lower."""
    shipped = detector.engine.manifest.detector_decode.score_threshold
    sure = [metrics.at_least(frame, shipped) for frame in frames]
    rates = metrics.detection_rates(sure, metrics.IOU_FOUND)
    false = rates.false_per_picture
    return Accuracy(
        hits=bits(metrics.plates_found(sure, metrics.IOU_FOUND)),
        average_precision=metrics.detection_rates(frames, metrics.IOU_FOUND).average_precision,
        false_per_picture=false.value if false.n else None,
    )


def open_detector(folder: Path) -> PlateDetector:
    """A detector that gives all detections that an average precision is taken over."""
    threshold = manifests.load(folder).detector_decode.score_threshold
    lowest = min(metrics.SCORES[0], threshold)
    return PlateDetector(folder, min_score=lowest, second_look=False, load=open_network)


def evaluate(folder: Path, pictures: Sequence[Sample]) -> Accuracy:
    """The accuracy of one model folder, in this process."""
    manifest = manifests.load(folder)
    if manifest.task == "detector":
        detector = open_detector(folder)
        return detector_accuracy(detector, [
            FrameResult(sample=sample, detections=detector.predict(load_image(sample.path)))
            for sample in pictures
        ])
    reader = PlateReader(folder, load=open_network)
    texts = [reader.predict(plate)[0].text for plate in network_inputs(manifest, pictures)]
    return Accuracy(hits=bits(
        text == sample.plates[0].text for text, sample in zip(texts, pictures, strict=True)
    ))


def evaluate_at(folder: Path, out: Path, judging: Judging) -> Accuracy:
    """:func:`evaluate` at the target, kept in ``out/steps`` for the same model and pictures.

    Raises:
        UsageError: this CPU cannot execute the target. DataError: there is nothing to judge on.
        AlprEdgeError: see :func:`optimize.capped.run_capped`.
    """
    manifest = manifests.load(folder)
    target, split = judging.target, judging.split
    note = out / "steps" / f"accuracy-{target}-{split}-{fingerprint(manifest)[:16]}.json"
    inputs = {
        "model": fingerprint(manifest), "pictures": judging.digest(manifest.task),
        "target": target, "code": code_hash(), "openvino": manifests.tool_versions("openvino"),
        "cpu": _cpu_that_matters(manifest, target),
    }
    found = remembered(note, inputs, lambda: run_capped(
        "evaluate", target, folder=folder, data=judging.data, split=split, limit=judging.limit
    ))
    return Accuracy(**found)


def _cpu_that_matters(manifest: Manifest, target: str) -> str:
    """The CPU's name where an accuracy depends on it: natively, and in ONNX Runtime, which cannot
    be capped."""
    capped = target != isa.NATIVE and kind_of(manifest) == Kind.OPENVINO
    return "any" if capped else cpu_name()


def code_hash() -> str:
    """SHA-256 of the code that an accuracy depends on: the runtime's, this module's and those of
    :mod:`optimize.networks` and :mod:`optimize.pictures`."""
    runtime = (Path(metrics.__file__).with_name(f"{name}.py") for name in _RUNTIME)
    return hash_of((*runtime, *map(Path, (networks.__file__, pictures.__file__, __file__))))


def evaluate_work(
    *, folder: str, data: str, split: str, limit: int | None
) -> dict[str, Any]:
    """:func:`evaluate` with JSON values."""
    task = manifests.load(folder).task
    judging = Judging(data=Path(data), split=split, limit=limit)
    return dataclasses.asdict(evaluate(Path(folder), judging.pictures(task)))


def time_networks(
    folders: Sequence[Path], pictures: Sequence[Sample], *, threads: int, runs: int
) -> list[Latency]:
    """Time ``runs`` inferences of each model, taking turns on the same pictures: A B, A B, and
    after each pass over the pictures with another one first."""
    engines = [open_network(folder, threads=threads) for folder in folders]
    chosen = spread(pictures, PICTURES)
    inputs = [list(network_inputs(engine.manifest, chosen)) for engine in engines]

    def run(who: int, index: int) -> None:
        engines[who].run(inputs[who][index])

    works = [functools.partial(run, who) for who in range(len(engines))]
    return take_turns(works, len(chosen), runs)


def take_turns(
    works: Sequence[Callable[[int], object]], pictures: int, runs: int
) -> list[Latency]:
    """Time ``runs`` calls of each of the works with a picture's number, taking turns as
    :func:`time_networks` says; :data:`WARM_UP` more are not counted."""
    taken: list[list[float]] = [[] for _ in works]
    for run in range(-WARM_UP, runs):
        first = run // pictures
        for turn in range(len(works)):
            who = (first + turn) % len(works)
            begin = time.perf_counter()
            works[who](run % pictures)
            if run >= 0:
                taken[who].append(1000 * (time.perf_counter() - begin))
    return [
        Latency(p50=float(np.percentile(ms, 50)), p90=float(np.percentile(ms, 90))) for ms in taken
    ]


def time_work(
    *, folders: list[str], data: str, split: str, threads: int, runs: int
) -> dict[str, Any]:
    """:func:`time_networks` with JSON values, and the load average before and after."""
    before = load_average()
    task = manifests.load(folders[0]).task
    pictures = judging_pictures(Path(data), crops=task == "reader", split=split)
    found = time_networks([Path(f) for f in folders], pictures, threads=threads, runs=runs)
    return {
        "latencies": [dataclasses.asdict(latency) for latency in found],
        "load_before": before, "load_after": load_average(),
    }


def bits(hits: Any) -> str:
    """Hits as text, one character each."""
    return "".join("1" if hit else "0" for hit in hits)
