"""A folder of annotated pictures: ``alpr-edge read --save-annotated``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from alpr_edge._cv2 import cv2
from alpr_edge.draw import draw_plates
from alpr_edge.errors import OutputError, UsageError
from alpr_edge.files import replace_file
from alpr_edge.pipeline import Result

LONGEST = 200
"""Bytes of a name, of the 255 that file systems allow."""


class AnnotatedFolder:
    """Makes the folder; each name in it is used once. ``files`` are the pictures to be read.

    Raises:
        UsageError: one of them lies in the folder, where it might be written over, and annotated
            ones would be read the next time.
        OutputError: it cannot be made.
    """

    def __init__(self, folder: str, files: Iterable[str]) -> None:
        where = os.path.realpath(folder)
        for file in files:
            if os.path.dirname(os.path.realpath(file)) == where:
                raise UsageError(f"{folder} holds {file}, which is read: name another folder for "
                                 "annotated pictures")
        self.folder = output_folder(Path(folder))
        self._used: set[str] = set()

    def save(self, file: str, result: Result) -> None:
        """Write the picture that was read from ``file``, its plates drawn, as a JPEG.

        Raises:
            OutputError: it cannot be written.
        """
        _, data = cv2.imencode(".jpg", draw_plates(result.image, result.plates))
        write_picture(self._path(file), data.tobytes())

    def _path(self, file: str) -> Path:
        stem = Path(file).stem
        if len(encoded := os.fsencode(stem)) > LONGEST:
            stem = encoded[:LONGEST].decode(errors="ignore")
        name, number = stem, 1
        while name in self._used:
            number += 1
            name = f"{stem}-{number}"
        self._used.add(name)
        return self.folder / f"{name}.jpg"


def write_picture(path: Path, picture: bytes) -> None:
    """Write a file; the one before it stays until it can be replaced by a whole one.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        replace_file(path, picture)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; free space, or name another folder"
        ) from error


def output_folder(folder: Path) -> Path:
    """``folder``, made where it is missing.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"folder {folder} cannot be made: {error.strerror}; name another one"
        ) from error
    return folder
