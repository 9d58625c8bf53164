"""Lists of plates that the annotations leave out, made by ``python -m training missed``."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from alpr_edge.data.sample import Sample
from alpr_edge.errors import DataError
from alpr_edge.types import Box


def relative(path: Path, data: Path) -> str:
    """A picture's path as lists have it: relative to the data's folder."""
    return Path(os.path.relpath(path, data if data.is_dir() else data.parent)).as_posix()


def read_unannotated(
    data: Path, frames: Iterable[Sample], path: Path | None
) -> dict[Path, list[Box]]:
    """Boxes by the path of those ``frames`` of ``data`` that a list names; empty for None.

    Raises:
        DataError: the list cannot be read, or names a frame that is not among them.
    """
    boxes: dict[Path, list[Box]] = defaultdict(list)
    if path is None:
        return boxes
    paths = {relative(s.path, data): s.path for s in frames if not s.crop}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; give a list written by python -m "
                        "training missed") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            x1, y1, x2, y2 = (float(side) for side in row["box"])
            boxes[paths[row["image"]]].append((x1, y1, x2, y2))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}:{number}: {type(error).__name__}: {error}; a row needs "
                            "image (a frame of the data) and box (four numbers)") from error
    return boxes
