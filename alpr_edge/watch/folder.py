"""A folder that fills up: each picture in it is a frame, once it is written completely."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from alpr_edge.errors import ImageError
from alpr_edge.images import load_image
from alpr_edge.inputs import is_picture_name
from alpr_edge.watch.extras import require
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.sources import Done, SourceError
from alpr_edge.watch.types import Frame

SETTLED_SECONDS = 2.0
"""A picture that nobody changed for so long is taken for complete."""
SCAN_SECONDS = 10.0
"""Between looks through the folder for what nobody reported, as on network drives."""
_POLL_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Folder:
    """The pictures of a folder, the oldest first, then each new one; sub-folders are left out.

    The kernel tells when a file was closed or moved here (watchdog); others are found by looking
    every 10 s. A picture that is written anew is a new frame. What cannot be read is logged.
    What ``done`` has was taken before; it is kept up to date, and as it is while the drive that
    the folder is on is not mounted.
    """

    live = False
    expected: int | None = None

    def __init__(self, camera: str, folder: Path, stop: Event, done: Done) -> None:
        self._camera, self._folder, self._stop, self._done = camera, folder, stop, done
        self._drive: int | None = None
        """Of the folder when it last had pictures."""
        self._listed: Done = {}
        """The pictures that the last scan found."""
        self._unread: set[str] = set()
        """What could not be read and is tried again."""
        self.about = "a folder of pictures"

    def frames(self) -> Iterator[Frame]:
        """The pictures, until it was stopped."""
        number = 0
        for path in self._complete():
            try:
                image, stamp = load_image(path), path.stat().st_mtime
            except (ImageError, OSError) as error:
                self._leave_out(str(path), error)
                continue
            yield Frame(
                camera=self._camera, number=number, time=stamp, arrived=time.monotonic(),
                picture=Picture(image), file=os.fsencode(path.name).decode(errors="replace"),
            )
            number += 1

    def _leave_out(self, path: str, error: ImageError | OSError) -> None:
        """Tell of it once; what is not damaged but could not be read is new in the next scan."""
        if path not in self._unread:
            _log.warning("%s: left out: %s", self._camera, error)
        if isinstance(error.__cause__ or error, OSError) or not os.path.exists(path):
            self._unread.add(path)
            self._done.pop(path, None)

    def _complete(self) -> Iterator[Path]:
        """Each file once it is complete, and again when it was written anew."""
        with self._reports() as reported:
            scanned = float("-inf")
            while not self._stop.is_set():
                if time.monotonic() - scanned >= SCAN_SECONDS:
                    yield from self._scan()
                    scanned = time.monotonic()
                try:
                    path = Path(reported.get(timeout=_POLL_SECONDS))
                except queue.Empty:
                    continue
                if self._is_new(path):
                    yield path

    @contextlib.contextmanager
    def _reports(self) -> Iterator[queue.Queue[str]]:
        """The paths that the kernel reports as closed after writing or moved here."""
        reported: queue.Queue[str] = queue.Queue()
        events = require("watchdog.events", "watch")
        handler = events.FileSystemEventHandler()
        handler.on_closed = lambda event: reported.put(os.fsdecode(event.src_path))
        handler.on_moved = lambda event: reported.put(os.fsdecode(event.dest_path))
        inotify = require("watchdog.observers.inotify", "watch")
        observer = inotify.InotifyObserver(generate_full_events=True)  # also moves from outside
        observer.name = f"folder-{self._camera}"
        try:
            observer.schedule(handler, str(self._folder), event_filter=[
                events.FileClosedEvent, events.FileMovedEvent])
            observer.start()
        except OSError as error:
            observer.stop()
            raise SourceError(
                f"{self._folder}: cannot be watched: {error.strerror}", permanent=False
            ) from error
        try:
            yield reported
        finally:
            observer.stop()
            observer.join()

    def _scan(self) -> Iterator[Path]:
        """The new pictures that nobody changes any more, the oldest first. One from the future, by
        this machine's clock, must be as the last scan found it."""
        try:
            files, drive = self._pictures(), os.stat(self._folder).st_dev
        except OSError as error:
            raise SourceError(
                f"{self._folder}: cannot be listed: {error.strerror}", permanent=False
            ) from error
        if files:
            self._drive = drive
        if drive == self._drive:
            for path in self._done.keys() - files.keys():
                del self._done[path]
        before, self._listed = self._listed, files
        self._unread &= files.keys()
        settled = time.time_ns() - SETTLED_SECONDS * 1e9
        for path, (changed, size) in sorted(files.items(), key=lambda item: (item[1][0], item[0])):
            if self._stop.is_set():
                return
            complete = changed < settled or before.get(path) == (changed, size)
            if complete and self._note(path, (changed, size)):
                yield Path(path)

    def _pictures(self) -> Done:
        """The pictures that are there. One that does not tell what it is, as a link that leads
        nowhere, is none; if it was taken before, it is as it was."""
        files = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                path = str(self._folder / entry.name)
                try:
                    if is_picture_name(path) and entry.is_file():
                        files[path] = _signature(entry.stat())
                except FileNotFoundError:
                    pass  # removed since it was listed
                except OSError:
                    if path in self._done:
                        files[path] = self._done[path]
        return files

    def _is_new(self, path: Path) -> bool:
        """Whether a reported file is a picture that was not taken as it is now."""
        try:
            signature = _signature(path.stat())
        except OSError:
            return False  # it went on elsewhere
        return is_picture_name(path.name) and self._note(str(path), signature)

    def _note(self, path: str, signature: tuple[int, int]) -> bool:
        """Note how a file is taken; whether it is new, or was written since it was taken.

        A time of change that went back is a copy's that was given the original's.
        """
        before = self._done.get(path)
        self._done[path] = signature
        return before is None or signature[0] > before[0] or signature[1] != before[1]

    def close(self) -> None:
        """Nothing is left: the watching ends with the frames."""


def _signature(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


