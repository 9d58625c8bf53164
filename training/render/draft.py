"""What a style function returns: the drawn plate before ageing, and its truth."""

from __future__ import annotations

import dataclasses

from training.render.canvas import Canvas


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A plate drawn but not aged; ``text`` is without separators, upper row first; ``upper``
    how many of its characters are in the upper of two rows that a straight cut takes apart, 0
    where there are none."""

    canvas: Canvas
    text: str
    rows: int
    kind: str
    country: str
    upper: int = 0
