"""One camera: its frames, what moves in them, its tracks and what is shown of it."""

from __future__ import annotations

import collections
import dataclasses
import functools
import time
from collections.abc import Sequence

from alpr_edge.stages import Stage
from alpr_edge.types import Image, Plate, Quad
from alpr_edge.watch.clutter import Clutter
from alpr_edge.watch.config import CameraConfig, PrivacyConfig
from alpr_edge.watch.delivery import Delivery
from alpr_edge.watch.desk import Desk, Look
from alpr_edge.watch.feed import Feed
from alpr_edge.watch.hashing import PlateHasher
from alpr_edge.watch.hub import Job
from alpr_edge.watch.media import media_of
from alpr_edge.watch.metrics import CameraMetrics
from alpr_edge.watch.motion import MotionGate
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.redact import Covered, redact
from alpr_edge.watch.tracker import Sighting, Tracker
from alpr_edge.watch.types import CameraStatus, Frame, View

FPS_WINDOW = 10.0
"""Seconds that the frames a second are counted over."""
MAX_HIDDEN = 20_000
"""Frames of which it is remembered where their plates are, to blur an event's scene."""


class Camera:
    """A caller of the hub; at most one of its frames is in work, so its tracker sees them in order.
    Of those that have nothing to do with each other, as in a folder, none is left out, and the
    tracker forgets each before the next.

    Args:
        config: how it is looked at.
        feed: its frames.
        tracker: makes events of its plates.
        delivery: takes events and views.
        privacy: what is shown of plates.
        hasher: replaces texts; None: they stay.
    """

    def __init__(
        self, config: CameraConfig, feed: Feed, tracker: Tracker, delivery: Delivery, *,
        privacy: PrivacyConfig, hasher: PlateHasher | None,
    ) -> None:
        self.config = config
        self.feed = feed
        self.metrics = CameraMetrics()
        self.view: View | None = None
        self.done = False
        """Everything was processed and told."""
        self._tracker, self._delivery = tracker, delivery
        self._privacy, self._hasher = privacy, hasher
        self._clutter = Clutter()
        self._gate = MotionGate() if config.motion else None
        self._covered = Covered() if privacy.redact else None
        self._quads: list[Quad] = []
        """Of everything that may be a plate in the latest frame that was looked at."""
        self._hidden: collections.OrderedDict[float, list[Quad]] = collections.OrderedDict()
        self._busy = self._closing = False
        self._processed: tuple[float, ...] = ()

    def take(self) -> Job | None:
        """The next frame's work, and after the last one's what is left to tell."""
        if self._busy or self.done:
            return None
        ended = self._closing or self.feed.ended  # asked before taking: else a last frame is lost
        frame = None if self._closing else self.feed.take()
        if frame is not None:
            self._busy = True
            return lambda desk: self._process(desk, frame)
        if ended:
            self._busy = True
            return lambda _desk: self._finish()
        return None

    def close(self, *, keep_feed: bool = False) -> None:
        """Take no more frames; :attr:`done` is set as soon as the hub has let it finish. With
        ``keep_feed`` the feed goes on, for another camera."""
        self._closing = True
        if not keep_feed:
            self.feed.close()

    def _finish(self) -> None:
        self._tell(self._tracker.flush())
        self.done = True

    def status(self) -> CameraStatus:
        """How the camera is now."""
        now = time.monotonic()
        lately = sum(moment > now - FPS_WINDOW for moment in self._processed)
        return dataclasses.replace(
            self.feed.status, fps=lately / FPS_WINDOW, frames=self.metrics.frames,
            idle=self.metrics.idle,
        )

    def _process(self, desk: Desk, frame: Frame) -> None:
        if frame.apart or self._gate is None or self._gate.passes(frame):
            clutter = None if frame.apart else self._clutter
            self._see(frame, desk.look(frame, self.config, clutter))
        else:
            self._rest(frame)
        self._count(frame)
        self._busy = False

    def _see(self, frame: Frame, look: Look) -> None:
        found = look.result.plates
        self._quads = [*(plate.corners for plate in found), *look.ignored]
        sightings = self._tracker.update(frame, found)
        shown = [plate for plate in found if self._tracker.follows(plate)]
        plates, texts = self._named(shown, self._tracker.texts(shown))
        self._show(frame, plates, texts, look.result.read, look.result.ms)
        self._tell(sightings)
        if frame.apart:
            self._tell(self._tracker.flush())
            self._tracker.forget()
            if self._covered is not None:
                self._covered = Covered()
        self.metrics.plates += sum(bool(plate.text) for plate in found)
        for stage, ms in look.result.ms.items():
            self.metrics.stages[stage].add(ms / 1e3)

    def _rest(self, frame: Frame) -> None:
        """Nothing moved: what was seen is where it was."""
        self._tell(self._tracker.rest(frame))
        self.metrics.idle += 1
        if self.view is not None:
            self._show(frame, self.view.plates, self.view.texts, 0, {})

    def _named(
        self, plates: Sequence[Plate], texts: Sequence[str]
    ) -> tuple[tuple[Plate, ...], tuple[str, ...]]:
        """Plates and their tracks' texts as they may be shown."""
        if self._hasher is None:
            return tuple(plates), tuple(texts)
        hashed = self._hasher.text
        return (
            tuple(dataclasses.replace(plate, text=hashed(plate.text)) for plate in plates),
            tuple(hashed(text) for text in texts),
        )

    def _show(
        self, frame: Frame, plates: tuple[Plate, ...], texts: tuple[str, ...], read: int,
        ms: dict[Stage, float],
    ) -> None:
        if self._covered is not None:
            hidden = self._hidden[frame.time] = self._covered.update(self._quads, frame.time)
            if len(self._hidden) > MAX_HIDDEN:
                self._hidden.popitem(last=False)
            if hidden:
                blurred = Picture.later(functools.partial(_redacted, frame.picture, hidden), None)
                frame = dataclasses.replace(frame, picture=blurred)
        self.view = View(
            frame=frame, plates=plates, texts=texts, read=read, ms=ms,
            redacted=self._covered is not None,
        )
        self._delivery.view(self.view, wait=not self.feed.live)

    def _tell(self, sightings: Sequence[Sighting]) -> None:
        for sighting in sightings:
            event = sighting.event
            if not event.final:
                self.metrics.events += 1
                self.metrics.event_latency.add(event.latency_ms / 1e3)
            if self._hasher is not None:
                event = self._hasher.event(event)
            hidden = self._hidden.get(event.best_time)
            self._delivery.event(event, functools.partial(
                media_of, sighting.image, sighting.quad, self._privacy, hidden
            ))

    def _count(self, frame: Frame) -> None:
        now = time.monotonic()
        self.metrics.frames += 1
        self.metrics.frame_latency.add(now - frame.arrived)
        lately = (moment for moment in self._processed if moment > now - FPS_WINDOW)
        self._processed = (*lately, now)  # replaced, not changed: others look at it


def _redacted(picture: Picture, hidden: Sequence[Quad]) -> Image:
    return redact(picture.image, hidden)
