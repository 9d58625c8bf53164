"""On which line of a TOML file a key is: what ``tomllib`` does not tell."""

from __future__ import annotations

import re
import tomllib
from typing import Any

Key = tuple[str | int, ...]
"""Names of tables and keys, numbers of array items: ``("cameras", 0, "name")``."""

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_NAME = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:\\.|[^"\\])*"|' r"'[^']*'", re.DOTALL
)
_BARE = re.compile(r"[^,\]}#\n]+")
"""A number, a time, true or false."""
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
"""White space, ends of lines and comments."""


def lines(text: str) -> dict[Key, int]:
    """The line, counted from 1, of each table, key and array item of a TOML document.

    ``text`` must be TOML that ``tomllib`` has accepted: no mistake is found here.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.lines


class _Scanner:
    """Goes through the text once; ``at`` is where it is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Key, int] = {}
        self._tables: dict[Key, int] = {}
        """How many items each array of tables has by now."""

    def document(self) -> None:
        table: Key = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Key:
        """``[a.b]`` or ``[[a.b]]``; gives the table whose keys follow."""
        line = self._line()
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        self._skip(_SPACE)
        *parents, last = self._name()
        self._skip(_SPACE)
        self.at += brackets
        key = (*self._parent(parents, line), last)
        if brackets == 2:
            self._tables[key] = self._tables.get(key, 0) + 1
            self.lines.setdefault(key, line)
            key += (self._tables[key] - 1,)
        self.lines[key] = line
        return key

    def _parent(self, names: list[str], line: int) -> Key:
        """The table that a header's first names mean: of an array of tables the last one."""
        key: Key = ()
        for name in names:
            key += (name,)
            self.lines.setdefault(key, line)
            if key in self._tables:
                key += (self._tables[key] - 1,)
        return key

    def _pair(self, table: Key) -> None:
        """``a.b = value`` below ``table``."""
        line = self._line()
        for name in self._name():
            table += (name,)
            self.lines.setdefault(table, line)
        self._skip(_SPACE)
        self.at += len("=")
        self._skip(_SPACE)
        self._value(table)

    def _value(self, key: Key) -> None:
        first = self.text[self.at]
        if first == "[":
            self._items(key, "]")
        elif first == "{":
            self._items(key, "}")
        else:
            self._skip(_STRING if first in "\"'" else _BARE)

    def _items(self, key: Key, end: str) -> None:
        """An array, or an inline table, up to its ``end``."""
        self.at += 1
        count = 0
        self._skip(_BLANK)
        while self.text[self.at] != end:
            if end == "}":
                self._pair(key)
            else:
                self.lines[key + (count,)] = self._line()
                self._value(key + (count,))
            count += 1
            self._skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
                self._skip(_BLANK)
        self.at += 1

    def _name(self) -> list[str]:
        """A dotted key, its parts unquoted."""
        nested: Any = tomllib.loads(f"{self._skip(_NAME)} = 0")
        names = []
        while isinstance(nested, dict):
            (name, nested), = nested.items()
            names.append(name)
        return names

    def _skip(self, what: re.Pattern[str]) -> str:
        match = what.match(self.text, self.at)
        if match is None:
            raise ValueError(f"no TOML at line {self._line()}")
        self.at = match.end()
        return match[0]

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1
