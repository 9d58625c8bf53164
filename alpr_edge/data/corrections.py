"""Lists of wrong labels: what ``python -m training suspects`` suspects and a person kept, with the
right text in ``right``, or none where the picture shows no plate or nobody can tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from alpr_edge.alphabet import fits
from alpr_edge.data.lists import read_list, relative
from alpr_edge.data.sample import Sample, Split
from alpr_edge.errors import DataError


def read_corrections(data: Path, samples: Iterable[Sample], path: Path) -> dict[Path, str | None]:
    """The right text, or None, by the path of those cut-outs among the ``samples`` of ``data`` that
    a list names.

    Raises:
        DataError: the list cannot be read, or names a cut-out that is not among them.
    """
    crops = {relative(sample.path, data): sample.path for sample in samples if sample.crop}

    def facts(row: dict[str, Any]) -> tuple[str, str | None]:
        right = row.get("right")
        if right is not None and not (isinstance(right, str) and right and fits(right)):
            raise ValueError(f"right {right!r}")
        return str(row["image"]), right

    listed = dict(read_list(
        path, facts, needed="image, and right, if any, a text of our alphabet",
        made_by="python -m training suspects",
    ))
    absent = [image for image in listed if image not in crops]
    if absent:
        raise DataError(
            f"{path}: {len(absent)} listed pictures, such as {absent[0]}, are no cut-outs in "
            f"{data}; list them anew with python -m training suspects"
        )
    return {crops[image]: right for image, right in listed.items()}


def corrected(
    samples: Iterable[Sample], right: Mapping[Path, str | None], split: Split | None = None
) -> Iterator[Sample]:
    """The samples, the cut-outs among them with the texts of ``right``, less those without one;
    with a ``split`` only its samples are changed."""
    for sample in samples:
        listed = sample.crop and sample.path in right
        if not listed or split not in (None, sample.split):
            yield sample
        elif text := right[sample.path]:
            plate = dataclasses.replace(sample.plates[0], text=text)
            yield dataclasses.replace(sample, plates=(plate,))
