"""A trained reader as the beginning of a deeper one that reads exactly the same.

What is new does nothing at first, so nothing that was learned is lost: a transformer block is a
copy of the last one whose two branches end in zeros (as Wu et al. 2024, "LLaMA Pro"), and a
convolution of the stem passes on what it gets, its batch norm undoing its own normalisation (Chen
et al. 2016, "Net2Net").
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from alpr_edge.data.sample import Split
from alpr_edge.errors import ModelError
from training.checkpoint import save_weights
from training.networks import load, variant_of
from training.reader.data import evaluation_plates, plain
from training.reader.model import (
    ConvBlock,
    EncoderBlock,
    Reader,
    ReaderConfig,
    normalize,
)

PLATES = 600
"""Of ``calib``, at most: what a new batch norm's statistics are of."""
BRANCHES = "attention.out", "mlp.3"
"""The last layers of a block's two branches."""


def grow(start: Path, data: Path, to: Path, variant: str) -> float:
    """Write the weights of ``start``, a reader, as those of the deeper ``variant``.

    Returns the largest difference of the two's outputs on plates of split calib: rounding.

    Raises:
        UsageError: no such variant. ModelError: ``start`` is no reader, or the variant differs
            from it in more than the depth of its stem and of its encoder. DataError: the data
            cannot be read, or has no calib plates with a text.
    """
    config = variant_of(variant).config
    weights, began = load(start, Reader)
    check(began.config, config, start)
    items = evaluation_plates(data, Split.CALIB)[:PLATES]
    plates = torch.from_numpy(np.stack([plain(item) for item in items]))
    made = grown(began, config, plates)
    with torch.inference_mode():
        pairs = zip(began(plates), made(plates), strict=True)
        difference = max(float((old - new).abs().max()) for old, new in pairs)
    save_weights(
        to, task=weights.task, config=config, state=made.state_dict(),
        notes=weights.notes | {"grown": {"of": weights.sha256, "variant": variant}},
    )
    return difference


def check(began: ReaderConfig, config: ReaderConfig, start: Path) -> None:
    """Whether a reader can grow from ``began`` to ``config``.

    Raises:
        ModelError: it cannot; says why.
    """
    deeper = dataclasses.replace(
        began, stem_depth=config.stem_depth, encoder_layers=config.encoder_layers,
        dropout=config.dropout,
    ) if not (began.stem_widths or began.head_counts or began.mlp_widths) else None
    if deeper != config:
        raise ModelError(f"{start} differs from the variant in more than its depth; needed: equal "
                         "but for stem_depth and encoder_layers, and not pruned")
    if began.stem_depth > config.stem_depth or began.encoder_layers > config.encoder_layers:
        raise ModelError(
            f"{start} has {began.encoder_layers} layers and a stem of depth {began.stem_depth}, "
            f"the variant {config.encoder_layers} and {config.stem_depth}; needed: at least as deep"
        )


@torch.no_grad()
def grown(began: Reader, config: ReaderConfig, plates: Tensor) -> Reader:
    """A reader of ``config`` that answers like ``began``; ``plates`` (N, 48, 192, 3) uint8 BGR give
    the statistics of what is new in the stem."""
    made = Reader(config).eval()
    own, taken = made.encoder.embed, began.encoder.embed
    own.position.copy_(taken.position)
    features = normalize(plates)
    theirs, depth = iter(taken.layers), began.config.stem_depth
    for index, layer in enumerate(own.layers):
        number = (index - 1) % config.stem_depth if 0 < index < len(config.convolutions) else 0
        if number < depth:
            layer.load_state_dict(next(theirs).state_dict())
        else:
            pass_on(layer, features)
        features = layer(features)
    for index, block in enumerate(made.encoder.blocks):
        last = min(index, len(began.encoder.blocks) - 1)
        block.load_state_dict(began.encoder.blocks[last].state_dict())
        if index != last:
            say_nothing(block)
    for name, module in made.named_children():
        if name != "encoder":
            module.load_state_dict(getattr(began, name).state_dict())
    made.encoder.norm.load_state_dict(began.encoder.norm.state_dict())
    made.queries.copy_(began.queries)
    return made


def pass_on(layer: ConvBlock, features: Tensor) -> None:
    """Make a convolution answer what it is given: ``features`` (N, C, H, W), none negative. Its
    batch norm has their statistics twice, to normalise by and to undo it with."""
    convolution, norm, _ = layer
    nn.init.dirac_(convolution.weight)
    mean, variance = features.mean((0, 2, 3)), features.var((0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.bias.copy_(mean)
    norm.weight.copy_((variance + norm.eps).sqrt())


def say_nothing(block: EncoderBlock) -> None:
    """Make a transformer block answer what it is given."""
    for branch in BRANCHES:
        last = block.get_submodule(branch)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
