"""Plates that nobody annotated: what a detector finds in frames beyond the annotations.

Far and half hidden plates were often left out, also in frames that count as complete. Called wrong
in training, they teach the detector to overlook plates; called false in a test, they are not.
:func:`write_missed` lists candidates, a person keeps the lines that are plates, and the detector's
training ignores what they cover, or ``python -m benchmarks accuracy --unannotated`` does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from torch import nn

from alpr_edge.data import Sample, Split, read
from alpr_edge.data.lists import relative, write_list
from alpr_edge.data.unannotated import read_unannotated
from alpr_edge.decode import box_iou
from alpr_edge.errors import DataError, UsageError
from alpr_edge.geometry import letterbox
from alpr_edge.types import Box, Detection, Image
from training.detector.evaluate import detect
from training.detector.model import Detector
from training.detector.scenes import read_frame
from training.networks import load
from training.sheet import captioned, save_pages

NEAR = 0.1
"""A detection that overlaps an annotation by this IoU is about the annotated plate."""
_PAGE, _COLUMNS, _CELL = 120, 10, (96, 160)


def write_missed(
    data: Path, weights: Path, out: Path, least: float, split: Split = Split.TRAIN
) -> int:
    """List the unannotated detections in the complete frames of a split, most certain first in each
    set, and draw them, numbered like the lines, in ``out``-1.png and so on.

    Raises:
        UsageError: ``least`` is no score. ModelError: ``weights`` are no detector's.
        DataError: no complete frame of that split. OutputError: ``out`` cannot be written.
    """
    if not 0 < least < 1:
        raise UsageError(f"--least {least}: a score is between 0 and 1")
    network = load(weights, Detector)[1]
    frames = [s for s in read(data) if s.split is split and s.complete and not s.crop]
    if not frames:
        raise DataError(f"{data}: no complete frame of split {split}; nothing to do")
    found = [
        (frame, detection)
        for frame in track(frames, "detecting", console=Console(stderr=True))
        for detection in unexplained(network, frame, least)
    ]
    found.sort(key=lambda pair: (pair[0].dataset, -pair[1].confidence))
    rows = [
        {
            "image": relative(frame.path, data), "set": frame.dataset,
            "box": [round(side, 1) for side in detection.box],
            "score": round(detection.confidence, 3),
        }
        for frame, detection in found
    ]
    write_list(out, rows)
    _draw(found, out)
    return len(found)


def unexplained(network: nn.Module, frame: Sample, least: float) -> list[Detection]:
    """The detections with a score of ``least`` that no annotated plate of the frame is near."""
    network.eval()
    known = np.array([plate.box for plate in frame.plates], np.float64).reshape(-1, 4)
    return [
        detection for detection in detect(network, read_frame(frame), least)
        if not (box_iou(np.array([detection.box]), known) > NEAR).any()
    ]


def _draw(found: Sequence[tuple[Sample, Detection]], out: Path) -> None:
    cells = [
        captioned(_surroundings(read_frame(frame), detection.box), str(number))
        for number, (frame, detection) in enumerate(found, 1)
    ]
    save_pages(cells, _COLUMNS, _PAGE, out)


def _surroundings(image: Image, box: Box) -> Image:
    """The box with as much again round it."""
    x1, y1, x2, y2 = box
    side = max(x2 - x1, 2 * (y2 - y1), 30.0)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    top, left = max(0, round(y - 0.6 * side)), max(0, round(x - side))
    part = image[top : round(y + 0.6 * side), left : round(x + side)]
    return letterbox(part, *_CELL, math.inf)[0]


def read_missed(data: Path, missed: Path | None) -> dict[Path, list[Box]]:
    """Boxes by frame, of a list that :func:`write_missed` wrote; empty for None.

    Raises:
        DataError: see :func:`alpr_edge.data.unannotated.read_unannotated`.
    """
    return read_unannotated(data, () if missed is None else read(data), missed)
