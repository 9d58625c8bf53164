"""The picture files that commands without annotations work on."""

from __future__ import annotations

import argparse
from pathlib import Path

from alpr_edge.data import Split, read, spread
from alpr_edge.data.folders import pictures_in
from alpr_edge.errors import DataError
from alpr_edge.picks import MODELS
from benchmarks import isa, record

DEMO = Path(__file__).parent.parent / "docs" / "demo"
"""The pictures of the repository, used where no data folder is given."""
MOST = 64
"""At most so many take turns."""


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


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that read such pictures with one models folder."""
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    isa.add_argument(parser)
    parser.add_argument("--models", type=Path, default=MODELS, metavar="DIR", help="models folder")
    parser.add_argument("--data", type=Path, help="folder of annotated pictures (default: demo)")
    record.add_out(parser)
