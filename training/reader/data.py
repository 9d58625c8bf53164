"""From annotated pictures and rendered plates to the reader's batches."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from alpr_edge.alphabet import PAD, SLOTS, encode, fits
from alpr_edge.data import read
from alpr_edge.data.corrections import corrected, read_corrections
from alpr_edge.data.sample import PlateTruth, Sample, Split, spread
from alpr_edge.errors import DataError, ImageError
from alpr_edge.geometry import (
    PLATE_HEIGHT,
    PLATE_WIDTH,
    as_quad,
    box_quad,
    perspective,
    project,
    quad_box,
    rectify,
)
from alpr_edge.images import load_image
from alpr_edge.rows import halves, row_corners, row_gap
from alpr_edge.types import Floats, Image, Quad
from training.augment import PLATE_RECIPE, augment
from training.frame_texts import listed_plates
from training.legible import LEAST, kept
from training.loader import loaded
from training.options import JUDGED, MEMORY
from training.reader.model import IGNORE
from training.render import RenderMaterial, render_plate, surrounded

MARGIN = 0.25
"""Share of a plate's size kept around it when it is cut from a frame, for corner jitter."""
CUT = 0.07, 0.15
"""Shares of a plate's width and height that jittered corners may leave outside, on each side."""
_TRIES = 8
_GAP = 0.015
"""Spread of where two rows are taken apart, in shares of the plate's height."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReaderDataConfig:
    """Where the training plates come from and how hard they are made."""

    rendered: float = 0.5
    """Share of rendered plates."""
    strength: float = 1.0
    shear: float = 0.25
    """Spread of how far leaning plates lean, in parts of their height; 3 of 10 do."""
    apart: float = 0.5
    """Share of the plates of two rows that can be taken apart of which one row is shown alone."""
    balance: float = 0.5
    """A set of n plates is drawn in proportion to n ** balance."""
    memory: int = MEMORY
    """Plates with more bytes are decoded when drawn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlateFacts:
    """A plate's corners in its ``image`` (4, 2), its text, rows (IGNORE, 0, 1) and set."""

    quads: tuple[Floats, ...]
    text: str
    rows: int
    dataset: str
    unworn: Image | None = None
    """Of a rendered plate, its ``image`` with nothing aged: what there is to read."""
    glyphs: Floats | None = None
    """Of a rendered plate, where its characters are, (N, 4) x1, y1, x2, y2 in the ``image``."""
    upper: int = 0
    """How many characters are in the upper of two rows that can be taken apart; else 0."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlateItem(PlateFacts):
    """A plate in memory."""

    image: Image


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredPlate(PlateFacts):
    """A plate in the file ``path``: the part x1, y1, x2, y2 of the picture."""

    path: Path
    part: tuple[int, int, int, int]

    @property
    def image(self) -> Image:
        """Decoded and cut each time.

        Raises:
            DataError: the picture cannot be read.
        """
        try:
            return self.cut(load_image(self.path))
        except ImageError as error:
            raise DataError(f"{error}; python -m training check lists all that cannot be read, "
                            "take them out of the data") from error

    @property
    def byte_count(self) -> int:
        """Of the decoded image."""
        x1, y1, x2, y2 = self.part
        return (x2 - x1) * (y2 - y1) * 3

    def cut(self, picture: Image) -> Image:
        """The plate's part of the decoded picture."""
        x1, y1, x2, y2 = self.part
        return picture[y1:y2, x1:x2].copy()

    def held(self, picture: Image) -> PlateItem:
        """The same plate in memory, cut from the decoded picture."""
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(PlateFacts)}
        return PlateItem(image=self.cut(picture), **facts)


Plate = PlateItem | StoredPlate


def load_plates(
    samples: Iterable[Sample], split: Split, *, untexted: bool = False, memory: int = MEMORY
) -> tuple[list[Plate], Counter[str]]:
    """Every plate of ``split`` with a text the reader could answer, and how many were dropped.

    ``untexted``: every plate whether it has a text or not, all with an empty one, to pre-train on.
    They are decoded here if together they have at most ``memory`` bytes; pictures that cannot be
    read are dropped then, else they are an error when drawn.
    """
    stored, dropped = stored_plates(samples, split, untexted)
    items, unreadable = held(stored, memory)
    return items, dropped + unreadable


