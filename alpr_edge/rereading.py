"""Plates whose text is uncertain are read again, with other outlines: where the detector's corners
are a little off, or the plate is seen from the side, one of them fits better."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from alpr_edge.geometry import as_quad
from alpr_edge.types import Quad, Reading

HOPELESS, UNCERTAIN = 0.02, 0.5
"""Plates read with a confidence between these are read again: below, hardly any has a text."""
LARGER = (0.03, 0.06)
"""By how much of its width and height a plate's outline is moved out, and in, at each side."""
LEAN = 0.3
"""By how much of the plate's height its upper edge is moved to the left against the lower one, and
to the right."""
_ALONG = np.array([[-1], [1], [1], [-1]], np.float64)
_DOWN = np.array([[-1], [-1], [1], [1]], np.float64)


def uncertain(readings: Sequence[Reading]) -> list[int]:
    """Indices of the plates to read again."""
    return [i for i, reading in enumerate(readings) if HOPELESS <= reading.confidence < UNCERTAIN]


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
    readings: Sequence[Reading], again: Sequence[int], more: Sequence[Reading]
) -> list[Reading]:
    """``readings`` with those at ``again`` read ``len(outlines)`` times more: ``more``, plate after
    plate."""
    told = list(readings)
    each = len(more) // max(len(again), 1)
    for place, index in enumerate(again):
        told[index] = surest([told[index], *more[place * each : (place + 1) * each]])
    return told


def surest(readings: Sequence[Reading]) -> Reading:
    """The most certain of a plate's readings, the first where two are. Its confidence is what it
    was, times its text's share of all the readings' confidences: the surest of many is too sure."""
    best = max(readings, key=lambda reading: reading.confidence)
    total = sum(reading.confidence for reading in readings)
    same = sum(reading.confidence for reading in readings if reading.text == best.text)
    return dataclasses.replace(best, confidence=best.confidence * (same / total if total else 0.0))
