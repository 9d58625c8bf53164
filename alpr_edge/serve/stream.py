"""Events to any number of browsers: server-sent events (WHATWG HTML, 9.2).

Each message is ``event: plate``, ``id:`` the event's key and ``data:`` its JSON. A client that
comes back with ``Last-Event-ID`` first gets all that it missed, where the store still has that
event. One that reads too slowly, and every one when the service itself was too slow, is cut off
and comes back that way.
"""

from __future__ import annotations

import asyncio
import collections
import json
import logging
import threading
from collections.abc import AsyncIterator
from typing import NamedTuple

from alpr_edge.serve.refusal import RequestError
from alpr_edge.serve.watching import WatchLike
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import Event

MAX_STREAMS = 32
"""Clients at the same time."""
HEARTBEAT = 10.0
"""Seconds of silence after which a comment shows that the connection lives."""
RETRY_MS = 2000
"""After which a client comes back."""
_BACKLOG = 256
"""Events that may wait for one client."""
_AT_ONCE = 1000
"""Missed events that are read from the store at a time; more than may wait for one client."""
_LOOK, _PAUSE = 0.5, 0.05
"""Seconds between looks at whether to stop."""
_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """Text of a stream; the key is the event's, empty for a comment."""

    key: str
    text: str


_BEAT = Message("", ": still here\n\n")
_Queue = asyncio.Queue[Message | None]
"""None ends a stream."""


class Announcer:
    """Takes the watch's events in a thread of its own and hands each to all open streams."""

    def __init__(self, watch: WatchLike) -> None:
        self._watch = watch
        self._queues: set[_Queue] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; called in the event loop that serves the streams."""
        self._stop.clear()
        arguments = (asyncio.get_running_loop(),)
        self._thread = threading.Thread(
            target=self._take, args=arguments, name="serve-events", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End all streams; called in the event loop."""
        self._stop.set()
        self._end_all()

    async def finish(self) -> None:
        """End all streams and wait for the thread."""
        self.close()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def check(self) -> None:
        """See that one more stream may begin.

        Raises:
            RequestError: 503, there are too many, or the service is stopping.
        """
        if self._stop.is_set() or len(self._queues) >= MAX_STREAMS:
            raise RequestError(
                503, "too_many_streams", f"{len(self._queues)} event streams are open",
                f"close one; at most {MAX_STREAMS} are served", {"retry-after": "5"},
            )

    async def messages(self, store: Store | None, last: str | None) -> AsyncIterator[str]:
        """The text of a stream: what was missed after the event key ``last``, then what comes."""
        queue: _Queue = asyncio.Queue(_BACKLOG)
        self._queues.add(queue)
        try:
            yield f"retry: {RETRY_MS}\n\n"
            sent: collections.deque[str] = collections.deque(maxlen=_AT_ONCE)
            async for event in _missed(store, last):
                if self._stop.is_set():
                    return
                sent.append(event.key)  # the last of them may be in the queue as well
                yield message(event).text
            while not self._stop.is_set() and (new := await _next(queue)) is not None:
                if new.key not in sent:
                    yield new.text
        finally:
            self._queues.discard(queue)

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        subscription = self._watch.subscribe()
        lost = 0
        try:
            while not self._stop.is_set():
                event = subscription.get(_LOOK)
                if subscription.lost > lost:  # before this event, or soon after it
                    _log.warning("all event streams are cut off: events came too fast")
                    lost = subscription.lost
                    loop.call_soon_threadsafe(self._end_all)
                if event is not None:
                    loop.call_soon_threadsafe(self._spread, event)
                else:
                    self._stop.wait(_PAUSE)  # at the watch's end none comes any more, at once
        finally:
            subscription.close()

    def _spread(self, event: Event) -> None:
        new = message(event)
        for queue in tuple(self._queues):
            try:
                queue.put_nowait(new)
            except asyncio.QueueFull:
                _log.warning("an event stream is cut off: its client reads too slowly")
                self._end(queue)

    def _end_all(self) -> None:
        for queue in tuple(self._queues):
            self._end(queue)

    def _end(self, queue: _Queue) -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


def message(event: Event) -> Message:
    """One event as a message of a stream."""
    data = json.dumps(event_json(event), ensure_ascii=False)
    return Message(event.key, f"id: {event.key}\nevent: plate\ndata: {data}\n\n")


async def _missed(store: Store | None, last: str | None) -> AsyncIterator[Event]:
    """What was announced after the event key ``last``, as far as the store knows."""
    while store is not None and last is not None:
        events = await asyncio.to_thread(store.after, last, _AT_ONCE)
        for event in events:
            yield event
        last = events[-1].key if events else None


async def _next(queue: _Queue) -> Message | None:
    try:
        return await asyncio.wait_for(queue.get(), HEARTBEAT)
    except TimeoutError:
        return _BEAT
