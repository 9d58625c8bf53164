"""The store of events: SQLite, pictures beside it, and the outbox, durable before it is told.

:meth:`Store.add` returns when the event, its pictures and a row in the outbox for each receiver
are on the disk: pictures first, then everything else in one transaction. A crash or a cut of power
at any moment loses nothing that was acknowledged by returning; what was not yet is there or not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from alpr_edge.errors import DataError, OutputError, UsageError
from alpr_edge.watch.age import DAY, Age, Clock
from alpr_edge.watch.config import StoreConfig
from alpr_edge.watch.database import Database
from alpr_edge.watch.durable import make_folder, write_file
from alpr_edge.watch.event_json import event_json, event_of
from alpr_edge.watch.known import plain
from alpr_edge.watch.outbox import OUTBOX_SCHEMA, Outbox
from alpr_edge.watch.pictures import Kind, PictureFolder
from alpr_edge.watch.types import Access, Event, Media

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    camera TEXT NOT NULL,
    text TEXT NOT NULL,
    access TEXT,
    first_seen REAL NOT NULL,
    last_seen REAL NOT NULL,
    final INTEGER NOT NULL,
    begun REAL NOT NULL,
    age REAL NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX events_of_camera ON events (camera, number);
CREATE INDEX events_by_age ON events (age);
CREATE TABLE pictures (
    event TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    age REAL NOT NULL,
    PRIMARY KEY (event, kind)
);
CREATE INDEX pictures_by_age ON pictures (age);
CREATE TABLE clock (only_row INTEGER PRIMARY KEY, age REAL NOT NULL, wall REAL NOT NULL);
{OUTBOX_SCHEMA}
"""
_STORE = "store"
"""The file in the folder of pictures that has the name of the store's file."""
_MEGABYTE = 1_000_000
_AT_ONCE = 500  # pictures that are removed in one transaction

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EventQuery:
    """Which events; all that is given must fit."""

    text: str = ""
    """Part of the plate; spaces, hyphens, dots and case do not count."""
    camera: str | None = None
    since: float | None = None
    until: float | None = None
    """Seen at some time between these, both included."""
    access: Access | None = None
    before: str | None = None
    """A page's ``next``: only what comes after that page."""
    limit: int = 50


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Events, the latest stored first; ``next`` is the last one's id, None where there are no
    more."""

    events: tuple[Event, ...]
    next: str | None


class Store:
    """Events, their pictures and the outbox; for any thread, of one process at a time.

    Raises:
        UsageError: there is no path.
        OutputError: the file or the folder cannot be made or written, or is in use.
        DataError: the file is no store, or one of another version; or its folder of pictures is
            another store's.
    """

    def __init__(
        self, config: StoreConfig, *, wall: Clock = time.time, monotonic: Clock = time.monotonic
    ) -> None:
        if config.path is None:
            raise UsageError("a store needs a path: set [store] path, or --store FILE")
        self._config = config
        self._pictures = PictureFolder(pictures_folder(config.path))
        self._lock = _only_user(self._pictures.folder)
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, self._lock)
            self._database = Database(config.path, _SCHEMA, _VERSION)
            opened.callback(self._database.close)
            _claim(self._pictures.folder, config.path)
            stored = self._database.rows("SELECT age, wall FROM clock") or [(0.0, wall())]
            opened.pop_all()
        self._age = Age(*stored[0], wall=wall, monotonic=monotonic)
        self._swept = False
        self.outbox = Outbox(self._database)

    def add(self, event: Event, media: Media, targets: Sequence[str] = ()) -> None:
        """Keep an announcement; it is durable when this returns.

        The announcement of a vehicle's end replaces its first one. Adding the same announcement
        again changes nothing, so a caller may try again after an error.

        Args:
            event: the event.
            media: its pictures; the ones that are None leave what is there.
            targets: receivers whose :class:`~alpr_edge.watch.outbox.Courier` is to deliver it.

        Raises:
            OutputError: it cannot be written; nothing has changed.
            DataError: the file is damaged; nothing has changed.
        """
        with self._database.transaction(f"store event {event.id}") as sql:
            if _is_known(sql, event):
                return
            for kind, size in self._pictures.write(event.id, media).items():
                sql.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?)",
                            (event.id, kind, size, self._age.now()))
            self._write_event(sql, event)
            self.outbox.put(sql, event, targets, self._age.now())
            self._write_clock(sql)
        self.outbox.wake(targets)

    def _write_event(self, sql: sqlite3.Connection, event: Event) -> None:
        now = self._age.now()
        values = {
            "id": event.id, "camera": event.camera, "text": event.text,
            "access": event.known and str(event.known.access), "first_seen": event.first_seen,
            "last_seen": event.last_seen, "final": event.final, "begun": now, "age": now,
            "json": json.dumps(event_json(event), ensure_ascii=False),
        }
        changes = ", ".join(f"{name} = excluded.{name}" for name in values.keys() - {"id", "begun"})
        sql.execute(
            f"INSERT INTO events ({', '.join(values)}) VALUES ({', '.join('?' * len(values))}) "
            f"ON CONFLICT (id) DO UPDATE SET {changes}", tuple(values.values()),
        )

    def _write_clock(self, sql: sqlite3.Connection) -> None:
        sql.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", self._age.state())

    def events(self, query: EventQuery = EventQuery()) -> Page:  # noqa: B008 (frozen)
        """The events that fit, a page of at most ``query.limit``."""
        conditions = {
            "instr(upper(text), ?)": plain(query.text) or None,
            "camera = ?": query.camera,
            "last_seen >= ?": query.since,
            "first_seen <= ?": query.until,
            "access = ?": query.access and str(query.access),
            "number < (SELECT number FROM events WHERE id = ?)": query.before,
        }
        given = {sql: value for sql, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        rows = self._database.rows(
            f"SELECT id, json FROM events {where} ORDER BY number DESC LIMIT ?",
            (*given.values(), query.limit + 1),
        )
        page = rows[:query.limit]
        return Page(events=tuple(event_of(json.loads(text)) for _, text in page),
                    next=page[-1][0] if len(rows) > len(page) > 0 else None)

    def event(self, event: str) -> Event | None:
        """The event of an id; None where there is none."""
        rows = self._database.rows("SELECT json FROM events WHERE id = ?", (event,))
        return event_of(json.loads(rows[0][0])) if rows else None

    def after(self, key: str, limit: int) -> list[Event]:
        """The first ``limit`` of what was announced after the announcement ``key``
        (:attr:`Event.key`), oldest first, each event as it is by now; none where that one is not
        known."""
        event, _, kind = key.rpartition("-")
        rows = self._database.rows(
            "SELECT json FROM events WHERE (age, number) > "
            f"(SELECT {'age' if kind == 'final' else 'begun'}, number FROM events WHERE id = ?) "
            "ORDER BY age, number LIMIT ?", (event, limit),
        )
        return [event_of(json.loads(text)) for text, in rows]

    def picture(self, event: str, kind: Kind) -> bytes | None:
        """A picture as JPEG; None where none was kept, or no longer is, or it cannot be read."""
        known = self._database.rows("SELECT 1 FROM pictures WHERE event = ? AND kind = ?",
                                    (event, kind))
        try:
            return self._pictures.read(event, kind) if known else None
        except OSError as error:  # a broken block of the disk must not keep the event itself back
            _log.error("the %s of event %s cannot be read: %s", kind, event, error)
            return None

    def media(self, event: str) -> Media:
        """The pictures that are kept of an event."""
        return Media(crop=self.picture(event, "crop"), scene=self.picture(event, "scene"))

    def prune(self) -> None:
        """Remove what was kept long enough, and the oldest pictures where they need too much room.

        Call it now and then, once a minute say.

        Raises:
            OutputError: rows cannot be written; files are removed even so.
            DataError: the file is damaged.
        """
        age = self._age.now()
        events_end = age - self._config.keep_events_days * DAY
        pictures_end = max(events_end, age - self._config.keep_pictures_days * DAY)
        while old := self._old_pictures(pictures_end):
            self._remove_pictures(old)
        with self._database.transaction("remove old events") as sql:
            removed = sql.execute("DELETE FROM events WHERE age < ?", (events_end,)).rowcount
            self.outbox.drop(sql, events_end)
            self._write_clock(sql)
        if removed:
            _log.info("%d events removed after %g days", removed, self._config.keep_events_days)
        if not self._swept:
            self._sweep()
            self._swept = True

    def _old_pictures(self, end: float) -> list[tuple[str, Kind]]:
        """Some of those from before ``end``, or that are the oldest above the room for all."""
        total = self._database.rows("SELECT coalesce(sum(bytes), 0) FROM pictures")[0][0]
        excess = total - self._config.max_pictures_mb * _MEGABYTE
        old: list[tuple[str, Kind]] = []
        for event, kind, size, age in self._database.rows(
            "SELECT event, kind, bytes, age FROM pictures ORDER BY age LIMIT ?", (_AT_ONCE,)
        ):
            if age >= end and excess <= 0:
                break
            old.append((event, kind))
            excess -= size
        return old

    def _remove_pictures(self, pictures: list[tuple[str, Kind]]) -> None:
        """Files first: on a full disk that makes the room that the database needs."""
        for event, kind in pictures:
            self._remove_file(event, kind)
        with self._database.transaction("remove old pictures") as sql:
            sql.executemany("DELETE FROM pictures WHERE event = ? AND kind = ?", pictures)
        _log.info("%d old pictures removed", len(pictures))

    def _sweep(self) -> None:
        """Remove the files that a crash left behind before their transaction was committed."""
        with self._database.transaction("remove half-written pictures"):  # nobody writes one now
            self._pictures.remove_partial()
        known = set(self._database.rows("SELECT event, kind FROM pictures"))
        for event, kind in set(self._pictures.all()) - known:
            with self._database.transaction("remove pictures without an event"):
                if self.picture(event, kind) is None:  # by now no thread is just adding it
                    self._remove_file(event, kind)

    def _remove_file(self, event: str, kind: Kind) -> None:
        """A picture's file; one that cannot be removed keeps nothing else from being: the next
        start tries it again."""
        try:
            self._pictures.remove(event, kind)
        except OSError as error:
            _log.error("%s: cannot be removed, though its time is over: %s", error.filename,
                       error.strerror)

    def close(self) -> None:
        """The end; later calls raise OutputError."""
        self._database.close()
        os.close(self._lock)


def open_database(path: Path) -> Database:
    """The database of a store alone, beside the process whose store it is.

    Raises:
        OutputError, DataError: as :class:`Store` does, and where there is no store.
    """
    return Database(path, _SCHEMA, _VERSION, create=False)


def pictures_folder(path: Path) -> Path:
    """Where the pictures of the store ``path`` are: ``events.db`` has them in
    ``events.pictures``."""
    return path.with_suffix(".pictures")


def _claim(folder: Path, path: Path) -> None:
    """Have a folder of pictures name its store; one from before that was done becomes ours.

    Raises:
        DataError: it names another one.
    """
    label = folder / _STORE
    try:
        if not label.exists():
            write_file(label, os.fsencode(path.name))
        owner = os.fsdecode(label.read_bytes())
    except OSError as error:
        raise OutputError(f"{label}: {error}; check that it can be written") from error
    if owner != path.name:
        raise DataError(f"{folder} has the pictures of {owner}, not of {path.name}; set [store] "
                        f"path to another file, or remove {label} if {owner} was renamed")


def _is_known(sql: sqlite3.Connection, event: Event) -> bool:
    """Whether this announcement, or the one after it, was stored before."""
    row = sql.execute("SELECT final FROM events WHERE id = ?", (event.id,)).fetchone()
    return row is not None and bool(row[0]) >= event.final


def _only_user(folder: Path) -> int:
    """A lock that the system gives back when the process ends, however it ends."""
    try:
        make_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputError(f"{folder}: {error}; check that it can be written") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise OutputError(f"{folder} is in use by another alpr-edge; stop that one, or set "
                          "[store] path to another file") from error
    return descriptor
