"""A source in a thread of its own: the newest frame of a camera, every frame of a file."""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Callable

from alpr_edge.errors import AlprEdgeError, UsageError
from alpr_edge.watch.backoff import Backoff
from alpr_edge.watch.config import CameraConfig
from alpr_edge.watch.sources import Done, Source, SourceError, is_live, open_source, shown
from alpr_edge.watch.types import CameraStatus, Frame, State

FILE_QUEUE = 4
"""Decoded frames of a file that wait."""
RETRY_SECONDS = 30.0
"""Between two attempts to reach a camera that is away, at most; the first ones follow sooner."""
STEADY_SECONDS = 20.0
"""A camera that ran for so long starts with short delays again."""
CLOSE_SECONDS = 5.0
MAIN_SECONDS = 1.0
"""An older picture of the main stream does not show what the detection stream shows."""
_OF_FRAMES = (
    "name", "source", "detect_source", "username", "password_file", "hwaccel", "every", "max_fps",
)
"""What of a camera's settings its feed goes by."""
_log = logging.getLogger(__name__)


class Feed:
    """The frames of one camera, decoded in a thread; ``take`` and ``close`` are for one other.

    Log lines tell when it runs and, once each, what is wrong.

    A live source: the newest frame wins, and a camera that is away is tried again for ever. A
    file: every frame, :data:`FILE_QUEUE` at most wait.

    With ``detect_source`` that stream decides when there is a frame, and is its ``small``
    picture; its ``image`` is the newest of ``source``, which a feed of its own decodes.
    """

    def __init__(self, camera: CameraConfig, changed: Callable[[], None]) -> None:
        """``changed`` is called, from the thread, when a frame came or the state changed."""
        self._camera, self._name, self._changed = camera, camera.name, changed
        self.live = is_live(camera.source)
        self.expected: int | None = None
        """Frames that will come in all, once that is known of a file."""
        self._stop = threading.Event()
        self._room = threading.Condition()
        self._frames: collections.deque[Frame] = collections.deque()
        self._status = CameraStatus(
            camera=camera.name, state=State.STARTING, since=time.time(), problem=None, fps=0.0,
            frames=0, dropped=0, idle=0,
        )
        self._main = _main_feed(camera, changed)
        self._main_frame: Frame | None = None
        self._opened = False
        self._done: Done = {}
        """What was taken of a folder."""
        self._number = 0
        self._thread = threading.Thread(
            target=self._run, name=f"feed-{camera.name}", daemon=True  # may hang in a connect
        )

    def start(self) -> None:
        """Begin; returns at once. A second time does nothing."""
        if self._thread.ident is not None:
            return
        if self._main:
            self._main.start()
        self._thread.start()

    def take(self) -> Frame | None:
        """The next frame of a file, the newest of a camera; None where there is none yet."""
        with self._room:
            frame = self._frames.popleft() if self._frames else None
            self._room.notify()
        return frame

    @property
    def ended(self) -> bool:
        """Whether nothing more will come: all was taken, it failed for good, or was stopped."""
        over = self._stop.is_set() or self._status.state in (State.ENDED, State.FAILED)
        return over and not self._frames

    @property
    def status(self) -> CameraStatus:
        """The state now, of two streams that of the one that does not run.

        ``frames`` came so far; ``fps`` and ``idle``, which are about processing, are 0.
        """
        status = self._status
        if self._main and status.state is State.RUNNING:
            main = self._main.status
            if main.state is not State.RUNNING:
                return dataclasses.replace(
                    status, state=main.state, since=main.since, problem=main.problem
                )
        return status

    @property
    def deserves_another_try(self) -> bool:
        """Whether it failed for good, and a new one would give no frame a second time."""
        return self.status.state is State.FAILED and (self.live or not self.status.frames)

    def stop(self) -> None:
        """Ask for the end; returns at once. Frames that nobody took are given up."""
        self._stop.set()
        with self._room:
            self._frames.clear()
            self._room.notify_all()
        if self._main:
            self._main.stop()

    def close(self) -> None:
        """Stop; waits 5 s at most. A thread that is connecting ends when that has timed out."""
        self.stop()
        until = time.monotonic() + CLOSE_SECONDS
        for feed in (self, self._main):
            if feed and feed._thread.is_alive():
                feed._thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        backoff = Backoff(limit=RETRY_SECONDS)
        problem = self._session()
        while problem is not None and not problem.permanent and not self._stop.is_set():
            self._enter(State.RECONNECTING, str(problem))
            self._stop.wait(backoff.next())
            began = time.monotonic()
            problem = self._session()
            if time.monotonic() - began > STEADY_SECONDS:
                backoff.reset()
        if problem is not None and problem.permanent:
            self._enter(State.FAILED, str(problem))
        else:
            self._enter(State.ENDED)

    def _session(self) -> SourceError | None:
        """Open the source and pass on its frames; what ended it, None for its end."""
        source = None
        if self._stop.is_set():
            return None
        try:
            source = self._open()
            self._opened = True
            self._pass_on(source)
        except AlprEdgeError as error:
            permanent = not isinstance(error, SourceError) or error.permanent
            was_there = self._opened and source is None  # what was there once may come back
            return SourceError(str(error), permanent=permanent and not was_there)
        except Exception as error:  # or the camera would be dead and seem to run
            _log.exception("%s: stopped by an error of alpr-edge; please report it", self._name)
            return SourceError(f"{type(error).__name__}: see the log", permanent=not self.live)
        finally:
            if source:
                source.close()
        return None

    def _open(self) -> Source:
        camera = self._camera
        if camera.detect_source is None:
            return open_source(camera, self._stop, self._done)
        for source in (camera.source, camera.detect_source):
            if not is_live(source):
                raise UsageError(
                    f"{shown(source)}: got a file or folder beside detect_source; source and "
                    "detect_source are two streams of one camera"
                )
        return open_source(dataclasses.replace(camera, source=camera.detect_source), self._stop)

    def _pass_on(self, source: Source) -> None:
        first = self._number
        for frame in source.frames():
            if self._status.state is not State.RUNNING:
                _log.info("%s: running: %s", self._name, source.about)
                self.expected = source.expected
                self._enter(State.RUNNING)
            self._number = first + frame.number + 1
            self._offer(dataclasses.replace(frame, number=first + frame.number))
            self._changed()

    def _offer(self, frame: Frame) -> None:
        """Put a frame where ``take`` finds it: at once if it is live, else when there is room."""
        paired = self._paired(frame)
        with self._room:
            dropped = paired is None
            if self.live and paired and self._frames:
                self._frames.clear()
                dropped = True
            while len(self._frames) >= FILE_QUEUE and not self._stop.is_set():
                self._room.wait()
            if paired and not self._stop.is_set():
                self._frames.append(paired)
        self._status = dataclasses.replace(
            self._status, frames=self._status.frames + 1,
            dropped=self._status.dropped + dropped,
        )

    def _paired(self, small: Frame) -> Frame | None:
        """The frame with the main stream's newest picture; None while that stream is away."""
        if self._main is None:
            return small
        self._main_frame = self._main.take() or self._main_frame
        main = self._main_frame
        if main is None or small.arrived - main.arrived > MAIN_SECONDS:
            return None
        return dataclasses.replace(small, picture=main.picture, small=small.picture)

    def _enter(self, state: State, problem: str | None = None) -> None:
        if (state, problem) == (self._status.state, self._status.problem):
            return
        if problem:
            _log.warning("%s: %s: %s", self._name, state, problem)
        self._status = dataclasses.replace(
            self._status, state=state, since=time.time(), problem=problem
        )
        self._changed()


def has_same_frames(one: CameraConfig, other: CameraConfig) -> bool:
    """Whether two cameras' feeds give the same frames."""
    return all(getattr(one, name) == getattr(other, name) for name in _OF_FRAMES)


def _main_feed(camera: CameraConfig, changed: Callable[[], None]) -> Feed | None:
    """The feed of the main stream of a camera that has two."""
    if camera.detect_source is None:
        return None
    main = dataclasses.replace(
        camera, name=f"{camera.name}-main", detect_source=None, every=1, max_fps=None
    )
    return Feed(main, changed)
