"""The only place that imports PyAV: an open container, its video packets, its pictures."""

from __future__ import annotations

import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from alpr_edge.types import Image
from alpr_edge.watch.config import HardwareDecoding
from alpr_edge.watch.extras import require
from alpr_edge.watch.hardware import accelerator, check_used
from alpr_edge.watch.picture import Luma, Picture
from alpr_edge.watch.sources import SourceError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

OPEN_SECONDS = 5.0
"""A camera has so long to answer, and as long again to say what it sends."""
FILE_THREADS = 2
"""That decode a file; a camera's video, which comes slowly, has one, which delays nothing."""
_WITH_LUMA = frozenset(
    {"gray", "nv12", "nv21"} | {f"yuv{j}{sub}p" for j in ("", "j") for sub in (420, 422, 440, 444)}
)
"""Pixel formats whose first plane is brightness, a byte a pixel."""
_IO_ERROR = "Input/output error"
_WHY = {
    "HTTPUnauthorizedError": "refuses the login; set username and password_file",
    "HTTPForbiddenError": "refuses this user; give it the right to see the stream",
    "HTTPNotFoundError": "has no such stream; check the path in the URL",
    "ConnectionRefusedError": "refuses the connection; check address and port",
    _IO_ERROR: "breaks off, or sends no video; check the URL",
    "InvalidDataError": "no video that can be decoded, or cut short before its index",
}
"""What is wrong and what to do, by the name of PyAV's error or by FFmpeg's own words."""
_WHY_LIVE = _WHY | {"InvalidDataError": "sends no video that can be decoded; check the URL"}


