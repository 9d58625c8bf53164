"""Who drives where and when in front of the drive-by video's camera.

Ground coordinates are metres: X to the right of the camera, Z away from it. The timetable has five
parts: traffic on three lanes, crossing traffic, nobody, the same two by night, nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FPS = 25
_FAR, _NEAR = 23.0, 3.6
"""Metres where vehicles of the lanes come into being and leave."""
_LANES = (-2.7, 0.0, 2.7)
_LEAVING = 2
"""Which lane drives away from the camera."""
_CROSSINGS = ((8.0, 1), (11.0, -1))
"""Distance, and direction along X."""
_CROSSING_FROM = 6.5
_KERB = ((-4.3, 15.5), (-6.35, 18.0), (4.4, 16.2), (6.4, 18.0))
"""Where cars are parked."""
_GAP = 6.5
"""Metres between two vehicles of one lane."""
_IDLE_SECONDS = 10.0
_STOPS = 0.12
"""Share of the vehicles on lanes that stop on their way."""

_STYLES = (
    "cn_blue", "eu", "cn_green_small", "br", "cn_blue", "uk", "cn_yellow_two", "mercosur",
    "cn_blue", "eu", "cn_green_large", "vn", "cn_yellow", "us", "cn_police", "eu", "cn_blue", "tn",
    "cn_black", "uk",
)
"""Plate styles in turn."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trip:
    """One vehicle: ``ground`` (n, 2) is where it is (X, Z) in each of its frames from ``begin``."""

    style: str
    begin: int
    ground: NDArray[np.float64]
    parked: bool
    yaw: float
    """Radians that it is turned away from the camera."""

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.begin + len(self.ground)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Timetable:
    """All trips; frames from ``night`` on are by night, nobody drives in the ``idle`` ones."""

    trips: tuple[Trip, ...]
    frames: int
    night: int
    idle: tuple[range, ...]


def timetable(rng: np.random.Generator, vehicles: int) -> Timetable:
    """A timetable of ``vehicles`` vehicles, the parked ones among them."""
    moving = vehicles - len(_KERB)
    day = round(moving * 0.6)
    turn = iter(_styles())
    trips: list[Trip] = []
    first = _traffic(rng, turn, 0, day)
    night = max(trip.end for trip in first) + round(_IDLE_SECONDS * FPS)
    second = _traffic(rng, turn, night, moving - day)
    last = max(trip.end for trip in second)
    frames = last + 2 * FPS
    for x, z in _KERB:
        ground = np.tile((x, z), (frames, 1)).astype(np.float64)
        trips.append(Trip(style=next(turn), begin=0, ground=ground, parked=True, yaw=0.0))
    idle = range(max(trip.end for trip in first), night), range(last, frames)
    return Timetable(
        trips=tuple(trips + first + second), frames=frames, night=night, idle=idle
    )


def _styles() -> Iterator[str]:
    while True:
        yield from _STYLES


def _traffic(rng: np.random.Generator, turn: Iterator[str], begin: int, count: int) -> list[Trip]:
    """``count`` vehicles: three quarters on the lanes, then the others across."""
    on_lanes = round(count * 0.75)
    trips: list[Trip] = []
    for number, lane in enumerate(_LANES):
        share = len(range(number, on_lanes, len(_LANES)))
        trips += _queue(rng, [_lane_trip(rng, next(turn), lane, number) for _ in range(share)],
                        begin + FPS // 2 + 20 * number)
    crossing = max(trip.end for trip in trips)
    for number, (z, direction) in enumerate(_CROSSINGS):
        share = len(range(number, count - on_lanes, len(_CROSSINGS)))
        trips += _queue(rng, [_crossing_trip(rng, next(turn), z, direction) for _ in range(share)],
                        crossing + 15 * number)
    return trips


def _queue(rng: np.random.Generator, trips: list[Trip], begin: int) -> list[Trip]:
    """The trips one after the other, at no time nearer than :data:`_GAP`."""
    queued: list[Trip] = []
    for trip in trips:
        if queued:
            begin = _after(queued[-1], trip) + int(rng.integers(0, FPS))
        queued.append(dataclasses.replace(trip, begin=begin))
    return queued


def _after(ahead: Trip, trip: Trip) -> int:
    """The first frame in which ``trip`` may begin behind ``ahead``."""
    for wait in range(1, len(ahead.ground)):
        both = min(len(ahead.ground) - wait, len(trip.ground))
        between = np.linalg.norm(ahead.ground[wait : wait + both] - trip.ground[:both], axis=1)
        passed = _progress(ahead)[wait : wait + both] - _progress(trip)[:both]
        if between.min() >= _GAP and passed.min() > 0:
            return ahead.begin + wait
    return ahead.end


def _progress(trip: Trip) -> NDArray[np.float64]:
    """Metres from the begin of the trip, (n,)."""
    return np.asarray(np.linalg.norm(trip.ground - trip.ground[0], axis=1))


def _lane_trip(rng: np.random.Generator, style: str, lane: float, number: int) -> Trip:
    """Along a lane, now and then changing it a little, now and then with a stop."""
    x = lane + rng.normal(0, 0.1)
    far = np.array([x + rng.normal(0, 0.35), _FAR])
    # a side lane leaves the picture before the vehicle is near
    near = np.array([x, _NEAR if lane == 0 else 6.0])
    way = (near, far) if number == _LEAVING else (far, near)
    stop = float(rng.uniform(0.35, 0.6)) if rng.random() < _STOPS else None
    ground = _drive(rng, way, float(rng.uniform(5.5, 12.0)), stop)
    return Trip(style=style, begin=0, ground=ground, parked=False, yaw=float(rng.normal(0, 0.05)))


def _crossing_trip(rng: np.random.Generator, style: str, z: float, direction: int) -> Trip:
    """Across the picture, seen from one side, a little towards the camera or away from it."""
    slope = rng.uniform(-1.2, 1.2)
    way = (np.array([-direction * _CROSSING_FROM, z - slope]),
           np.array([direction * _CROSSING_FROM, z + slope]))
    yaw = direction * float(rng.uniform(0.45, 0.8))
    ground = _drive(rng, way, float(rng.uniform(3.5, 8.0)), None)
    return Trip(style=style, begin=0, ground=ground, parked=False, yaw=yaw)


def _drive(
    rng: np.random.Generator, way: tuple[NDArray[np.float64], NDArray[np.float64]], speed: float,
    stop: float | None,
) -> NDArray[np.float64]:
    """Positions (n, 2), one a frame, on a straight way at ``speed`` metres a second; with ``stop``
    the vehicle stands for some seconds at that share of the way."""
    start, end = way
    length = float(np.linalg.norm(end - start))
    pace = np.full(int(length / speed * FPS) + 2, speed)
    if stop is not None:
        brake, go = np.linspace(speed, 0, 30), np.linspace(0, speed, 35)
        at = max(1, round(stop * len(pace)) - 15)
        stand = np.zeros(int(rng.uniform(1.5, 4.0) * FPS))
        pace = np.concatenate([pace[:at], brake, stand, go, pace[at:]])
    driven = np.concatenate([[0.0], np.cumsum(pace) / FPS])
    driven = driven[driven <= length]
    return np.asarray(start + (end - start) * (driven / length)[:, None])
