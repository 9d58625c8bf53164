"""Lists about pictures of a data folder: JSON lines, each with an ``image`` of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from alpr_edge.errors import DataError, OutputError

T = TypeVar("T")


def relative(path: Path, data: Path) -> str:
    """A picture's path as lists have it: relative to the data's folder."""
    return Path(os.path.relpath(path, data if data.is_dir() else data.parent)).as_posix()


def write_list(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a list that :func:`read_list` reads.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        path.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
        )
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}") from error


def read_list(
    path: Path, facts: Callable[[dict[str, Any]], T], *, needed: str, made_by: str
) -> Iterator[T]:
    """``facts`` of every line's object. It may raise KeyError, TypeError or ValueError; ``needed``
    tells what a line has to have, ``made_by`` which command writes such a list.

    Raises:
        DataError: the list cannot be read, or a line lacks what is needed.
    """
    try:
        lines = path.read_bytes().splitlines()  # a text's own are more than JSON's
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}; give a list written by {made_by}"
                        ) from error
    for number, line in enumerate(lines, 1):
        try:
            yield facts(json.loads(line))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}:{number}: {type(error).__name__}: {error}; a row needs "
                            f"{needed}") from error
