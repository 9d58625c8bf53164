"""Which plate of a frame is which vehicle of the frames before.

Two stages, as in ByteTrack (Zhang et al. 2022): certain plates first, then the uncertain ones for
the tracks that are left, so that a badly seen vehicle is not lost. Boxes of plates are small and
often do not overlap from frame to frame; what counts besides is the distance to where the vehicle
should be, in plate widths, and what was read. A plate that is farther away than a vehicle may have
come by chance is the same only if it reads alike; one that reads quite differently never is.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from alpr_edge.decode import box_iou
from alpr_edge.edits import edit_distance
from alpr_edge.types import Plate
from alpr_edge.watch.track import Place, Track

_NEAR, _NEAR_SPEED, _NEAR_SPEED_UNKNOWN = 0.7, 3.0, 10.0
"""Plate widths, and plate widths a second, that a plate may be off and need not read alike."""
_FAR, _FAR_SPEED = 2.0, 30.0
"""The same where it reads alike: 30 widths a second are about 50 km/h across the picture."""
_GROWTH, _GROWTH_SPEED = 1.35, 1.5
"""By which factor a plate's width may change at once, and more a second."""
_COVERED = 2.0
"""The same of a plate near its expected place that reads somewhat alike: a pole may cover a part
of it."""
_ALIKE, _UNLIKE = 0.7, 0.5
"""Shares of equal characters from which texts are alike, and below which they are not."""
_SURE = 0.5
"""Least confidence of both texts that speaks against a pair."""


def associate(
    tracks: Sequence[Track], plates: Sequence[Plate], now: float, certain: float
) -> list[tuple[Track, Plate]]:
    """Pairs of a track and the plate that it is now; each in one pair at most."""
    sure = [plate for plate in plates if plate.confidence >= certain]
    unsure = [plate for plate in plates if plate.confidence < certain]
    pairs = _best_first(tracks, sure, now)
    taken = {id(track) for track, _ in pairs}
    return pairs + _best_first([t for t in tracks if id(t) not in taken], unsure, now)


def _best_first(
    tracks: Sequence[Track], plates: Sequence[Plate], now: float
) -> list[tuple[Track, Plate]]:
    scored = [
        (score, t, p) for t, track in enumerate(tracks) for p, plate in enumerate(plates)
        if (score := affinity(track, plate, now)) is not None
    ]
    pairs: dict[int, int] = {}
    for _, t, p in sorted(scored, reverse=True):
        if t not in pairs and p not in pairs.values():
            pairs[t] = p
    return [(tracks[t], plates[p]) for t, p in pairs.items()]


def affinity(track: Track, plate: Plate, now: float) -> float | None:
    """How well a plate goes on with a track, the higher the better; None: it is another one."""
    place, expected, elapsed = Place.of(plate.corners), track.foreseen(now), now - track.seen
    off = place.widths_to(expected)
    growth = max(place.width / expected.width, expected.width / place.width)
    far = _FAR + _FAR_SPEED * elapsed
    near = _NEAR + (_NEAR_SPEED if track.moves else _NEAR_SPEED_UNKNOWN) * elapsed
    alike = likeness(track.ballot.leader, plate.text)
    most = _COVERED if off <= near and alike >= _UNLIKE else _GROWTH
    if off > far or growth > most + _GROWTH_SPEED * elapsed:
        return None
    if off > near and alike < _ALIKE:
        return None
    if alike < _UNLIKE and min(plate.confidence, track.ballot.surest) >= _SURE:
        return None
    overlap = float(box_iou(np.array([track.box]), np.array([plate.box]))[0, 0])
    return alike + overlap + 1 - off / far


@functools.lru_cache(maxsize=4096)
def likeness(text: str, other: str) -> float:
    """Share of equal characters, 0..1; where one is empty nothing speaks for or against: 0.5."""
    if not text or not other:
        return 0.5
    return 1 - edit_distance(text, other) / max(len(text), len(other))

