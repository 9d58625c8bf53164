"""Scenes to train a detector on: random frames, rendered plates and other things pasted on them,
and pictures of them as batches.

Legend: N batch, G plates a picture (padded to a fixed number).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from alpr_edge.data import read
from alpr_edge.data.sample import PlateTruth, Sample, SetPolicy, Split, policy
from alpr_edge.errors import DataError, ImageError
from alpr_edge.images import load_image
from alpr_edge.types import Box, Image
from training import augment
from training.detector.geometry import Plates, flip, join
from training.loader import loaded
from training.options import MEMORY
from training.render import RenderMaterial, paste_distractor, paste_plate, render_plate
from training.selection import without_sets

PSEUDO_WEIGHT = 0.3
"""Weight of the corner loss where the corners are another detector's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """How scenes are made and batched; probabilities are per picture."""

    batch: int = 8
    plates: int = 24
    paste: float = 0.5
    distract: float = 0.35
    """Pictures into which one to three things that are no plates are pasted."""
    flip: float = 0.3
    strength: float = 1.0
    """Of the photometric augmentations."""
    smallest: float = 4.0
    """Plates narrower than this many pixels are neither right nor wrong."""
    visible: float = 0.5
    """As are plates of which less than this share is inside the picture."""
    memory: int = MEMORY
    """Frames with more bytes are decoded when drawn."""


def _slight_motion(image: Image, rng: np.random.Generator, strength: float) -> Image:
    return augment.motion_blur(image, rng, 0.1 * strength)


def _slight_blur(image: Image, rng: np.random.Generator, strength: float) -> Image:
    return augment.focus_blur(image, rng, 0.12 * strength)


RECIPE: tuple[tuple[augment.Augmentation, float], ...] = (
    (augment.shade, 0.06),
    (_slight_motion, 0.10),
    (_slight_blur, 0.10),
    (augment.low_resolution, 0.06),
    (augment.exposure, 0.60),
    (augment.colour, 0.40),
    (augment.grey, 0.06),
    (augment.noise, 0.12),
    (augment.jpeg, 0.15),
)
"""The shared augmentations; blur is slight, since a plate is small in a frame."""


def truth_of(plates: tuple[PlateTruth, ...], rules: SetPolicy) -> Plates:
    """A frame's annotations as arrays, weighted by what its set's annotations are good for."""
    weights = []
    for plate in plates:
        known = 1.0 if plate.corners else PSEUDO_WEIGHT if plate.corners_pseudo else 0.0
        weights.append(known if rules.corners else 0.0)
    exact = [bool(p.corners) and rules.corners for p in plates]
    count = len(plates)
    return Plates(
        corners=np.array([p.outline for p in plates], np.float32).reshape(count, 4, 2),
        boxes=np.array([p.box for p in plates], np.float32).reshape(count, 4),
        corner_weight=np.array(weights, np.float32),
        box_weight=np.full(count, float(rules.box_loss), np.float32),
        ignore=np.zeros(count, bool),
    ).with_exact_boxes(np.array(exact, bool))


def ignored(boxes: Sequence[Box]) -> Plates:
    """Boxes that are neither right nor wrong."""
    known = truth_of(tuple(PlateTruth(box=box) for box in boxes), SetPolicy())
    return dataclasses.replace(known, ignore=np.ones(len(boxes), bool))


