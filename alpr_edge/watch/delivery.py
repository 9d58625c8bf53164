"""Events and views on their way out, on a thread of its own: a slow disk delays no detection.

An event is first put into the store, then given to the outputs, then to who subscribed. What the
store cannot take is kept and tried again. Views of a live camera are dropped where outputs are
slower; those of a file wait, so that its video has every frame.
"""

from __future__ import annotations

import collections
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from alpr_edge.errors import DataError, OutputError
from alpr_edge.watch.metrics import Metrics
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import CameraStatus, Event, Media, Output, View

MAX_EVENTS = 64
"""Waiting for this thread; with more, detection waits: no event is dropped."""
MAX_VIEWS = 4
MAX_UNSAVED = 200
"""Events that the store could not take and that are kept in memory; the oldest is given up."""
SUBSCRIBED = 100
"""Events that wait for a subscriber; who is slower loses the oldest, and is told so."""
STORE = "store"
"""Name of the store among :attr:`~alpr_edge.watch.metrics.Metrics.failures`."""
_TICK = 0.5
_POLL = 0.2

_log = logging.getLogger(__name__)


class Subscription:
    """Events as they happen, for one listener."""

    def __init__(self, forget: Callable[[Subscription], None]) -> None:
        self.lost = 0
        """Events that it was too slow for."""
        self._events: collections.deque[Event] = collections.deque(maxlen=SUBSCRIBED)
        self._news = threading.Condition()
        self._forget = forget
        self._closed = False

    def get(self, timeout: float) -> Event | None:
        """The next event; None where there is none within ``timeout`` seconds, or no more."""
        with self._news:
            self._news.wait_for(lambda: self._events or self._closed, timeout)
            return self._events.popleft() if self._events else None

    def put(self, event: Event) -> None:
        """Add an event; never waits."""
        with self._news:
            self.lost += len(self._events) == SUBSCRIBED
            self._events.append(event)
            self._news.notify_all()

    def close(self) -> None:
        """No more are wanted."""
        self._forget(self)
        with self._news:
            self._closed = True
            self._news.notify_all()


