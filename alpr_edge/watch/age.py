"""A clock that retention can trust: no jump of the wall clock makes everything old at once.

A box without a battery starts in 1970 until it has found the time; a wrong server may send it to
2040 and back. So how old an event is, is not told by dates but by the time its store has existed:
while it is open the monotonic clock counts, while it is closed the wall clock, at most
:data:`MAX_CLOSED`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

DAY = 86400.0
MAX_CLOSED = 7 * DAY
"""Seconds by which the age grows at most while the store is closed."""

Clock = Callable[[], float]


class Age:
    """Seconds that a store has existed, going on from what was stored."""

    def __init__(
        self, age: float, stored: float, *, wall: Clock = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        """``age`` it had when the wall clock said ``stored``."""
        self._wall, self._monotonic = wall, monotonic
        self._start = age + min(max(wall() - stored, 0.0), MAX_CLOSED) - monotonic()

    def now(self) -> float:
        """The age now."""
        return self._start + self._monotonic()

    def state(self) -> tuple[float, float]:
        """What to store: the age and what the wall clock says."""
        return self.now(), self._wall()
