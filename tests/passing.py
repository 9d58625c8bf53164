"""Vehicles that pass a camera, for tests of tracks and events: plates without any picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from alpr_edge.geometry import box_quad, quad_box
from alpr_edge.types import Plate
from alpr_edge.watch.config import PlatesConfig, TrackingConfig
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.tracker import Sighting, Tracker
from alpr_edge.watch.types import Event, Frame

FPS = 10.0
BEGIN = 1_700_000_000.0
_IMAGE = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)

Seen = Sequence[Plate]


def seen_plate(
    text: str, x: float, y: float = 500.0, width: float = 100.0, confidence: float = 0.95
) -> Plate:
    """A plate whose middle is at (x, y), a quarter as high as wide."""
    quad = box_quad((x - width / 2, y - width / 8, x + width / 2, y + width / 8))
    each = confidence ** (1 / max(1, len(text)))
    return Plate(
        text=text, confidence=confidence, char_confidences=(each,) * len(text), rows=1,
        region=None, kind=None, box=quad_box(quad), corners=quad, detection_confidence=0.9,
    )


def new_tracker(**settings: object) -> Tracker:
    """A tracker of a reader with the threshold 0.3."""
    return Tracker("gate", TrackingConfig(**settings), PlatesConfig(), 0.3)  # type: ignore[arg-type]


def frame_at(number: int, when: float | None = None) -> Frame:
    """Frame ``number`` of 10 a second, or of another time after the begin."""
    seconds = number / FPS if when is None else when
    return Frame(camera="gate", number=number, time=BEGIN + seconds, arrived=0.0,
                 picture=Picture(_IMAGE))


def run(tracker: Tracker, frames: Iterable[Seen], first: int = 0) -> list[Event]:
    """What is announced of these frames, the end not included."""
    told: list[Sighting] = []
    for number, plates in enumerate(frames, first):
        told += tracker.update(frame_at(number), plates)
    return [sighting.event for sighting in told]


def ended(tracker: Tracker) -> list[Event]:
    """What is announced at the end."""
    return [sighting.event for sighting in tracker.flush()]


def driving(
    text: str, count: int, x: Callable[[int], float],
    width: Callable[[int], float] = lambda _: 100.0,
) -> list[list[Plate]]:
    """A vehicle on its own for ``count`` frames."""
    return [[seen_plate(text, x(n), width=width(n))] for n in range(count)]
