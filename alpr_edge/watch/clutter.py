"""What is no plate and stays where it is: a camera need not look closer at it in every frame.

A sign, a window or a bumper sticker that the detector takes for a plate is a candidate in each
frame again, and each time the closer look, which costs more than all else but the detector, says
no. A place refused for some time is believed for a while.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from alpr_edge import closer, decode
from alpr_edge.types import Box, Detection

SAME_PLACE = 0.8
"""Overlap (IoU) of a candidate with a place that makes it the same: a vehicle that moves is not."""
REFUSED_FOR = 2.0
"""Seconds for which a place must have been refused, at every look, to be believed."""
AGAIN = 10.0
"""After so many seconds it is looked at closer all the same: light and shadow change."""
FORGOTTEN = 30.0
"""After so many seconds without a refusal a place is nothing special any more."""
SURER = 0.1
"""A candidate whose score rises by so much above the place's is another thing."""


@dataclasses.dataclass(slots=True)
class _Place:
    """Where something was refused: the highest score of it, the first and the last refusal."""

    box: Box
    score: float
    since: float
    refused: float


class Clutter:
    """Places of one camera's picture where the closer look saw no plate; times in seconds."""

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def unknown(self, candidates: Sequence[Detection], time: float) -> list[Detection]:
        """The candidates that deserve a closer look, in their order."""
        self._places = [p for p in self._places if 0 <= time - p.refused < FORGOTTEN]
        believed = [
            p for p in self._places
            if p.refused - p.since >= REFUSED_FOR and time - p.refused < AGAIN
        ]
        return [one for one in candidates if not _is_one_of(believed, one)]

    def learn(
        self, looked_at: Sequence[Detection], plates: Sequence[Detection], time: float
    ) -> None:
        """Remember what was looked at closer and is not among the ``plates`` that were found."""
        for candidate in looked_at:
            known = _nearest(self._places, candidate)
            if known is not None:
                self._places.remove(known)
            if _overlap(plates, candidate) < closer.SAME:
                score, since = candidate.confidence, time
                if known is not None:
                    score, since = max(score, known.score), known.since
                self._places.append(
                    _Place(box=candidate.box, score=score, since=since, refused=time)
                )


def _is_one_of(places: Sequence[_Place], candidate: Detection) -> bool:
    place = _nearest(places, candidate)
    return place is not None and candidate.confidence < place.score + SURER


def _nearest(places: Sequence[_Place], candidate: Detection) -> _Place | None:
    """The place where the candidate is, if there is one."""
    if not places:
        return None
    overlaps = decode.box_iou(np.array([candidate.box]), np.array([p.box for p in places]))[0]
    best = int(overlaps.argmax())
    return places[best] if overlaps[best] >= SAME_PLACE else None


def _overlap(plates: Sequence[Detection], candidate: Detection) -> float:
    """The greatest IoU of the candidate with a plate."""
    if not plates:
        return 0.0
    boxes = np.array([plate.box for plate in plates])
    return float(decode.box_iou(np.array([candidate.box]), boxes).max())
