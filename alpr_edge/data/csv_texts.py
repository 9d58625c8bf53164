"""Plate cut-outs with their texts as fast-plate-ocr keeps them: CSV ``image_path,plate_text``.

Paths are relative to the CSV file. The split comes from an optional column ``split``, else from the
file's name (train.csv, val.csv, test.csv), else everything is train.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from alpr_edge.data.folders import picture_size, plate_text, split_named
from alpr_edge.data.sample import PlateTruth, Report, Sample, Split, stop
from alpr_edge.errors import DataError
from alpr_edge.geometry import box_quad

COLUMNS = ("image_path", "plate_text")
SPLIT_COLUMN = "split"


def csv_files(path: Path) -> list[Path]:
    """The file ``path`` itself, or the CSV files in the folder that have our two columns."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".csv" else []
    return [file for file in sorted(path.glob("*.csv")) if set(COLUMNS) <= set(_columns(file))]


def read_csv(path: Path, report: Report = stop) -> Iterator[Sample]:
    """All cut-outs of a CSV file, or of all such files in a folder; each picture is decoded once
    for its size.

    Raises:
        DataError: a file is no CSV in UTF-8, a column or picture is missing, or a split has an
            unknown name.
    """
    files = csv_files(path)
    names = {file.stem.lower() for file in files}
    for file in files:
        rows = _rows(file)
        present = {_word(row) for _, row in rows} | names
        for number, row in rows:
            try:
                sample = _sample(file, row, _split(file, row, present))
            except DataError as error:
                error.args = (f"{file}:{number}: {error}",)
                report(error)
            else:
                yield sample


@contextlib.contextmanager
def _lines(file: Path) -> Iterator[TextIO]:
    """The open file.

    Raises:
        DataError: what is read of it is no CSV in UTF-8.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 ({error.reason}); save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{file}: no valid CSV: {error}; look for a quote that is not closed"
                        ) from error


def _columns(file: Path) -> list[str]:
    with _lines(file) as lines:
        return [name.strip() for name in next(csv.reader(lines, skipinitialspace=True), [])]


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Every row, with the number of the line that it ends in."""
    if missing := [name for name in COLUMNS if name not in _columns(file)]:
        raise DataError(
            f"{file}: no column {', '.join(missing)}; needed: {','.join(COLUMNS)}, with commas "
            f"between them. It begins: {','.join(_columns(file))[:100]!r}"
        )
    with _lines(file) as lines:
        rows = csv.DictReader(lines, skipinitialspace=True)
        return [
            (rows.line_num, {k.strip(): v or "" for k, v in row.items() if k}) for row in rows
        ]


def _word(row: dict[str, str]) -> str:
    """What the row calls its split, if anything, as :func:`split_named` compares it."""
    return row.get(SPLIT_COLUMN, "").strip().lower()


def _split(file: Path, row: dict[str, str], present: set[str]) -> Split:
    if word := _word(row):
        return split_named(word, present)
    try:
        return split_named(file.stem, present)
    except DataError:
        return Split.TRAIN


def _sample(file: Path, row: dict[str, str], split: Split) -> Sample:
    picture = file.parent / row["image_path"].strip()
    if not picture.exists():  # written on Windows
        picture = file.parent / row["image_path"].strip().replace("\\", "/")
    width, height = picture_size(picture)
    box = (0.0, 0.0, float(width), float(height))
    truth = PlateTruth(box=box, corners=box_quad(box), text=plate_text(row["plate_text"]))
    return Sample(
        path=picture, dataset=file.resolve().parent.name, split=split,
        width=width, height=height, plates=(truth,), crop=True,
    )
