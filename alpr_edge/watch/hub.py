"""The heart: workers with one compiled model, and fair turns of those who want pictures read."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from alpr_edge.errors import AlprEdgeError, ImageError
from alpr_edge.pipeline import Result
from alpr_edge.types import Image
from alpr_edge.watch.desk import Desk
from alpr_edge.watch.metrics import Metrics

Job = Callable[[Desk], None]


class Caller(Protocol):
    """Somebody who wants pictures read: a camera, or the queue of requests."""

    def take(self) -> Job | None:
        """What to do next, if anything; does not wait. Workers ask in turns, never two at once."""


class Hub:
    """Worker threads, one a desk, that serve all callers round robin.

    Each time a worker is free, the caller who was served longest ago and has something to do is
    next. A job that raises ends all work: :attr:`failure` has the error, ``failed`` is called.
    Nobody waits for a worker at the end of the process: one that hangs would hold it up for ever.
    """

    def __init__(self, desks: Sequence[Desk], failed: Callable[[], None]) -> None:
        self.failure: Exception | None = None
        self._failed = failed
        self._callers: list[Caller] = []
        self._turns = threading.Lock()
        # never held while a caller is asked: callers wake the hub while they hold locks of theirs
        self._news = threading.Condition()
        self._changes = 0
        self._stopped = False
        self._begun: dict[Desk, float] = {}
        self._threads = [
            threading.Thread(
                target=self._work, args=(desk,), name=f"worker {number}", daemon=True
            )
            for number, desk in enumerate(desks, 1)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def add(self, caller: Caller) -> None:
        """Serve ``caller`` from now on."""
        with self._turns:
            self._callers.append(caller)
        self.wake()

    def remove(self, caller: Caller) -> None:
        """Ask ``caller`` no more; a job of it may still be at work."""
        with self._turns:
            self._callers.remove(caller)

    def wake(self) -> None:
        """A caller may have something to do. From any thread."""
        with self._news:
            self._changes += 1
            self._news.notify_all()

    def is_stuck(self, seconds: float) -> bool:
        """Whether a worker has been at one job for longer than ``seconds``."""
        now = time.monotonic()
        return any(now - begun > seconds for begun in list(self._begun.values()))

    def stop(self, timeout: float) -> bool:
        """Begin no more jobs; whether all workers have ended within ``timeout`` seconds."""
        with self._news:
            self._stopped = True
            self._news.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, desk: Desk) -> None:
        try:
            while (job := self._next()) is not None:
                self._begun[desk] = time.monotonic()
                job(desk)
                del self._begun[desk]
                self.wake()  # whose job that was may be asked again
        except Exception as error:  # told by whoever waits for the watch, which ends with it
            self.failure = error
            with self._news:
                self._stopped = True
                self._news.notify_all()
            self._failed()

    def _next(self) -> Job | None:
        """Wait for a job; None at the end."""
        while True:
            with self._news:
                if self._stopped:
                    return None
                seen = self._changes
            with self._turns:
                job = self._turn()
            if job is not None:
                return job
            with self._news:
                while not self._stopped and self._changes == seen:
                    self._news.wait()

    def _turn(self) -> Job | None:
        for caller in self._callers:
            if (job := caller.take()) is not None:
                self._callers.remove(caller)
                self._callers.append(caller)
                return job
        return None


class Requests:
    """Pictures of the HTTP service; all together they are one caller of the hub."""

    def __init__(self, wake: Callable[[], None], metrics: Metrics) -> None:
        self._wake, self._metrics = wake, metrics
        self._waiting: collections.deque[tuple[Image, Future[Result]]] = collections.deque()
        self._closed = False

    def read(self, image: Image, timeout: float) -> Result:
        """The plates of ``image`` (H, W, 3) uint8 BGR, when its turn has come.

        Raises:
            TimeoutError: that took longer than ``timeout`` seconds.
            ImageError: the array is no such picture.
            AlprEdgeError: the watch has ended.
        """
        answer: Future[Result] = Future()
        self._waiting.append((image, answer))
        if self._closed:
            self.close()
        self._wake()
        try:
            return answer.result(timeout)
        except TimeoutError:
            answer.cancel()
            raise

    def take(self) -> Job | None:
        """The oldest request that somebody still waits for."""
        while self._waiting:
            image, answer = self._waiting.popleft()
            if answer.set_running_or_notify_cancel():
                return lambda desk: self._answer(desk, image, answer)
        return None

    def close(self) -> None:
        """Refuse what waits, and whatever comes."""
        self._closed = True
        while self._waiting:
            _, answer = self._waiting.popleft()
            if answer.set_running_or_notify_cancel():
                answer.set_exception(AlprEdgeError("the watch has ended; start it again"))

    def _answer(self, desk: Desk, image: Image, answer: Future[Result]) -> None:
        try:
            result = desk.read(image)
            self._metrics.requests += 1
            answer.set_result(result)
        except ImageError as error:  # the caller's picture; everything else is our own failure
            answer.set_exception(error)
        except Exception as error:
            answer.set_exception(error)
            raise
