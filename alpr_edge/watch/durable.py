"""Files and folders that are on the disk, not only in memory, when the call returns."""

from __future__ import annotations

import os
from pathlib import Path

PARTIAL = ".partial"
"""Ending of a file that is being written, or was when the process was killed."""


def write_file(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads; the one before it is replaced at once, if any."""
    make_folder(path.parent)
    partial = path.with_suffix(PARTIAL)
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner looks into, and those above it, where they are missing."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
