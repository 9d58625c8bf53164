"""The paths of a command line to picture files."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from alpr_edge.errors import UsageError
from alpr_edge.images import SUFFIXES

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
        found += ["/dev/stdin"] if path == "-" else _expand(path)
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
        return _matches(path) or [path]
    return [path]


def _matches(pattern: str) -> list[str]:
    """The files that a pattern means, no hidden ones unless it says so, by name. ``glob.glob``
    follows links at any depth, without end where one leads back."""
    parts = Path(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    root, rest = Path(*parts[:fixed]), parts[fixed:]
    if not any(part.startswith(".") for part in rest):
        found = [path for path in root.glob(os.path.join(*rest)) if not _is_hidden(path, root)]
    else:
        found = list(root.glob(os.path.join(*rest)))
    return sorted(map(str, filter(os.path.isfile, found)))


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
