"""The values that pass between sources, hub, tracker, store and outputs.

Times are seconds since 1970 (UTC) as floats, but for :attr:`Frame.arrived`. Coordinates are
pixels of the frame as it was decoded (:mod:`alpr_edge.types` has the pixel rule).
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Protocol

from alpr_edge.stages import Stage
from alpr_edge.types import Image, Plate, Quad
from alpr_edge.watch.picture import Picture


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One decoded picture of a source.

    ``number`` counts the source's frames from 0, those that were skipped too. ``time`` is when it
    was shown to the camera: of a live source the moment it arrived, of a file its begin (the
    file's modification time less its duration, or 0 where nobody knows) plus its time stamp.
    ``arrived`` is ``time.monotonic()`` when decoding gave it; latencies count from there.

    ``file`` is the name of a folder's picture, None for all other sources.

    ``picture`` is what is read, kept and shown, and what all coordinates refer to. ``small`` is
    the one that plates are found in where the camera has a ``detect_source``: the same view at
    the same moment, of another size; whoever detects in it scales what it finds to ``picture``.
    """

    camera: str
    number: int
    time: float
    arrived: float
    picture: Picture = dataclasses.field(repr=False, compare=False)
    small: Picture | None = dataclasses.field(default=None, repr=False, compare=False)
    file: str | None = None

    @property
    def image(self) -> Image:
        """The picture's (H, W, 3) uint8 BGR; the first call may take some milliseconds."""
        return self.picture.image

    @property
    def apart(self) -> bool:
        """Whether it has nothing to do with the frame before it, as a folder's pictures."""
        return self.file is not None


class Access(enum.StrEnum):
    """What the list of known plates says of a plate."""

    ALLOW = "allow"
    DENY = "deny"


class Direction(enum.StrEnum):
    """How a vehicle moved in the picture while it was seen; the largest of the movements."""

    APPROACHING = "approaching"
    """Its plate grew."""
    LEAVING = "leaving"
    """Its plate shrank."""
    LEFT = "left"
    RIGHT = "right"
    STILL = "still"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """What a plate grammar changed: only confusable characters, re-ranked."""

    read: str
    """The text as voted without the grammar."""
    grammar: str
    """The grammar's name, e.g. ``de`` or ``cn``."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The entry of the list of known plates that an event fits."""

    text: str
    access: Access
    label: str
    distance: int
    """Characters that differ: 0, or 1 where fuzzy matching is on."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One vehicle that was seen: what every output gets, and the store keeps.

    A vehicle has one ``id`` (a UUID). It is announced as soon as enough reads agree, and once more,
    ``final``, when it is gone: with all reads, its direction and its best picture. ``text`` is the
    vote of ``agreeing`` of ``reads`` reads, ``confidence`` its probability, ``char_confidences``
    one a character. ``quad`` and ``best_time`` are of the frame that the crop was taken of;
    ``width`` and ``height`` are that frame's. With hashed plates ``text`` is a keyed hash and
    ``correction`` and ``known.text`` tell no plate either.
    """

    id: str
    final: bool
    camera: str
    text: str
    confidence: float
    char_confidences: tuple[float, ...]
    reads: int
    agreeing: int
    rows: int | None
    region: str | None
    kind: str | None
    first_seen: float
    last_seen: float
    best_time: float
    direction: Direction
    quad: Quad
    width: int
    height: int
    correction: Correction | None
    known: Known | None
    latency_ms: float
    """From the arrival of the frame that decided the event to the event."""
    file: str | None = None
    """The name of the picture in its folder; None for other sources, and with hashed plates."""

    @property
    def key(self) -> str:
        """Unique for each announcement: what a receiver tells repeated deliveries by."""
        return f"{self.id}-{'final' if self.final else 'first'}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """Pictures of an event as JPEG bytes; None where privacy keeps none."""

    crop: bytes | None
    """The plate, rectified, with a little around it."""
    scene: bytes | None
    """The frame, scaled to at most 1280 pixels width, plates blurred where redaction is on."""
    redacted: bool = False
    """Redaction is on: neither may the text be drawn on the scene nor the crop take its place."""


class State(enum.StrEnum):
    """How a camera is."""

    STARTING = "starting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    """A file was read to its end."""
    FAILED = "failed"
    """It will not be tried again: no such file, not a video."""
    REMOVED = "removed"
    """It is no longer in the configuration: told once, then it is forgotten."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CameraStatus:
    """A camera's state at a moment; ``problem`` says what is wrong and what to do, where it is."""

    camera: str
    state: State
    since: float
    problem: str | None
    fps: float
    """Frames a second that were processed lately."""
    frames: int
    """Processed so far."""
    dropped: int
    """Frames that a newer one replaced before anybody took them."""
    idle: int
    """Frames in which nothing moved, so that nothing was detected."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The latest processed frame of a camera, for the live page and annotated videos.

    ``plates``, those of vehicles that are tracked, are drawn where they are, ``texts`` what their
    tracks say by now, one a plate. ``ms`` is the time of each stage, of reading for all ``read``
    plates together; it is empty for a frame in which nothing moved: nothing was detected. Where it
    is ``redacted`` no text may be drawn on the frame, in which plates are blurred.
    """

    frame: Frame
    plates: tuple[Plate, ...]
    texts: tuple[str, ...]
    read: int
    ms: dict[Stage, float]
    redacted: bool = False


class Output(Protocol):
    """Where events go. All calls of one output come from one thread, in order.

    An output that fails raises :class:`~alpr_edge.errors.OutputError`; the caller logs it, counts
    it and goes on with the others. What must not be lost goes through the store's outbox
    (:mod:`alpr_edge.watch.outbox`), not through this.
    """

    def event(self, event: Event, media: Media) -> None:
        """An event that the store has made durable."""

    def status(self, status: CameraStatus) -> None:
        """A camera's state changed, or was told a minute ago."""

    def view(self, view: View) -> None:
        """A frame was processed."""

    def close(self) -> None:
        """The end: write what is left."""
