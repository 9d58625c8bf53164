"""Plates of a camera's frames → vehicles → events.

A vehicle's event is told as soon as its reads agree, and once more, ``final``, when it is gone.
A vehicle that was hidden, or whose track was lost, goes on with its event where it is found again;
where its event was finished already, it is no new one within ``repeat_after``.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Sequence

from alpr_edge.alphabet import region_of
from alpr_edge.types import Image, Plate, Quad
from alpr_edge.watch import grammar
from alpr_edge.watch.association import associate
from alpr_edge.watch.config import PlatesConfig, TrackingConfig
from alpr_edge.watch.known import KnownPlates
from alpr_edge.watch.sightings import Past, Sightings, is_same
from alpr_edge.watch.track import Decision, Track
from alpr_edge.watch.types import Event, Frame

SURE = 0.9
"""Confidence of a vote that is told at once; a lesser one waits for :data:`PATIENCE`."""
PATIENCE = 1.0
"""Seconds after which a vote only needs the least confidence."""
BACK, FORWARD = 1.0, 60.0
"""Seconds by which frames may be out of order, or apart, before the clock has jumped."""
_MISSES = 2
"""Looks that must have missed a vehicle before it is gone, however far they are apart."""
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """An announcement of an event with its best picture; ``quad`` is the plate in it."""

    event: Event
    image: Image = dataclasses.field(repr=False, compare=False)
    quad: Quad


class Tracker:
    """The vehicles of one camera. One thread gives it the camera's frames in order.

    Args:
        camera: the camera's name.
        tracking: when reads become an event.
        plates: grammars and known plates.
        min_confidence: the reader's own threshold: of a read that votes, and of an event where
            ``tracking`` has none.

    Raises:
        UsageError: a grammar is unknown, or the file of known plates cannot be read.
    """

    def __init__(
        self, camera: str, tracking: TrackingConfig, plates: PlatesConfig, min_confidence: float
    ) -> None:
        self._camera, self._tracking = camera, tracking
        self._grammars, self._known = plates.grammars, KnownPlates(plates)
        for name in self._grammars:
            grammar.layouts(name)
        self._certain = min_confidence
        own = tracking.min_confidence
        self._least = min_confidence if own is None else own
        self._min_reads = tracking.min_reads
        self._arrived = time.monotonic()
        self.forget()

    def forget(self) -> None:
        """Begin anew: what comes has nothing to do with what was seen."""
        self._tracks: list[Track] = []
        self._sightings = Sightings(self._tracking.repeat_after)
        self._now = -math.inf
        self._shown: dict[Plate, Track] = {}

    def update(self, frame: Frame, plates: Sequence[Plate]) -> list[Sighting]:
        """Go on with the plates of the next frame, the uncertain ones too; returns what is to be
        announced. A clock that jumped closes all tracks."""
        told = self._advance(frame)
        self._min_reads = 1 if frame.apart else self._tracking.min_reads  # one look is all there is
        pairs = associate(self._tracks, plates, self._now, self._certain)
        for track, plate in pairs:
            track.see(self._now, plate)
            if self._votes(plate):
                track.vote(frame, plate)
        pairs += self._begun(frame, plates, pairs)
        self._shown = {plate: track for track, plate in pairs}
        return told + self._announce() + self._close_lost()

    def rest(self, frame: Frame) -> list[Sighting]:
        """A frame in which nothing moved: what was seen is where it was, what was hidden still
        is. Returns what is to be announced."""
        told = self._advance(frame)
        for track in self._tracks:
            if not track.missed:
                track.rest(self._now)
        return told + self._announce() + self._close_lost()

    def follows(self, plate: Plate) -> bool:
        """Whether a plate of the last update belongs to a track: one that was never read with
        certainty may be no plate at all."""
        return plate in self._shown

    def texts(self, plates: Sequence[Plate]) -> tuple[str, ...]:
        """What the tracks of the plates of the last update say by now, one text a plate."""
        texts = []
        for plate in plates:
            track = self._shown.get(plate)
            decision = self._decision(track) if track else None
            texts.append(decision.text if decision else plate.text)
        return tuple(texts)

    def flush(self) -> list[Sighting]:
        """The source has ended: every vehicle is gone."""
        tracks, self._tracks, self._shown = self._tracks, [], {}
        return [sighting for track in tracks for sighting in self._close(track)]

    def _advance(self, frame: Frame) -> list[Sighting]:
        """Follow the frame's clock. Where it went on by as much as time passed, the camera was
        away."""
        away = max(0.0, frame.arrived - self._arrived)
        last, self._now, self._arrived = self._now, frame.time, frame.arrived
        if last == -math.inf or last - BACK <= frame.time <= last + FORWARD:
            self._now = max(last, frame.time)
            return []
        told = self.flush()
        if not last <= frame.time <= last + away + FORWARD:
            _log.warning("%s: the clock jumped by %.1f s", self._camera, frame.time - last)
            self._sightings.clock_jumped(last - self._tracking.max_gap, last, frame.time)
        return told

    def _votes(self, plate: Plate) -> bool:
        """Whether a plate was read with certainty and is not cut off by the frame's edge."""
        return plate.whole and bool(plate.text) and plate.confidence >= self._certain

    def _begun(
        self, frame: Frame, plates: Sequence[Plate], pairs: Sequence[tuple[Track, Plate]]
    ) -> list[tuple[Track, Plate]]:
        """New tracks for the certain plates that no track has."""
        taken = {plate for _, plate in pairs}
        begun = [(Track(frame, self._now, plate), plate) for plate in plates
                 if plate not in taken and self._votes(plate)]
        self._tracks += [track for track, _ in begun]
        return begun

    def _decision(self, track: Track) -> Decision | None:
        """What a track's reads come to; None where too few agree or they are too uncertain."""
        vote = track.ballot.vote()
        if vote is None or vote.agreeing < self._min_reads:
            return None
        text, certain, correction = grammar.corrected(vote, self._grammars)
        gain = math.prod(certain) / max(math.prod(vote.char_confidences), 1e-12)
        confidence = min(1.0, vote.confidence * gain)
        if confidence < self._least:
            return None
        return Decision(text=text, confidence=confidence, char_confidences=certain, vote=vote,
                        correction=correction)

    def _announce(self) -> list[Sighting]:
        """The events of the vehicles that were not told of yet and are decided by now."""
        waiting = [t for t in self._tracks if not (t.announced or t.repeated)]
        return [sighting for track in waiting for sighting in self._decide(track)]

    def _decide(self, track: Track, gone: bool = False) -> list[Sighting]:
        """Announce a track's event as soon as it is decided, if it is a new one."""
        decision = self._decision(track)
        early = not gone and self._now - track.first_seen < PATIENCE
        if decision is None or (early and decision.confidence < SURE):
            return []
        track.decided = decision
        if self._goes_on(track, decision.text):
            return []
        track.announced = True
        return [self._sighting(track, decision, final=False)]

    def _goes_on(self, track: Track, text: str) -> bool:
        """Whether a track that reads ``text`` is a vehicle whose event was told before."""
        for other in self._tracks:
            if other is track or not other.decided:
                continue
            if not is_same(text, track.place, other.decided.text, other.place):
                continue
            if other.seen < self._now:
                track.continues(other)
                self._tracks.remove(other)
            else:
                track.repeated = True  # seen twice at once: a mirror, a doubled detection
            return True
        past = self._sightings.find(text, track.place, self._now)
        if past is not None:
            track.repeated = True
            track.stood(past.place, past.since)
        return track.repeated

    def _close_lost(self) -> list[Sighting]:
        """Finish the tracks that were not seen for too long."""
        for track in self._tracks:
            track.missed += track.seen < self._now
        lost = [track for track in self._tracks
                if track.missed >= _MISSES and self._now - track.seen > self._tracking.max_gap]
        self._tracks = [track for track in self._tracks if track not in lost]
        return [sighting for track in lost for sighting in self._close(track)]

    def _close(self, track: Track) -> list[Sighting]:
        """A vehicle is gone: its last announcement, and its first one where that was not sure."""
        last, before = self._decision(track), track.decided
        if track.repeated and last and before and not is_same(
            last.text, track.place, before.text, track.place
        ):
            track.repeated, track.decided = False, None  # later reads made it another vehicle
        told = [] if track.decided else self._decide(track, gone=True)
        if track.decided is None:
            return told
        track.decided = last or track.decided
        if track.announced:
            told.append(self._sighting(track, track.decided, final=True))
        self._sightings.remember(Past(
            text=track.decided.text, place=track.place, since=track.since, seen=track.seen
        ))
        return told

    def _sighting(self, track: Track, decision: Decision, final: bool) -> Sighting:
        best = track.best
        height, width = best.frame.image.shape[:2]
        event = Event(
            id=track.id, final=final, camera=self._camera, text=decision.text,
            confidence=decision.confidence, char_confidences=decision.char_confidences,
            reads=decision.vote.reads, agreeing=decision.vote.agreeing, rows=decision.vote.rows,
            region=region_of(decision.text), kind=best.plate.kind, first_seen=track.first_seen,
            last_seen=track.seen, best_time=best.frame.time, direction=track.direction(),
            quad=best.plate.corners, width=width, height=height, correction=decision.correction,
            known=self._known.match(decision.text),
            latency_ms=(time.monotonic() - self._arrived) * 1e3, file=best.frame.file,
        )
        return Sighting(event=event, image=best.frame.image, quad=best.plate.corners)
