"""The picture files that commands without annotations work on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from alpr_edge.data import Split, read
from alpr_edge.data.folders import pictures_in
from alpr_edge.errors import DataError

DEMO = Path(__file__).parent.parent / "docs" / "demo"
"""The pictures of the repository, used where no data folder is given."""
MOST = 64
"""At most so many take turns."""

Item = TypeVar("Item")


def picture_files(data: Path | None) -> list[Path]:
    """The val frames of a data folder, evenly spread, or the repository's demo pictures.

    Raises:
        DataError: there is none.
    """
    if data is None:
        files = pictures_in(DEMO) if DEMO.is_dir() else []
        missing = f"no pictures in {DEMO}; give --data, a folder of annotated pictures"
    else:
        files = [s.path for s in read(data) if s.split == Split.VAL and not s.crop]
        missing = f"{data} has no frame of split {Split.VAL}"
    if not files:
        raise DataError(missing)
    return spread(files, MOST)


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most ``most`` of the items, evenly spread."""
    count = min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]