def train_plates(
    data: Path, samples: Iterable[Sample], memory: int = MEMORY
) -> tuple[list[Plate], Counter[str]]:
    """:func:`load_plates` of split train, of ``samples`` of ``data``.

    Raises:
        DataError: there is none.
    """
    items, dropped = load_plates(samples, Split.TRAIN, memory=memory)
    if not items:
        raise DataError(f"{data} has no plate with a text to learn from in split {Split.TRAIN} "
                        f"({dropped.total()} that cannot be used); needed to train: check the data "
                        "and what is left out of it")
    return items, dropped


def held(stored: Sequence[StoredPlate], memory: int) -> tuple[list[Plate], Counter[str]]:
    """Plates in the order of their pictures, decoded if together they have at most ``memory``
    bytes, and how many were in pictures that cannot be read."""
    dropped: Counter[str] = Counter()
    if sum(plate.byte_count for plate in stored) > memory:
        return list(stored), dropped
    items: list[Plate] = []
    for path, plates in itertools.groupby(stored, lambda plate: plate.path):
        try:
            picture = load_image(path)
        except ImageError:
            dropped.update(f"{plate.dataset}: unreadable picture" for plate in plates)
            continue
        items += [plate.held(picture) for plate in plates]
    return items, dropped


def stored_plates(
    samples: Iterable[Sample], split: Split, untexted: bool
) -> tuple[list[StoredPlate], Counter[str]]:
    """What :func:`load_plates` decodes, in the order of the samples."""
    found: list[StoredPlate] = []
    dropped: Counter[str] = Counter()
    for sample in samples:
        if sample.split is not split:
            continue
        for plate in sample.plates:
            if untexted:
                plate = dataclasses.replace(plate, text=None)
            elif plate.text is None:
                continue
            elif not fits(plate.text):
                dropped[f"{sample.dataset}: text outside the alphabet or too long"] += 1
                continue
            stored = stored_plate(sample, plate)
            left, top, right, bottom = stored.part
            if left < min(right, sample.width) and top < min(bottom, sample.height):
                found.append(stored)
            else:
                dropped[f"{sample.dataset}: outside its picture"] += 1
    return found, dropped


def stored_plate(sample: Sample, plate: PlateTruth) -> StoredPlate:
    """The part of the picture round one plate, with every quad known for it."""
    if sample.crop:
        area = 0, 0, sample.width, sample.height
        known = [box_quad((0.0, 0.0, float(sample.width), float(sample.height))),
                 plate.corners_pseudo]
    else:
        known = [plate.corners, plate.corners_pseudo]
        if known == [None, None]:
            known = [box_quad(plate.box)]
        area = surroundings(np.array([quad_box(quad) for quad in known if quad]))
    origin = np.array(area[:2], np.float32)
    return StoredPlate(
        path=sample.path, part=area, text=plate.text or "", dataset=sample.dataset,
        quads=tuple(np.asarray(quad, np.float32) - origin for quad in known if quad),
        rows=IGNORE if plate.rows is None else plate.rows - 1,
    )


def surroundings(boxes: Floats) -> tuple[int, int, int, int]:
    """The rectangle round boxes (K, 4) with :data:`MARGIN` on every side, in whole pixels."""
    x1, y1 = boxes[:, :2].min(axis=0)
    x2, y2 = boxes[:, 2:].max(axis=0)
    dx, dy = (x2 - x1) * MARGIN, (y2 - y1) * MARGIN
    low = np.floor(np.maximum([x1 - dx, y1 - dy], 0)).astype(int).tolist()
    high = np.ceil(np.maximum([x2 + dx, y2 + dy], 0)).astype(int).tolist()
    return low[0], low[1], high[0], high[1]


