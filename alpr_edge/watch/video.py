"""Video by PyAV (FFmpeg): files frame by frame, cameras and webcams as they come.

OpenCV's FFmpeg was tried beside it; docs/deploy.md, section Sources, says why this one was taken.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from alpr_edge.watch.config import CameraConfig
from alpr_edge.watch.decoder import Decoder
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.sources import SourceError, shown
from alpr_edge.watch.types import Frame

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

SILENT_SECONDS = 5.0
"""A camera that sends nothing for so long is away."""
PICTURE_SECONDS = 30.0
"""A camera that sends, but nothing that can be decoded for so long, is opened again."""
LATE_SECONDS = 1.0
"""Packets that waited longer for a slow decoder are skipped up to the next key frame."""
MISSING_SECONDS = 1.0
"""A file that ends so much before its stated end is cut short."""
_READS = 2
"""FFmpeg's RTSP reader tries a silent connection twice."""
_RTSP = {"rtsp_flags": "prefer_tcp", "allowed_media_types": "video"}
_QUICK = {"fpsprobesize": "0"}
"""The frame rate, for which FFmpeg waits for 20 frames, is not needed."""


def open_video_file(camera: CameraConfig, path: Path, stop: Event) -> VideoFile:
    """Open a video file.

    Raises:
        SourceError: it cannot be read, or is no video.
    """
    decoder = Decoder(os.path.abspath(path), str(path), hwaccel=camera.hwaccel, live=False)
    return VideoFile(camera, path, decoder, stop)


def open_live(camera: CameraConfig, url: str, stop: Event) -> LiveVideo:
    """Open a camera on the network; ``url`` may have a password in it.

    Raises:
        SourceError: it does not answer, refuses, or sends no video.
    """
    options = _QUICK | (_RTSP if url.lower().startswith("rtsp") else {})
    decoder = Decoder(
        url, shown(url), hwaccel=camera.hwaccel, live=True, options=options,
        silent_seconds=SILENT_SECONDS / _READS,
    )
    return LiveVideo(camera, decoder, stop)


def open_webcam(camera: CameraConfig, stop: Event) -> LiveVideo:
    """Open a webcam by its number.

    Raises:
        SourceError: there is none, or it is in use.
    """
    device = f"/dev/video{int(camera.source)}"
    if not Path(device).exists():
        raise SourceError(
            f"{device}: no such webcam; connect it, or give another number", permanent=False
        )
    decoder = Decoder(
        device, device, hwaccel=camera.hwaccel, live=True, options=_QUICK, container="video4linux2",
        silent_seconds=SILENT_SECONDS,
    )
    return LiveVideo(camera, decoder, stop)


class VideoFile:
    """Every frame of a file that ``every`` and ``max_fps`` let through."""

    live = False

    def __init__(self, camera: CameraConfig, path: Path, decoder: Decoder, stop: Event) -> None:
        self._camera, self._path, self._decoder, self._stop = camera.name, path, decoder, stop
        self._sampler = Sampler(camera.every, camera.max_fps)
        self.about = decoder.about
        self.expected = self._sampler.expected(decoder.frames, decoder.seconds)

    def frames(self) -> Iterator[Frame]:
        """The frames; those around damaged packets are missing."""
        length = self._decoder.seconds or self._decoder.longest or 0.0
        begin = self._path.stat().st_mtime - length
        number, end = -1, 0.0
        for number, picture in enumerate(self._pictures()):
            seconds, end = self._decoder.span_of(picture, number)
            if self._sampler.takes(number, seconds):
                yield Frame(
                    camera=self._camera, number=number, time=begin + seconds,
                    arrived=time.monotonic(), picture=Picture(self._decoder.convert(picture)),
                )
        if not self._stop.is_set():
            self._check_whole(number + 1, end)

    def _pictures(self) -> Iterator[VideoFrame]:
        for packet in self._decoder.packets():
            for picture in self._decoder.decode(packet):
                if self._stop.is_set():
                    return
                yield picture

    def _check_whole(self, count: int, end: float) -> None:
        """Raise what is wrong with the file, if anything, when all of it was read."""
        whole = self._decoder.seconds
        if whole is not None and end < whole - MISSING_SECONDS:
            problem = f"ends at {end:.1f} s of {whole:.1f} s: it is cut short"
        elif self._decoder.damaged:
            problem = f"{self._decoder.damaged} packets in it are damaged or cut short"
        elif not count:
            problem = "has no picture"
        else:
            return
        raise SourceError(
            f"{self._path}: {problem}; its {count} readable frames were read; copy or record it "
            "again", permanent=True,
        )

    def close(self) -> None:
        """Free the decoder."""
        self._decoder.close()


