"""Everything that is wrong with annotated pictures, and what they are: histograms.

    python -m training check DATA --out check.json

Nothing stops at the first problem. Training itself is tolerant of some of them (it drops texts it
cannot learn and counts them); leaks between the splits falsify what is measured.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge import metrics
from alpr_edge.alphabet import SLOTS, unknown_characters
from alpr_edge.data import PlateTruth, Sample, read
from alpr_edge.data.corrections import corrected, read_corrections
from alpr_edge.decode import box_iou
from alpr_edge.errors import DataError, ImageError
from alpr_edge.geometry import quad_box
from alpr_edge.images import load_image
from alpr_edge.types import Box, Quad

SCHEMA = 1
OUTSIDE = 1.0
"""A box may end so many pixels outside its picture (annotations are rounded)."""
FAR_IOU = 0.5
"""The box around the corners overlaps the plate's box at least so much."""
MOST_TURN = 60.0
"""Degrees a plate may lean; beyond it the corners begin at another one than the top left."""


class Kind(enum.StrEnum):
    """What may be wrong."""

    ANNOTATION = "annotation cannot be read"
    PICTURE = "picture cannot be read"
    SIZE = "picture has another size"
    EMPTY_TEXT = "text is empty"
    LONG_TEXT = "text is too long"
    CHARACTERS = "characters outside the alphabet"
    EMPTY_BOX = "box is empty"
    OUTSIDE_BOX = "box ends outside the picture"
    CORNER_ORDER = "corners are not TL TR BR BL"
    CORNERS_FAR = "corners are far from the box"
    TEXT_LEAK = "text is in two splits"
    PICTURE_LEAK = "picture is in two splits"
    TWO_TEXTS = "cut-out has two texts"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong: where, and what was found there."""

    kind: Kind
    where: str
    what: str


@dataclasses.dataclass(kw_only=True, slots=True)
class Found:
    """What a check found; ``histograms`` maps a name to value → count, in order."""

    pictures: int = 0
    problems: list[Problem] = dataclasses.field(default_factory=list)
    histograms: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    sets: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    """Set → split → pictures."""

    def report(self) -> dict[str, Any]:
        """Ready for JSON."""
        counts = Counter(problem.kind for problem in self.problems)
        return {
            "schema": SCHEMA,
            "pictures": self.pictures,
            "problem_counts": {kind.value: counts[kind] for kind in Kind},
            "problems": [dataclasses.asdict(problem) for problem in self.problems],
            "sets": self.sets,
            "histograms": self.histograms,
        }


def check(
    data: Path, advance: Callable[[int], None] = lambda total: None,
    corrections: Iterable[Path] = (),
) -> Found:
    """Look at every annotation and every picture under ``data``, with the right texts of lists of
    wrong labels.

    ``advance`` is called before every picture with the number of pictures.

    Raises:
        DataError: ``data`` is of no known format, or has neither a sample nor a problem; or a list
            cannot be read or is of other data.
    """
    found = Found()
    samples = _samples(data, found.problems)
    for listed in corrections:
        samples = list(corrected(samples, read_corrections(data, samples, listed)))
    if not samples and not found.problems:
        raise DataError(f"{data} has no annotated picture; check the path")
    found.pictures = len(samples)
    for sample in samples:
        found.problems.extend(_annotation_problems(sample))
    found.problems.extend(_text_leaks(samples))
    digests: dict[bytes, list[Sample]] = defaultdict(list)
    for sample in samples:
        advance(len(samples))
        found.problems.extend(_picture_problems(sample, digests))
    found.problems.extend(_picture_leaks(digests))
    found.sets, found.histograms = _sets(samples), _histograms(samples)
    return found


def write(found: Found, path: Path) -> None:
    """The report as JSON."""
    text = json.dumps(found.report(), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8")


def _samples(data: Path, problems: list[Problem]) -> list[Sample]:
    """Every sample that can be read; what cannot becomes a problem."""
    def report(error: DataError) -> None:
        kind = Kind.PICTURE if isinstance(error.__cause__, ImageError) else Kind.ANNOTATION
        problems.append(Problem(kind=kind, where=str(data), what=str(error)))

    samples = []
    source = read(data, report)
    try:
        for sample in source:
            samples.append(sample)
    except DataError as error:  # of a whole file
        report(error)
    return samples


def _annotation_problems(sample: Sample) -> Iterator[Problem]:
    for number, plate in enumerate(sample.plates, 1):
        where = str(sample.path) if sample.crop else f"{sample.path}, plate {number}"
        for kind, what in _plate_problems(sample, plate):
            yield Problem(kind=kind, where=where, what=what)


def _plate_problems(sample: Sample, plate: PlateTruth) -> Iterator[tuple[Kind, str]]:
    yield from _text_problems(plate.text)
    x1, y1, x2, y2 = plate.box
    shown = f"box {_rounded(plate.box)} in {sample.width} x {sample.height}"
    if not (math.isfinite(sum(plate.box)) and x2 > x1 and y2 > y1):
        yield Kind.EMPTY_BOX, shown
        return
    if min(x1, y1) < -OUTSIDE or x2 > sample.width + OUTSIDE or y2 > sample.height + OUTSIDE:
        yield Kind.OUTSIDE_BOX, shown
    for name in ("corners", "corners_pseudo"):
        quad = getattr(plate, name)
        if quad is None or (sample.crop and name == "corners"):  # a cut-out's are its own
            continue
        if fault := order_fault(quad):
            yield Kind.CORNER_ORDER, f"{name} {[_rounded(p) for p in quad]}: {fault}"
        overlap = float(box_iou(np.array([quad_box(quad)]), np.array([plate.box]))[0, 0])
        if not overlap >= FAR_IOU and not sample.crop:
            yield Kind.CORNERS_FAR, f"{name} overlap the box by IoU {overlap:.2f} < {FAR_IOU}"


def _text_problems(text: str | None) -> Iterator[tuple[Kind, str]]:
    if text is None:
        return
    if not text:
        yield Kind.EMPTY_TEXT, "write null where the text is unknown"
    if len(text) > SLOTS:
        yield Kind.LONG_TEXT, f"{text!r} has {len(text)} characters; at most {SLOTS}"
    if unknown := unknown_characters(text):
        yield Kind.CHARACTERS, f"{text!r} has {unknown!r}"


def order_fault(quad: Quad) -> str:
    """Why corners cannot be TL TR BR BL of a readable plate; empty where they can.

    In that order every edge turns to the right (y points down) and the top edge points right.
    """
    points = np.asarray(quad, np.float64)
    if not np.isfinite(points).all():
        return "not finite"
    edges = np.roll(points, -1, axis=0) - points
    after = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0]
    if (turns < 0).all():
        return "mirrored: they go round anticlockwise"
    if not (turns > 0).all():
        return "crossed, or without an area"
    dx, dy = edges[0] - edges[2]
    lean = math.degrees(math.atan2(dy, dx))
    return f"the top edge leans {lean:.0f} degrees" if abs(lean) > MOST_TURN else ""


def _rounded(values: Box | tuple[float, ...]) -> list[float]:
    return [round(value, 1) for value in values]


def _text_leaks(samples: list[Sample]) -> Iterator[Problem]:
    """Same plate, same country, different splits: what is measured was learned."""
    places: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        for plate in sample.plates:
            if plate.text:
                places[sample.country or "", plate.text].append(sample)
    for (country, text), members in places.items():
        yield from _leak(Kind.TEXT_LEAK, f"{country} {text}".strip(), members)


def _picture_leaks(digests: dict[bytes, list[Sample]]) -> Iterator[Problem]:
    for members in digests.values():
        yield from _leak(Kind.PICTURE_LEAK, str(members[0].path), members)
        texts = {plate.text for one in members if one.crop for plate in one.plates if plate.text}
        if len(texts) > 1 and len({one.split for one in members}) == 1:
            where = ", ".join(sorted({str(one.path) for one in members}))
            yield Problem(kind=Kind.TWO_TEXTS, where=where, what=", ".join(sorted(texts)))


def _leak(kind: Kind, where: str, members: list[Sample]) -> Iterator[Problem]:
    first = {sample.split: sample for sample in reversed(members)}
    if len(first) > 1:
        places = (f"{split} ({first[split].path})" for split in sorted(first))
        yield Problem(kind=kind, where=where, what=", ".join(places))


def _picture_problems(
    sample: Sample, digests: dict[bytes, list[Sample]]
) -> Iterator[Problem]:
    """Of the file itself; ``digests`` collects what identical files there are."""
    where = str(sample.path)
    try:
        height, width = load_image(sample.path).shape[:2]
    except ImageError as error:
        yield Problem(kind=Kind.PICTURE, where=where, what=str(error))
        return
    digests[hashlib.sha256(sample.path.read_bytes()).digest()].append(sample)
    if (width, height) != (sample.width, sample.height):
        what = f"is {width} x {height}, annotated {sample.width} x {sample.height}"
        yield Problem(kind=Kind.SIZE, where=where, what=what)


def _sets(samples: list[Sample]) -> dict[str, dict[str, int]]:
    """Set → split → pictures, the most numerous set first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        counts[sample.dataset][sample.split.value] += 1
    return {
        name: dict(splits) for name, splits in sorted(counts.items(), key=lambda c: -c[1].total())
    }


def _histograms(samples: list[Sample]) -> dict[str, dict[str, int]]:
    plates = [(sample, plate) for sample in samples for plate in sample.plates]
    texts = [plate.text for _, plate in plates if plate.text]
    lengths = Counter(len(text) for text in texts)
    rows = Counter(plate.rows for _, plate in plates)
    return {
        "text length": {
            "no text": len(plates) - len(texts), **{str(n): lengths[n] for n in sorted(lengths)},
        },
        "character": dict(sorted(Counter("".join(texts)).items())),
        f"plate width in a {metrics.FRAME_WIDTH}-px frame": _widths(
            [metrics.plate_width(s, plate) for s, plate in plates if not s.crop and s.width > 0]
        ),
        "width of a cut-out": _widths([float(s.width) for s, _ in plates if s.crop]),
        "rows": {"unknown" if n is None else str(n): rows[n] for n in sorted(rows, key=str)},
    }


def _widths(widths: list[float]) -> dict[str, int]:
    edges = metrics.WIDTH_EDGES
    return {
        metrics.width_label(low, high): sum(low <= width < high for width in widths)
        for low, high in zip(edges, edges[1:], strict=False)
    }
