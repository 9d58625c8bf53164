"""A detector's candidates as close-ups: a closer look is judged by them and quantized on them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import nn

from alpr_edge import closer, geometry
from alpr_edge.data import read
from alpr_edge.data.index import FRAMES
from alpr_edge.data.sample import PlateTruth, Sample, Split
from alpr_edge.decode import box_iou, select
from alpr_edge.detector import PlateDetector
from alpr_edge.errors import DataError, OutputError, UsageError
from alpr_edge.metrics import FrameResult
from alpr_edge.types import Detection
from training.detector.evaluate import OVERLAP, figures, frames_of
from training.detector.scenes import read_frame
from training.options import device_of

HEIGHT, WIDTH = 128, 192
"""Of a close-up."""
_BATCH = 64
"""Close-ups that are judged at once."""


def finder(folder: Path, threads: int | None = None) -> PlateDetector:
    """The detector of a model folder, which tells every candidate for a closer look.

    Raises:
        ModelError: there is no intact detector.
    """
    return PlateDetector(folder, min_score=closer.CANDIDATE, threads=threads)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidates:
    """What the detector finds in a frame, and each as a close-up (N, 128, 192, 3)."""

    sample: Sample
    detections: tuple[Detection, ...]
    close_ups: NDArray[np.uint8]
    mappings: tuple[geometry.Letterbox, ...]


def candidates_of(detector: PlateDetector, frames: Sequence[Sample]) -> list[Candidates]:
    """The detector's finds in every frame, those of its second look at close-ups too, before any
    closer look of its own."""
    found = []
    for sample in track(frames, "detecting", console=Console(stderr=True)):
        image = read_frame(sample)
        framed = detector.letterbox(image)
        detections = tuple(detector.postprocess(detector.infer(framed), framed))
        looks = [geometry.close_up(image, one.box, HEIGHT, WIDTH) for one in detections]
        found.append(Candidates(
            sample=sample, detections=detections,
            close_ups=np.array([look for look, _ in looks], np.uint8),
            mappings=tuple(mapping for _, mapping in looks),
        ))
    return found


def dev_candidates(
    data: Path, detector: Path | None, threads: int | None = None
) -> list[Candidates]:
    """:func:`candidates_of` the detector of a model folder in the dev frames.

    Raises:
        UsageError: there is no detector. ModelError: it is not intact. DataError: there is no dev
            frame, or it finds nothing in them.
    """
    if detector is None:
        raise UsageError("a closer look is judged by what a detector finds; add --detector DIR")
    candidates = candidates_of(finder(detector, threads), frames_of(data, Split.DEV))
    if not any(one.detections for one in candidates):
        raise DataError(f"{detector} finds nothing in the {len(candidates)} dev frames of {data}; "
                        "a closer look is judged by what it makes of such finds")
    return candidates


def results(model: nn.Module, candidates: Sequence[Candidates]) -> list[FrameResult]:
    """Every frame's plates after the closer look of a model in evaluation mode, none left out."""
    seen = np.concatenate([one.close_ups for one in candidates if len(one.close_ups)])
    device = device_of(model)
    with torch.inference_mode():
        parts = [
            [
                output.cpu().numpy()
                for output in model(torch.from_numpy(seen[i : i + _BATCH]).to(device))[:3]
            ]
            for i in range(0, len(seen), _BATCH)
        ]
    rows = iter(zip(*(np.concatenate(part) for part in zip(*parts, strict=True)), strict=True))
    found = []
    for one in candidates:
        looked = [
            closer.looked_at(detection, mapping, *select(
                *next(rows), min_score=closer.LEAST, iou=OVERLAP
            ))
            for detection, mapping in zip(one.detections, one.mappings, strict=True)
        ]
        found.append(FrameResult(sample=one.sample, detections=closer.settled(
            [plate for plate in looked if plate is not None],
            one.sample.width, one.sample.height, min_score=0, iou=OVERLAP,
        )))
    return found


def evaluate(model: nn.Module, candidates: Sequence[Candidates]) -> dict[str, float]:
    """:func:`training.detector.evaluate.figures` after the closer look."""
    model.eval()
    return figures(results(model, candidates))


def write_close_ups(data: Path, detector: Path, out: Path) -> int:
    """Write the candidates of the calib and dev frames of ``data`` as frames of their own, 192 x
    128, into the data folder ``out``, and return how many: on these ``python -m optimize`` makes
    and judges a closer look as it does any detector.

    Raises:
        DataError: ``data`` has no such frames. ModelError: there is no intact detector.
        OutputError: ``out`` holds something already, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is a file or not empty; give a new folder")
    splits = (Split.CALIB, Split.DEV)
    frames = [s for s in read(data) if s.split in splits and not s.crop]
    if not frames:
        raise DataError(f"{data}: no frame of split {' or '.join(splits)}; check --data")
    lines = []
    try:
        (out / "frames").mkdir(parents=True)
        for one in candidates_of(finder(detector), frames):
            for image, row in _rows(one):
                name = f"frames/{len(lines):05d}.png"
                cv2.imwrite(str(out / name), image)
                lines.append(json.dumps({"image": name, **row}, ensure_ascii=False) + "\n")
        (out / FRAMES).write_text("".join(lines), "utf-8")
    except OSError as error:
        raise OutputError(f"cannot write close-ups to {out}: {error}") from error
    return len(lines)


def _rows(candidates: Candidates) -> Sequence[tuple[NDArray[np.uint8], dict[str, Any]]]:
    """Every close-up with its row of frames.jsonl: its one plate, or none."""
    sample = candidates.sample
    boxes = np.array([plate.box for plate in sample.plates], np.float64).reshape(-1, 4)
    rows = []
    for image, detection, mapping in zip(
        candidates.close_ups, candidates.detections, candidates.mappings, strict=True
    ):
        overlaps = box_iou(np.array([detection.box]), boxes)[0]
        plates = [
            _seen(plate, mapping)
            for plate, overlap in zip(sample.plates, overlaps, strict=True)
            if overlap >= closer.SAME
        ]
        rows.append((image, {
            "set": sample.dataset, "split": sample.split.value, "width": WIDTH, "height": HEIGHT,
            "complete": sample.complete, "plates": plates,
        }))
    return rows


def _seen(plate: PlateTruth, mapping: geometry.Letterbox) -> dict[str, Any]:
    """An annotation in a close-up's pixels."""
    box = mapping.forward(np.reshape(plate.box, (2, 2)))
    row: dict[str, Any] = {"box": np.clip(box, 0, [WIDTH, HEIGHT]).ravel().tolist()}
    for name in ("corners", "corners_pseudo"):
        if (quad := getattr(plate, name)) is not None:
            row[name] = mapping.forward(np.array(quad)).tolist()
    return row
