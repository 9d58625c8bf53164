"""Plates whose text is uncertain are read again, with other outlines: where the detector's corners
are a little off, or the plate is seen from the side, one of them fits better. One of two rows is
read with its rows side by side too (:mod:`alpr_edge.unfold`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from alpr_edge.geometry import as_quad, rectify
from alpr_edge.types import Image, Quad, Reading
from alpr_edge.unfold import row_gap, unfold

HOPELESS, UNCERTAIN = 0.02, 0.5
"""Plates read with a confidence between these are read again: below, hardly any has a text."""
UNFOLDED = 0.9
"""Plates of two rows read with less confidence are read again with their rows side by side."""
LARGER = (0.03, 0.06)
"""By how much of its width and height a plate's outline is moved out, and in, at each side."""
LEAN = 0.3
"""By how much of the plate's height its upper edge is moved to the left against the lower one, and
to the right."""
_ALONG = np.array([[-1], [1], [1], [-1]], np.float64)
_DOWN = np.array([[-1], [-1], [1], [1]], np.float64)


def views(
    image: Image, corners: Quad, plate: Image, reading: Reading, *, outlined: bool = True
) -> list[Image]:
    """How to look again at the plate inside ``corners``, rectified ``plate``, read as ``reading``:
    pictures (48, 192, 3) uint8, none where it is certain. ``outlined``: with other outlines too."""
    shown: list[Image] = []
    if outlined and HOPELESS <= reading.confidence < UNCERTAIN:
        shown += [rectify(image, outline) for outline in outlines(corners)]
    if reading.rows == 2 and reading.confidence < UNFOLDED:
        shown.append(unfold(image, corners, row_gap(plate)))
    return shown


def outlines(corners: Quad) -> list[Quad]:
    """The four outlines to read a plate again with: larger, smaller, leaning either way."""
    quad = np.asarray(corners, np.float64)
    across = (quad[1] - quad[0] + quad[2] - quad[3]) / 2  # the plate's width and height as vectors
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    size = max(float(np.linalg.norm(across)), 1e-6)
    grown = LARGER[0] * _ALONG * across + LARGER[1] * _DOWN * down
    leaning = LEAN / 2 * float(np.linalg.norm(down)) * _DOWN * across / size
    return [as_quad(quad + moved) for moved in (grown, -grown, leaning, -leaning)]


def settled(
    readings: Sequence[Reading], again: Sequence[Sequence[Image]], more: Sequence[Reading]
) -> list[Reading]:
    """``readings``, each settled with what was read in its views ``again``: ``more``, plate after
    plate."""
    rest = iter(more)
    return [
        surest([reading, *(next(rest) for _ in shown)]) if shown else reading
        for reading, shown in zip(readings, again, strict=True)
    ]


def surest(readings: Sequence[Reading]) -> Reading:
    """The most certain of a plate's readings, the first where two are. Its confidence is what it
    was, times its text's share of all the readings' confidences: the surest of many is too sure.
    Its number of rows is the first one's, who saw them in their places."""
    best = max(readings, key=lambda reading: reading.confidence)
    total = sum(reading.confidence for reading in readings)
    same = sum(reading.confidence for reading in readings if reading.text == best.text)
    share = same / total if total else 0.0
    return dataclasses.replace(best, confidence=best.confidence * share, rows=readings[0].rows)
