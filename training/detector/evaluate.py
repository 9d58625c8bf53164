"""Detection figures on annotated frames, with the runtime's decoding and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from alpr_edge.data import read
from alpr_edge.data.sample import Sample, Split, spread
from alpr_edge.decode import select
from alpr_edge.detector import in_picture
from alpr_edge.errors import DataError
from alpr_edge.geometry import letterbox
from alpr_edge.metrics import (
    FrameResult,
    at_least,
    corner_errors,
    detection_rates,
    measures_tightly,
    sure_threshold,
)
from alpr_edge.types import Detection, Image
from training.detector.scenes import read_frame
from training.options import JUDGED, device_of

HEIGHT, WIDTH = 384, 640
"""Input size that the figures are measured at."""
SURE, LOWEST, OVERLAP = 0.4, 0.05, 0.5
"""Score of a detection that counts, lowest score for average precision, IoU of NMS."""


def detect(model: nn.Module, image: Image, lowest: float = LOWEST) -> list[Detection]:
    """The plates of one BGR picture of any size, in its own pixels; in FP32, so that a threshold
    fitted on them is the same whichever machine trained."""
    canvas, mapping = letterbox(image, HEIGHT, WIDTH)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(canvas)[None].to(device_of(model)))
    scores, boxes, corners = (output[0].cpu().numpy() for output in outputs[:3])
    decoded = select(scores, boxes, corners, min_score=lowest, iou=OVERLAP)
    height, width = image.shape[:2]
    return in_picture(*decoded, mapping, width, height)


def figures(frames: Sequence[FrameResult]) -> dict[str, float]:
    """Recall, precision and average precision over complete frames, and the tight sets' own:
    recall at IoU 0.5 and 0.7 and the median corner error as a fraction of the plate's width.

    ``score``, which recipes choose by, is the recall at the threshold that would be shipped
    (:func:`alpr_edge.metrics.sure_threshold`) less the median corner error.
    """
    complete = [f for f in frames if f.sample.complete]
    tight = [f for f in frames if measures_tightly(f.sample)]
    sure = [at_least(f, SURE) for f in complete]
    sure_tight = [at_least(f, SURE) for f in tight]
    rates, errors = detection_rates(sure, 0.5), corner_errors(sure_tight)
    threshold = sure_threshold(complete)
    shipped = detection_rates([at_least(f, threshold) for f in complete], 0.5)
    corners = errors.quantile(0.5) if errors.n else 1.0
    return {
        "recall": rates.recall.value,
        "precision": rates.precision.value,
        "ap": detection_rates(complete, 0.5).average_precision,
        "tight_recall_50": detection_rates(sure_tight, 0.5).recall.value,
        "tight_recall_70": detection_rates(sure_tight, 0.7).recall.value,
        "corner_median": corners,
        "sure_recall": shipped.recall.value,
        "score": shipped.recall.value - corners,
    }


def frames_of(root: Path, split: Split) -> list[Sample]:
    """The frames of a split; of more than :data:`JUDGED` so many, evenly spread.

    Raises:
        DataError: there is none, or none that has a plate and all its plates annotated: recall and
            false detections are of those.
    """
    frames = spread([s for s in read(root) if s.split is split and not s.crop], JUDGED)
    if not any(frame.complete and frame.plates for frame in frames):
        raise DataError(f"{root}: no frame of split {split} has a plate and all its plates "
                        f"annotated, of {len(frames)}; check --data and its labels")
    return frames


def results(model: nn.Module, frames: Sequence[Sample]) -> list[FrameResult]:
    """What a model in evaluation mode detects on each frame, decoded one at a time.

    Raises:
        DataError: a picture cannot be read.
    """
    return [
        FrameResult(sample=sample, detections=detect(model, read_frame(sample)))
        for sample in frames
    ]


def evaluate(model: nn.Module, frames: Sequence[Sample]) -> dict[str, float]:
    """:func:`figures` of a model on frames."""
    model.eval()
    return figures(results(model, frames))
