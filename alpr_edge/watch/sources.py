"""What frames come from: video files, cameras on the network, webcams, folders that fill up.

    video file        every frame, then the end
    folder            every picture in it and each that is added, for ever
    rtsp:// http://   a camera; of a stream that ends or breaks the caller opens a new one
    0, 1...           a webcam, likewise

:mod:`alpr_edge.watch.feed` runs a source in a thread of its own.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from alpr_edge.errors import AlprEdgeError, UsageError
from alpr_edge.images import SUFFIXES
from alpr_edge.inputs import NOT_THERE, why_missing
from alpr_edge.watch.config import CameraConfig
from alpr_edge.watch.secrets import read_secret
from alpr_edge.watch.types import Frame

Done = dict[str, tuple[int, int]]
"""What was taken of a folder: path, and time of the last change and size that the file had."""
PICTURE = "a picture; alpr-edge read reads it, and a folder of pictures can be watched"
"""What is wrong with a source that :func:`is_picture`."""
SCHEMES = ("rtsp", "rtsps", "http", "https")
"""Of cameras on the network."""
_URL = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<login>[^/?#]*@)?(?P<place>[^?#]*)(?P<rest>.*)"
)


class SourceError(AlprEdgeError):
    """A source that gives no frame, or no more; no message has a password in it."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        """``permanent``: to try again makes no sense (no such file, no video in it)."""
        super().__init__(message)
        self.permanent = permanent


class Source(Protocol):
    """An open source, used by one thread."""

    live: bool
    """The newest frame is what counts: whoever is late skips the others."""
    about: str
    """What it gives, for people: codec, size..."""
    expected: int | None
    """Frames that it gives in all, where that is known before."""

    def frames(self) -> Iterator[Frame]:
        """The frames in order until the end, or until ``stop`` of :func:`open_source` is set.

        Raises:
            SourceError: the camera is away, or the file is cut short; the frames before count.
        """

    def close(self) -> None:
        """Free everything; a second time does nothing."""


def open_source(
    camera: CameraConfig, stop: threading.Event, done: Done | None = None
) -> Source:
    """Open ``camera.source``; ``stop`` ends its frames, at the latest 5 s after it was set.

    ``done`` gets what is taken of a folder: given again when that is opened again, each picture
    comes once.

    ``every`` and ``max_fps`` hold for video, of a folder every picture counts. ``detect_source``
    is the feed's matter.

    Raises:
        SourceError: it cannot be opened.
        UsageError: it is a single picture, or the camera's password cannot be read.
        LibraryError: the extra ``watch`` is not installed.
    """
    from alpr_edge.watch.folder import Folder
    from alpr_edge.watch.video import open_live, open_video_file, open_webcam

    if camera.source.isdecimal():
        return open_webcam(camera, stop)
    if url := _URL.fullmatch(camera.source):
        if url["scheme"].lower() in SCHEMES:
            return open_live(camera, with_login(camera), stop)
        raise SourceError(
            f"{shown(camera.source)}: {url['scheme']}:// is not supported; allowed: "
            + ", ".join(f"{scheme}://" for scheme in SCHEMES), permanent=True,
        )
    path = Path(camera.source)
    if os.path.isdir(path):
        return Folder(camera.name, path, stop, {} if done is None else done)
    if not os.path.exists(path):
        why = why_missing(path)  # a drive may come back
        raise SourceError(
            f"{path}: {why}; a source is a video file, a folder of pictures, a camera's rtsp:// or "
            "http:// URL, or a webcam's number", permanent=why == NOT_THERE,
        )
    if is_picture(camera.source):
        raise UsageError(f"{path}: {PICTURE}")
    return open_video_file(camera, path, stop)


def is_live(source: str) -> bool:
    """Whether a source is a camera rather than a file or folder."""
    return source.isdecimal() or _URL.fullmatch(source) is not None


def is_picture(source: str) -> bool:
    """Whether a source is, by its name, a single picture: one look at a vehicle is no event."""
    path = Path(source)
    return not is_live(source) and path.suffix.lower() in SUFFIXES and not os.path.isdir(path)


def shown(source: str) -> str:
    """The source as it may be logged and shown: without user, password and query of a URL."""
    url = _URL.fullmatch(source)
    if url is None:
        return source
    if "@" in url["place"] + url["rest"]:  # a password that has a / in it may begin anywhere
        return f"{url['scheme']}://..."
    return f"{url['scheme']}://{url['place']}"


def with_login(camera: CameraConfig) -> str:
    """The URL with the camera's user and password in it; never to be shown.

    Raises:
        UsageError: the file of the password cannot be read.
    """
    url = _URL.fullmatch(camera.source)
    if url is None or camera.username is None:
        return camera.source
    login = quote(camera.username, safe="")
    if camera.password_file is not None:
        login += ":" + quote(read_secret(camera.password_file), safe="")
    return f"{url['scheme']}://{login}@{url['place']}{url['rest']}"
