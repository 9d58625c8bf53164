"""What the readers of foreign formats share: pictures, their sizes, split names, plate texts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from alpr_edge.data.sample import Split
from alpr_edge.errors import DataError, ImageError
from alpr_edge.images import load_image
from alpr_edge.inputs import is_picture_name

_SPLITS = {
    "train": Split.TRAIN, "training": Split.TRAIN, "calib": Split.CALIB, "dev": Split.DEV,
    "val": Split.VAL, "valid": Split.VAL, "validation": Split.VAL, "test": Split.VAL,
}
_VALIDATION = ("val", "valid", "validation")
SPLIT_NAMES = tuple(_SPLITS)
"""The words that other formats use for splits."""


def split_named(name: str, present: Collection[str] = ()) -> Split:
    """The split that a data set calls ``name`` where it has the splits ``present``.

    A validation part beside a test part is there to choose on (dev), alone it reports (val).

    Raises:
        DataError: the name is none of :data:`SPLIT_NAMES`.
    """
    name = name.strip().lower()
    if name not in _SPLITS:
        raise DataError(f"split {name!r} is unknown; allowed are {', '.join(SPLIT_NAMES)}")
    if name in _VALIDATION and "test" in present:
        return Split.DEV
    return _SPLITS[name]


def plate_text(written: str) -> str | None:
    """A text as our samples have it: upper case, no separators; None where nothing is left.

    Long texts and foreign characters stay: training drops them with a count, measuring counts
    them as wrong.
    """
    return "".join(c for c in written.upper() if c.isalnum()) or None


def pictures_in(folder: Path) -> list[Path]:
    """The picture files anywhere under ``folder``, in order of their paths."""
    return sorted(p for p in folder.rglob("*") if is_picture_name(p) and p.is_file())


def text_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 ({error.reason}); save it as UTF-8") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture file, in pixels (it is decoded for that).

    Raises:
        DataError: the file is missing or no picture.
    """
    try:
        height, width = load_image(path).shape[:2]
    except ImageError as error:
        raise DataError(f"{error}; restore it or take its annotation out") from error
    return width, height
