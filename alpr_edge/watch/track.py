"""One vehicle while it is followed: where it is, what was read on it, its best picture."""

from __future__ import annotations

import dataclasses
import math
import uuid

from alpr_edge._cv2 import cv2
from alpr_edge.geometry import rectify, sides
from alpr_edge.types import Image, Plate, Point, Quad
from alpr_edge.watch.types import Correction, Direction, Frame
from alpr_edge.watch.vote import Ballot, Vote

_SMOOTH = 0.5
"""Share of the newest movement in the velocity."""
_FORESEEN = 0.6
"""Seconds for which a movement is taken to go on."""
_STILL_WIDTHS, _STILL_GROWTH = 0.75, 0.15
"""Movements that are none: in plate widths across, as a share of the plate's width in depth."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a plate is in a frame: its centre and width in pixels."""

    x: float
    y: float
    width: float

    @classmethod
    def of(cls, quad: Quad) -> Place:
        """The place of a plate with these corners; its width is the mean of both long sides."""
        width, _ = sides(quad)
        return cls(x=sum(x for x, _ in quad) / 4, y=sum(y for _, y in quad) / 4,
                   width=max(1.0, width))

    def widths_to(self, other: Place) -> float:
        """The distance of both centres in mean plate widths."""
        return 2 * math.hypot(self.x - other.x, self.y - other.y) / (self.width + other.width)

    def is_at(self, other: Place) -> bool:
        """Whether a vehicle that is here and was there did not move across the picture."""
        return self.widths_to(other) <= _STILL_WIDTHS


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The picture that shows a plate best so far."""

    score: float
    frame: Frame
    plate: Plate


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a vehicle's reads come to, after a grammar if there is one."""

    text: str
    confidence: float
    char_confidences: tuple[float, ...]
    vote: Vote
    correction: Correction | None


class Track:
    """A vehicle since it was first seen. Only whole, certain plates vote."""

    def __init__(self, frame: Frame, now: float, plate: Plate) -> None:
        self.ballot = Ballot()
        self.id = str(uuid.uuid4())
        self.first_seen = self.seen = now
        self.missed = 0
        """Looks in a row that did not find it."""
        self.announced = self.repeated = False
        """Whether its event was told, and whether it is one that another track told."""
        self.decided: Decision | None = None
        """What was told, or would have been."""
        self.place = self.begin = self.stand = self._voted = Place.of(plate.corners)
        self._end = self.place
        """The last place where all of the plate was seen: cut off it looks narrower."""
        self.since = now
        """Since when it has been standing at ``stand``."""
        self.box = plate.box
        self._velocity: Point | None = None  # pixels a second
        self.best = Best(score=0.0, frame=frame, plate=plate)
        self.vote(frame, plate)

    @property
    def moves(self) -> bool:
        """Whether its velocity is known."""
        return self._velocity is not None

    def foreseen(self, now: float) -> Place:
        """Where it should be."""
        if self._velocity is None:
            return self.place
        ahead = min(max(0.0, now - self.seen), _FORESEEN)
        x, y = self._velocity
        return dataclasses.replace(
            self.place, x=self.place.x + x * ahead, y=self.place.y + y * ahead
        )

    def see(self, now: float, plate: Plate) -> None:
        """It is seen again, as this plate."""
        place, elapsed = Place.of(plate.corners), now - self.seen
        if elapsed > 0:
            x, y = (place.x - self.place.x) / elapsed, (place.y - self.place.y) / elapsed
            before = self._velocity or (x, y)
            self._velocity = (_SMOOTH * x + (1 - _SMOOTH) * before[0],
                              _SMOOTH * y + (1 - _SMOOTH) * before[1])
        if not place.is_at(self.stand):
            self.stand, self.since = place, now
        self.place, self.box, self.seen, self.missed = place, plate.box, now, 0
        if plate.whole:
            self._end = place

    def vote(self, frame: Frame, plate: Plate) -> None:
        """Count what was read, and keep the picture if it is the best."""
        self.ballot.add(plate, min(1.0, self.place.widths_to(self._voted)))
        self._voted = self.place
        score = _sharpness(frame.image, plate.corners) * self.place.width * plate.confidence
        if score > self.best.score:
            self.best = Best(score=score, frame=frame, plate=plate)

    def rest(self, now: float) -> None:
        """Nothing moved since it was last seen."""
        self.seen = now
        self._velocity = 0.0, 0.0

    def continues(self, earlier: Track) -> None:
        """It is the vehicle of an earlier track: take over its event, reads and pictures."""
        self.id, self.first_seen, self.begin = earlier.id, earlier.first_seen, earlier.begin
        self.announced, self.repeated = earlier.announced, earlier.repeated
        self.stood(earlier.stand, earlier.since)
        self.ballot.absorb(earlier.ballot)
        if earlier.best.score > self.best.score:
            self.best = earlier.best

    def stood(self, place: Place, since: float) -> None:
        """It has been standing where it is since then, if it is there."""
        if self.stand.is_at(place):
            self.since = min(self.since, since)

    def direction(self) -> Direction:
        """How it moved since it was first seen.

        In plate widths, so that both ways compare: depth is the focal length, about the picture's
        width, divided by the plate's width (pinhole camera).
        """
        frame_width = self.best.frame.image.shape[1]
        growth = math.log(self._end.width / self.begin.width)
        depth = frame_width / self._end.width - frame_width / self.begin.width
        last, first = ((p.x - frame_width / 2) / p.width for p in (self._end, self.begin))
        across = last - first
        deeper = abs(growth) > _STILL_GROWTH
        if deeper and (abs(depth) >= abs(across) or abs(across) < _STILL_WIDTHS):
            return Direction.APPROACHING if growth > 0 else Direction.LEAVING
        if abs(across) < _STILL_WIDTHS:
            return Direction.STILL
        return Direction.RIGHT if across > 0 else Direction.LEFT


def _sharpness(image: Image, quad: Quad) -> float:
    """The spread of the upright plate's second derivatives, in grey levels."""
    grey = cv2.cvtColor(rectify(image, quad), cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std())