class Decoder:
    """An open video: packets and what they decode to. Of one thread."""

    def __init__(
        self, target: str, name: str, *, hwaccel: HardwareDecoding, live: bool,
        options: dict[str, str] | None = None, container: str | None = None,
        silent_seconds: float | None = None,
    ) -> None:
        """Open ``target``, which may have a password in it; ``name`` stands for it in messages.

        ``live`` decodes without delay, a file as fast as it goes. ``container`` is FFmpeg's name
        of the format where it cannot be told from the data.

        Raises:
            SourceError: it cannot be opened, or no video is in it.
            LibraryError: PyAV is not installed.
        """
        self._av = require("av", "watch")
        self.name, self._live = name, live
        self.damaged = 0
        self._container = self._open(
            target, format=container, options=options or {}, hwaccel=accelerator(hwaccel),
            timeout=(OPEN_SECONDS, silent_seconds) if live else None,
        )
        if not self._container.streams.video:
            self.close()
            raise self._error("no video in it")
        self._stream = self._container.streams.video[0]
        self._start = self._stream.start_time
        self._context = self._stream.codec_context
        self._context.thread_count = 1 if live else FILE_THREADS
        self._context.thread_type = "SLICE" if live else "AUTO"
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._reformatting = threading.Lock()
        self._converted: tuple[str, int, int] | None = None
        check_used(self._context.is_hwaccel, hwaccel, name, self._context.name)

    def _open(self, target: str, **how: Any) -> Any:
        began = time.monotonic()
        try:
            return self._av.open(target, **how)
        except self._av.FFmpegError as error:
            silent = time.monotonic() - began >= OPEN_SECONDS
            why = f"no answer within {OPEN_SECONDS:.0f} s; check address and port"
            if not silent:
                why = self._why(error)
                if why == _WHY[_IO_ERROR] and _is_unknown_host(target):
                    why = "the host's name is not known; check the URL"
            raise self._error(why) from None  # the error's own text has the password

    @property
    def about(self) -> str:
        """Codec, size, nominal rate, who decodes."""
        rate = self._stream.average_rate
        return (
            f"{self._context.name} {self._context.width} x {self._context.height}"
            + (f", {float(rate):.4g} fps" if rate else "")
            + (", decoded by VA-API" if self._context.is_hwaccel else "")
        )

    @property
    def frames(self) -> int | None:
        """Frames in all; None where the container does not say."""
        if self._stream.frames:
            return int(self._stream.frames)
        if self.seconds and self._stream.average_rate:
            return round(self.seconds * float(self._stream.average_rate))
        return None

    @property
    def seconds(self) -> float | None:
        """Of the whole video; None where the container does not say."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        if len(self._container.streams) > 1:
            return None  # the container's length may be another stream's
        return self.longest

    @property
    def longest(self) -> float | None:
        """Seconds of the container's longest stream; None where it does not say."""
        length = self._container.duration
        if length is None:
            return None
        if "matroska" in self._container.format.name:  # it has the time of the end
            length -= self._container.start_time or 0
        return float(length / self._av.time_base)

    def packets(self) -> Iterator[Packet[Stream]]:
        """All packets as they come, and at the end an empty one for each stream.

        Raises:
            SourceError: a live source sends nothing or broke off, or a file cannot be read.
        """
        try:
            yield from self._container.demux()
        except self._av.FFmpegError as error:
            silent = isinstance(error, self._av.error.ExitError)
            raise self._error("sends nothing any more" if silent else self._why(error)) from None

    def decode(self, packet: Packet[Any]) -> list[VideoFrame]:
        """The pictures that are ready now: none, one or more. A damaged packet is counted."""
        if packet.stream is not self._stream:
            return []
        self.damaged += packet.is_corrupt
        try:
            return list(packet.decode())
        except self._av.FFmpegError:
            self.damaged += not packet.is_corrupt
            return []

    def span_of(self, picture: VideoFrame, number: int) -> tuple[float, float]:
        """From when to when a picture is shown, in seconds from where the video begins; where that
        is not told, from the first picture asked about.

        By its ``number`` and the nominal rate (25 where none is told) where it has no stamp.
        """
        interval = 1 / float(self._stream.average_rate or 25)
        base = picture.time_base
        if picture.pts is None or base is None:
            return number * interval, (number + 1) * interval
        if self._start is None:
            self._start = picture.pts
        begin = float((picture.pts - self._start) * base)
        return begin, begin + (float(picture.duration * base) or interval)

    def convert(self, picture: VideoFrame) -> Image:
        """The picture as (H, W, 3) uint8 BGR, upright."""
        with self._reformatting:  # it keeps tables; pictures are asked for by several threads
            bgr = self._reformatter.reformat(picture, format="bgr24", threads=1)
        image = bgr.to_ndarray()
        turns = round(picture.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def later(self, picture: VideoFrame) -> Picture:
        """The picture, converted by whoever looks at it first, also after :meth:`close`.

        The first of its format and size is converted here: what FFmpeg cannot convert must fail
        where the source is read.
        """
        kind = picture.format.name, picture.width, picture.height
        if kind != self._converted:
            image = self.convert(picture)
            self._converted = kind
            return Picture(image)
        return Picture.later(lambda: self.convert(picture), _luma(picture))

    def close(self) -> None:
        """Free everything that is not in pictures."""
        self._container.close()

    def _error(self, why: str) -> SourceError:
        return SourceError(f"{self.name}: {why}", permanent=not self._live)

    def _why(self, error: Exception) -> str:
        """What went wrong and what to do, without the URL that PyAV's own text has."""
        why = _WHY_LIVE if self._live else _WHY
        told = str(getattr(error, "strerror", None) or type(error).__name__)
        return why.get(type(error).__name__) or why.get(told) or told


def _luma(picture: VideoFrame) -> Luma | None:
    """The decoder's own memory of the brightness, where the format has it apart."""
    if picture.format.name not in _WITH_LUMA:
        return None
    plane = picture.planes[0]
    size = plane.height * plane.line_size
    rows: Luma = np.frombuffer(memoryview(plane), np.uint8, count=size)
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def _is_unknown_host(target: str) -> bool:
    """Whether a URL names a host that has no address."""
    try:
        host = urllib.parse.urlsplit(target).hostname
        return host is not None and not socket.getaddrinfo(host, None)
    except (OSError, ValueError):  # ValueError: what cannot be a host's name
        return True
