"""Environment variables that override the file.

    ALPR_EDGE_WATCH__STORE__PATH=/srv/events.sqlite
    ALPR_EDGE_WATCH__CAMERAS__0__TILES='[2, 1]'

Two underscores between table and key, array items by their number from 0; the number after the last
adds one. What is no string is written as in the file.
"""

from __future__ import annotations

import dataclasses
import enum
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from alpr_edge.watch.config import Config
from alpr_edge.watch.config_values import plain
from alpr_edge.watch.toml_lines import Key

PREFIX = "ALPR_EDGE_WATCH__"


def overrides(environment: Mapping[str, str]) -> dict[str, Key]:
    """The keys that variables name, by variable, in the order of their names."""
    return {
        name: tuple(
            int(part) if part.isdecimal() else part.lower()
            for part in name.removeprefix(PREFIX).split("__")
        )
        for name in sorted(environment) if name.startswith(PREFIX)
    }


def put(document: dict[str, Any], key: Key, text: str) -> bool:
    """Set one key of a parsed document to what a variable says.

    False: an array has not so many items. A key that nobody knows is set too: it is found as
    unknown with those of the file.
    """
    kind: Any = Config
    node: Any = document
    for i, part in enumerate(key):
        kind = _inner(kind, part)
        if i == len(key) - 1:
            return _set(node, part, _parsed(kind, text))
        node = _descend(node, part, [] if isinstance(key[i + 1], int) else {})
        if node is None:
            return False
    return False


def _inner(kind: Any, part: str | int) -> Any:
    """The type of an item or field; str where there is no such."""
    if dataclasses.is_dataclass(kind):
        return plain(typing.get_type_hints(kind).get(str(part), str))
    if get_origin(kind) is tuple and isinstance(part, int):
        kinds = get_args(kind)
        return kinds[min(part, len(kinds) - 1)] if kinds[-1] is not Ellipsis else kinds[0]
    return str


def _descend(node: Any, part: str | int, empty: Any) -> Any:
    if isinstance(node, dict):
        return node.setdefault(part, empty)
    if isinstance(node, list) and isinstance(part, int) and part <= len(node):
        node += [empty] if part == len(node) else []
        return node[part]
    return None


def _set(node: Any, part: str | int, value: Any) -> bool:
    if isinstance(node, dict):
        node[str(part)] = value
    elif isinstance(node, list) and isinstance(part, int) and part <= len(node):
        node[part:part + 1] = [value]
    else:
        return False
    return True


def _parsed(kind: Any, text: str) -> Any:
    """``text`` as it would be in the file; text itself where a text is wanted, or it is no TOML."""
    if kind in (str, Path) or get_origin(kind) is Literal or isinstance(kind, enum.EnumType):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
