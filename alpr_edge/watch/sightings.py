"""Vehicles that were seen lately: what is one of them is no new event."""

from __future__ import annotations

import dataclasses

from alpr_edge.watch.confusable import canonical
from alpr_edge.watch.track import Place

LONGEST = 86400.0
"""Seconds after which a vehicle that was parked is forgotten too."""
NEAR = 3.0
"""Plate widths within which confusable characters, or a part that is hidden, make no other
vehicle."""


def is_same(text: str, place: Place, other_text: str, other_place: Place) -> bool:
    """Whether two plates are one vehicle: the same text; or near each other the same but for
    confusable characters, or one of them, partly hidden, an end of the other."""
    if text == other_text:
        return True
    if place.widths_to(other_place) > NEAR:
        return False
    part, whole = sorted((canonical(text), canonical(other_text)), key=len)
    ends = whole.startswith(part) or whole.endswith(part)
    return ends and 2 * len(part) >= len(whole)


@dataclasses.dataclass(kw_only=True, slots=True)
class Past:
    """A vehicle that is gone, or that was there when the clock jumped. It stood at its place from
    ``since`` until it was last ``seen``."""

    text: str
    place: Place
    since: float
    seen: float

    @property
    def stood(self) -> float:
        """Seconds for which it stood, :data:`LONGEST` at most."""
        return min(self.seen - self.since, LONGEST)


class Sightings:
    """Remembers vehicles for ``repeat_after`` seconds after they were last seen, and at its place
    a parked one for as long as it had stood there; with 0 it remembers nothing."""

    def __init__(self, repeat_after: float) -> None:
        self._repeat_after = repeat_after
        self._past: list[Past] = []

    def remember(self, past: Past) -> None:
        """A vehicle is gone."""
        if self._repeat_after > 0:
            self._past = [p for p in self._past if p.text != past.text] + [past]

    def find(self, text: str, place: Place, now: float) -> Past | None:
        """The vehicle of this text that was seen lately, or was parked at this very place."""
        self._past = [p for p in self._past if now - p.seen <= max(self._repeat_after, p.stood)]
        return next((
            p for p in self._past
            if is_same(text, place, p.text, p.place)
            and (now - p.seen <= self._repeat_after or place.is_at(p.place))
        ), None)

    def clock_jumped(self, since: float, last: float, now: float) -> None:
        """The clock went from ``last`` to ``now``. Those seen from ``since`` on are as if they were
        seen now; where the clock was put back, the others keep their age."""
        for past in self._past:
            shift = now - past.seen if past.seen >= since else min(0.0, now - last)
            past.seen += shift
            past.since += shift
