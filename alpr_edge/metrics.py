"""The one implementation of every figure: training, accuracy control and benchmarks use it.

Legend: D detections, T truths of one picture. A detection finds a plate where their boxes' IoU is
*greater* than the threshold. Every figure knows its k, its n and its 95 % interval
(:mod:`alpr_edge.rates`); hit lists (one bool an item, in the same order for every model) are what
:class:`alpr_edge.rates.Paired` compares.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr_edge.data.sample import PlateTruth, Sample, policy
from alpr_edge.decode import box_iou
from alpr_edge.edits import edit_distance
from alpr_edge.errors import DataError
from alpr_edge.geometry import sides
from alpr_edge.rates import Rate, Ratio, Spread
from alpr_edge.types import Box, Detection, Plate, Quad

FALSE_PER_PICTURE = 0.1
"""False detections that may go to the reader, on average: below 1 ms a picture."""
FALSE_BEYOND_LIST = 0.04
"""The same, where a list tells which of them are plates that nobody annotated: 0.05, less some room
for what the detector doubts and the reader is sure of (:data:`alpr_edge.detector.DOUBTFUL`)."""
LISTED = 0.3
"""A detection that overlaps one of such a list by this IoU is of it."""
SCORES = tuple(round(0.2 + 0.02 * step, 2) for step in range(31))
"""Score thresholds to choose from."""
IOU_FOUND, IOU_TIGHT = 0.5, 0.7
"""Least overlap of a plate that is found, and found tightly (on sets of tight boxes only)."""
IOUS_MEAN = tuple(step / 100 for step in range(50, 100, 5))
"""Overlaps over which the mean average precision is taken (COCO: Lin et al. 2014)."""
IOU_END_TO_END = 0.6
"""Least overlap of a plate that counts as found and read (CCPD: Xu et al. 2018)."""
FRAME_WIDTH = 1280
"""Plate widths are told in a frame of so many pixels."""
WIDTH_EDGES = (0, 20, 40, 60, 80, 120, 200, math.inf)
"""Bins of plate widths, in such pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FrameResult:
    """One annotated frame and what was detected in it."""

    sample: Sample
    detections: Sequence[Detection]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DetectionRates:
    """Detection at one IoU over a list of frames, at the detector's own score threshold.

    ``false_per_picture`` counts detections without a plate in the completely annotated frames;
    elsewhere nobody knows. ``average_precision`` is the area under the precision envelope over the
    detections given.
    """

    recall: Rate
    precision: Rate
    average_precision: float
    false_per_picture: Ratio


def match(
    boxes: NDArray[np.floating], confidences: NDArray[np.floating],
    truths: NDArray[np.floating], iou: float,
) -> NDArray[np.int64]:
    """For each of the boxes (D, 4) the index of the truth (T, 4) it found, or -1: (D,) int64.

    The most confident detection chooses first, the free truth it overlaps most.
    """
    found = np.full(len(boxes), -1, np.int64)
    if not len(boxes) or not len(truths):
        return found
    overlaps = box_iou(boxes, truths)
    for index in np.argsort(-np.asarray(confidences), kind="stable"):
        best = int(overlaps[index].argmax())
        if overlaps[index, best] > iou:
            found[index] = best
            overlaps[:, best] = -1.0
    return found


def match_frame(frame: FrameResult, iou: float) -> NDArray[np.int64]:
    """:func:`match` of a frame's detections with its plates."""
    return match(
        np.array([d.box for d in frame.detections], np.float64).reshape(-1, 4),
        np.array([d.confidence for d in frame.detections], np.float64),
        np.array([t.box for t in frame.sample.plates], np.float64).reshape(-1, 4),
        iou,
    )


def at_least(frame: FrameResult, score: float) -> FrameResult:
    """The frame with only the detections of at least that confidence."""
    kept = [d for d in frame.detections if d.confidence >= score]
    return FrameResult(sample=frame.sample, detections=kept)


def less_listed(
    frames: Sequence[FrameResult], unannotated: Mapping[Path, Sequence[Box]]
) -> list[FrameResult]:
    """The frames less the detections of plates that the annotations leave out: boxes by the frame's
    path (:func:`alpr_edge.data.unannotated.read_unannotated`)."""
    kept = []
    for frame in frames:
        listed = np.array(unannotated.get(frame.sample.path, ()), np.float64).reshape(-1, 4)
        right = match_frame(frame, IOU_FOUND) >= 0
        detections = [
            detection for detection, is_right in zip(frame.detections, right, strict=True)
            if is_right or not (box_iou(np.array([detection.box]), listed) > LISTED).any()
        ]
        kept.append(FrameResult(sample=frame.sample, detections=detections))
    return kept


def sure_threshold(
    frames: Sequence[FrameResult], false_per_picture: float = FALSE_PER_PICTURE
) -> float:
    """The lowest of :data:`SCORES` that leaves at most so many false detections a completely
    annotated frame; the highest where none does.

    A missed plate is lost, a false one costs one reading and then shows by its text's confidence.

    Raises:
        DataError: no frame is completely annotated, so that none tells what is false.
    """
    if not any(frame.sample.complete for frame in frames):
        raise DataError(f"no frame is completely annotated, of {len(frames)}: nobody knows which "
                        "detections are false; annotate every plate of some frames")
    for score in SCORES:
        sure = [at_least(frame, score) for frame in frames]
        if detection_rates(sure, IOU_FOUND).false_per_picture.value <= false_per_picture:
            return score
    return SCORES[-1]


