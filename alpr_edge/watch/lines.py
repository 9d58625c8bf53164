"""Events as lines: JSON lines and CSV, appended to a file or written to stdout."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from alpr_edge.errors import OutputError, UsageError
from alpr_edge.watch.event_json import Record, event_json
from alpr_edge.watch.types import CameraStatus, Event, Media, View

STDOUT = Path("-")
_STDOUT = 1

CSV_COLUMNS = (
    "key", "id", "final", "camera", "text", "confidence", "reads", "agreeing", "rows", "region",
    "kind", "first_seen", "last_seen", "best_time", "direction", "known", "access", "distance",
    "latency_ms", "file",
)


class _Lines:
    """A file, or stdout, that grows line by line; what is in it stays. A last line that a crash
    has torn is ended. A file that was moved or removed is made anew.

    Raises:
        OutputError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def _open(self) -> int:
        try:
            self._torn = b"\n" if _is_torn(self._path) else b""
            return _open(self._path)
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error.strerror}") from error

    def _follow(self) -> bool:
        """Open what is at the path now; whether that is another file than before, or was emptied.

        Raises:
            OutputError: it cannot be opened.
        """
        if self._path == STDOUT:
            return False
        if not _is_at(self._path, self._file):
            before, self._file = self._file, self._open()
            os.close(before)
            return True
        if emptied := _is_empty(self._file):
            self._torn = b""
        return emptied

    def write(self, line: str) -> None:
        """Append ``line``, its end included. One that a full disk has torn is completed first.

        Raises:
            OutputError: it cannot be written.
        """
        self._flush(self._torn)
        self._flush(line.encode())

    def _flush(self, data: bytes) -> None:
        begun = bool(self._torn)
        try:
            while data:
                data = data[os.write(self._file, data) :]
                self._torn, begun = data, True
        except BrokenPipeError:
            raise  # nobody reads stdout any more: the command ends
        except OSError as error:
            self._torn = data if begun else b""
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror}; free space, or name another "
                "file"
            ) from error

    def status(self, status: CameraStatus) -> None:
        """Statuses are no lines."""

    def view(self, view: View) -> None:
        """Frames are no lines."""

    def close(self) -> None:
        """Close the file."""
        if self._path != STDOUT:
            os.close(self._file)


class EventLines(_Lines):
    """One JSON object an event (:func:`~alpr_edge.watch.event_json.event_json`)."""

    def event(self, event: Event, media: Media) -> None:
        """Write one line."""
        self._follow()
        self.write(json.dumps(event_json(event), ensure_ascii=False) + "\n")


class EventTable(_Lines):
    """One row an event, under :data:`CSV_COLUMNS`; an empty file begins with their names. One that
    has only some of them keeps to those.

    Raises:
        OutputError: it cannot be opened.
        UsageError: it begins with other columns.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self._rows: csv.DictWriter[str] | None = None  # until the file's columns are known
        new = self._path == STDOUT or os.fstat(self._file).st_size == 0
        columns = CSV_COLUMNS if new else _columns(self._path)
        self._rows = csv.DictWriter(self, columns, lineterminator="\n", extrasaction="ignore")
        if new:
            self._rows.writeheader()

    def event(self, event: Event, media: Media) -> None:
        """Write one row."""
        if self._follow() or self._rows is None:
            try:
                self._begin()
            except UsageError as error:  # not at the start: the watch goes on
                raise OutputError(str(error)) from error
        assert self._rows is not None
        self._rows.writerow(_cells(event_json(event)))


def _columns(path: Path) -> Sequence[str]:
    """Those that the file begins with.

    Raises:
        UsageError: one of them is not ours.
        OutputError: they cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            columns = file.readline().rstrip("\n").split(",")
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from error
    if foreign := [column for column in columns if column not in CSV_COLUMNS]:
        raise UsageError(
            f"{path} is no table of events: its first line has {foreign[0]!r}; name another file"
        )
    return columns


def _cells(record: Record) -> Record:
    known = record["known"] or dict.fromkeys(("text", "access", "distance"), "")
    values = record | known | {
        "text": record["text"], "known": known["text"], "final": json.dumps(record["final"]),
    }
    return {column: values[column] for column in CSV_COLUMNS}


def _is_at(path: Path, file: int) -> bool:
    """Whether an open file is what is at ``path``."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except OSError:
        return False


def _is_empty(file: int) -> bool:
    """Whether nothing is in an open file; of a pipe or a device nobody knows."""
    status = os.fstat(file)
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _is_torn(path: Path) -> bool:
    """Whether a file ends within a line."""
    if path == STDOUT or not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _open(path: Path) -> int:
    if path == STDOUT:
        return _STDOUT
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
