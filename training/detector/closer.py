"""Training of the detector's closer look (:mod:`alpr_edge.closer`): the same network, on close-ups
of plates and of what the detector took for plates."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from alpr_edge.geometry import PAD_VALUE, close_scale
from alpr_edge.types import Box, Floats, Image
from training import augment
from training.checkpoint import data_hash
from training.detector.close_ups import HEIGHT, WIDTH, dev_candidates, evaluate
from training.detector.geometry import Plates, View, crop, flip, turned_view, warp
from training.detector.model import Detector
from training.detector.scenes import RECIPE, SceneConfig, SceneDataset, batches, ignored
from training.loop import LoopConfig, begin, train
from training.missed import read_missed
from training.networks import load
from training.options import DEFAULTS, RunOptions
from training.selection import trained_on

CLOSER = "closer"
"""The variant that the weights' notes tell."""
STEPS = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloseConfig(SceneConfig):
    """How close-ups are made; probabilities are per picture."""

    batch: int = 32
    plates: int = 8
    paste: float = 0.35
    distract: float = 0.15
    plate: float = 0.6
    """A plate is in the middle, where the frame has one."""
    place: float = 0.8
    """Else one of the places that the detector took for plates, where the frame has one."""
    zoom: float = 0.3
    """Greatest logarithm of the factor by which the plate is larger or smaller than usual."""
    beside: float = 0.15
    """Greatest distance from the middle, in sides of the plate."""


def closer_loop(minutes: float | None = None) -> LoopConfig:
    """The recipe."""
    return LoopConfig(
        steps=STEPS, minutes=minutes, lr=1e-3, choose="score", evaluate_minutes=8.0
    )


class CloseUps(SceneDataset):
    """Endless batches of close-ups. ``places`` has boxes, by the frame's path, where the detector
    saw plates that nobody annotated; what ``missed`` has of them is neither right nor wrong."""

    config: CloseConfig

    def __init__(
        self, root: Path, config: CloseConfig, *, seed: int,
        places: Mapping[Path, Sequence[Box]] | None = None,
        missed: Mapping[Path, Sequence[Box]] | None = None, limit: int | None = None,
    ) -> None:
        super().__init__(root, config, seed=seed, limit=limit, missed=missed)
        self.places = places or {}

    def picture(self, rng: np.random.Generator) -> tuple[Image, Plates, bool]:
        """One close-up (128, 192, 3), its plates, and whether all plates are annotated."""
        config = self.config
        sample, image, plates, mirrored = self.scene(rng)
        places = ignored(self.places.get(sample.path, ()))
        if mirrored:
            places = flip(places, sample.width)
        box = self._middle(rng, plates, places.boxes, image.shape[:2])
        view = close_view(rng, plates, box, config)
        seen = warp(image, view, (HEIGHT, WIDTH), PAD_VALUE)
        plates = crop(view.move(plates), HEIGHT, WIDTH, config.visible, config.smallest)
        return augment.augment(seen, rng, RECIPE, config.strength), plates, sample.complete

    def _middle(
        self, rng: np.random.Generator, plates: Plates, places: Floats, size: tuple[int, ...]
    ) -> Floats:
        """The box (4,) that the close-up is of."""
        known = plates.boxes[~plates.ignore]
        if len(known) and rng.random() < self.config.plate:
            return known[rng.integers(len(known))]
        if len(places) and rng.random() < self.config.place:
            return places[rng.integers(len(places))]
        height, width = size
        side = width * np.exp(rng.uniform(np.log(0.02), np.log(0.4)))
        half = np.array([side, side * rng.uniform(0.2, 0.6)]) / 2
        middle = rng.uniform(0, 1, 2) * [width, height]
        return np.concatenate([middle - half, middle + half]).astype(np.float32)


def close_view(
    rng: np.random.Generator, plates: Plates, box: Floats, config: CloseConfig
) -> View:
    """A view of a box about as :func:`alpr_edge.geometry.close_up` makes it."""
    sides = np.maximum(box[2:] - box[:2], 1)
    scale = close_scale(tuple(box.tolist()), HEIGHT, WIDTH)
    scale *= np.exp(rng.uniform(-config.zoom, config.zoom))
    middle = (box[:2] + box[2:]) / 2 + rng.uniform(-config.beside, config.beside, 2) * sides
    offset = np.array([WIDTH, HEIGHT]) / 2 - scale * middle
    return turned_view(rng, plates, scale, offset, (HEIGHT, WIDTH))


def run(
    data: Path, run_dir: Path, loop: LoopConfig, *, detector: Path, start: Path,
    places: Path | None = None, missed: Path | None = None, options: RunOptions = DEFAULTS,
) -> None:
    """Train on close-ups of the train frames, choose on what the ``detector`` finds on dev.

    ``start``: a detector's weights to begin with. ``places``: a list of what it took for plates
    (:mod:`training.missed`); ``missed``: the part of it that nobody annotated though it is plates.
    """
    seed = begin(run_dir, loop.seed, options)
    model = load(start, Detector)[1].to(memory_format=torch.channels_last)
    config = CloseConfig()
    dataset = CloseUps(
        data, config, seed=seed, places=read_missed(data, places), missed=read_missed(data, missed)
    )
    dev = dev_candidates(data, detector, options.threads)
    lines = trained_on(
        {sample.dataset for sample in dataset.samples}, rendered=True, earlier=(start,)
    )
    train(
        model, batches(dataset, options.workers), loop, run_dir,
        functools.partial(evaluate, candidates=dev), task="detector", options=options,
        notes={
            "variant": CLOSER, "frames": len(dataset.samples), "data_hash": data_hash(data),
            "data_recipe": dataclasses.asdict(config),
            "places": sum(map(len, dataset.places.values())),
            "missed": sum(map(len, dataset.missed.values())),
            "trained_on": lines,
        },
    )
