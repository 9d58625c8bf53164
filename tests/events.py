"""Events and stores that the tests of the outputs share."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable

from alpr_edge.watch.types import Access, Correction, Direction, Event, Known, Media

EVENT = Event(
    id="3f0c1de2-0000-4000-8000-000000000000", final=False, camera="gate", text="皖A12345",
    confidence=0.98765432, char_confidences=(0.99,) * 7, reads=5, agreeing=4, rows=1, region="CN",
    kind="blue", first_seen=1000.1234, last_seen=1002.0, best_time=1001.5,
    direction=Direction.APPROACHING,
    quad=((1.239, 2.0), (30.0, 2.0), (30.0, 12.0), (1.0, 12.0)), width=1920, height=1080,
    correction=Correction(read="皖A12B45", grammar="cn"),
    known=Known(text="皖A12345", access=Access.DENY, label="the van", distance=0),
    latency_ms=123.4567,
)
MEDIA = Media(crop=b"\xff\xd8crop\xff\xd9", scene=b"\xff\xd8scene\xff\xd9")
NO_MEDIA = Media(crop=None, scene=None)


def event(number: int = 0, **changes: object) -> Event:
    """The event of vehicle ``number``."""
    return dataclasses.replace(EVENT, **{"id": str(uuid.UUID(int=number))} | changes)


def ended(event: Event, **changes: object) -> Event:
    """The last announcement of an event."""
    return dataclasses.replace(event, **{"final": True} | changes)


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)
