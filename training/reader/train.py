"""Train the reader: ``python -m training reader --data DATA --run DIR``."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from alpr_edge.alphabet import decode
from alpr_edge.data import read
from alpr_edge.data.sample import Split
from alpr_edge.errors import UsageError
from training.checkpoint import load_weights, resumed_step
from training.loop import Evaluate, LoopConfig, seed_everything, train
from training.reader.data import (
    PlateItem,
    PlateStream,
    ReaderDataConfig,
    batches,
    evaluation_plates,
    load_plates,
    plain,
)
from training.reader.model import VARIANTS, Reader
from training.reader.pretrain import freeze_encoder, load_encoder
from training.render import RenderMaterial


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReaderRecipe:
    """Everything that shapes a reader's training."""

    data: ReaderDataConfig
    loop: LoopConfig
    batch_size: int
    encoder: Path | None = None
    """Weights of the pre-training, whose encoder the reader begins with."""
    freeze_encoder: bool = False
    """The encoder does not learn (phase 2 of :mod:`training.reader.pretrain`)."""


def edge_recipe(
    minutes: float | None = None, *, encoder: Path | None = None, freeze_encoder: bool = False
) -> ReaderRecipe:
    """The shipped reader's recipe: many small updates with the CTC help."""
    return ReaderRecipe(
        data=ReaderDataConfig(),
        loop=LoopConfig(steps=60_000, minutes=minutes, lr=7e-4, warmup=0.04, choose="exact"),
        batch_size=32,
        encoder=encoder,
        freeze_encoder=freeze_encoder,
    )


def evaluator(items: list[PlateItem], batch_size: int = 64) -> Evaluate:
    """A function that reads ``items`` with a model: exact match pooled and per set."""
    plates = torch.from_numpy(np.stack([plain(item) for item in items]))

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        model.eval()
        hits: dict[str, list[bool]] = defaultdict(list)
        for start in range(0, len(items), batch_size):
            logits, _ = model(plates[start : start + batch_size])
            for row, item in zip(logits.argmax(-1).numpy(), items[start:], strict=False):
                right = decode(row) == item.text
                hits["exact"].append(right)
                hits[item.dataset].append(right)
                if item.rows == 1:
                    hits["two_rows"].append(right)
        return {name: float(np.mean(values)) for name, values in hits.items()}

    return evaluate


def build_reader(variant: str, recipe: ReaderRecipe, start: Path | None) -> Reader:
    """The network a run begins with."""
    if variant not in VARIANTS:
        raise UsageError(f"variant {variant!r}: the reader has {', '.join(VARIANTS)}")
    if recipe.freeze_encoder and not (recipe.encoder or start):
        raise UsageError("--freeze-encoder with an encoder that has learned nothing; add "
                         "--encoder WEIGHTS of python -m training pretrain, or --start WEIGHTS")
    model = VARIANTS[variant]()
    if start is not None:
        model.load_state_dict(load_weights(start).state)
    if recipe.encoder is not None:
        load_encoder(model, recipe.encoder)
    if recipe.freeze_encoder:
        freeze_encoder(model)
    return model


def run(
    data: Path, run_dir: Path, *, variant: str = "edge", minutes: float | None = None,
    threads: int = 2, workers: int = 1, start: Path | None = None, resume: bool = True,
    encoder: Path | None = None, freeze_encoder: bool = False,
) -> dict[str, float]:
    """Train and return the last dev figures. ``start``: weights to continue from; ``encoder`` and
    ``freeze_encoder`` as in :class:`ReaderRecipe`.

    Raises:
        UsageError: no such variant, or an encoder frozen that has learned nothing. ModelError:
            ``encoder`` does not fit. DataError: the data cannot be read or has no dev plates.
    """
    recipe = edge_recipe(minutes, encoder=encoder, freeze_encoder=freeze_encoder)
    seed_everything(recipe.loop.seed)
    torch.set_num_threads(threads)
    model = build_reader(variant, recipe, start)
    items, dropped = load_plates(read(data), Split.TRAIN)
    seed = recipe.loop.seed + resumed_step(run_dir) if resume else recipe.loop.seed
    stream = PlateStream(items, RenderMaterial.load(data), recipe.data, seed)
    return train(
        model,
        batches(stream, recipe.batch_size, workers),
        recipe.loop,
        run_dir,
        evaluator(evaluation_plates(data, Split.DEV)),
        task="reader",
        resume=resume,
        notes={
            "variant": variant, "plates": len(items), "dropped": dict(dropped),
            "data_recipe": dataclasses.asdict(recipe.data),
            "encoder": load_weights(encoder).sha256 if encoder else None,
            "freeze_encoder": freeze_encoder,
        },
    )
