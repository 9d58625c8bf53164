"""Train the reader: ``python -m training reader --data DATA --run DIR``."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from alpr_edge.data import read
from alpr_edge.data.sample import Split
from alpr_edge.errors import UsageError
from alpr_edge.reader import decode_logits
from training.checkpoint import data_hash, load_weights, resumed_step
from training.loop import Evaluate, LoopConfig, seed_everything, train
from training.plots import write_worst
from training.pseudo import with_pseudo
from training.reader.data import (
    PlateItem,
    PlateStream,
    ReaderDataConfig,
    batches,
    evaluation_plates,
    load_plates,
    plain,
    some_of_each_set,
)
from training.reader.model import VARIANTS, Reader
from training.reader.pretrain import freeze_encoder, load_encoder
from training.render import RenderMaterial

FAST_MINUTES, FAST_PLATES = 10.0, 400


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
    pseudo: Path | None = None
    """Texts for the plates without one (:mod:`training.pseudo`)."""
    limit: int | None = None
    """So many pictures of each set only, None for all."""


def edge_recipe(
    minutes: float | None = None, *, encoder: Path | None = None, freeze_encoder: bool = False,
    pseudo: Path | None = None,
) -> ReaderRecipe:
    """The shipped reader's recipe: many small updates with the CTC help."""
    return ReaderRecipe(
        data=ReaderDataConfig(),
        loop=LoopConfig(steps=60_000, minutes=minutes, lr=7e-4, warmup=0.04, choose="exact"),
        batch_size=32,
        encoder=encoder,
        freeze_encoder=freeze_encoder,
        pseudo=pseudo,
    )


def fast_recipe(
    minutes: float | None = None, *, encoder: Path | None = None, freeze_encoder: bool = False,
    pseudo: Path | None = None,
) -> ReaderRecipe:
    """A useful figure in 10 minutes on two cores: few plates of each set, and a schedule and an
    average as short as the run."""
    edge = edge_recipe(
        minutes or FAST_MINUTES, encoder=encoder, freeze_encoder=freeze_encoder, pseudo=pseudo
    )
    loop = dataclasses.replace(edge.loop, ema=0.99, evaluate_minutes=FAST_MINUTES / 2)
    return dataclasses.replace(edge, loop=loop, limit=FAST_PLATES)


def evaluator(
    items: list[PlateItem], run_dir: Path | None = None, batch_size: int = 64
) -> Evaluate:
    """A function that reads ``items`` with a model: exact match pooled and per set.

    It shows the worst reads in ``run_dir``, where one is given.
    """
    images = [plain(item) for item in items]
    plates = torch.from_numpy(np.stack(images))
    truths = [item.text for item in items]

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        model.eval()
        answers = [model(part) for part in plates.split(batch_size)]
        logits, rows = (torch.cat(parts).float().numpy() for parts in zip(*answers, strict=True))
        readings = decode_logits(logits, rows.argmax(-1) + 1, temperature=1.0)
        hits: dict[str, list[bool]] = defaultdict(list)
        for reading, item in zip(readings, items, strict=True):
            right = reading.text == item.text
            hits["exact"].append(right)
            hits[item.dataset].append(right)
            if item.rows == 1:
                hits["two_rows"].append(right)
        if run_dir is not None:
            write_worst(run_dir, images, truths, readings)
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
    encoder: Path | None = None, freeze_encoder: bool = False, pseudo: Path | None = None,
    fast: bool = False,
) -> dict[str, float]:
    """Train and return the last dev figures. ``start``: weights to continue from; ``encoder``,
    ``freeze_encoder`` and ``pseudo`` as in :class:`ReaderRecipe`; ``fast``: by
    :func:`fast_recipe`.

    Raises:
        UsageError: no such variant, or an encoder frozen that has learned nothing. ModelError:
            ``encoder`` does not fit. DataError: the data cannot be read or has no dev plates.
    """
    named = fast_recipe if fast else edge_recipe
    recipe = named(minutes, encoder=encoder, freeze_encoder=freeze_encoder, pseudo=pseudo)
    seed_everything(recipe.loop.seed)
    torch.set_num_threads(threads)
    model = build_reader(variant, recipe, start)
    samples = read(data) if pseudo is None else with_pseudo(read(data), data, pseudo)
    if recipe.limit is not None:
        samples = iter(some_of_each_set(samples, Split.TRAIN, recipe.limit))
    items, dropped = load_plates(samples, Split.TRAIN)
    seed = recipe.loop.seed + resumed_step(run_dir) if resume else recipe.loop.seed
    stream = PlateStream(items, RenderMaterial.load(data), recipe.data, seed)
    return train(
        model,
        batches(stream, recipe.batch_size, workers),
        recipe.loop,
        run_dir,
        evaluator(evaluation_plates(data, Split.DEV), run_dir),
        task="reader",
        resume=resume,
        notes={
            "variant": variant, "fast": fast, "plates": len(items), "dropped": dict(dropped),
            "data_hash": data_hash(data), "data_recipe": dataclasses.asdict(recipe.data),
            "encoder": load_weights(encoder).sha256 if encoder else None,
            "freeze_encoder": freeze_encoder, "pseudo": pseudo is not None,
        },
    )
