"""What readers agree on: texts for plates that have none.

    python -m training pseudo --data DATA --weights A.safetensors --out pseudo.jsonl

Every reader reads :data:`VIEWS` of a cut-out; a text counts where all of them give it and the least
of their confidences is high enough. The pseudo-labels (Lee 2013) are for ``python -m training
reader --pseudo`` (:mod:`training.selection`). Beside the list, ``.png`` shows some of it, to be
checked by eye. ``--rest rest.jsonl`` lists and draws all that the readers do not agree on, for a
person to read: the plates that teach most.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from alpr_edge.data import Sample, Split, read
from alpr_edge.data.lists import relative, write_list
from alpr_edge.errors import DataError, ImageError, ModelError, OutputError, UsageError
from alpr_edge.geometry import box_quad, letterbox, rectify
from alpr_edge.images import load_image
from alpr_edge.types import Image, Reading
from training.networks import load
from training.reader.answers import readings_of
from training.reader.model import Reader
from training.sheet import captioned, grid, save, save_pages

Read = Callable[[Image], list[Reading]]
"""Plates (N, 48, 192, 3) uint8 BGR to one Reading each."""
VIEWS = (box_quad((0.0, 0.0, 1.0, 1.0)), box_quad((0.025, 0.01, 0.985, 0.95)))
"""Corners in shares of a cut-out's width and height: plain; slightly shrunk and shifted."""
SHOWN = 100
_BATCH, _COLUMNS, _CELL, _PAGE = 32, 7, (84, 192), 56
"""Cut-outs read at once; columns of a sheet, height and width of its pictures, how many a page."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """A cut-out whose readings agree: on ``reading``, with the least of their confidences."""

    sample: Sample
    reading: Reading

    @property
    def label(self) -> str | None:
        """The text that the data gives."""
        return self.sample.plates[0].text


def load_reader(path: Path) -> Read:
    """The reader of a weights file, with the temperature from its notes.

    Raises:
        ModelError: no readable weights, not a reader's, or no temperature.
    """
    weights, network = load(path, Reader)
    if "temperature" not in weights.notes:
        raise ModelError(f"{path}: notes {', '.join(weights.notes)}; needed is a reader with a "
                         "temperature: what python -m training publish wrote")
    temperature = float(weights.notes["temperature"])

    return lambda plates: readings_of(network, plates, temperature)


def load_readers(paths: Sequence[Path]) -> list[Read]:
    """:func:`load_reader` of each."""
    return [load_reader(path) for path in paths]


def agreed(readings: Sequence[Reading]) -> Reading | None:
    """The reading that all give, the least confident of them; None where the texts differ or are
    empty. ``rows`` is None where they differ."""
    least = min(readings, key=lambda reading: reading.confidence)
    if not least.text or {reading.text for reading in readings} != {least.text}:
        return None
    same_rows = len({reading.rows for reading in readings}) == 1
    return dataclasses.replace(least, rows=least.rows if same_rows else None)


def views(image: Image) -> Image:
    """:data:`VIEWS` of a cut-out (H, W, 3), rectified: (V, 48, 192, 3) uint8."""
    height, width = image.shape[:2]
    return np.stack([rectify(image, np.array(quad) * (width, height)) for quad in VIEWS])


def findings(
    given: Iterable[tuple[Sample, list[Reading]]], least: float
) -> Iterator[Finding]:
    """The cut-outs whose readings (:func:`answers`) agree, with confidence ``least`` or more."""
    for sample, readings in given:
        reading = agreed(readings)
        if reading is not None and reading.confidence >= least:
            yield Finding(sample=sample, reading=reading)


def answers(
    samples: Iterable[Sample], readers: Sequence[Read]
) -> Iterator[tuple[Sample, list[Reading]]]:
    """Each cut-out with what every reader reads in every view.

    A picture that cannot be read is told on standard error and left out.
    """
    opened = iter(pictures(samples))
    while part := list(itertools.islice(opened, _BATCH)):
        plates = np.concatenate([views(image) for _, image in part])
        given = [reader(plates) for reader in readers]
        for index, (sample, _) in enumerate(part):
            own = slice(index * len(VIEWS), (index + 1) * len(VIEWS))
            yield sample, [reading for one in given for reading in one[own]]


def pictures(samples: Iterable[Sample]) -> Iterator[tuple[Sample, Image]]:
    """Each with its picture; one that cannot be read is told on standard error and left out."""
    for sample in samples:
        try:
            image = load_image(sample.path)
        except ImageError as error:
            print(f"{error}; left out", file=sys.stderr)
        else:
            yield sample, image


def write_pseudo(
    data: Path, readers: Sequence[Read], out: Path, least: float, rest: Path | None = None
) -> int:
    """List the train cut-outs without a text whose readings agree; returns how many. In ``rest``
    list the others with the surest of their readings, and draw them, numbered like the lines.

    A text that a plate of another split has is left out: splits are apart by text.

    Raises:
        UsageError: ``least`` is no probability. DataError: no train cut-out lacks a text.
        OutputError: ``out`` cannot be written.
    """
    check_out(out, least)
    if rest is not None:
        check_out(rest, option="--rest")
    samples = list(read(data))
    wanted = [s for s in samples if s.crop and s.split is Split.TRAIN and not s.plates[0].text]
    if not wanted:
        raise DataError(f"{data}: every cut-out of split train has a text; nothing to do")
    held_out = {p.text for s in samples if s.split is not Split.TRAIN for p in s.plates}
    given = list(answers(wanted, readers))
    found = list(findings(given, least))
    kept = [finding for finding in found if finding.reading.text not in held_out]
    _write(out, data, kept)
    tell(wanted, kept)
    print(f"{len(found) - len(kept)} more left out: plates of calib, dev or val have their text")
    if rest is not None:
        agreeing = {finding.sample.path for finding in found}
        unsure = [
            Finding(sample=sample, reading=max(readings, key=lambda one: one.confidence))
            for sample, readings in given if sample.path not in agreeing
        ]
        _write_rest(rest, data, [one for one in unsure if one.reading.text not in held_out])
    return len(kept)


def check_out(out: Path, least: float = 0.0, option: str = "--out") -> None:
    """What would be a pity to find out after the reading."""
    if not 0 <= least <= 1:
        raise UsageError(f"--least is {least}; allowed: 0 to 1")
    if out.suffix == ".png":
        raise UsageError(f"{option} {out}: the pictures beside it end so; end it in .jsonl")
    if not out.parent.is_dir():
        raise OutputError(f"{option} {out}: its folder does not exist; make it first")


def _write(out: Path, data: Path, found: list[Finding]) -> None:
    """List the findings, and beside them a sheet of :data:`SHOWN` random ones."""
    _write_list(out, data, found)
    count = min(SHOWN, len(found))
    chosen = np.random.default_rng(0).choice(len(found), count, replace=False) if count else []
    cells = [
        _cell(found[index], f"{found[index].reading.text}  {found[index].reading.confidence:.2f}")
        for index in sorted(chosen)
    ]
    if cells:
        save(grid(cells, _COLUMNS), out.with_suffix(".png"))


def _write_rest(out: Path, data: Path, unsure: list[Finding]) -> None:
    """List the unsure ones, the least sure of each set last, and draw all of them."""
    unsure.sort(key=lambda one: (one.sample.dataset, -one.reading.confidence))
    _write_list(out, data, unsure)
    cells = [_cell(one, f"{number} {one.reading.text}") for number, one in enumerate(unsure, 1)]
    if cells:
        save_pages(cells, _COLUMNS, _PAGE, out)
    print(f"{len(unsure)} not agreed on, for a person to read: {out}")


def _write_list(out: Path, data: Path, found: list[Finding]) -> None:
    rows = [
        {
            "image": relative(f.sample.path, data), "set": f.sample.dataset,
            "text": f.reading.text, "rows": f.reading.rows,
            "confidence": round(f.reading.confidence, 4),
        }
        for f in found
    ]
    write_list(out, rows)


def _cell(finding: Finding, caption: str) -> Image:
    """The cut-out with a caption; its picture was read before."""
    return captioned(letterbox(load_image(finding.sample.path), *_CELL, math.inf)[0], caption)


def tell(wanted: list[Sample], found: list[Finding]) -> None:
    """How many of how many, per set."""
    every = Counter(sample.dataset for sample in wanted)
    kept = Counter(finding.sample.dataset for finding in found)
    for name in sorted(every):
        print(f"{name:24}{kept[name]:6} of {every[name]}")
    print(f"{'all':24}{len(found):6} of {len(wanted)}")
