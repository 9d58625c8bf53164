"""The paths of a command line to picture files."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from alpr_edge.errors import UsageError
from alpr_edge.images import SUFFIXES


def find_pictures(paths: Sequence[str]) -> list[str]:
    """Files as named, the pictures directly in folders, what patterns match (``**`` any depth).

    Each file once, in the order of the command line, within a folder or pattern by name. What is
    missing, matches nothing or holds no picture stays in the list as it was named, to be reported
    with the unreadable ones.

    Raises:
        UsageError: there is no picture at all, or a folder cannot be listed.
    """
    found: list[str] = []
    for path in paths:
        found += _expand(path)
    if not any(Path(file).is_file() for file in found):
        raise UsageError(
            f"{'; '.join(f'{path}: {_why_not(path)}' for path in paths)}; give picture files, "
            "folders that hold some, or patterns such as 'photos/**/*.jpg'"
        )
    return list(dict.fromkeys(found))


def _why_not(path: str) -> str:
    if Path(path).is_dir():
        return f"no picture in this folder ({', '.join(sorted(SUFFIXES))})"
    return "nothing matches" if glob.has_magic(path) else "no such file"


def _expand(path: str) -> list[str]:
    if Path(path).is_dir():
        try:
            files = [file for file in Path(path).iterdir() if file.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise UsageError(f"folder {path} cannot be listed: {error.strerror}") from error
        return sorted(str(file) for file in files if file.is_file()) or [path]
    if not Path(path).exists() and glob.has_magic(path):
        return sorted(f for f in glob.glob(path, recursive=True) if Path(f).is_file()) or [path]
    return [path]
