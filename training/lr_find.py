"""Find a learning rate: ``python -m training lr-find reader|detector --data DATA --out DIR``.

A sweep in which the rate rises exponentially, one batch a rate, until the loss diverges (Smith
2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3).
"""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

from alpr_edge.data import read
from alpr_edge.errors import UsageError
from training.checkpoint import parameter_groups
from training.detector import train as detector
from training.detector.data import DataConfig, FrameDataset
from training.detector.scenes import batches as frame_batches
from training.loop import (
    Batch,
    LoopConfig,
    NonFiniteLossError,
    descend,
    losses_of,
    seed_everything,
)
from training.reader import train as reader
from training.reader.data import PlateStream, train_plates
from training.reader.data import batches as plate_batches
from training.render import RenderMaterial

SMOOTHING = 0.9
"""Weight of the past in the smoothed loss."""
DIVERGED = 4.0
"""The sweep ends where the smoothed loss is this many times its lowest."""
BELOW = 10.0
"""The suggestion is the rate of the lowest smoothed loss divided by this."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The curve: rates, the loss at each, the loss smoothed, and whether it diverged."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged: bool

    @property
    def suggestion(self) -> float:
        """The rate one order of magnitude below that of the lowest smoothed loss."""
        return self.rates[self.smoothed.index(min(self.smoothed))] / BELOW


def smooth(losses: Sequence[float]) -> list[float]:
    """Exponential mean of ``losses`` with weight SMOOTHING, not biased towards zero."""
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**count))
    return smoothed


def lr_find(
    model: nn.Module, batches: Iterator[Batch], config: LoopConfig, *,
    lowest: float = 1e-6, highest: float = 1.0, steps: int = 100,
) -> Sweep:
    """Sweep the rate from ``lowest`` to ``highest`` in ``steps`` steps on a copy of ``model``.

    Groups, clipping and precision are those of ``config``; the backbone's rate keeps its ratio.

    Raises:
        UsageError: the rates do not rise, or fewer than 2 steps. NonFiniteLossError: the loss is
            not finite before any rate was tried.
    """
    if not 0 < lowest < highest or steps < 2:
        raise UsageError(f"a sweep from {lowest} to {highest} in {steps} steps; give rates that "
                         "rise, above 0, and at least 2 steps")
    model = copy.deepcopy(model).train()
    groups = parameter_groups(
        model, lr=1.0, weight_decay=config.weight_decay, backbone=config.backbone,
        backbone_ratio=config.backbone_ratio,
    )
    optimizer = torch.optim.AdamW(groups)
    losses: list[float] = []
    rates: list[float] = []
    diverged = True  # unless the sweep reaches the highest rate
    for step in range(steps):
        rate = lowest * (highest / lowest) ** (step / (steps - 1))
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * rate
        loss = losses_of(model, next(batches), torch.device("cpu"), amp=config.amp)["loss"]
        try:
            descend(model, optimizer, loss, config.clip)
        except NonFiniteLossError:
            break
        rates.append(rate)
        losses.append(loss.item())
        smoothed = smooth(losses)
        if smoothed[-1] > DIVERGED * min(smoothed):
            break
    else:
        diverged = False
    if not losses:
        raise NonFiniteLossError("the loss is not finite before any step; check data and weights")
    return Sweep(
        rates=tuple(rates), losses=tuple(losses), smoothed=tuple(smooth(losses)), diverged=diverged
    )


def write(sweep: Sweep, out: Path, title: str) -> None:
    """Write lr_find.csv (rate, loss, smoothed), lr_find.png and lr_find.json into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lr_find.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["rate", "loss", "smoothed"])
        table.writerows(zip(sweep.rates, sweep.losses, sweep.smoothed, strict=True))
    facts = {"suggestion": sweep.suggestion, "diverged": sweep.diverged, "steps": len(sweep.rates)}
    (out / "lr_find.json").write_text(json.dumps(facts, indent=1))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(sweep.rates, sweep.losses, color="0.8", label="loss")
    axes.semilogx(sweep.rates, sweep.smoothed, label="smoothed")
    axes.axvline(sweep.suggestion, linestyle="--", label=f"suggestion {sweep.suggestion:.1e}")
    floor, top = min(sweep.losses), sweep.smoothed[0]
    axes.set(title=title, xlabel="learning rate", ylabel="loss")
    axes.set_ylim(floor - 0.1 * abs(floor), max(1.5 * top, floor + 1e-6))
    axes.legend()
    figure.savefig(out / "lr_find.png", dpi=120)


def run(
    task: str, data: Path, out: Path, *, variant: str = "edge", steps: int = 100,
    threads: int = 2, workers: int = 1, start: Path | None = None, imagenet: Path | None = None,
) -> Sweep:
    """Sweep the recipe of ``task``, "reader" or "detector", on the pictures of split train.

    Raises:
        UsageError: no such variant, or ``imagenet`` for the reader. DataError: the data cannot be
            read, or has nothing to learn from.
    """
    if task == "reader" and imagenet:
        raise UsageError("--imagenet is for the detector's backbone; leave it out for the reader")
    torch.set_num_threads(threads)
    if task == "reader":
        recipe = reader.edge_recipe()
        loop = recipe.loop
        seed_everything(loop.seed)
        model: nn.Module = reader.build_reader(variant, recipe, start)
        items, _ = train_plates(data, read(data))
        stream = PlateStream(items, RenderMaterial.load(data), recipe.data, loop.seed)
        batches: Iterator[Batch] = plate_batches(stream, recipe.batch_size, workers)
    else:
        loop = detector.edge_loop(imagenet=imagenet)
        seed_everything(loop.seed)
        model = detector.build_detector(variant, start, imagenet)
        batches = frame_batches(FrameDataset(data, DataConfig(), seed=loop.seed), workers)
    sweep = lr_find(model, batches, loop, steps=steps)
    write(sweep, out, f"{task} {variant}")
    return sweep
