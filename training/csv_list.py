"""A CSV of some cut-outs of one set, as somebody with few plates would have them.

    python -m training csv DATA --set tn_crops --count 200 --out my.csv
"""

from __future__ import annotations

import csv
from pathlib import Path

from alpr_edge.data import Split, read
from alpr_edge.data.csv_texts import COLUMNS, SPLIT_COLUMN
from alpr_edge.data.lists import relative
from alpr_edge.errors import DataError, OutputError
from training.selection import some_of_each_set


def write_csv(data: Path, name: str, count: int, out: Path) -> int:
    """List ``count`` labelled train cut-outs of the set ``name``, evenly spaced over it, and all of
    calib and dev; paths are relative to ``out``. Returns how many are listed.

    Raises:
        DataError: the set has no labelled cut-out, or there is none. OutputError: ``out`` cannot
            be written.
    """
    labelled = [sample for sample in read(data) if sample.crop and sample.plates[0].text]
    wanted = [sample for sample in labelled if sample.dataset == name]
    if not wanted:
        sets = ", ".join(sorted({sample.dataset for sample in labelled})) or "none"
        raise DataError(f"{data}: no labelled cut-out of a set {name!r}; sets with some: {sets}")
    chosen = some_of_each_set(wanted, count)
    chosen += [sample for sample in wanted if sample.split in (Split.CALIB, Split.DEV)]
    rows = [(relative(s.path, out), s.plates[0].text, s.split.value) for s in chosen]
    try:
        with out.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerows([(*COLUMNS, SPLIT_COLUMN), *rows])
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}") from error
    return len(rows)
