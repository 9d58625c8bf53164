"""Which units each network can do without, where their weights are, and what they cost.

A unit is a channel inside a block, a hidden unit of a two-layer network or an attention head. A
group holds the units that lie side by side in the same tensors; cutting some leaves a network that
its configuration describes.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from training.detector.mobilenetv4 import Conv, Fused, widths_of
from training.detector.model import Detector, DetectorConfig
from training.reader.model import Reader, ReaderConfig

State = dict[str, Tensor]
PACK = 8
"""Channels and hidden units are cut by as many: a vector of AVX2 holds 8 floats."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """Axis ``dim`` of the tensor ``name``, which holds the group's units ``parts`` times over."""

    name: str
    dim: int = 0
    parts: int = 1

    def unfold(self, tensor: Tensor, count: int) -> Tensor:
        """The axis as three: part, unit, what a unit has."""
        return tensor.unflatten(self.dim, (self.parts, count, -1))

    def cut(self, tensor: Tensor, count: int, kept: Tensor) -> Tensor:
        """Only the units ``kept`` of ``count``."""
        chosen = self.unfold(tensor, count).index_select(self.dim + 1, kept)
        return chosen.flatten(self.dim, self.dim + 2)

    def by_unit(self, tensor: Tensor, count: int) -> Tensor:
        """The sum (count,) over everything that a unit has."""
        return self.unfold(tensor, count).movedim(self.dim + 1, 0).flatten(1).sum(1)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """``count`` units, cut by whole packs. ``gates``: weights w of which the sum of w * gradient is
    the loss's derivative by a factor on the unit. Their number is the configuration's ``field``, or
    its entry ``index``."""

    count: int
    members: tuple[Member, ...]
    gates: tuple[tuple[Member, ...], ...]
    field: str
    index: int | None = None
    pack: int = PACK


def groups_of(network: Detector | Reader) -> list[Group]:
    """All groups of a network."""
    found = _reader(network.config) if isinstance(network, Reader) else _detector(network.config)
    return list(found)


def explicit(config: DetectorConfig | ReaderConfig) -> DetectorConfig | ReaderConfig:
    """The same network with every number of units spelt out."""
    if isinstance(config, ReaderConfig):
        return dataclasses.replace(
            config, stem_widths=config.convolutions, head_counts=config.attentions,
            mlp_widths=config.hidden,
        )
    return dataclasses.replace(
        config, widths=widths_of(config.table), tower_widths=sum(config.towers, ())
    )


def _norm(name: str) -> tuple[Member, ...]:
    """A batch norm."""
    names = ("weight", "bias", "running_mean", "running_var")
    return tuple(Member(name=f"{name}.{part}") for part in names)


def _gate(name: str) -> tuple[Member, ...]:
    """A batch norm's weight and bias."""
    return _norm(name)[:2]


def _reader(config: ReaderConfig) -> Iterator[Group]:
    last = len(config.convolutions)
    for i, count in enumerate(config.convolutions):
        own, taker = f"encoder.embed.layers.{i}", f"encoder.embed.layers.{i + 1}"
        after = Member(name=f"{taker}.weight" if i + 1 == last else f"{taker}.0.weight", dim=1)
        yield Group(
            count=count, field="stem_widths", index=i, gates=(_gate(f"{own}.1"),),
            members=(Member(name=f"{own}.0.weight"), *_norm(f"{own}.1"), after),
        )
    layers = config.encoder_layers
    blocks = [f"encoder.blocks.{i}" for i in range(layers)]
    attentions = [f"{block}.attention" for block in blocks]
    for i in range(config.decoder_layers):
        blocks.append(f"decoder.{i}")
        attentions += [f"decoder.{i}.self_attention", f"decoder.{i}.cross_attention"]
    for i, (own, count) in enumerate(zip(blocks, config.hidden, strict=True)):
        after = Member(name=f"{own}.mlp.3.weight", dim=1)
        yield Group(
            count=count, field="mlp_widths", index=i, gates=((after,),),
            members=(Member(name=f"{own}.mlp.0.weight"), Member(name=f"{own}.mlp.0.bias"), after),
        )
    for i, (own, count) in enumerate(zip(attentions, config.attentions, strict=True)):
        after = Member(name=f"{own}.out.weight", dim=1)
        before = [
            Member(name=f"{own}.{layer}.{part}", parts=parts)
            for layer, parts in (("query", 1), ("key_value", 2)) for part in ("weight", "bias")
        ]
        yield Group(
            count=count, field="head_counts", index=i, gates=((after,),),
            members=(*before, after), pack=1,
        )


