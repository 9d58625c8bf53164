"""One SQLite file for several threads: what is committed is on the disk, errors say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from alpr_edge.errors import DataError, OutputError
from alpr_edge.watch.durable import make_folder

_BUSY_MS = 5000
_NO_SPACE = "database or disk is full"


class Database:
    """A database in WAL mode with ``synchronous=FULL``: a commit returns after its fsync.

    One connection; its calls take turns.

    Raises:
        OutputError: it cannot be made or opened.
        DataError: the file is no database, another program's, or one of another ``version``.
    """

    def __init__(self, path: Path, schema: str, version: int, *, create: bool = True) -> None:
        """Without ``create`` the database must be there; any other file stays as it is."""
        self._path = path
        self._lock = threading.RLock()
        with self._errors(f"open {path}"):
            if create:
                make_folder(path.parent)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # plates are nobody else's
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(schema, version, create)
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, schema: str, version: int, create: bool) -> None:
        execute = self._connection.execute
        execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        found = execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, version):
            raise DataError(f"{self._path} has schema {found}; this version reads {version}: "
                            "use the version of alpr-edge that wrote it, or another path")
        tables = {name for name, in execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        ours = tables.issuperset(re.findall(r"CREATE TABLE (\w+)", schema))
        if not (ours if found else create and not tables):
            raise DataError(f"{self._path} is no store of alpr-edge; name another file")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        if found == 0:
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT;"
            )

    @contextlib.contextmanager
    def transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """All of it is durable at the end, or nothing has changed.

        ``doing`` ("store event 7") is for the error.

        Raises:
            OutputError: it cannot be written (full disk, broken disk, closed).
            DataError: it is damaged.
        """
        with self._lock, self._errors(doing):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; raises as :meth:`transaction` does."""
        with self._lock, self._errors(f"read {self._path}"):
            return self._connection.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
            full = _NO_SPACE in str(error)
            raise _output_error(doing, self._path, str(error), full) from error
        except sqlite3.DatabaseError as error:
            raise DataError(f"cannot {doing}: {self._path} is damaged or no database ({error}); "
                            "move it away, a new one is made") from error
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise _output_error(doing, self._path, str(error), full) from error

    def close(self) -> None:
        """The end; later calls raise OutputError."""
        with self._lock:
            self._connection.close()


def _output_error(doing: str, path: Path, problem: str, full: bool) -> OutputError:
    remedy = ("make room there, or keep less: [store] keep_pictures_days, max_pictures_mb" if full
              else "check that it can be written")
    return OutputError(f"cannot {doing} in {path.parent}: {problem}; {remedy}")
