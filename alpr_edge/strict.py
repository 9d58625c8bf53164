"""JSON values to typed dataclasses, strictly: what is unknown, missing or of a wrong type is named.

For :mod:`alpr_edge.manifest`, :mod:`alpr_edge.picks` and :mod:`alpr_edge.tuning`; the values of
TOML files are checked by it too (:mod:`alpr_edge.watch.config_values`).
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args, get_origin

_NAMES = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a string",
    Path: "a path",
}


class SchemaError(ValueError):
    """A value that is not of the wanted type; the message begins with where it is."""


def read_json(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        FileNotFoundError: there is no such file.
        SchemaError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise SchemaError(f"{path} cannot be read as JSON: {error}") from error


def load(kind: Any, path: Path) -> Any:
    """:func:`build` of the value in a JSON file; raises what :func:`read_json` raises too."""
    return build(kind, read_json(path), f"{path}: ")


def build(kind: Any, value: Any, where: str) -> Any:
    """``value`` (JSON) as type ``kind``: a dataclass, tuple (of one type, or a fixed number of
    types), dict, Literal, enum, Path, float, int, bool or str.

    ``where`` ("file: key.") begins every error.

    Raises:
        SchemaError: an unknown or missing key, a value of another type, or one that the dataclass
            refuses by a SchemaError.
    """
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _build_union(args, value, where)
    if origin is Literal and value in args and type(value) in map(type, args):
        return value
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        if len(kinds) == len(value):
            items = zip(kinds, value, strict=True)
            return tuple(build(k, v, f"{where}{i}.") for i, (k, v) in enumerate(items))
    if origin is dict and isinstance(value, dict):
        return {k: build(args[1], v, f"{where}{k}.") for k, v in value.items()}
    if _is_enum(kind) and value in [one.value for one in kind]:
        return kind(value)
    if kind is Path and type(value) is str and value:
        return Path(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in (bool, int, str) and type(value) is kind:
        return value
    raise SchemaError(f"{where.removesuffix('.')} is {value!r}; allowed: {allowed(kind)}")


def allowed(kind: Any) -> str:
    """What :func:`build` takes for a ``kind`` that is no dataclass, for people."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {args}"
    if origin is tuple:
        inner = "..." if args[-1] is Ellipsis else ", ".join(map(allowed, args))
        return f"an array [{inner}]"
    if _is_enum(kind):
        return "one of " + ", ".join(repr(one.value) for one in kind)
    return _NAMES.get(kind) or str(getattr(kind, "__name__", kind))


def _is_enum(kind: Any) -> TypeGuard[type[enum.Enum]]:
    return isinstance(kind, enum.EnumType)


def _build_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not types.NoneType)
    for kind in kinds[:-1]:  # the dataclass whose first field the value has
        if isinstance(value, dict) and dataclasses.fields(kind)[0].name in value:
            return build(kind, value, where)
    return build(kinds[-1], value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise SchemaError(f"{where.removesuffix('.')} is {value!r}; allowed: an object")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := value.keys() - fields.keys():
        raise SchemaError(
            f"{where}unknown key {sorted(unknown)[0]!r}; known are {', '.join(fields)}"
        )
    required = {
        name for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := required - value.keys():
        raise SchemaError(f"{where}key {sorted(missing)[0]!r} is missing")
    hints = typing.get_type_hints(kind)
    built = {k: build(hints[k], v, f"{where}{k}.") for k, v in value.items()}
    try:
        return kind(**built)
    except SchemaError as error:  # of a class that checks its values
        raise SchemaError(f"{where}{error}") from error