def _detector(config: DetectorConfig) -> Iterator[Group]:
    yield from _backbone(config)
    yield _neck(config)
    for level, widths in enumerate(config.towers):
        for i, count in enumerate(widths):
            own = f"heads.{level}.tower.{i}"
            yield Group(
                count=count, field="tower_widths", index=level * len(widths) + i,
                gates=(_gate(f"{own}.2"),),
                members=(Member(name=f"{own}.1.weight"), *_norm(f"{own}.2"),
                         *_head_inputs(level, i + 1, len(widths))),
            )


def _backbone(config: DetectorConfig) -> Iterator[Group]:
    """The blocks' inner channels; of plain convolutions those that only another one takes, or the
    neck."""
    rows = [
        (f"backbone.blocks.{stage}.{i}", row)
        for stage, stage_rows in enumerate(config.table) for i, row in enumerate(stage_rows)
    ]
    for index, (own, row) in enumerate(rows):
        if isinstance(row, Conv):
            taker, next_row = rows[index + 1] if index + 1 < len(rows) else ("", None)
            if next_row is None or isinstance(next_row, Conv):
                norms = [f"{own}.bn1"]
                weights = (Member(name=f"{own}.conv.weight"),)
                after = f"{taker}.conv.weight" if taker else "laterals.2.0.weight"
            else:
                continue
        elif isinstance(row, Fused):
            norms, after = [f"{own}.bn1"], f"{own}.conv_pwl.weight"
            weights = (Member(name=f"{own}.conv_exp.weight"),)
        else:
            inner = [f"{own}.pw_exp", *([f"{own}.dw_mid"] if row.mid else [])]
            norms, after = [f"{name}.bn" for name in inner], f"{own}.pw_proj.conv.weight"
            weights = tuple(Member(name=f"{name}.conv.weight") for name in inner)
        members = (*weights, *(m for norm in norms for m in _norm(norm)), Member(name=after, dim=1))
        yield Group(
            count=widths_of(config.table)[index], field="widths", index=index,
            members=members, gates=(_gate(norms[-1]),),
        )


def _neck(config: DetectorConfig) -> Group:
    """The neck's channels, the same in all its maps."""
    norms = [f"laterals.{level}.1" for level in range(3)]
    members = [Member(name=f"laterals.{level}.0.weight") for level in range(3)]
    for layer in range(config.bifpn_layers):
        for fuse in ("middle_down", "fine", "middle", "coarse"):
            conv = f"neck.{layer}.{fuse}.conv"
            members += [Member(name=f"{conv}.0.weight"), Member(name=f"{conv}.1.weight"),
                        Member(name=f"{conv}.1.weight", dim=1)]
            norms.append(f"{conv}.2")
    for level, widths in enumerate(config.towers):
        members += _head_inputs(level, 0, len(widths))
    return Group(
        count=config.channels, field="channels", gates=tuple(_gate(norm) for norm in norms),
        members=(*members, *(member for norm in norms for member in _norm(norm))),
    )


def _head_inputs(level: int, layer: int, layers: int) -> tuple[Member, ...]:
    """What takes the channels that enter a tower's ``layer``."""
    if layer == layers:
        return (Member(name=f"heads.{level}.predict.weight", dim=1),)
    own = f"heads.{level}.tower.{layer}"
    return Member(name=f"{own}.0.weight"), Member(name=f"{own}.1.weight", dim=1)


@torch.no_grad()
def uses(network: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """How often each weight of a convolution or linear layer is multiplied for one uint8 picture of
    ``shape`` (1, H, W, 3): the places where the layer answers. Nothing is computed."""
    found: dict[str, int] = {}
    network = copy.deepcopy(network)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(functools.partial(_add_uses, found, f"{name}.weight"))
    with FakeTensorMode(allow_non_fake_inputs=True):
        network(torch.zeros(shape, dtype=torch.uint8))
    return found


def _add_uses(found: dict[str, int], name: str, layer: Any, _: Any, output: Tensor) -> None:
    found[name] = found.get(name, 0) + output.numel() // layer.weight.shape[0]


def macs(shapes: dict[str, Sequence[int]], used: dict[str, int]) -> int:
    """Multiply-accumulates of one picture in convolutions and linear layers; what attention
    multiplies without weights is not counted."""
    return sum(count * math.prod(shapes[name]) for name, count in used.items())
