"""Lists of plates that the annotations leave out, made by ``python -m training missed``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alpr_edge.data.lists import read_list, relative
from alpr_edge.data.sample import Sample
from alpr_edge.types import Box


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

    def facts(row: dict[str, Any]) -> tuple[Path, Box]:
        x1, y1, x2, y2 = (float(side) for side in row["box"])
        return paths[row["image"]], (x1, y1, x2, y2)

    for frame, box in read_list(
        path, facts, needed="image (a frame of the data) and box (four numbers)",
        made_by="python -m training missed",
    ):
        boxes[frame].append(box)
    return boxes
