"""Texts for plates of frames: what the shipped networks read on plates that only have a box.

Detection sets have no texts, but their plates are of many countries and cameras, and seen as a
detector finds them. :func:`write_frame_texts` lists what is read on the train frames' plates, sure
or not, and draws each; a person corrects ``text`` and takes out the lines that nobody can read.
Then ``python -m training reader --frame-texts`` learns them (:mod:`training.selection`); a list of
dev frames is what it is judged by besides.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from alpr_edge.alphabet import fits
from alpr_edge.data import Sample, Split, read
from alpr_edge.data.lists import read_list, relative, write_list
from alpr_edge.data.sample import PlateTruth
from alpr_edge.decode import box_iou
from alpr_edge.errors import DataError
from alpr_edge.geometry import as_quad, letterbox, rectify
from alpr_edge.images import load_image
from alpr_edge.pipeline import ALPR
from alpr_edge.types import Image, Plate, Quad
from training.sheet import captioned, save_pages

SMALLEST = 50.0
"""Plates narrower than so many pixels are not listed: hardly any can be read."""
LEAST = 0.02
"""Least confidence of what is listed."""
FOUND, SAME = 0.5, 0.9
"""IoU of a detection with the annotated box that it is of; of a line's box with its plate's."""
_PAGE, _COLUMNS, _CELL = 56, 7, (110, 250)
_EDGE = np.array([[-0.08, -0.15], [1.08, -0.15], [1.08, 1.15], [-0.08, 1.15]], np.float32)


def write_frame_texts(data: Path, alpr: ALPR, out: Path, split: Split = Split.TRAIN) -> int:
    """List what ``alpr`` reads on the plates of a split's frames that have no text, least sure last
    in each set, and draw them, numbered like the lines, in ``out``-1.png and so on; how many.

    A text that a plate of another split has is left out: splits are apart by text.

    Raises:
        DataError: no plate of the split's frames lacks a text, or a picture cannot be read.
        OutputError: ``out`` cannot be written.
    """
    samples = list(read(data))
    wanted = [s for s in samples if _is_frame(s, split) and any(not p.text for p in s.plates)]
    if not wanted:
        raise DataError(f"{data}: every plate of the frames of split {split} has a text")
    held_out = {p.text for s in samples if s.split is not split for p in s.plates}
    found = [
        (sample, truth, plate)
        for sample in track(wanted, "reading", console=Console(stderr=True))
        for truth, plate in _readings(sample, alpr)
        if plate.text not in held_out
    ]
    found.sort(key=lambda one: (one[0].dataset, -one[2].confidence))
    rows = [
        {
            "image": relative(sample.path, data), "set": sample.dataset, "box": truth.box,
            "corners": np.round(plate.corners, 1).tolist(), "text": plate.text,
            "rows": plate.rows, "confidence": round(plate.confidence, 3),
        }
        for sample, truth, plate in found
    ]
    write_list(out, rows)
    cells = [
        captioned(_picture(sample, plate.corners), f"{number} {plate.text}")
        for number, (sample, _, plate) in enumerate(found, 1)
    ]
    save_pages(cells, _COLUMNS, _PAGE, out)
    return len(found)


def _is_frame(sample: Sample, *splits: Split) -> bool:
    return sample.split in splits and not sample.crop


def _readings(sample: Sample, alpr: ALPR) -> Iterator[tuple[PlateTruth, Plate]]:
    """Each wide plate without a text, with what was found and read on it."""
    wide = [p for p in sample.plates if not p.text and p.box[2] - p.box[0] >= SMALLEST]
    plates = alpr.predict(load_image(sample.path)) if wide else []
    if not plates:
        return
    boxes = np.array([plate.box for plate in plates])
    for truth in wide:
        overlaps = box_iou(np.array([truth.box]), boxes)[0]
        plate = plates[int(overlaps.argmax())]
        if overlaps.max() >= FOUND and plate.confidence >= LEAST and fits(plate.text):
            yield truth, plate


def _picture(sample: Sample, corners: Quad) -> Image:
    """The plate upright, with some of its surroundings."""
    quad = np.asarray(corners, np.float32)
    across, down = (quad[1] - quad[0] + quad[2] - quad[3]) / 2, (quad[3] + quad[2]
                                                                 - quad[0] - quad[1]) / 2
    outer = quad[:1] + _EDGE[:, :1] * across + _EDGE[:, 1:] * down
    width = max(1, round(float(np.linalg.norm(across)) * 1.16))
    height = max(1, round(float(np.linalg.norm(down)) * 1.3))
    return letterbox(rectify(load_image(sample.path), outer, height, width), *_CELL, math.inf)[0]


def with_frame_texts(samples: Iterable[Sample], data: Path, listed: Path) -> Iterator[Sample]:
    """``samples`` of ``data``; the plates of train and dev frames that ``listed`` names have its
    text, rows and, beside what is known of them, its corners.

    Raises:
        DataError: ``listed`` cannot be read or names what is no such plate.
    """
    texts: dict[str, list[PlateTruth]] = {}
    for image, plate in read_list(
        listed, _line, made_by="python -m training frame-texts",
        needed="image, box, corners, text of our alphabet, and rows 1, 2 or null",
    ):
        texts.setdefault(image, []).append(plate)
    for sample in samples:
        known = _is_frame(sample, Split.TRAIN, Split.DEV)
        for told in texts.pop(relative(sample.path, data), []) if known else []:
            sample = _completed(sample, told, listed)
        yield sample
    if texts:
        raise DataError(f"{listed}: {len(texts)} listed pictures, such as {next(iter(texts))}, are "
                        f"no train or dev frames in {data}; list them anew")


def listed_plates(
    samples: Iterable[Sample], data: Path, listed: Path, split: Split
) -> list[Sample]:
    """The frames of ``split`` that ``listed`` names, with no other plates than it names.

    Raises:
        DataError: see :func:`with_frame_texts`.
    """
    before = list(samples)
    return [
        dataclasses.replace(new, plates=tuple(p for p in new.plates if p not in old.plates))
        for old, new in zip(before, with_frame_texts(before, data, listed), strict=True)
        if new is not old and new.split is split
    ]


def _line(row: Mapping[str, Any]) -> tuple[str, PlateTruth]:
    text, rows = row["text"], row["rows"]
    if not fits(text) or rows not in (None, 1, 2):
        raise ValueError(f"text {text!r}, rows {rows!r}")
    x1, y1, x2, y2 = map(float, row["box"])
    corners = as_quad(np.array(row["corners"], np.float64).reshape(4, 2))
    return str(row["image"]), PlateTruth(
        box=(x1, y1, x2, y2), corners_pseudo=corners, text=text, rows=rows
    )


def _completed(sample: Sample, told: PlateTruth, listed: Path) -> Sample:
    """The sample with what is told of one of its plates without a text."""
    plates = list(sample.plates)
    for index, plate in enumerate(plates):
        if not plate.text and box_iou(np.array([plate.box]), np.array([told.box]))[0, 0] >= SAME:
            plates[index] = dataclasses.replace(
                plate, text=told.text, rows=told.rows,
                corners_pseudo=plate.corners_pseudo or told.corners_pseudo,
            )
            return dataclasses.replace(sample, plates=tuple(plates))
    raise DataError(
        f"{listed}: {sample.path.name} has no plate without a text in box {told.box}"
    )
