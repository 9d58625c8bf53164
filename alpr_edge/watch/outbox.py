"""What receivers have not got yet: rows of the store, and the thread that delivers them.

An announcement stays in the outbox until its receiver has taken it, over restarts and whatever
happens, or until the event itself is kept no longer. One that its receiver refuses for good is
*dead*: it stays, visibly, until somebody calls :meth:`Outbox.revive`.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from alpr_edge.errors import DataError, OutputError
from alpr_edge.watch.backoff import Backoff
from alpr_edge.watch.database import Database
from alpr_edge.watch.event_json import event_json, event_of
from alpr_edge.watch.types import Event, Media

if TYPE_CHECKING:
    from alpr_edge.watch.store import Store

OUTBOX_SCHEMA = """
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    key TEXT NOT NULL,
    event TEXT NOT NULL,
    age REAL NOT NULL,
    json TEXT NOT NULL,
    dead TEXT,
    UNIQUE (target, key)
);
CREATE INDEX outbox_waiting ON outbox (target, number) WHERE dead IS NULL;
"""
_STOP_SECONDS = 5.0
_LOOK_AGAIN = 30.0  # seconds; another process may revive what is dead

_log = logging.getLogger(__name__)


class DeliveryError(OutputError):
    """A receiver did not take an event.

    ``permanent``: it never will, so the event is put aside; otherwise it is tried again, not
    before ``retry_after`` seconds where the receiver said so.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """An announcement that a receiver refused, and why."""

    target: str
    key: str
    problem: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How many announcements of a receiver are in the outbox."""

    waiting: int
    dead: int


class Outbox:
    """The rows, in a store's database. All methods raise OutputError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.couriers: dict[str, Courier] = {}
        """By target; woken when there is something new."""

    def put(
        self, sql: sqlite3.Connection, event: Event, targets: Sequence[str], age: float
    ) -> None:
        """Add an announcement for each target, within the transaction of its event.

        ``age`` is what :meth:`drop` goes by.
        """
        text = json.dumps(event_json(event), ensure_ascii=False)
        sql.executemany(
            "INSERT INTO outbox (target, key, event, age, json) VALUES (?, ?, ?, ?, ?)",
            [(target, event.key, event.id, age, text) for target in targets],
        )

    def drop(self, sql: sqlite3.Connection, end: float) -> None:
        """Forget what is older than ``end``: its events are kept no longer."""
        dropped = sql.execute("DELETE FROM outbox WHERE age < ?", (end,)).rowcount
        if dropped:
            _log.warning("%d announcements forgotten that no receiver took in time", dropped)

    def wake(self, targets: Sequence[str]) -> None:
        """Tell the couriers of these targets that there is something new."""
        for target in targets:
            if courier := self.couriers.get(target):
                courier.wake()

    def next(self, target: str) -> Event | None:
        """The oldest announcement that waits for a target."""
        rows = self._database.rows(
            "SELECT json FROM outbox WHERE target = ? AND dead IS NULL ORDER BY number LIMIT 1",
            (target,),
        )
        return event_of(json.loads(rows[0][0])) if rows else None

    def delivered(self, target: str, key: str) -> None:
        """The target has it."""
        with self._database.transaction(f"mark {key} as delivered") as sql:
            sql.execute("DELETE FROM outbox WHERE target = ? AND key = ?", (target, key))

    def bury(self, target: str, key: str, problem: str) -> None:
        """The target refuses it for good."""
        with self._database.transaction(f"put {key} aside") as sql:
            sql.execute("UPDATE outbox SET dead = ? WHERE target = ? AND key = ?",
                        (problem, target, key))

    def dead(self) -> list[DeadLetter]:
        """What was refused, the oldest first."""
        rows = self._database.rows(
            "SELECT target, key, dead FROM outbox WHERE dead IS NOT NULL ORDER BY number"
        )
        return [DeadLetter(target=target, key=key, problem=dead) for target, key, dead in rows]

    def revive(self, target: str) -> int:
        """Have everything that a target refused tried again; how many."""
        with self._database.transaction(f"try again what {target} refused") as sql:
            count = sql.execute("UPDATE outbox SET dead = NULL WHERE target = ?"
                                " AND dead IS NOT NULL", (target,)).rowcount
        self.wake([target])
        return count

    def backlogs(self) -> dict[str, Backlog]:
        """By target; those with nothing in the outbox are not in it."""
        rows = self._database.rows(
            "SELECT target, count(*), count(dead) FROM outbox GROUP BY target ORDER BY target"
        )
        return {target: Backlog(waiting=total - dead, dead=dead) for target, total, dead in rows}


class Courier:
    """A thread that delivers what waits for one target, in order, one at a time.

    ``deliver(event, media)`` returns when the receiver has the event, and raises
    :class:`DeliveryError` where it has not. What fails for the moment is tried again for ever, with
    growing delays, and holds up what comes after it. An event is delivered once, and a second time
    only if the process ends between the receiver's answer and the note of it, or no answer came.
    """

    def __init__(
        self, store: Store, target: str, deliver: Callable[[Event, Media], None],
        *, backoff: Backoff | None = None,
    ) -> None:
        self.target = target
        self.delivered = 0
        self.failures = 0
        """Attempts that failed."""
        self.problem: str | None = None
        """Why the last attempt failed; None where it did not."""
        self._outbox = store.outbox
        self._media = store.media
        self._deliver = deliver
        self._backoff = backoff or Backoff()
        self._unmarked: str | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._outbox.couriers[target] = self
        # a daemon: all it has to remember is in the store, and a receiver may hang
        self._thread = threading.Thread(target=self._run, name=f"courier {target}", daemon=True)

    def start(self) -> None:
        """Begin with what is in the outbox already."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once something that is no failed delivery has ended its thread."""
        return self._thread.ident is None or self._thread.is_alive() or self._stop.is_set()

    def wake(self) -> None:
        """There may be something new."""
        self._wake.set()

    def close(self) -> None:
        """Stop; what is not delivered stays in the outbox. Waits at most 5 s for the receiver."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while True:
            self._wake.clear()  # before looking: what comes after it wakes again
            if self._stop.is_set():
                return
            try:
                found = self._deliver_next()
            except (OutputError, DataError) as error:
                self._failed(error)
                continue
            if self.problem is not None:
                _log.info("%s takes events again", self.target)
                self.problem = None
                self._backoff.reset()
            if not found:
                self._wake.wait(_LOOK_AGAIN)

    def _deliver_next(self) -> bool:
        """Whether there was something to deliver."""
        event = self._outbox.next(self.target)
        if event is None:
            return False
        try:
            if event.key != self._unmarked:
                self._deliver(event, self._media(event.id))
        except DeliveryError as error:
            if not error.permanent:
                raise
            self.failures += 1
            _log.error("%s refuses %s, which is put aside: %s", self.target, event.key, error)
            self._outbox.bury(self.target, event.key, str(error))
            return True
        self._unmarked = event.key  # if noting it fails, only that is tried again
        self._outbox.delivered(self.target, event.key)
        self._unmarked = None
        self.delivered += 1
        return True

    def _failed(self, error: OutputError | DataError) -> None:
        if self._stop.is_set():
            return
        self.failures += 1
        if self.problem is None:
            _log.warning("%s does not take events, will be tried again: %s", self.target, error)
        self.problem = str(error)
        wanted = error.retry_after if isinstance(error, DeliveryError) else 0.0
        self._stop.wait(max(self._backoff.next(), wanted))
