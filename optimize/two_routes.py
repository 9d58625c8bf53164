"""One graph beside the two-stage pipeline of the same weights, which looks once as the graph does
(:func:`looking_once`): the same plates, and how long each takes. Needs the runtime only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge import ALPR, geometry, metrics
from alpr_edge.cpu import load_average
from alpr_edge.data import Sample, spread
from alpr_edge.detector import PlateDetector
from alpr_edge.engine import Engine
from alpr_edge.images import load_image
from alpr_edge.manifest import Manifest
from alpr_edge.reader import PlateReader, decode_logits
from alpr_edge.types import Detection, Plate, Reading
from optimize.compare import Outputs
from optimize.evaluate import PICTURES, Latency, take_turns
from optimize.pictures import calibration_pictures, fit
from optimize.steps import StepFailedError, Tolerances

IOU_SAME = 0.9
"""Overlap from which both routes found the same plate."""


def plates_of(outputs: Outputs, manifest: Manifest) -> list[tuple[Detection, Reading]]:
    """The plates in the graph's outputs, most certain first; a box is that around the corners."""
    there = outputs["scores"] > 0
    quads, scores, logits, ctc, rows = (outputs[o.name][there] for o in manifest.outputs)
    temperature = manifest.pipeline_decode.reader.reader_decode.temperature
    readings = decode_logits(logits, ctc, rows.argmax(axis=-1) + 1, temperature)
    return [
        (Detection(box=geometry.quad_box(q), corners=geometry.as_quad(q), confidence=s), reading)
        for q, s, reading in zip(quads, scores.tolist(), readings, strict=True)
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Same:
    """What the graph shares with the two stages on ``pictures`` frames.

    ``found`` of the two stages' ``plates`` are there (:data:`IOU_SAME`); ``extra`` the two stages
    have not. ``sure`` of those found were read at least as certainly as the runtime asks for, and
    ``texts`` of them have the same text. ``corners`` is the median distance of the
    corners of those found as a fraction of the plate's width, ``pixels`` the greatest of any corner
    in pixels of the frame.
    """

    pictures: int
    plates: int
    found: int
    extra: int
    sure: int
    texts: int
    corners: float
    pixels: float

    def figures(self) -> dict[str, float]:
        """All figures, for a manifest."""
        return {name: float(value) for name, value in dataclasses.asdict(self).items()}


class ReadingOnce(PlateReader):
    """To :class:`alpr_edge.ALPR` a reader of one's own, by which nothing is read again, plates of
    two rows neither."""


def looking_once(models: Path, threads: int | None = None) -> ALPR:
    """The two stages of a models folder, all plates told. Each looks once, as the graph does: no
    second, closer or turned look, and no plate or row is read again."""
    return ALPR(
        detector=PlateDetector(models / "detector", threads=threads, second_look=False),
        reader=ReadingOnce(models / "reader", threads=threads), min_confidence=0, turned=False,
    )


def compare_plates(graph: Engine, alpr: ALPR, frames: Sequence[Sample]) -> Same:
    """The graph beside the two stages' best K plates, on the same frames."""
    count = int(graph.manifest.outputs[0].axes[0])
    least = graph.manifest.pipeline_decode.reader.reader_decode.confidence_threshold
    plates = extra = sure = texts = 0
    shifts, pixels = [], []
    for sample in frames:
        frame = fit(graph.manifest, load_image(sample.path))
        wanted = alpr.predict(frame)[:count]
        got = plates_of(graph.run(frame[None]), graph.manifest)
        found = same_plates([detection for detection, _ in got], wanted)
        plates += len(wanted)
        extra += found.count(-1)
        for (detection, reading), index in zip(got, found, strict=True):
            if index >= 0:
                plate = wanted[index]
                if plate.confidence >= least:  # else noise, which a grey level reads otherwise
                    sure += 1
                    texts += reading.text == plate.text
                shifts.append(metrics.corner_error(detection.corners, plate.corners))
                moved = np.subtract(detection.corners, plate.corners)
                pixels.append(float(np.linalg.norm(moved, axis=1).max()))
    return Same(
        pictures=len(frames), plates=plates, found=len(shifts), extra=extra, sure=sure,
        texts=texts, corners=float(np.median(shifts or [0])), pixels=max(pixels, default=0.0),
    )


def same_plates(detections: Sequence[Detection], plates: Sequence[Plate]) -> list[int]:
    """For each detection the plate whose quad's box it overlaps by :data:`IOU_SAME`, or -1."""
    return metrics.match(
        np.array([detection.box for detection in detections]),
        np.array([detection.confidence for detection in detections]),
        np.array([geometry.quad_box(plate.corners) for plate in plates]),
        IOU_SAME,
    ).tolist()


def check_plates(step: str, same: Same, tolerances: Tolerances) -> None:
    """
    Raises:
        StepFailedError: too few plates or texts are those of the two stages, or corners moved.
    """
    for what, k, n in (
        ("plates found", same.found, same.plates), ("texts equal", same.texts, same.sure)
    ):
        if n == 0 or k / n < tolerances.agreement:
            raise StepFailedError(
                f"{step}: {k} of {n} {what} on {same.pictures} frames; allowed: at least "
                f"{tolerances.agreement:.0%} of at least 1. Is the frame's size the camera's?"
            )
    if same.corners > tolerances.corners:
        raise StepFailedError(
            f"{step}: corners moved by {same.corners:.1%} of the plate's width (median); allowed: "
            f"{tolerances.corners:.1%}. Is the frame's size the camera's?"
        )


def time_both(
    folder: Path, models: Path, frames: Sequence[Sample], *, threads: int, runs: int
) -> tuple[Latency, Latency]:
    """Milliseconds from a frame to its texts, taking turns: by the graph in ``folder``, which reads
    K plates of every frame, and by the two stages in ``models``, :func:`looking_once`, which read
    those that they find, more than K too."""
    graph = Engine(folder, threads=threads)
    alpr = looking_once(models, threads)
    inputs = [fit(graph.manifest, load_image(sample.path)) for sample in spread(frames, PICTURES)]
    one, two = take_turns(
        (
            lambda index: plates_of(graph.run(inputs[index][None]), graph.manifest),
            lambda index: alpr.predict(inputs[index]),
        ),
        len(inputs), runs,
    )
    return one, two


def routes_work(
    *, graph: str, models: str, data: str, limit: int | None, threads: int, runs: int
) -> dict[str, Any]:
    """:func:`time_both` on held out calib frames with JSON values, and the load average before and
    after."""
    before = load_average()
    frames = calibration_pictures(Path(data), crops=False, limit=limit).held_out
    times = time_both(Path(graph), Path(models), frames, threads=threads, runs=runs)
    return {
        "latencies": [dataclasses.asdict(latency) for latency in times],
        "load_before": before, "load_after": load_average(),
    }
