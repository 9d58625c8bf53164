"""Plates whose text is uncertain are read again, with other outlines: where the detector's corners
are a little off, or the plate is seen from the side, one of them fits better; and sharper, since
many are blurred. Each row is read alone too (:mod:`alpr_edge.rows`), of an uncertain one several
times. One that is hardly read at all may stand on its head."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.geometry import as_quad, rectify
from alpr_edge.reader import Spelling, joint
from alpr_edge.rows import alone
from alpr_edge.types import Image, Quad, Reading

HOPELESS, UNCERTAIN = 0.005, 0.75
"""Plates read with a confidence between these are read again: below, hardly any has a text."""
ALONE = 0.9
"""Of plates read with less confidence (of one row down to :data:`HOPELESS`) each row is read alone;
with less than :data:`UNCERTAIN` also sharper, and rows of two as the smaller outline shows them."""
UPRIGHT, FAR_SURER = 0.8, 1.3
"""A plate read with less confidence may stand on its head: it does if that reads with at least as
much, and so many times as surely."""
SHORTEST = 4
"""Characters of a text that stands on its head, at least: few may be anything from below."""
LARGER = (0.03, 0.06)
"""By how much of its width and height a plate's outline is moved out, and in, at each side."""
LEAN = 0.3
"""By how much of the plate's height its upper edge is moved to the left against the lower one, and
to the right."""
AMOUNT, SIGMA = 2.0, 2.0
"""By how much, and over how many pixels, a rectified plate is made sharper (:func:`sharper`)."""
_ALONG = np.array([[-1], [1], [1], [-1]], np.float64)
_DOWN = np.array([[-1], [-1], [1], [1]], np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """Pictures (48, 192, 3) uint8 to look again at a plate: the whole of it, with other outlines
    and sharper, and each of its rows; none of either where it is certain."""

    whole: tuple[Image, ...] = ()
    rows: tuple[tuple[Image, ...], ...] = ()

    @property
    def pictures(self) -> tuple[Image, ...]:
        """All of them, in the order in which :func:`settled` is told what they show."""
        return self.whole + tuple(row for rows in self.rows for row in rows)


def views(
    image: Image, corners: Quad, plate: Image, reading: Reading, *, whole: bool = True
) -> Again:
    """How to look again at the plate inside ``corners``, rectified ``plate``, read as ``reading``.
    Without ``whole`` only at each of two rows, and once."""
    looks: list[Image] = []
    rows: list[tuple[Image, ...]] = []
    two, hopeless = reading.rows == 2, reading.confidence < HOPELESS
    uncertain = whole and reading.confidence < UNCERTAIN
    if uncertain and not hopeless:
        looks = [*(rectify(image, one) for one in outlines(corners)), sharper(plate)]
    if reading.confidence < ALONE and (two or (whole and not hopeless)):
        first = alone(image, corners, plate, 2 if two else 1)
        if two or not np.allclose(first[0], plate, atol=2):  # else the text fills the plate
            rows.append(first)
        if rows and uncertain:
            rows.append(tuple(sharper(row) for row in first))
        if uncertain and two:
            _, smaller, *_ = outlines(corners)
            inside = looks[1] if looks else rectify(image, smaller)
            rows.append(alone(image, smaller, inside, 2))
    return Again(whole=tuple(looks), rows=tuple(rows))


def outlines(corners: Quad) -> list[Quad]:
    """The four outlines to read a plate again with: larger, smaller, leaning either way."""
    quad = np.asarray(corners, np.float64)
    across = (quad[1] - quad[0] + quad[2] - quad[3]) / 2  # the plate's width and height as vectors
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    size = max(float(np.linalg.norm(across)), 1e-6)
    grown = LARGER[0] * _ALONG * across + LARGER[1] * _DOWN * down
    leaning = LEAN / 2 * float(np.linalg.norm(down)) * _DOWN * across / size
    return [as_quad(quad + moved) for moved in (grown, -grown, leaning, -leaning)]


def sharper(image: Image, amount: float = AMOUNT, sigma: float = SIGMA) -> Image:
    """Unsharp masking: the picture (H, W, 3) uint8 and ``amount`` times its difference to a copy
    blurred with the standard deviation ``sigma`` in pixels."""
    blurred = cv2.GaussianBlur(image, (0, 0), sigma)
    return np.asarray(cv2.addWeighted(image, 1 + amount, blurred, -amount, 0), np.uint8)


def settled(
    readings: Sequence[Reading], again: Sequence[Again], looks: Sequence[Spelling],
    more: Sequence[Spelling],
) -> list[Reading]:
    """``readings``, each settled with what the pictures ``again`` show. ``looks`` is what the
    network said of each plate, ``more`` what of the pictures, plate after plate."""
    rest, told = iter(more), []
    for reading, look, shown in zip(readings, looks, again, strict=True):
        seen = [look, *(next(rest) for _ in shown.whole)]
        for row in shown.rows:
            first, *below = (next(rest) for _ in row)
            seen.append(first.above(*below) if below else first)
        told.append(vote(reading, seen) if len(seen) > 1 else reading)
    return told


def maybe_upside_down(reading: Reading) -> bool:
    """Whether a plate so read is worth a look the other way up."""
    return not reading.text or reading.confidence < UPRIGHT


def is_upside_down(reading: Reading, turned: Reading) -> bool:
    """Whether a plate read as ``reading``, and as ``turned`` the other way up, stands on its
    head."""
    own = reading.confidence if reading.text else 0.0
    return len(turned.text) >= SHORTEST and turned.confidence >= max(UPRIGHT, FAR_SURER * own)


def vote(reading: Reading, looks: Sequence[Spelling]) -> Reading:
    """A plate's ``reading`` after several ``looks`` at it, the first one included.

    A look has a vote for every text that any of them spells: the geometric mean of its slots' and
    its tokens' probability. The text with most votes is told; its confidence is that of the surest
    look's slots times its share of all texts' probabilities by slots and tokens, since the surest
    of many is too sure. Its number of rows is the first look's, which saw them in their places.
    """
    texts = list(dict.fromkeys(classes for look in looks for classes in look.texts))
    both = joint(looks, texts)
    best = int(np.logaddexp.reduce(both / 2, axis=1).argmax())
    share = np.exp(np.logaddexp.reduce(both[best]) - np.logaddexp.reduce(both, axis=None))
    told = (look.reading(texts[best], float(share), reading.rows) for look in looks)
    return max(told, key=lambda reading: reading.confidence)
