"""Our own index: a folder with ``frames.jsonl`` and ``crops.jsonl`` (JSON lines)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpr_edge.data.sample import PlateTruth, Report, Sample, Split, stop
from alpr_edge.errors import DataError
from alpr_edge.geometry import as_quad, box_quad
from alpr_edge.types import Box, Quad

FRAMES, CROPS = "frames.jsonl", "crops.jsonl"


def _quad(value: Any) -> Quad | None:
    return None if value is None else as_quad(value)


def _box(value: Any) -> Box:
    x1, y1, x2, y2 = (float(v) for v in value)
    return x1, y1, x2, y2


def _plate(row: dict[str, Any]) -> PlateTruth:
    text, rows = row.get("text"), row.get("rows")
    if not (text is None or isinstance(text, str)):
        raise ValueError(f"text {text!r}; allowed: a text in quotation marks, or null")
    if rows not in (None, 1, 2):
        raise ValueError(f"rows {rows!r}; allowed: 1, 2 or null")
    return PlateTruth(
        box=_box(row["box"]),
        corners=_quad(row.get("corners")),
        corners_pseudo=_quad(row.get("corners_pseudo")),
        text=text,
        rows=rows,
        kind=row.get("colour"),
    )


def _crop(row: dict[str, Any]) -> PlateTruth:
    box = (0.0, 0.0, float(row["width"]), float(row["height"]))
    return _plate(row | {"box": box, "corners": box_quad(box)})


def _sample(root: Path, row: dict[str, Any], crop: bool) -> Sample:
    return Sample(
        path=root / row["image"],
        dataset=row["set"],
        split=Split(row["split"]),
        width=int(row["width"]),
        height=int(row["height"]),
        plates=(_crop(row),) if crop else tuple(_plate(p) for p in row["plates"]),
        crop=crop,
        complete=bool(row.get("complete", True)),
        country=row.get("country"),
    )


def read_index(root: Path, report: Report = stop) -> Iterator[Sample]:
    """All samples of the folder ``root``: the frames, then the crops.

    Raises:
        DataError: a line is no valid row; it names the file, the line and what is wrong.
    """
    for name, crop in ((FRAMES, False), (CROPS, True)):
        path = root / name
        if not path.exists():
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                sample = _sample(root, json.loads(line), crop)
            except (KeyError, TypeError, ValueError) as error:
                report(DataError(
                    f"{path}:{number}: {type(error).__name__}: {error}; a row needs image, set, "
                    f"split, width, height and {'text' if crop else 'plates'}"
                ))
            else:
                yield sample
