"""The files and folders a configuration names: where they are, and whether they can be used."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpr_edge.errors import UsageError
from alpr_edge.inputs import why_missing
from alpr_edge.watch import secrets
from alpr_edge.watch.config import Config
from alpr_edge.watch.config_values import Mistake
from alpr_edge.watch.lines import STDOUT
from alpr_edge.watch.toml_lines import Key

KEYS = ("token_file", "hash_key_file")
SECRETS = ("password_file", *KEYS)
"""Fields that name the file of a secret."""
READ = ("ca_file", "models")
"""Fields that name what must be there already."""


def tables(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """A dataclass and those in it, each with its key."""
    yield key, value
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner):
            yield from tables(inner, (*key, field.name))
        for i, item in enumerate(inner if isinstance(inner, tuple) else ()):
            if dataclasses.is_dataclass(item):
                yield from tables(item, (*key, field.name, i))


def anchored(value: Any, folder: Path) -> Any:
    """A dataclass (or tuple) with its relative paths, and those in it, below ``folder``."""
    if isinstance(value, tuple):
        return tuple(anchored(item, folder) for item in value)
    if isinstance(value, Path):
        return value if value == STDOUT else folder / value.expanduser()
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    return dataclasses.replace(value, **{
        field.name: anchored(getattr(value, field.name), folder)
        for field in dataclasses.fields(value)
    })


def mistakes(config: Config) -> Iterator[Mistake]:
    """What is missing, and which secrets others may read."""
    for key, table in tables(config):
        for field in dataclasses.fields(table):
            path, at = getattr(table, field.name), (*key, field.name)
            if not isinstance(path, Path):
                continue
            if field.name in SECRETS:
                yield from _secret(path, at)
            elif field.name in READ:
                yield from _missing(path, at)


def _missing(path: Path, key: Key) -> Iterator[Mistake]:
    file = secrets.located(path) if key[-1] == "ca_file" else path  # lies with them
    if not os.path.exists(file):
        yield Mistake(key=key, message=(
            f"got {str(path)!r}: {why_missing(file)}; name what is there and this user may read"
        ))


def _secret(path: Path, key: Key) -> Iterator[Mistake]:
    try:
        secret = secrets.read_secret(path)
    except UsageError as error:
        yield Mistake(key=key, message=str(error))
        return
    if key[-1] == "token_file" and (problem := secrets.no_header(secret, path)):
        yield Mistake(key=key, message=problem)
    if key[-1] in KEYS and (problem := secrets.weakness(secret, path)):
        chosen_elsewhere = key[0] == "webhooks"  # by the receiver
        yield Mistake(key=key, warning=chosen_elsewhere, message=problem)
    if secrets.readable_by_others(path):
        yield Mistake(key=key, warning=True, message=(
            f"other users may read {path}; run 'chmod 600 {path}'"
        ))