class SceneDataset(IterableDataset[dict[str, Tensor]]):
    """Endless batches of the pictures that a subclass makes of the training frames under ``root``.

    If all frames have at most ``config.memory`` bytes, they are decoded once and kept; loader
    processes share them. Sets are drawn with the square root of their size. ``limit`` takes so
    many frames only. ``missed`` has boxes, by the frame's path, that are neither right nor wrong:
    plates that nobody annotated.

    Raises:
        DataError: no training frame under ``root``, or a picture that cannot be read.
    """

    def __init__(
        self, root: Path, config: SceneConfig, *, seed: int, limit: int | None = None,
        leave_out: tuple[str, ...] = (), missed: Mapping[Path, Sequence[Box]] | None = None,
    ) -> None:
        self.config: SceneConfig = config
        self.seed = seed
        self.missed = missed or {}
        self.samples = [
            s for s in without_sets(list(read(root)), leave_out)
            if s.split is Split.TRAIN and not s.crop
        ]
        if not self.samples:
            raise DataError(f"{root}: no frame of split train in the index; check --data")
        if limit is not None and limit < len(self.samples):  # of every set: they are in order
            kept = np.linspace(0, len(self.samples) - 1, limit).astype(int)
            self.samples = [self.samples[index] for index in kept]
        size = sum(sample.width * sample.height * 3 for sample in self.samples)
        held = size <= config.memory
        self.images = [read_frame(sample) for sample in self.samples] if held else None
        counts = Counter(sample.dataset for sample in self.samples)
        share = np.array([counts[sample.dataset] ** -0.5 for sample in self.samples])
        self.share = share / share.sum()
        self.material = RenderMaterial.load(root)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield collate([self.picture(rng) for _ in range(self.config.batch)], self.config)

    def picture(self, rng: np.random.Generator) -> tuple[Image, Plates, bool]:
        """One training picture (H, W, 3), its plates, and whether all plates are annotated."""
        raise NotImplementedError

    def scene(self, rng: np.random.Generator) -> tuple[Sample, Image, Plates, bool]:
        """A random frame, maybe mirrored, maybe with rendered plates and with things that are none:
        the frame, the picture, its plates, and whether it is mirrored."""
        index = int(rng.choice(len(self.samples), p=self.share))
        sample = self.samples[index]
        image = self.images[index] if self.images else read_frame(sample)
        plates = join([
            truth_of(sample.plates, policy(sample.dataset)),
            ignored(self.missed.get(sample.path, ())),
        ])
        mirrored = bool(rng.random() < self.config.flip)
        if mirrored:
            image, plates = cv2.flip(image, 1), flip(plates, sample.width)
        if rng.random() < self.config.paste:
            image, plates = self._paste(rng, image, plates)
        if rng.random() < self.config.distract:
            image = self._distract(rng, image, plates)
        return sample, image, plates, mirrored

    def _paste(self, rng: np.random.Generator, image: Image, plates: Plates) -> tuple[
        Image, Plates
    ]:
        for _ in range(int(rng.integers(1, 4))):
            plate = render_plate(self.material, rng)
            pasted = paste_plate(image, plate.image, rng, avoid=_as_boxes(plates))
            if pasted is None:
                continue
            image, quad = pasted
            truth = PlateTruth(box=(0, 0, 0, 0), corners=quad)
            plates = join([plates, truth_of((truth,), policy("rendered"))])
        return image, plates

    def _distract(self, rng: np.random.Generator, image: Image, plates: Plates) -> Image:
        """Signs, badges, grilles and the like pasted beside the plates: they are no plates."""
        avoid = _as_boxes(plates)
        for _ in range(int(rng.integers(1, 4))):
            image = paste_distractor(image, self.material, rng, avoid)
        return image


def _as_boxes(plates: Plates) -> list[Box]:
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in plates.boxes]


def read_frame(sample: Sample) -> Image:
    """The decoded picture.

    Raises:
        DataError: it cannot be read, or has another size than the index says.
    """
    try:
        image = load_image(sample.path)
    except ImageError as error:
        raise DataError(f"{error}; copy the data folder again") from error
    if image.shape[:2] != (sample.height, sample.width):
        raise DataError(
            f"{sample.path}: {image.shape[1]}x{image.shape[0]} pixels, but the index says "
            f"{sample.width}x{sample.height}; the annotations would not fit"
        )
    return image


def collate(pictures: list[tuple[Image, Plates, bool]], config: SceneConfig) -> dict[str, Tensor]:
    """Pictures as a batch for :func:`training.detector.loss.detection_loss`.

    More than G plates in a picture: the surplus is dropped and the picture called incomplete.
    """
    count, room = len(pictures), config.plates
    boxes = np.zeros((count, room, 4), np.float32)
    corners = np.zeros((count, room, 4, 2), np.float32)
    weights = np.zeros((2, count, room), np.float32)
    flags = np.zeros((2, count, room), bool)
    complete = np.zeros(count, bool)
    for row, (_, plates, whole) in enumerate(pictures):
        used = min(room, len(plates.boxes))
        boxes[row, :used], corners[row, :used] = plates.boxes[:used], plates.corners[:used]
        weights[0, row, :used] = plates.box_weight[:used]
        weights[1, row, :used] = plates.corner_weight[:used]
        flags[0, row, :used], flags[1, row, :used] = ~plates.ignore[:used], plates.ignore[:used]
        complete[row] = whole and used == len(plates.boxes)
    arrays: dict[str, np.ndarray] = {
        "images": np.stack([image for image, _, _ in pictures]), "boxes": boxes,
        "corners": corners, "box_weight": weights[0], "corner_weight": weights[1],
        "valid": flags[0], "ignore": flags[1], "complete": complete,
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def batches(dataset: SceneDataset, workers: int) -> Iterator[dict[str, Tensor]]:
    """Endless batches, made ahead in ``workers`` processes (0: here)."""
    return loaded(dataset, workers)
