"""Values of a TOML file to the configuration's dataclasses: every mistake is told, none stops."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from alpr_edge import strict
from alpr_edge.watch.toml_lines import Key


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """What is wrong with the value of a key. A ``warning`` does not keep anything from running."""

    key: Key
    message: str
    warning: bool = False


def dotted(key: Key) -> str:
    """A key as people write it: ``cameras[0].name``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def values(kind: type, table: Mapping[str, Any]) -> tuple[Any, list[Mistake]]:
    """``table`` as the dataclass ``kind``, and what is wrong with it.

    A wrong value is replaced by the field's default, or else by one of its type, so that the rest
    can be checked too; what comes back is only to be used where there is no mistake.
    """
    builder = _Builder()
    return builder.table(kind, table, ()), builder.mistakes


def plain(kind: Any) -> Any:
    """The type without ``None``, which TOML does not have."""
    if optional(kind):
        kind, = (one for one in get_args(kind) if one is not types.NoneType)
    return kind


def optional(kind: Any) -> bool:
    """Whether ``None`` is one of the type's values; in the file it is ``""``."""
    return get_origin(kind) in (types.UnionType, typing.Union)


class _Builder:
    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def _tell(self, key: Key, message: str) -> None:
        self.mistakes.append(Mistake(key=key, message=message))

    def table(self, kind: type, table: Mapping[str, Any], key: Key) -> Any:
        fields = {field.name: field for field in dataclasses.fields(kind)}
        hints = typing.get_type_hints(kind)
        for name in table.keys() - fields.keys():
            self._tell((*key, name), _unknown(name, list(fields)))
        found: dict[str, Any] = {}
        for name, field in fields.items():
            at = (*key, name)
            wanted = plain(hints[name])
            if table.get(name) == "" and optional(hints[name]):
                found[name] = None
            elif name in table:
                found[name] = self._value(wanted, table[name], at, field)
            elif _default(field) is dataclasses.MISSING:
                self._tell(at, f"is missing; needed: {_allowed(wanted, at)}")
                found[name] = _stand_in(wanted, at)
        return kind(**found)

    def _value(self, kind: Any, value: Any, key: Key, field: dataclasses.Field[Any] | None) -> Any:
        """``value`` as ``kind``; where it is none, ``field``'s default."""
        items = get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis
        if items and isinstance(value, list):
            item = get_args(kind)[0]
            return tuple(
                self._value(item, one, (*key, i), None) for i, one in enumerate(value)
            )
        if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
            return self.table(typing.cast(type, kind), value, key)
        try:
            return strict.build(kind, value, "")
        except strict.SchemaError:
            self._tell(key, f"got {_short(value)}; allowed: {_allowed(kind, key)}")
        default = _default(field) if field else dataclasses.MISSING
        return _stand_in(kind, key) if default is dataclasses.MISSING else default


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
    return f"unknown key; {hint}"


def _allowed(kind: Any, key: Key) -> str:
    if dataclasses.is_dataclass(kind):
        return f"a table [{dotted(key)}]"
    if get_origin(kind) is tuple and dataclasses.is_dataclass(get_args(kind)[0]):
        return f"tables [[{dotted(key)}]], with two brackets, one each"
    return strict.allowed(kind)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return "an array of tables"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _stand_in(kind: Any, key: Key) -> Any:
    """Some value of a type: unlike all others where it is a text, so that nothing is twice."""
    if dataclasses.is_dataclass(kind):
        return values(typing.cast(type, kind), {})[0]
    if get_origin(kind) is tuple:
        kinds = [one for one in get_args(kind) if one is not Ellipsis]
        return tuple(_stand_in(one, (*key, i)) for i, one in enumerate(kinds))
    return kind(f"?{dotted(key)}") if kind is str else kind()