def plates_found(frames: Iterable[FrameResult], iou: float) -> list[bool]:
    """For each annotated plate of the frames, in order, whether it was found."""
    hits = []
    for frame in frames:
        found = set(match_frame(frame, iou).tolist())
        hits += [index in found for index in range(len(frame.sample.plates))]
    return hits


def detection_rates(frames: Iterable[FrameResult], iou: float) -> DetectionRates:
    """Recall, precision, average precision and false detections of ``frames``.

    In incompletely annotated frames a detection without a plate is left out of all counts.
    """
    confidences, rights, false = [], [], []
    plates = 0
    for frame in frames:
        found = match_frame(frame, iou) >= 0
        plates += len(frame.sample.plates)
        if frame.sample.complete:
            false.append(int((~found).sum()))
        for detection, right in zip(frame.detections, found.tolist(), strict=True):
            if right or frame.sample.complete:
                confidences.append(detection.confidence)
                rights.append(right)
    return DetectionRates(
        recall=Rate(sum(rights), plates),
        precision=Rate.of(rights),
        average_precision=average_precision(np.array(confidences), np.array(rights, bool), plates),
        false_per_picture=Ratio(tuple(false), (1,) * len(false)),
    )


def average_precision(
    confidences: NDArray[np.floating], rights: NDArray[np.bool_], plates: int
) -> float:
    """Area under the precision envelope (all points, Everingham et al. 2010), NaN without plates.

    ``confidences`` and ``rights`` (D,) of all detections of all frames, ``plates`` the truths.
    """
    if not plates:
        return math.nan
    if not len(rights):
        return 0.0
    right = rights[np.argsort(-confidences, kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / plates)


def mean_average_precision(frames: Sequence[FrameResult]) -> float:
    """The mean of the average precisions at IoU > 0.5, 0.55 … 0.95, NaN without plates."""
    return sum(detection_rates(frames, iou).average_precision for iou in IOUS_MEAN) / len(IOUS_MEAN)


def corner_error(corners: Quad, truth: Quad) -> float:
    """Mean distance of the four corners as a fraction of the true plate's width (the mean of its
    top and bottom edge)."""
    got, want = np.asarray(corners, np.float64), np.asarray(truth, np.float64)
    return float(np.linalg.norm(got - want, axis=1).mean() / sides(truth)[0])


def corner_errors(frames: Iterable[FrameResult]) -> Spread:
    """Errors of all found plates whose corners are measured (:func:`measures_tightly`)."""
    errors = []
    for frame in frames:
        if measures_tightly(frame.sample):
            for detection, index in zip(
                frame.detections, match_frame(frame, IOU_FOUND).tolist(), strict=True
            ):
                truth = frame.sample.plates[index].corners if index >= 0 else None
                if truth is not None:
                    errors.append(corner_error(detection.corners, truth))
    return Spread(tuple(errors))


def measures_tightly(sample: Sample) -> bool:
    """Whether IoU 0.7 and corner error may be measured on the sample's set."""
    rules = policy(sample.dataset)
    return rules.tight_box and rules.corners


def plate_width(sample: Sample, plate: PlateTruth) -> float:
    """Width of the plate's box in pixels, in a frame :data:`FRAME_WIDTH` wide."""
    return (plate.box[2] - plate.box[0]) * FRAME_WIDTH / sample.width


def recall_by_width(
    frames: Sequence[FrameResult], edges: Sequence[float] = WIDTH_EDGES, iou: float = IOU_FOUND
) -> dict[tuple[float, float], Rate]:
    """Recall of the plates with low <= width < high, for each two neighbouring ``edges``."""
    widths = [plate_width(f.sample, plate) for f in frames for plate in f.sample.plates]
    hits = plates_found(frames, iou)
    return {
        (low, high): Rate.of(h for w, h in zip(widths, hits, strict=True) if low <= w < high)
        for low, high in zip(edges, edges[1:], strict=False)
    }


def width_label(low: float, high: float) -> str:
    """The name of a bin of widths, for a table's row."""
    return f"{low:g}-{high:g} px" if math.isfinite(high) else f">= {low:g} px"


def character_errors(texts: Iterable[str], truths: Iterable[str]) -> Ratio:
    """Edits per true character, text by text: its value is the character error rate (CER)."""
    pairs = list(zip(texts, truths, strict=True))
    return Ratio(tuple(edit_distance(*p) for p in pairs), tuple(len(t) for _, t in pairs))


def end_to_end_hits(truths: Sequence[PlateTruth], plates: Sequence[Plate]) -> list[bool]:
    """For each truth *with a text*, in order: found (IoU > 0.6) and every character right."""
    found = match(
        np.array([p.box for p in plates], np.float64).reshape(-1, 4),
        np.array([p.detection_confidence for p in plates], np.float64),
        np.array([t.box for t in truths], np.float64).reshape(-1, 4),
        IOU_END_TO_END,
    ).tolist()
    texts = {index: plate.text for plate, index in zip(plates, found, strict=True)}
    return [texts.get(i) == t.text for i, t in enumerate(truths) if t.text is not None]
