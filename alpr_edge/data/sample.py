"""The one sample type that every reader of annotated pictures yields."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from alpr_edge.errors import DataError
from alpr_edge.geometry import box_quad
from alpr_edge.types import Box, Quad

Report = Callable[[DataError], None]
"""What a reader does with an annotation that is wrong; if it returns, the reader goes on."""


Item = TypeVar("Item")


def stop(error: DataError) -> None:
    """The :data:`Report` of all who need the data to be right: raise."""
    raise error


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most ``most`` of the items, evenly spread, in order."""
    count = min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]


class Split(enum.StrEnum):
    """train learns, calib gives quantization statistics, dev chooses, val is only reported."""

    TRAIN = "train"
    CALIB = "calib"
    DEV = "dev"
    VAL = "val"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PlateTruth:
    """What is known of one plate, in the picture's pixels.

    ``corners`` is the plate's outer edge (EU band included), None where unknown. ``corners_pseudo``
    are another detector's: to learn from, never to measure on. ``text`` is upper case without
    separators, None where unknown.
    """

    box: Box
    corners: Quad | None = None
    corners_pseudo: Quad | None = None
    text: str | None = None
    rows: int | None = None
    kind: str | None = None

    @property
    def outline(self) -> Quad:
        """The best that is known of the corners: another detector's or the box's, if need be."""
        return self.corners or self.corners_pseudo or box_quad(self.box)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One annotated picture: a frame with its plates, or a plate cut-out (``crop``, one plate).

    ``complete`` is False where plates may be visible that are not annotated.
    """

    path: Path
    dataset: str
    split: Split
    width: int
    height: int
    plates: tuple[PlateTruth, ...]
    crop: bool = False
    complete: bool = True
    country: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SetPolicy:
    """What a set's annotations can be used for, by :data:`POLICIES`.

    ``corners``: the corner annotations are the plate's outer edge (learn and measure corners).
    ``tight_box``: the box is the plate's outer edge (measure IoU 0.7); learn boxes either way
    unless ``box_loss`` is False.
    """

    corners: bool = True
    tight_box: bool = False
    box_loss: bool = True


POLICIES = {
    "ccpd_base": SetPolicy(tight_box=True),
    "rendered": SetPolicy(tight_box=True),
    "nl_tudelft": SetPolicy(corners=False, box_loss=False),
    "in_nanonets": SetPolicy(corners=False, box_loss=False),
}
"""Sets that differ from the default: NL leaves the EU band out, in_nanonets hugs the characters."""


def policy(dataset: str) -> SetPolicy:
    """The policy of a set: its row in :data:`POLICIES`; for CCPD subsets that of ccpd_base, for
    rendered styles (``rendered/uk``) that of rendered."""
    for beginning, name in (("ccpd", "ccpd_base"), ("rendered", "rendered")):
        if dataset.startswith(beginning):
            dataset = name
    return POLICIES.get(dataset, SetPolicy())
