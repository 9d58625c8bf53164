"""What every report says of itself, so that its figures can be judged and measured again."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alpr_edge.errors import DataError, OutputError
from alpr_edge.files import replace_file
from benchmarks import machine
from benchmarks.conditions import Conditions, told

SCHEMA = 1
PLACEHOLDERS = {"--data": "DATA"}
"""Options whose value is a place on this machine, and what the report says instead."""
ROOT = Path(__file__).parent.parent


def record(
    kind: str, arguments: Sequence[str], isa: Mapping[str, str], before: Conditions,
    content: Mapping[str, Any],
) -> dict[str, Any]:
    """A report: what was measured (``kind``, a command of ``python -m benchmarks``), how, on what,
    under which conditions (looked at now for the second time), and its ``content``."""
    return {
        "schema": SCHEMA, "kind": kind, "command": command(arguments),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(),
        "machine": machine.facts(), "isa": dict(isa), "conditions": told(before, Conditions.now()),
        **content,
    }


def command(arguments: Sequence[str]) -> str:
    """The exact command, but for what only this machine has: the data's folder is called DATA, and
    of an absolute path only the name is told."""
    words, option = [], ""
    for word in arguments:
        name, mark, value = word.partition("=")
        if mark and name in PLACEHOLDERS:
            word = f"{name}={PLACEHOLDERS[name]}"
        elif option in PLACEHOLDERS:
            word = PLACEHOLDERS[option]
        elif Path(word).is_absolute():
            word = Path(word).name
        elif Path(value).is_absolute():  # NAME=/folder/program and its options
            program, *rest = value.split(" ")
            word = " ".join([f"{name}={Path(program).name}", *rest])
        words.append(word)
        option = word if word.startswith("--") else ""
    return shlex.join(["python", "-m", "benchmarks", *words])


def commit() -> str:
    """The repository's commit, with ``+`` where files differ from it; ``unknown`` outside one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude", "*"], cwd=ROOT,
            capture_output=True, text=True, timeout=10, check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def add_out(parser: argparse.ArgumentParser) -> None:
    """The option ``--out``, which :func:`save` takes."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the report as JSON")


def check(path: Path | None) -> None:
    """Before what takes long: whether ``path``, if any, can be written.

    Raises:
        OutputError: its folder does not exist.
    """
    if path is not None and not path.resolve().parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; make it first")


def save(report: Mapping[str, Any], path: Path | None) -> None:
    """Write a report as JSON; nothing without a path.

    Raises:
        OutputError: it cannot be written.
    """
    write(json.dumps(report, indent=1, ensure_ascii=False), path)


def write(text: str, path: Path | None) -> None:
    """Write a text and a line's end, whole or not at all; nothing without a path.

    Raises:
        OutputError: it cannot be written.
    """
    if path is None:
        return
    try:
        replace_file(path, f"{text}\n".encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; choose another") from error


def load(path: Path) -> dict[str, Any]:
    """A report that :func:`save` wrote.

    Raises:
        DataError: it cannot be read, is no report, or one of another schema.
    """
    try:
        report = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON ({error}); measure again") from error
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise DataError(f"{path} is no report of schema {SCHEMA}; measure again with --out")
    return report
