"""YOLO-pose folders: ``images/`` beside ``labels/``, one text file a picture, one line a plate.

    class cx cy w h  x y [v] (four times: TL, TR, BR, BL)      all but class and v in 0..1

Splits are folders inside (``images/train``) or outside (``train/images``); without one everything
is train. A picture without a label file has no plates. Lines of five values are boxes
without corners. Every class counts as a plate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from alpr_edge.data.folders import SPLIT_NAMES, picture_size, pictures_in, split_named, text_lines
from alpr_edge.data.sample import PlateTruth, Report, Sample, Split, stop
from alpr_edge.errors import DataError
from alpr_edge.geometry import as_quad

IMAGES, LABELS = "images", "labels"
_BOX, _POSE, _POSE_VISIBLE = 5, 13, 17


def yolo_folders(root: Path) -> list[Path]:
    """The folders named ``images`` at ``root`` or one below that have ``labels`` beside them."""
    found = sorted([*root.glob(IMAGES), *root.glob(f"*/{IMAGES}")])
    return [folder for folder in found if (folder.parent / LABELS).is_dir()]


def read_yolo(root: Path, report: Report = stop) -> Iterator[Sample]:
    """All samples of the folder; each picture is decoded once for its size.

    Raises:
        DataError: a picture or label file that cannot be read, or a line that is no label; names
            file and line.
    """
    pictures = [(images, path) for images in yolo_folders(root) for path in pictures_in(images)]
    present = {_split_word(images, path) for images, path in pictures}
    for images, path in pictures:
        label = (images.parent / LABELS / path.relative_to(images)).with_suffix(".txt")
        try:
            width, height = picture_size(path)
            plates = _plates(label, width, height)
        except DataError as error:
            report(error)
            continue
        yield Sample(
            path=path, dataset=root.resolve().name,
            split=split_named(_split_word(images, path), present),
            width=width, height=height, plates=plates,
        )


def _split_word(images: Path, picture: Path) -> str:
    """The name of the split folder inside or outside ``images``, ``train`` without one."""
    for name in (picture.relative_to(images).parts[0], images.parent.name):
        if name.lower() in SPLIT_NAMES:
            return name.lower()
    return Split.TRAIN


def _plates(label: Path, width: int, height: int) -> tuple[PlateTruth, ...]:
    if not label.exists():
        return ()
    plates = []
    for number, line in enumerate(text_lines(label), 1):
        if line.strip():
            try:
                plates.append(_plate([float(value) for value in line.split()], width, height))
            except ValueError as error:
                raise DataError(
                    f"{label}:{number}: {error}; a line is class cx cy w h and four corners x y "
                    "or x y v, as fractions of the picture"
                ) from error
    return tuple(plates)


def _plate(values: list[float], width: int, height: int) -> PlateTruth:
    if len(values) not in (_BOX, _POSE, _POSE_VISIBLE):
        raise ValueError(f"{len(values)} values instead of {_BOX}, {_POSE} or {_POSE_VISIBLE}")
    step = 3 if len(values) == _POSE_VISIBLE else 2
    xs, ys = values[_BOX::step], values[_BOX + 1 :: step]
    fractions = [*values[1:_BOX], *xs, *ys]
    if not all(math.isfinite(v) and -1 <= v <= 2 for v in fractions):
        raise ValueError(f"values are no fractions: {fractions}")
    cx, cy, w, h = values[1:_BOX]
    box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
    visible = all(values[_BOX + 2 :: 3]) if step == 3 else any(fractions[4:])
    points = [(x * width, y * height) for x, y in zip(xs, ys, strict=True)]
    return PlateTruth(box=box, corners=as_quad(points) if points and visible else None)
