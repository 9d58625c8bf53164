"""The list of known plates: fuzzy matching, allow and deny, a file that is read again."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from alpr_edge.alphabet import unknown_characters
from alpr_edge.errors import UsageError
from alpr_edge.watch.config import KnownPlate, PlatesConfig
from alpr_edge.watch.confusable import confusions
from alpr_edge.watch.types import Access, Known

_COLUMNS = ("text", "access", "label")
_SEPARATORS = str.maketrans("", "", " -.·")
_log = logging.getLogger(__name__)


def plain(text: str) -> str:
    """A plate's text as the reader spells it: capitals, no separators."""
    return text.translate(_SEPARATORS).upper()


def read_known(path: Path) -> tuple[KnownPlate, ...]:
    """The entries of a CSV file with the columns text, access (empty: allow) and label.

    Raises:
        UsageError: it cannot be read, a column is missing, or a line is wrong; names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
                raise UsageError(
                    f"{path}:1: column {missing[0]!r} is missing; the first line must be "
                    f"{','.join(_COLUMNS)}"
                )
            return tuple(_entry(row, f"{path}:{rows.line_num}") for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a list of plates: {error}") from error


def _entry(row: dict[str, str | None], where: str) -> KnownPlate:
    text, access = plain(row["text"] or ""), (row["access"] or Access.ALLOW).strip().lower()
    if not text or unknown_characters(text):
        raise UsageError(f"{where}: text {row['text']!r} is no plate; allowed: letters and digits")
    if access not in list(Access):
        raise UsageError(f"{where}: access {access!r}; allowed: {', '.join(Access)}")
    return KnownPlate(text=text, access=Access(access), label=(row["label"] or "").strip())


class KnownPlates:
    """Looks plates up; the file is read again whenever it changed.

    Raises:
        UsageError: see :func:`read_known`. Later a file that became wrong is logged once and its
            last good state stays in force.
    """

    def __init__(self, config: PlatesConfig) -> None:
        self._file, self._fuzzy = config.known_file, config.fuzzy
        self._fixed = tuple(config.known)
        self._stamp = self._now()
        self._read = read_known(self._file) if self._file else ()

    def match(self, text: str) -> Known | None:
        """The entry that a text fits, or None. An exact one is before a fuzzy one, and of fuzzy
        ones one that denies before one that allows."""
        self._refresh()
        found: list[tuple[int, bool, KnownPlate]] = []
        for entry in (*self._fixed, *self._read):
            distance = confusions(plain(entry.text), text)
            if distance is not None and distance <= int(self._fuzzy):
                found.append((distance, entry.access is not Access.DENY, entry))
        if not found:
            return None
        distance, _, entry = min(found, key=lambda one: one[:2])
        return Known(
            text=plain(entry.text), access=entry.access, label=entry.label, distance=distance
        )

    def _now(self) -> tuple[int, int] | None:
        """What tells that the file changed; None where it cannot be seen."""
        try:
            about = self._file.stat() if self._file else None
        except OSError:
            return None
        return (about.st_mtime_ns, about.st_size) if about else None

    def _refresh(self) -> None:
        stamp = self._now()
        if self._file is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._read = read_known(self._file)
            _log.info("%s: %d known plates", self._file, len(self._read))
        except UsageError as error:
            _log.warning("%s; the plates known before stay in force", error)
