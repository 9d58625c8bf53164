"""The paths of a command line to picture files."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from alpr_edge.errors import UsageError
from alpr_edge.images import STDIN, SUFFIXES

NOT_THERE = "no such file or folder"


def find_pictures(paths: Sequence[str]) -> list[str]:
    """Files as named, the pictures directly in folders, what patterns match (``**`` any depth, but
    not through links); ``-`` is the standard input.

    Each file once, in the order of the command line, within a folder or pattern by name; of a
    folder no hidden ones. What is missing, matches nothing or holds no picture stays in the list as
    it was named, to be reported with the unreadable ones.

    Raises:
        UsageError: there is no picture at all, or a folder cannot be listed.
    """
    found: list[str] = []
    for path in paths:
        found += [STDIN] if path == "-" else _expand(path)
    if not any(_is_input(file) for file in found):
        raise UsageError(
            f"{'; '.join(f'{path}: {_why_not(path)}' for path in paths)}; give picture files, "
            "folders that hold some, or patterns such as 'photos/**/*.jpg'"
        )
    return list(dict.fromkeys(found))


def is_picture_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file of a folder is a picture by its name; hidden ones, as macOS leaves beside each
    file on other drives, are none."""
    name = os.path.basename(path)
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def why_missing(path: str | os.PathLike[str]) -> str:
    """Why nothing can be found at ``path``, in the system's words."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return NOT_THERE
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a null byte
        return str(error)
    return "neither a file nor a folder"


def _is_input(path: str) -> bool:
    """Whether something can be read there: a file, or a pipe, as shells make of ``<(...)``.

    Here and below by ``os.path``, whose questions are answered where access is denied, too.
    """
    return os.path.exists(path) and not os.path.isdir(path)


def _why_not(path: str) -> str:
    if "://" in path:
        return "of cameras and videos in the network, alpr-edge watch reads"
    if os.path.isdir(path):
        return f"no picture in this folder ({', '.join(sorted(SUFFIXES))})"
    return "nothing matches" if glob.has_magic(path) else why_missing(path)


def _expand(path: str) -> list[str]:
    if os.path.isdir(path):
        try:
            files = [str(file) for file in Path(path).iterdir() if is_picture_name(file)]
        except OSError as error:
            raise UsageError(f"folder {path} cannot be listed: {error.strerror}") from error
        return sorted(filter(os.path.isfile, files)) or [path]
    if not os.path.exists(path) and glob.has_magic(path):
        return sorted(filter(os.path.isfile, _matches(path))) or [path]
    return [path]


def _matches(pattern: str) -> set[str]:
    """What ``glob.glob`` finds, but ``**`` goes through no links: it would without end where one
    leads back."""
    parts = pattern.split(os.sep)
    if "**" not in parts:
        return set(glob.glob(pattern))
    at = parts.index("**")
    rest = parts[at + 1 :] or ["*"]
    found: set[str] = set()
    for root in glob.glob(os.sep.join(parts[:at]) + os.sep) if at else [""]:
        for folder, inside, _ in os.walk(root or os.curdir):
            inside[:] = [name for name in inside if not name.startswith(".")]
            below = folder if root else os.path.relpath(folder)
            found |= _matches(os.path.join("" if below == os.curdir else glob.escape(below), *rest))
    return found
