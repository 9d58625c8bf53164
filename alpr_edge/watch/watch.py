"""The whole watch: cameras, one pair of compiled networks, store and outputs, started and stopped.

    with Watch(config) as watch:
        watch.wait()
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from alpr_edge.errors import UsageError
from alpr_edge.pipeline import Result
from alpr_edge.types import Image
from alpr_edge.watch.camera import Camera
from alpr_edge.watch.config import CameraConfig, Config
from alpr_edge.watch.delivery import Delivery, Subscription
from alpr_edge.watch.desk import Desk, desks
from alpr_edge.watch.feed import Feed, has_same_frames
from alpr_edge.watch.file_outputs import file_outputs
from alpr_edge.watch.hashing import PlateHasher
from alpr_edge.watch.hub import Hub, Requests
from alpr_edge.watch.metrics import Metrics
from alpr_edge.watch.receivers import Receivers
from alpr_edge.watch.store import Store
from alpr_edge.watch.tracker import Tracker
from alpr_edge.watch.types import CameraStatus, Output, State, View

RELOADED = ("cameras", "tracking", "plates", "privacy")
"""Parts of a configuration that :meth:`Watch.reload` takes over; the others need a new start."""
STATUS_SECONDS = 60.0
"""How often a camera is told of though nothing but its counts changed."""
STOP_SECONDS = 5.0
LAST_SECONDS = 2.0
"""For receivers that work to take the last events; what they do not get waits in the store."""
STUCK_SECONDS = 30.0
"""A worker that has been at one frame for so long will not come back."""

_POLL = 0.02
_log = logging.getLogger(__name__)


class Watch:
    """Watches the cameras of ``config`` from :meth:`start` to :meth:`stop`.

    Args:
        config: checked already (:mod:`alpr_edge.watch.config_file`, ``config_rules``).
        outputs: more outputs than the configuration names.

    Raises (:meth:`start`):
        ModelError: a model is missing or corrupt.
        UsageError: a setting, or a file that it names, is wrong.
        OutputError: the store or an output cannot be opened.
        LibraryError: an extra is missing.
    """

    def __init__(self, config: Config, outputs: Sequence[Output] = ()) -> None:
        self.config = config
        self.metrics = Metrics()
        self.ready = False
        """Models loaded, outputs open, cameras started."""
        self._outputs = outputs
        self._ended = threading.Event()
        self._stopped = False
        self._cameras: dict[str, Camera] = {}
        self._desks: list[Desk] = []
        self._changing = threading.Lock()
        """Held while a reload exchanges cameras: what is there meanwhile tells nothing."""
        self._told: dict[str, tuple[CameraStatus, float]] = {}
        """What was told last of each camera, and when (monotonic seconds)."""
        self._hub: Hub | None = None
        self._delivery: Delivery | None = None
        self._receivers: Receivers | None = None
        self._requests = Requests(self._wake, self.metrics)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def store(self) -> Store | None:
        """Where events are kept; None where nothing is configured, or nothing is started."""
        return self._receivers.store if self._receivers else None

    @property
    def alive(self) -> bool:
        """Whether it works: no error ended it, no worker is stuck (systemd's watchdog)."""
        return (
            self._hub is not None and self._failure() is None
            and not self._hub.is_stuck(STUCK_SECONDS)
            and self._receivers is not None and self._receivers.alive
        )

    def start(self) -> None:
        """Load the models, open the outputs and start the cameras."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._desks = desks(self.config.model)
        self._min_confidence = self._desks[0].min_confidence
        files: list[Output] = []
        with contextlib.ExitStack() as opened:
            for output in file_outputs(self.config.files):
                opened.callback(output.close)
                files.append(output)
            self._receivers = Receivers(self.config)
            opened.pop_all()
        outputs = [*self._outputs, *self._receivers.outputs, *files]
        self._delivery = Delivery(  # closes them
            outputs, self._receivers.store, self._receivers.targets, self.metrics,
            tick=self._tick, failed=self._ended.set,
        )
        self._hub = Hub(self._desks, self._ended.set)
        self._hub.add(self._requests)
        self._delivery.start()
        for camera in [self._made(settings, self.config) for settings in self.config.cameras]:
            self._add(camera)
        self._receivers.start()
        self._hub.start()
        self.ready = True
        _log.info("watching %s", ", ".join(self._cameras) or "no camera")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all sources have ended and everything of them is told, or :meth:`stop`.

        Returns whether that was within ``timeout`` seconds. Without cameras it never ends.

        Raises:
            Exception: whatever ended the work: an inference or an output that broke.
        """
        ended = self._ended.wait(timeout)
        if (failure := self._failure()) is not None:
            raise failure
        return ended

    def stop(self) -> None:
        """End everything within seconds: nothing that was seen is lost. A second time it does
        nothing."""
        if self._stopped:
            return
        self._stopped = True
        self.ready = False
        self._ended.set()
        self._requests.close()
        self._close_cameras(list(self._cameras.values()))
        if self._hub is not None and not self._hub.stop(STOP_SECONDS):
            _log.error("a worker hangs; its frame is lost")
        if self._delivery is not None:
            self._delivery.drain(STOP_SECONDS)
        if self._receivers is not None:
            self._receivers.stop(LAST_SECONDS)
        if self._delivery is not None and not self._delivery.close(STOP_SECONDS):
            _log.error("an output hangs; what it has not written is lost")
        if self._receivers is not None:
            self._receivers.close()

    def reload(self, config: Config) -> None:
        """Take over what can be taken over while it runs: only cameras that changed restart, and
        their sources go on where they are, unless it is the source that changed. One that failed
        before its first frame is tried again.

        Raises:
            UsageError: a file that it names is wrong; the cameras run as before.
        """
        kept = [
            field.name for field in dataclasses.fields(Config)
            if field.name not in RELOADED
            and getattr(config, field.name) != getattr(self.config, field.name)
        ]
        if kept:
            _log.warning("%s changed: that takes effect at the next start", ", ".join(kept))
        config = dataclasses.replace(config, **{name: getattr(self.config, name) for name in kept})
        common = ("tracking", "plates", "privacy")
        all_change = any(getattr(config, name) != getattr(self.config, name) for name in common)
        wanted = {camera.name: camera for camera in config.cameras}
        same = {
            name for name, camera in self._cameras.items()
            if wanted.get(name) == camera.config and not all_change
            and not camera.feed.deserves_another_try
        }
        made = [self._made(one, config) for one in config.cameras if one.name not in same]
        feeds = {camera.feed for camera in made}
        self.config = config
        with self._changing:
            for name in self._cameras.keys() - same:
                camera = self._cameras[name]
                self._remove(camera, again=name in wanted, keep_feed=camera.feed in feeds)
            for camera in made:
                self._add(camera)

    def read(self, image: Image, timeout: float) -> Result:
        """The plates of a picture of no camera; it takes its fair turn among the cameras.

        Raises:
            TimeoutError: it was not read within ``timeout`` seconds.
            ImageError: the array is no picture (H, W, 3) uint8 BGR.
            AlprEdgeError: the watch has ended.
        """
        return self._requests.read(image, timeout)

    def statuses(self) -> list[CameraStatus]:
        """How each camera is."""
        return [camera.status() for camera in list(self._cameras.values())]

    def views(self) -> dict[str, View]:
        """The latest frame of each camera that had one."""
        cameras = list(self._cameras.items())
        return {name: camera.view for name, camera in cameras if camera.view is not None}

    @property
    def failed_cameras(self) -> list[str]:
        """Names of the cameras that will not be tried again, also after the end."""
        return [name for name, (told, _) in self._told.items() if told.state is State.FAILED]

    def expected(self) -> dict[str, int | None]:
        """Frames that each camera gives in all; None where nobody knows."""
        cameras = list(self._cameras.items())
        return {name: camera.feed.expected for name, camera in cameras}

    def subscribe(self) -> Subscription:
        """Be told of events from now on.

        Raises:
            UsageError: the watch is not running.
        """
        if self._delivery is None or self._stopped:
            raise UsageError("the watch is not running; start it first")
        return self._delivery.subscribe()

    def _made(self, settings: CameraConfig, config: Config) -> Camera:
        """A camera that does not run yet."""
        assert self._delivery is not None
        key = config.privacy.hash_key_file
        tracker = Tracker(settings.name, config.tracking, config.plates, self._min_confidence)
        return Camera(
            settings, self._feed(settings), tracker, self._delivery, privacy=config.privacy,
            hasher=PlateHasher.from_file(key) if key else None,
        )

    def _feed(self, settings: CameraConfig) -> Feed:
        """The feed of the camera that is there by that name, if it gives the same frames and need
        not be tried again."""
        before = self._cameras.get(settings.name)
        if before is None or before.feed.deserves_another_try:
            return Feed(settings, self._wake)
        same = has_same_frames(before.config, settings)
        return before.feed if same else Feed(settings, self._wake)

    def _add(self, camera: Camera) -> None:
        assert self._hub is not None
        self._cameras[camera.config.name] = camera
        self.metrics.cameras[camera.config.name] = camera.metrics
        self._hub.add(camera)
        camera.feed.start()

    def _remove(self, camera: Camera, *, again: bool, keep_feed: bool) -> None:
        """End a camera; ``again``: one of its name follows; ``keep_feed``: it takes the feed."""
        assert self._hub is not None and self._delivery is not None
        self._close_cameras([camera], keep_feeds=keep_feed)
        self._hub.remove(camera)
        for desk in self._desks:
            desk.forget(camera.config.name)
        del self._cameras[camera.config.name]
        if not again:
            del self.metrics.cameras[camera.config.name]
            self._told.pop(camera.config.name, None)
            self._delivery.status(dataclasses.replace(camera.status(), state=State.REMOVED))

    def _close_cameras(self, cameras: Sequence[Camera], *, keep_feeds: bool = False) -> None:
        """Close them, and wait until the hub has told what their tracks hold."""
        with ThreadPoolExecutor(max(1, len(cameras)), "close") as pool:  # each may take seconds
            list(pool.map(lambda camera: camera.close(keep_feed=keep_feeds), cameras))
        self._wake()
        deadline = time.monotonic() + STOP_SECONDS
        while self._failure() is None and time.monotonic() < deadline:
            if all(camera.done for camera in cameras):
                return
            time.sleep(_POLL)

    def _wake(self) -> None:
        if self._hub is not None:
            self._hub.wake()

    def _failure(self) -> Exception | None:
        parts = [part for part in (self._hub, self._delivery) if part is not None]
        return next((part.failure for part in parts if part.failure is not None), None)

    def _tick(self) -> None:
        """Now and then, on the delivery's thread: tell what changed, keep the store small."""
        if self._changing.acquire(blocking=False):  # else the next time: a reload may take seconds
            try:
                self._look_at_cameras()
            finally:
                self._changing.release()
        if self._receivers is not None:
            self._receivers.prune()

    def _look_at_cameras(self) -> None:
        cameras = list(self._cameras.values())
        for camera in cameras:
            self._tell(camera.status())
        done = bool(cameras) and all(camera.done for camera in cameras)
        if self.ready and done and self._delivery is not None and self._delivery.is_idle:
            self._ended.set()

    def _tell(self, status: CameraStatus) -> None:
        if self._delivery is None:
            return
        now = time.monotonic()
        if status.camera in self._told:
            last, when = self._told[status.camera]
            same = (last.state, last.problem) == (status.state, status.problem)
            if same and now - when < STATUS_SECONDS:
                return
        self._told[status.camera] = status, now
        self._delivery.status(status)
