"""Labels that are likely wrong: what readers read otherwise, seen in many ways.

    python -m training suspects --data DATA --weights A.safetensors --out suspects.jsonl

A reader learns wrong labels by heart, and then agrees with them. It is less sure of them than of
what it has seen on a thousand plates, so every cut-out is read as it is and :data:`VIEWS` - 1 times
as the training would show it, augmented: where another text gets more than a share of what it and
the label get, the label is suspect (cf. confident learning, Northcutt et al. 2021). A person looks
at the pictures beside the list, keeps the lines whose label is wrong and adds ``"right"`` where the
plate can be read; ``python -m training reader --corrections`` then learns that.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from alpr_edge.data import Sample, read
from alpr_edge.data.lists import relative, write_list
from alpr_edge.errors import DataError
from alpr_edge.geometry import letterbox, rectify, whole
from alpr_edge.types import Floats, Image
from training.pseudo import Finding, Read, check_out, pictures, tell
from training.reader.data import ReaderDataConfig, augmented
from training.sheet import captioned, save_pages

VIEWS = 8
_BATCH, _COLUMNS, _PAGE, _CELL = 16, 6, 48, (96, 192)
"""Cut-outs read at once; columns and pictures of a sheet, height and width of its pictures."""


def write_suspects(data: Path, readers: Sequence[Read], out: Path, least: float) -> int:
    """List the labelled cut-outs of every split of which another text gets a share of ``least`` or
    more, the surest first in each set, and draw them, numbered like the lines, in ``out``-1.png and
    so on; returns how many.

    Raises:
        UsageError: ``least`` is no share. DataError: no cut-out has a text.
        OutputError: ``out`` cannot be written.
    """
    check_out(out, least)
    wanted = [sample for sample in read(data) if sample.crop and sample.plates[0].text]
    if not wanted:
        raise DataError(f"{data}: no cut-out has a text; nothing to do")
    shown = track(wanted, "reading", console=Console(stderr=True))
    found = [f for f in doubts(shown, readers) if f.reading.confidence >= least]
    found.sort(key=lambda f: (f.sample.dataset, -f.reading.confidence))
    rows = [
        {
            "image": relative(f.sample.path, data), "set": f.sample.dataset,
            "split": f.sample.split, "text": f.label, "read": f.reading.text,
            "share": round(f.reading.confidence, 3),
        }
        for f in found
    ]
    write_list(out, rows)
    cells = [
        captioned(letterbox(image, *_CELL, math.inf)[0], f"{number} {f.label} > {f.reading.text}")
        for number, f in enumerate(found, 1)
        for _, image in pictures([f.sample])
    ]
    save_pages(cells, _COLUMNS, _PAGE, out)
    tell(wanted, found)
    return len(found)


def doubts(
    samples: Iterable[Sample], readers: Sequence[Read], seed: int = 0
) -> Iterator[Finding]:
    """Each cut-out that was read otherwise than labelled in some view, with the text that was read
    most surely in its stead; ``confidence`` is its share."""
    rng = np.random.default_rng(seed)
    opened = iter(pictures(samples))
    while part := list(itertools.islice(opened, _BATCH)):
        plates = np.concatenate([seen(image, rng) for _, image in part])
        answers = [reader(plates) for reader in readers]
        for index, (sample, _) in enumerate(part):
            own = slice(index * VIEWS, (index + 1) * VIEWS)
            support: dict[str, float] = defaultdict(float)
            readings = [reading for answer in answers for reading in answer[own]]
            for reading in readings:
                support[reading.text] += reading.confidence
            label = support.pop(sample.plates[0].text or "", 0.0)
            other = max(support, key=support.__getitem__, default=None)
            if other is not None and support[other] > 0:
                first = next(reading for reading in readings if reading.text == other)
                share = support[other] / (support[other] + label)
                reading = dataclasses.replace(first, confidence=share)
                yield Finding(sample=sample, reading=reading)


def seen(image: Image, rng: np.random.Generator) -> Image:
    """A cut-out (H, W, 3) as it is and as training would show it: (VIEWS, 48, 192, 3) uint8."""
    quad: Floats = np.asarray(whole(image), np.float32)
    config = ReaderDataConfig()
    others = [augmented(image, quad, rng, config) for _ in range(VIEWS - 1)]
    return np.stack([rectify(image, quad), *others])
