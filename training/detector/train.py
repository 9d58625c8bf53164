"""Training of the detector: the named sizes, the recipe, and the call of the loop."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import torch

from alpr_edge.data.sample import Split
from alpr_edge.errors import UsageError
from training.checkpoint import begin_with, data_hash
from training.detector.data import DataConfig, FrameDataset
from training.detector.evaluate import evaluate, frames_of
from training.detector.mobilenetv4 import imagenet_weights
from training.detector.model import Detector, detector_edge, detector_medium, detector_small
from training.detector.scenes import batches
from training.loop import LoopConfig, begin, train
from training.missed import read_missed
from training.options import DEFAULTS, RunOptions
from training.selection import trained_on

VARIANTS = {"edge": detector_edge, "small": detector_small, "medium": detector_medium}
STEPS = 30_000
FAST_MINUTES, FAST_FRAMES = 10.0, 600


def edge_loop(
    steps: int = STEPS, minutes: float | None = None, imagenet: Path | None = None
) -> LoopConfig:
    """The shipped detector's recipe."""
    return LoopConfig(
        steps=steps, minutes=minutes, lr=1e-3, choose="score",
        backbone="backbone." if imagenet else "",
    )


def fast_loop(minutes: float | None = None, imagenet: Path | None = None) -> LoopConfig:
    """A useful figure in 10 minutes on two cores, with :data:`FAST_FRAMES` of the frames."""
    return dataclasses.replace(
        edge_loop(minutes=minutes or FAST_MINUTES, imagenet=imagenet), ema=0.99,
        evaluate_minutes=FAST_MINUTES / 2,
    )


def build_detector(variant: str, start: Path | None, imagenet: Path | None) -> Detector:
    """The network a run begins with."""
    if variant not in VARIANTS:
        raise UsageError(f"variant {variant!r}: the detector has {', '.join(VARIANTS)}")
    model = VARIANTS[variant]().to(memory_format=torch.channels_last)
    if start:
        begin_with(model, start)
    elif imagenet:
        model.backbone.load_state_dict(imagenet_weights(imagenet))
    return model


def run(
    data: Path, run_dir: Path, loop: LoopConfig, *, variant: str = "edge",
    start: Path | None = None, imagenet: Path | None = None, limit: int | None = None,
    leave_out: tuple[str, ...] = (), missed: Path | None = None, options: RunOptions = DEFAULTS,
) -> None:
    """Train on the frames of split train, choose on dev; see :func:`training.loop.train`.

    ``start``: weights of ours to continue from. ``imagenet``: timm's weights for the backbone,
    which then learns at a tenth of the rate. ``limit``: so many frames only. ``leave_out``: sets
    not learned from. ``missed``: a list of plates to ignore (:mod:`training.missed`).
    """
    seed = begin(run_dir, loop.seed, options)
    model = build_detector(variant, start, imagenet)
    config = DataConfig()
    dataset = FrameDataset(
        data, config, seed=seed, limit=limit, leave_out=leave_out,
        missed=read_missed(data, missed),
    )
    dev = frames_of(data, Split.DEV)
    lines = trained_on(
        {sample.dataset for sample in dataset.samples}, rendered=True, earlier=(start,)
    )
    train(
        model, batches(dataset, options.workers), loop, run_dir,
        functools.partial(evaluate, frames=dev), task="detector", options=options,
        notes={
            "variant": variant, "limit": limit, "frames": len(dataset.samples),
            "data_hash": data_hash(data), "data_recipe": dataclasses.asdict(config),
            "left_out": list(leave_out),
            "missed": sum(map(len, dataset.missed.values())),
            "trained_on": [*lines, *(["ImageNet (the backbone's start)"] if imagenet else [])],
        },
    )
