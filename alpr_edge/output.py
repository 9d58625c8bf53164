"""How ``alpr-edge read`` writes its records: as a table, JSON, JSON lines or CSV.

A record is one object a picture, ``{"schema", "file", "width", "height", "plates", "ms"}``, or
``{"file", "error"}`` for a picture that could not be read.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from typing import Any, Protocol, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alpr_edge.pipeline import Result
from alpr_edge.stages import Stage

SCHEMA = 1
Record = dict[str, Any]

_CORNERS = [f"{corner}_{axis}" for corner in ("tl", "tr", "br", "bl") for axis in "xy"]
_PLATE_COLUMNS = [
    "text", "confidence", "rows", "region", "kind", "x1", "y1", "x2", "y2", *_CORNERS,
    "detection_confidence", "whole",
]
CSV_COLUMNS = [
    "file", "error", "width", "height", *_PLATE_COLUMNS, *(f"ms_{stage}" for stage in Stage)
]
_PIPED_WIDTH, _ENDLESS, _WIDE = 160, 10_000, 150
"""Columns of a table that goes to no terminal: at least, and at most."""


class Writer(Protocol):
    """Writes records one by one; ``close`` ends the document, also after an interruption."""

    def write(self, record: Record) -> None:
        """Write one record."""

    def close(self) -> None:
        """Write what is left."""


def record_of(file: str, result: Result) -> Record:
    """The record of a picture that was read. Pixels to 1/100, milliseconds to 1/1000."""
    height, width = result.image.shape[:2]
    plates = []
    for plate in result.plates:
        values = dataclasses.asdict(plate)
        values["confidence"] = round(plate.confidence, 6)
        values["char_confidences"] = [round(c, 6) for c in plate.char_confidences]
        values["detection_confidence"] = round(plate.detection_confidence, 6)
        values["box"] = [round(v, 2) for v in plate.box]
        values["corners"] = [[round(x, 2), round(y, 2)] for x, y in plate.corners]
        plates.append(values)
    return {
        "schema": SCHEMA,
        "file": file,
        "width": width,
        "height": height,
        "plates": plates,
        "ms": {str(stage): round(result.ms[stage], 3) for stage in Stage},
    }


def error_record(file: str, error: Exception) -> Record:
    """The record of a picture that could not be read."""
    return {"file": file, "error": str(error)}


class JsonLines:
    """One JSON object a line, each flushed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        """Write one line."""
        self._stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left."""


class JsonArray:
    """One JSON array."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._separator = "[\n"

    def write(self, record: Record) -> None:
        """Write one element."""
        self._stream.write(self._separator + json.dumps(record, ensure_ascii=False))
        self._separator = ",\n"

    def close(self) -> None:
        """End the array."""
        self._stream.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._stream.flush()


class Csv:
    """One row a plate; a picture without plates, or with an error, has one row as well."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows = csv.DictWriter(stream, CSV_COLUMNS, restval="", lineterminator="\n")
        self._rows.writeheader()

    def write(self, record: Record) -> None:
        """Write the rows of one picture."""
        common: Record = {key: record[key] for key in CSV_COLUMNS[:4] if key in record}
        common |= {f"ms_{stage}": ms for stage, ms in record.get("ms", {}).items()}
        for plate in record.get("plates") or [{}]:
            self._rows.writerow(common | _plate_cells(plate))
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left."""


def _plate_cells(plate: Record) -> Record:
    if not plate:
        return {}
    cells = {key: plate[key] for key in _PLATE_COLUMNS if key in plate}
    cells["whole"] = json.dumps(plate["whole"])
    cells |= dict(zip(("x1", "y1", "x2", "y2"), plate["box"], strict=True))
    corners = [value for point in plate["corners"] for value in point]
    return cells | dict(zip(_CORNERS, corners, strict=True))


class PlateTable:
    """A table for people, written at the end: file, plate, confidence and milliseconds, of each
    stage where the terminal has :data:`_WIDE` columns, or there is none."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        self._table.add_column("file", overflow="fold")
        self._table.add_column("plate", no_wrap=True)
        self._table.add_column("confidence", no_wrap=True)
        wide = not stream.isatty() or shutil.get_terminal_size().columns >= _WIDE
        self._stages = tuple(Stage) if wide else (Stage.TOTAL,)
        for stage in self._stages:
            self._table.add_column(f"{stage} ms", justify="right", no_wrap=True)

    def write(self, record: Record) -> None:
        """Add the rows of one picture."""
        if "error" in record:
            self._table.add_row(Text(record["file"]), "error", "")
            return
        times = [f"{record['ms'][stage]:.1f}" for stage in self._stages]
        first: list[Text | str] = [Text(record["file"])]
        for plate in record["plates"] or [{"text": "no plate", "confidence": None}]:
            confidence = "" if plate["confidence"] is None else f"{plate['confidence']:.1%}"
            self._table.add_row(*first, plate["text"] or "?", confidence, *times)
            first, times = [""], []

    def close(self) -> None:
        """Print the table."""
        print_table(self._table, self._stream)


def print_table(table: Table, stream: TextIO) -> None:
    """Print a table as wide as the terminal, or as it needs where it goes elsewhere."""
    console = Console(file=stream, width=None if stream.isatty() else _PIPED_WIDTH, highlight=False)
    if not stream.isatty():
        endless = console.options.update(max_width=_ENDLESS)
        console.width = max(_PIPED_WIDTH, console.measure(table, options=endless).maximum)
    with console.capture() as text:  # printing itself, rich would exit on a broken pipe
        console.print(table)
    stream.write(text.get())
    stream.flush()


FORMATS: dict[str, type[JsonLines] | type[JsonArray] | type[Csv] | type[PlateTable]] = {
    "table": PlateTable,
    "json": JsonArray,
    "jsonl": JsonLines,
    "csv": Csv,
}