def jitter(
    quad: Floats, rng: np.random.Generator, strength: float, shear: float = 0.0
) -> Floats:
    """Corners as a detector would make them: each one off by some per cent of the plate's size,
    the whole a little larger, smaller, shifted or turned; or leaning, as where it takes a plate
    that is seen from the side for one that is only turned."""
    width = (np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])) / 2
    height = (np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2
    size = np.array([width, height], np.float32)
    spread = strength * abs(rng.normal(0, 0.03))
    centre = quad.mean(axis=0)
    scale = 1 + rng.normal(0.02, 0.025 * strength, 2)
    shift = rng.normal(0, 0.015 * strength, 2) * size
    moved = (quad - centre) * scale + centre + shift
    if rng.random() < 0.3:
        angle = rng.normal(0, 0.06 * strength)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        moved = (moved - centre) @ turn + centre
    if shear and rng.random() < 0.3:
        along = (moved[1] - moved[0] + moved[2] - moved[3]) / (2 * max(width, 1.0))
        lean = rng.normal(0, shear * strength) * height / 2
        moved = moved + lean * along * np.array([[1], [1], [-1], [-1]])
    return np.asarray(moved + rng.normal(0, 1, (4, 2)) * size * spread, np.float32)


def uncut(quad: Floats, rng: np.random.Generator, strength: float, shear: float = 0.0) -> Floats:
    """:func:`jitter` that leaves at most :data:`CUT` of the plate's width and height outside, on
    any side: less than a character. After some tries the corners as they are."""
    for _ in range(_TRIES):
        moved = jitter(quad, rng, strength, shear)
        to_unit = perspective(moved, box_quad((0.0, 0.0, 1.0, 1.0)))
        inside = project(quad, to_unit)
        outside = np.maximum(-inside.min(axis=0), inside.max(axis=0) - 1)
        if (outside <= CUT).all():
            return moved
    return quad


def augmented(
    image: Image, quad: Floats, rng: np.random.Generator, config: ReaderDataConfig,
    row: int | None = None, unworn: Image | None = None, glyphs: Floats | None = None,
) -> Image:
    """The plate at ``quad`` as training shows it: (48, 192, 3) uint8, its text still to be seen, as
    far as the picture ``image`` shows it, or ``unworn``, the same with a plate that nothing aged.
    ``row``: the upper (0) or the lower (1) one of its two rows alone (:mod:`alpr_edge.rows`).
    ``glyphs`` (N, 4): the boxes of the characters that are shown, in the picture, if known."""
    outline = as_quad(uncut(quad, rng, config.strength, config.shear))
    plate = rectify(image, outline)
    if row is not None:
        gap = row_gap(plate) + rng.normal(0, _GAP * config.strength)
        outline = row_corners(outline, plate, halves(gap))[row]
        plate = rectify(image, outline)
    truth = rectify(image if unworn is None else unworn, outline)
    places = None if glyphs is None else shares(glyphs, outline)
    for _ in range(_TRIES):
        seen = augment(plate, rng, PLATE_RECIPE, config.strength)
        if kept(truth, seen, places) >= LEAST:
            return seen
    return plate


def shares(boxes: Floats, outline: Quad) -> Floats:
    """The smallest boxes (N, 4) round ``boxes`` (N, 4) of a picture once the plate at ``outline``
    is rectified, in shares of that plate."""
    to_unit = perspective(outline, box_quad((0.0, 0.0, 1.0, 1.0)))
    placed = project(boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]], to_unit)
    return np.concatenate([placed.min(axis=1), placed.max(axis=1)], axis=1, dtype=np.float32)


