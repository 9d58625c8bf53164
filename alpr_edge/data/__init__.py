"""Annotated pictures of five formats, all as :class:`~alpr_edge.data.sample.Sample`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alpr_edge.data.ccpd import read_ccpd, subsets
from alpr_edge.data.coco import coco_files, read_coco
from alpr_edge.data.csv_texts import csv_files, read_csv
from alpr_edge.data.index import CROPS, FRAMES, read_index
from alpr_edge.data.sample import (
    PlateTruth,
    Report,
    Sample,
    SetPolicy,
    Split,
    policy,
    spread,
    stop,
)
from alpr_edge.data.yolo import read_yolo, yolo_folders
from alpr_edge.errors import DataError

__all__ = [
    "PlateTruth", "Report", "Sample", "SetPolicy", "Split", "policy", "read", "read_ccpd",
    "read_coco", "read_csv", "read_index", "read_yolo", "spread", "stop",
]

_ACCEPTED = (
    f"a folder with {FRAMES} or {CROPS} (our index)",
    "CCPD folders (ccpd_base/, ccpd_green/, ...) or one of them",
    "YOLO-pose images/ and labels/",
    "COCO keypoints (.json file, or a folder with annotations/*.json)",
    "a .csv file with image_path,plate_text, or a folder of such",
)


def read(path: Path | str, report: Report = stop) -> Iterator[Sample]:
    """All samples at ``path``; which of the five formats it is, its files tell.

    A wrong annotation is told to ``report``, which raises unless it is the caller's own.

    Raises:
        DataError: at once where the path does not exist or is none of the five; while iterating
            where an annotation is wrong.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; it should be " + "; or ".join(_ACCEPTED))
    if (path / FRAMES).exists() or (path / CROPS).exists():
        return read_index(path, report)
    if path.is_dir() and subsets(path):
        return read_ccpd(path, report)
    if path.is_dir() and yolo_folders(path):
        return read_yolo(path, report)
    if csv_files(path):
        return read_csv(path, report)
    if coco_files(path):
        return read_coco(path, report)
    raise DataError(f"{path} is of no format known here; it should be " + "; or ".join(_ACCEPTED))