class LiveVideo:
    """The frames of a camera as they arrive, until it is away.

    The thread that runs :meth:`frames` must not be held up: what it does not take waits in the
    network's buffer. If it is late all the same, it skips to a key frame that is not.
    """

    live = True
    expected: int | None = None

    def __init__(self, camera: CameraConfig, decoder: Decoder, stop: Event) -> None:
        self._camera, self._decoder, self._stop = camera.name, decoder, stop
        self._sampler = Sampler(camera.every, camera.max_fps)
        self._delay = Delay()
        self._skipping = False
        self.about = decoder.about

    def frames(self) -> Iterator[Frame]:
        """The frames; ends only when it was stopped."""
        for number, picture in enumerate(self._pictures()):
            arrived = time.monotonic()
            if self._sampler.takes(number, arrived):
                yield Frame(
                    camera=self._camera, number=number, time=time.time(), arrived=arrived,
                    picture=self._decoder.later(picture),
                )
        if not self._stop.is_set():
            raise self._away("the camera ended the stream")

    def _pictures(self) -> Iterator[VideoFrame]:
        heard = decoded = waiting = time.monotonic()
        for packet in self._decoder.packets():
            now = time.monotonic()
            if self._stop.is_set():
                return
            if packet.stream.type == "video":
                heard = now
                skipped = self._skips(packet, waited=now - waiting, now=now)
                for picture in () if skipped else self._decoder.decode(packet):
                    yield picture
                    heard = decoded = time.monotonic()
            if now - heard > SILENT_SECONDS:
                raise self._away(f"no video for {SILENT_SECONDS:.0f} s")
            if now - decoded > PICTURE_SECONDS:
                raise self._away(f"nothing could be decoded for {PICTURE_SECONDS:.0f} s")
            waiting = time.monotonic()

    def _skips(self, packet: Packet[Stream], *, waited: float, now: float) -> bool:
        """Whether a packet is left out to catch up: all but key frames, until one is in time."""
        sent = None if packet.pts is None else float(packet.pts * packet.time_base)
        late = self._delay.of(sent, waited=waited, now=now) > LATE_SECONDS
        self._skipping = late or (self._skipping and not packet.is_keyframe)
        return self._skipping and not packet.is_keyframe

    def _away(self, why: str) -> SourceError:
        return SourceError(f"{self._decoder.name}: {why}", permanent=False)

    def close(self) -> None:
        """Free the decoder and the connection."""
        self._decoder.close()


class Delay:
    """How long packets of a live stream waited for us, told by their stamps.

    A packet that we had to wait for came without delay; what a later one's stamp is behind, it
    has waited in a buffer. No clock of a camera can drift far between two such packets.
    """

    WAITED = 0.010
    """Seconds; a thread may wait half of this for Python's lock."""

    def __init__(self) -> None:
        self._least: float | None = None

    def of(self, sent: float | None, *, waited: float, now: float) -> float:
        """Seconds that the packet stamped ``sent`` waited; ``now`` is the monotonic time."""
        if sent is None:
            return 0.0
        offset = now - sent
        if self._least is None or waited > self.WAITED or offset < self._least:
            self._least = offset
        return offset - self._least


class Sampler:
    """Which frames are processed: each ``every``-th, and at most ``max_fps`` a second of those."""

    def __init__(self, every: int, max_fps: float | None) -> None:
        self._every = every
        self._interval = 1 / max_fps if max_fps else 0.0
        self._due = float("-inf")

    def takes(self, number: int, seconds: float) -> bool:
        """Whether the frame of that number and time is processed; called once for each."""
        slack = self._interval / 100  # time stamps are rounded
        early = self._due - seconds  # more than an interval: the stamps jumped back
        if number % self._every or slack < early < self._interval + slack:
            return False
        self._due = (self._due if abs(early) < self._interval else seconds) + self._interval
        return True

    def expected(self, frames: int | None, seconds: float | None) -> int | None:
        """How many of a file's frames are processed, about; None where that is unknown."""
        if frames is None:
            return None
        count = -(-frames // self._every)
        if seconds is None or not self._interval:
            return count
        return min(count, math.ceil(seconds / self._interval))
