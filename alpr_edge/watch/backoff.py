"""How long to wait before something is tried again: exponential, with jitter."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Each delay is twice the one before, up to ``limit`` seconds, times a random 0.5..1.

    The jitter keeps many clients of a server that returns from coming all at once.
    """

    def __init__(
        self, *, first: float = 1.0, limit: float = 60.0, draw: Callable[[], float] = random.random
    ) -> None:
        self._first, self._limit, self._draw = first, limit, draw
        self._delay = first

    def next(self) -> float:
        """Seconds to wait now."""
        delay, self._delay = self._delay, min(2 * self._delay, self._limit)
        return delay * (0.5 + self._draw() / 2)

    def reset(self) -> None:
        """It worked: the next delay is a first one again."""
        self._delay = self._first