class PlateStream(IterableDataset[tuple[Image, np.ndarray, int]]):
    """An endless stream of augmented plates: (48, 192, 3) uint8, (T,) int64, rows."""

    def __init__(
        self, items: Sequence[Plate], material: RenderMaterial | None,
        config: ReaderDataConfig, seed: int,
    ) -> None:
        self.items, self.material, self.config, self.seed = items, material, config, seed
        self.by_set: dict[str, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            self.by_set[item.dataset].append(index)
        weights = np.array([len(v) for v in self.by_set.values()], float) ** config.balance
        self.weights = weights / weights.sum()

    def __iter__(self) -> Iterator[tuple[Image, np.ndarray, int]]:
        worker = get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        names = list(self.by_set)
        while True:
            if self.material is not None and rng.random() < self.config.rendered:
                item = self.render(rng)
            else:
                name = names[rng.choice(len(names), p=self.weights)]
                item = self.items[self.by_set[name][rng.integers(len(self.by_set[name]))]]
            if item.upper and rng.random() < self.config.apart:
                row = int(rng.integers(2))
                text = item.text[item.upper :] if row else item.text[: item.upper]
                yield self.make(item, rng, row), encode(text), IGNORE
            else:
                text = encode(item.text) if item.text else np.full(SLOTS, PAD)
                yield self.make(item, rng), text, item.rows

    def render(self, rng: np.random.Generator) -> PlateItem:
        """A rendered plate on a margin of some other picture."""
        assert self.material is not None
        plate = render_plate(self.material, rng)
        other = self.items[rng.integers(len(self.items))].image
        canvas, box = surrounded(plate.image, other, MARGIN / 2, self.material, rng)
        height, width = plate.unworn.shape[:2]
        y, x = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
        unworn = canvas.copy()
        unworn[y : y + height, x : x + width] = plate.unworn
        quad = np.array(box_quad(box), np.float32)
        glyphs = plate.glyphs * np.float32([width, height] * 2) + np.float32([x, y] * 2)
        return PlateItem(image=canvas, unworn=unworn, glyphs=glyphs, quads=(quad,), text=plate.text,
                         upper=plate.upper, rows=plate.rows - 1, dataset="rendered")

    def make(self, item: Plate, rng: np.random.Generator, row: int | None = None) -> Image:
        """Rectify with the corners of one of the plate's quads, jittered, and augment; one ``row``
        alone where it is given."""
        quad, glyphs = item.quads[rng.integers(len(item.quads))], item.glyphs
        if glyphs is not None and row is not None:
            glyphs = glyphs[item.upper :] if row else glyphs[: item.upper]
        return augmented(item.image, quad, rng, self.config, row, item.unworn, glyphs)


def collate(rows: list[tuple[Image, np.ndarray, int]]) -> dict[str, torch.Tensor]:
    """Stack a batch for ``Reader.loss``."""
    images, texts, counts = zip(*rows, strict=True)
    return {
        "image": torch.from_numpy(np.stack(images)),
        "text": torch.from_numpy(np.stack(texts)),
        "rows": torch.tensor(counts),
    }


def batches(
    stream: PlateStream, batch_size: int, workers: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches, made in ``workers`` processes beside the training."""
    return loaded(stream, workers, batch_size=batch_size, collate=collate)


def evaluation_plates(
    data: Path, split: Split, corrections: Path | None = None, frame_texts: Path | None = None
) -> list[Plate]:
    """Every labelled plate cut-out of a split, whole, with the right labels of a list of wrong
    ones; where the data has no cut-outs, the labelled plates of its frames. And the plates of
    frames whose texts a list gives, where the detector saw them. Of more than :data:`JUDGED`
    pictures so many, evenly spread.

    Raises:
        DataError: the split has no labelled plate, or the list is of other data.
    """
    samples = list(read(data))
    if corrections is not None:
        samples = list(corrected(samples, read_corrections(data, samples, corrections)))
    listed = listed_plates(samples, data, frame_texts, split) if frame_texts else []
    samples = [sample for sample in samples if sample.split is split]
    judged = spread([*([s for s in samples if s.crop] or samples), *listed], JUDGED)
    items, _ = load_plates(judged, split)
    if not items:
        raise DataError(
            f"{data} has no plate with a text in split {split}; needed to evaluate. A part called "
            "val without a test part is only reported: call it dev, or give no split to finetune"
        )
    return items


def plain(item: Plate) -> Image:
    """The plate without augmentation: (48, 192, 3) uint8."""
    return rectify(item.image, item.quads[0], PLATE_HEIGHT, PLATE_WIDTH)
