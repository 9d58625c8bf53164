"""Train the reader: ``python -m training reader --data DATA --run DIR``."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
from torch import nn

from alpr_edge.data.sample import Split
from alpr_edge.errors import UsageError
from training.checkpoint import begin_with, data_hash, load_weights
from training.loop import Evaluate, LoopConfig, begin, train
from training.networks import variant_of
from training.options import DEFAULTS, RunOptions
from training.plots import write_worst
from training.reader.answers import outputs_of, reread
from training.reader.data import (
    Plate,
    PlateStream,
    ReaderDataConfig,
    batches,
    evaluation_plates,
    plain,
    train_plates,
)
from training.reader.model import Reader, ReaderConfig
from training.reader.nothing import without_text
from training.reader.pretrain import freeze_encoder, load_encoder
from training.reader.uppers import with_uppers
from training.render import RenderMaterial
from training.selection import EVERYTHING, Selection, select, trained_on

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
    selection: Selection = EVERYTHING
    """Which of the data to learn from."""
    network: ReaderConfig | None = None
    """The network; None for the variant's own."""
    dropout: float | None = None
    """While this run learns; None for the network's own."""


def edge_recipe(minutes: float | None = None) -> ReaderRecipe:
    """The shipped reader's recipe: many small updates with the CTC help."""
    return ReaderRecipe(
        data=ReaderDataConfig(),
        loop=LoopConfig(steps=60_000, minutes=minutes, lr=7e-4, warmup=0.04, choose="exact"),
        batch_size=32,
    )


def fast_recipe(minutes: float | None = None) -> ReaderRecipe:
    """A useful figure in 10 minutes on two cores: few plates of each set, and a schedule and an
    average as short as the run."""
    edge = edge_recipe(minutes or FAST_MINUTES)
    return dataclasses.replace(
        edge, selection=dataclasses.replace(edge.selection, limit=FAST_PLATES),
        loop=dataclasses.replace(edge.loop, ema=0.99, evaluate_minutes=FAST_MINUTES / 2),
    )


def polish_recipe(minutes: float | None = None) -> ReaderRecipe:
    """Going on with a trained reader: at so low a rate it forgets little, and with little dropout
    its loss still falls."""
    edge = edge_recipe(minutes)
    return dataclasses.replace(edge, loop=dataclasses.replace(edge.loop, lr=2e-4), dropout=0.05)


def evaluator(
    items: list[Plate], run_dir: Path | None = None
) -> Evaluate:
    """A function that reads ``items`` with a model as the runtime does, again where it is
    uncertain: exact match pooled and per set.

    It shows the worst reads in ``run_dir``, where one is given.
    """
    images = [plain(item) for item in items]
    plates = np.stack(images)
    truths = [item.text for item in items]

    def evaluate(model: nn.Module) -> dict[str, float]:
        readings = reread(model, items, outputs_of(model, plates))
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
    if recipe.freeze_encoder and not (recipe.encoder or start):
        raise UsageError("--freeze-encoder with an encoder that has learned nothing; add "
                         "--encoder WEIGHTS of python -m training pretrain, or --start WEIGHTS")
    network = recipe.network or variant_of(variant).config
    if recipe.dropout is not None:
        network = dataclasses.replace(network, dropout=recipe.dropout)
    model = Reader(network)
    if start is not None:
        begin_with(model, start)
    if recipe.encoder is not None:
        load_encoder(model, recipe.encoder)
    if recipe.freeze_encoder:
        freeze_encoder(model)
    return model


def run(
    data: Path, run_dir: Path, recipe: ReaderRecipe, *, variant: str = "edge",
    start: Path | None = None, options: RunOptions = DEFAULTS,
) -> dict[str, float]:
    """Train and return the last dev figures. ``start``: weights to continue from.

    Raises:
        UsageError: no such variant or set, or an encoder frozen that has learned nothing.
            ModelError: ``start`` or the encoder does not fit. DataError: the data cannot be read
            or has no train or dev plates with a text.
    """
    seed = begin(run_dir, recipe.loop.seed, options)
    model = build_reader(variant, recipe, start)
    selected = select(data, recipe.selection)
    items, dropped = train_plates(data, selected.samples, recipe.data.memory)
    if start is not None:
        items = with_uppers(model, items)
    asked = recipe.selection
    if asked.places is not None:
        items += without_text(
            data, asked.places, asked.missed, recipe.loop.seed, recipe.data.memory,
            leave_out=asked.leave_out,
        )
    dev = evaluation_plates(
        data, Split.DEV, asked.corrections, asked.frame_texts
    )
    stream = PlateStream(items, RenderMaterial.load(data), recipe.data, seed)
    return train(
        model,
        batches(stream, recipe.batch_size, options.workers),
        recipe.loop,
        run_dir,
        evaluator(dev, run_dir),
        task="reader",
        options=options,
        notes={
            "variant": variant, "plates": len(items), "dropped": dict(dropped),
            "data_hash": data_hash(data), "lists": asked.hashes(),
            "data_recipe": dataclasses.asdict(recipe.data),
            "encoder": load_weights(recipe.encoder).sha256 if recipe.encoder else None,
            "freeze_encoder": recipe.freeze_encoder,
            "two_rows_apart": sum(item.upper > 0 for item in items), **selected.notes,
            "trained_on": trained_on(
                {item.dataset for item in items}, pseudo_sets=selected.pseudo_sets,
                rendered=recipe.data.rendered > 0, earlier=(start, recipe.encoder),
            ),
        },
    )
