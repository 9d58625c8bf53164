"""From annotated pictures and rendered plates to the reader's batches."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from alpr_edge.alphabet import PAD, SLOTS, encode, fits
from alpr_edge.data import read
from alpr_edge.data.sample import PlateTruth, Sample, Split
from alpr_edge.errors import DataError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH, box_quad, quad_box, rectify, whole
from alpr_edge.types import Floats, Image
from training.augment import PLATE_RECIPE, augment
from training.reader.model import IGNORE
from training.render import RenderMaterial, render_plate

MARGIN = 0.25
"""Share of a plate's size kept around it when it is cut from a frame, for corner jitter."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReaderDataConfig:
    """Where the training plates come from and how hard they are made."""

    rendered: float = 0.35
    """Share of rendered plates."""
    strength: float = 1.0
    balance: float = 0.6
    """A set of n plates is drawn in proportion to n ** balance."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlateItem:
    """A plate in memory: a picture, its corners in it (4, 2), its text and rows (IGNORE, 0, 1)."""

    image: Image
    quads: tuple[Floats, ...]
    text: str
    rows: int
    dataset: str


def some_of_each_set(samples: Iterable[Sample], split: Split, limit: int) -> list[Sample]:
    """At most ``limit`` labelled samples of each set in ``split``, evenly spaced over the set."""
    sets: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.split is split and any(plate.text for plate in sample.plates):
            sets[sample.dataset].append(sample)
    return [
        members[index]
        for members in sets.values()
        for index in np.linspace(0, len(members) - 1, min(limit, len(members))).astype(int)
    ]


def load_plates(
    samples: Iterable[Sample], split: Split, *, untexted: bool = False
) -> tuple[list[PlateItem], Counter[str]]:
    """Every plate of ``split`` with a text the reader could answer, and how many were dropped.

    ``untexted``: every plate whether it has a text or not, all with an empty one, to pre-train on.
    """
    items: list[PlateItem] = []
    dropped: Counter[str] = Counter()
    for sample in samples:
        wanted = [plate for plate in sample.plates if untexted or plate.text is not None]
        if sample.split != split or not wanted:
            continue
        image = cv2.imread(str(sample.path), cv2.IMREAD_COLOR)
        if image is None:
            dropped[f"{sample.dataset}: unreadable picture"] += 1
            continue
        for plate in wanted:
            if untexted:
                plate = dataclasses.replace(plate, text=None)
            elif not fits(plate.text or ""):
                dropped[f"{sample.dataset}: text outside the alphabet or too long"] += 1
                continue
            items.append(cut(image, sample, plate))
    return items, dropped


def cut(image: Image, sample: Sample, plate: PlateTruth) -> PlateItem:
    """The part of the picture round one plate, with every quad known for it."""
    rows = IGNORE if plate.rows is None else plate.rows - 1
    if sample.crop:
        known = [whole(image), plate.corners_pseudo]
        origin = np.zeros(2, np.float32)
        part = image
    else:
        known = [plate.corners, plate.corners_pseudo]
        if known == [None, None]:
            known = [box_quad(plate.box)]
        hulls = np.array([quad_box(quad) for quad in known if quad])
        x1, y1 = hulls[:, :2].min(axis=0)
        x2, y2 = hulls[:, 2:].max(axis=0)
        dx, dy = (x2 - x1) * MARGIN, (y2 - y1) * MARGIN
        low = np.floor(np.maximum([x1 - dx, y1 - dy], 0)).astype(int)
        high = np.ceil([x2 + dx, y2 + dy]).astype(int)
        part = image[low[1] : high[1], low[0] : high[0]].copy()
        origin = low.astype(np.float32)
    quads = tuple(np.asarray(quad, np.float32) - origin for quad in known if quad)
    return PlateItem(image=part, quads=quads, text=plate.text or "", rows=rows,
                     dataset=sample.dataset)


def jitter(quad: Floats, rng: np.random.Generator, strength: float) -> Floats:
    """Corners as a detector would make them: each one off by some per cent of the plate's size,
    the whole a little larger, smaller, shifted or turned."""
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
    return np.asarray(moved + rng.normal(0, 1, (4, 2)) * size * spread, np.float32)


class PlateStream(IterableDataset[tuple[Image, np.ndarray, int]]):
    """An endless stream of augmented plates: (48, 192, 3) uint8, (T,) int64, rows."""

    def __init__(
        self, items: list[PlateItem], material: RenderMaterial | None,
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
            text = encode(item.text) if item.text else np.full(SLOTS, PAD)
            yield self.make(item, rng), text, item.rows

    def render(self, rng: np.random.Generator) -> PlateItem:
        """A rendered plate on a margin of some other picture."""
        assert self.material is not None
        plate = render_plate(self.material, rng)
        height, width = plate.image.shape[:2]
        dx, dy = round(width * MARGIN / 2), round(height * MARGIN / 2)
        other = self.items[rng.integers(len(self.items))].image
        canvas = cv2.resize(other, (width + 2 * dx, height + 2 * dy))
        canvas = cv2.blur(canvas, (9, 9))
        canvas[dy : dy + height, dx : dx + width] = plate.image
        quad = np.array(box_quad((dx, dy, dx + width, dy + height)), np.float32)
        return PlateItem(image=canvas, quads=(quad,), text=plate.text, rows=plate.rows - 1,
                         dataset="rendered")

    def make(self, item: PlateItem, rng: np.random.Generator) -> Image:
        """Rectify with jittered corners and augment."""
        strength = self.config.strength
        quad = item.quads[rng.integers(len(item.quads))]
        plate = rectify(item.image, jitter(quad, rng, strength))
        return augment(plate, rng, PLATE_RECIPE, strength)


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
    loader = DataLoader(
        stream, batch_size, num_workers=workers, collate_fn=collate,
        prefetch_factor=4 if workers else None, worker_init_fn=single_thread,
    )
    return iter(loader)


def single_thread(_: int) -> None:
    """One thread a worker: they run beside the training."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def evaluation_plates(data: Path, split: Split) -> list[PlateItem]:
    """Every labelled plate cut-out of a split, as the runtime's ``--crops`` would read it; where
    the data has no cut-outs, the labelled plates of its frames.

    Raises:
        DataError: the split has no labelled plate.
    """
    samples = [sample for sample in read(data) if sample.split is split]
    items, _ = load_plates([s for s in samples if s.crop] or samples, split)
    if not items:
        raise DataError(f"{data} has no plate with a text in split {split}; needed to evaluate")
    return items


def plain(item: PlateItem) -> Image:
    """The plate without augmentation: (48, 192, 3) uint8."""
    return rectify(item.image, item.quads[0], PLATE_HEIGHT, PLATE_WIDTH)
