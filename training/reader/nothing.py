"""What a detector takes for plates and is none: shown to a reader without a text, so that it says
of such a thing that there is nothing to read, and does not make up a text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from alpr_edge.data import read
from alpr_edge.data.sample import Split
from alpr_edge.decode import box_iou
from alpr_edge.geometry import box_quad
from alpr_edge.types import Box, Floats
from training.missed import NEAR, read_missed
from training.options import MEMORY
from training.reader.data import Plate, PlateItem, StoredPlate, held, surroundings
from training.reader.model import IGNORE
from training.render.street import drawn_background

NOTHING = "no plates"
"""The set that they belong to."""
_STREETS, _EACH, _STREET = 40, 8, (720, 1280)
_SIDES = np.log([60.0, 320.0])
"""Smallest and largest width in a drawn street of (height, width), as logarithms."""


def without_text(
    data: Path, places: Path, missed: Path | None, seed: int, memory: int = MEMORY, *,
    leave_out: Collection[str] = (),
) -> list[Plate]:
    """The ``places`` in the train frames, but those that ``missed`` says are plates (lists of
    :mod:`training.missed`), and parts of drawn streets, whose windows stand like two rows of text;
    nothing of the sets ``leave_out``.

    Raises:
        DataError: a list cannot be read, or is of other data.
    """
    plates = read_missed(data, missed)
    stored = []
    seen = read_missed(data, places)
    for sample in read(data):
        if sample.dataset in leave_out:
            continue
        if sample.split is Split.TRAIN and sample.path in seen:
            known = np.array(plates.get(sample.path, ()), np.float64).reshape(-1, 4)
            stored += [_stored(sample.path, box) for box in _apart(seen[sample.path], known)]
    items, _ = held(stored, memory)
    return [*items, *_drawn(np.random.default_rng((seed, len(stored))))]


def _apart(boxes: Sequence[Box], known: Floats) -> Iterator[Box]:
    """The boxes that no box (K, 4) of a plate is near."""
    for box in boxes:
        if not (box_iou(np.array([box]), known) > NEAR).any():
            yield box


def _stored(path: Path, box: Box) -> StoredPlate:
    part, quad = _cut(box)
    return StoredPlate(path=path, part=part, quads=(quad,), text="", rows=IGNORE, dataset=NOTHING)


def _cut(box: Box) -> tuple[tuple[int, int, int, int], Floats]:
    """The part of a picture round a box, and the box's corners (4, 2) in it."""
    part = surroundings(np.array([box]))
    return part, np.array(box_quad(box), np.float32) - np.array(part[:2], np.float32)


def _drawn(rng: np.random.Generator) -> Iterator[PlateItem]:
    height, width = _STREET
    for _ in range(_STREETS):
        street = drawn_background(rng, height, width)
        for _ in range(_EACH):
            side = np.exp(rng.uniform(*_SIDES))
            size = np.array([side, side / rng.uniform(1.0, 4.5)])
            corner = rng.uniform(0, 1, 2) * ([width, height] - size)
            (x1, y1, x2, y2), quad = _cut(tuple(np.concatenate([corner, corner + size]).tolist()))
            yield PlateItem(
                image=street[y1:y2, x1:x2].copy(), quads=(quad,), text="", rows=IGNORE,
                dataset=NOTHING,
            )