class Delivery:
    """The thread and what waits for it.

    Args:
        outputs: get events, statuses and views, each from this thread alone.
        store: gets every event before them; None: there is none.
        targets: receivers that the store keeps each event for.
        metrics: failures and dropped views are counted in it.
        tick: called twice a second from this thread; its OutputErrors and DataErrors count as the
            store's.
        failed: called when an output raises what is no OutputError; :attr:`failure` has it.
    """

    def __init__(
        self, outputs: Sequence[Output], store: Store | None, targets: Sequence[str],
        metrics: Metrics, *, tick: Callable[[], None], failed: Callable[[], None],
    ) -> None:
        self.failure: Exception | None = None
        self._outputs = _named(outputs)
        self._store = store
        self._targets = targets
        self._metrics = metrics
        self._tick, self._failed = tick, failed
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._event_room = threading.Semaphore(MAX_EVENTS)
        self._view_room = threading.Semaphore(MAX_VIEWS)
        self._unsaved: collections.deque[tuple[Event, Media]] = collections.deque()
        self._troubles: set[tuple[str, str]] = set()
        self._subscribing = threading.Lock()
        self._subscriptions: list[Subscription] = []  # replaced, not changed
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="delivery", daemon=True  # an output may hang
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def event(self, event: Event, pictures: Callable[[], Media]) -> None:
        """Deliver an event; ``pictures`` makes its pictures, on the delivery's thread."""
        if self._enter(self._event_room, wait=True):
            self._queue.put(lambda: self._deliver(event, pictures))

    def view(self, view: View, *, wait: bool) -> None:
        """Show a frame. Where too many wait it is dropped, or with ``wait`` waits itself."""
        if self._enter(self._view_room, wait=wait):
            self._queue.put(lambda: self._show(view))
        else:
            self._metrics.views_dropped += 1

    def status(self, status: CameraStatus) -> None:
        """Tell of a camera's state; it is never dropped."""
        self._queue.put(lambda: self._each("status", lambda output: output.status(status)))

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, but for what is being delivered."""
        return self._queue.empty()

    def subscribe(self) -> Subscription:
        """A listener to events from now on."""
        subscription = Subscription(self._unsubscribe)
        with self._subscribing:
            self._subscriptions = [*self._subscriptions, subscription]
        return subscription

    def drain(self, timeout: float) -> bool:
        """Deliver what waits by now; whether that was done within ``timeout`` seconds."""
        done = threading.Event()
        self._queue.put(done.set)
        return self._thread.is_alive() and done.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Deliver what waits and close the outputs; whether that was done within ``timeout``."""
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._closed.set()
        for subscription in self._subscriptions:
            subscription.close()
        return not self._thread.is_alive()

    def _enter(self, room: threading.Semaphore, *, wait: bool) -> bool:
        while not self._closed.is_set():
            if room.acquire(blocking=wait, timeout=_POLL if wait else None):
                return True
            if not wait:
                break
        return False

    def _run(self) -> None:
        try:
            last = time.monotonic()
            while (item := self._next()) is not None:
                item()
                if time.monotonic() - last >= _TICK:
                    last = time.monotonic()
                    self._look_after()
            self._save()
            for event, _ in self._unsaved:
                _log.error("event %s is lost: the store takes nothing", event.id)
            self._each("close", lambda output: output.close())
        except Exception as error:  # told by whoever waits for the watch, which ends with it
            self.failure = error
            self._closed.set()
            self._failed()

    def _look_after(self) -> None:
        self._save()
        try:
            self._tick()
        except (OutputError, DataError) as error:
            self._trouble(STORE, "tick", error)
        else:
            self._well(STORE, "tick")

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._queue.get(timeout=_TICK)
        except queue.Empty:
            return lambda: None

    def _deliver(self, event: Event, pictures: Callable[[], Media]) -> None:
        self._event_room.release()
        media = pictures()
        if self._store is not None:
            self._unsaved.append((event, media))
            self._save()
        self._each("event", lambda output: output.event(event, media))
        for subscription in self._subscriptions:
            subscription.put(event)

    def _save(self) -> None:
        """Put into the store what it has not taken yet, the oldest first."""
        while self._unsaved and self._store is not None:
            event, media = self._unsaved[0]
            try:
                self._store.add(event, media, self._targets)
            except (OutputError, DataError) as error:
                self._trouble(STORE, "event", error)
                break
            self._unsaved.popleft()
            self._well(STORE, "event")
        while len(self._unsaved) > MAX_UNSAVED:
            event, _ = self._unsaved.popleft()
            _log.error("event %s is lost: the store takes nothing", event.id)

    def _show(self, view: View) -> None:
        self._view_room.release()
        self._each("view", lambda output: output.view(view))

    def _each(self, what: str, call: Callable[[Output], None]) -> None:
        """Call every output; one that fails does not keep it from the others."""
        for name, output in self._outputs.items():
            try:
                call(output)
            except OutputError as error:
                self._trouble(name, what, error)
            else:
                self._well(name, what)

    def _trouble(self, name: str, what: str, error: OutputError | DataError) -> None:
        """Count every failure of an output; say it once, until it works again."""
        self._metrics.failures[name] = self._metrics.failures.get(name, 0) + 1
        if (name, what) not in self._troubles:
            self._troubles.add((name, what))
            _log.error("%s (%s): %s; the watch goes on", name, what, error)

    def _well(self, name: str, what: str) -> None:
        if (name, what) in self._troubles:
            self._troubles.remove((name, what))
            _log.info("%s (%s) works again", name, what)

    def _unsubscribe(self, subscription: Subscription) -> None:
        with self._subscribing:
            self._subscriptions = [one for one in self._subscriptions if one is not subscription]


def _named(outputs: Sequence[Output]) -> dict[str, Output]:
    """The outputs by the names of their classes, a second one of a class with a number."""
    named: dict[str, Output] = {}
    for output in outputs:
        kind = type(output).__name__
        count = sum(type(other).__name__ == kind for other in named.values())
        named[f"{kind} {count + 1}" if count else kind] = output
    return named
