"""The detector: MobileNetV4 backbone, BiFPN neck, one-point-a-cell head for score, box, corners.

EfficientDet (Tan et al. 2020) section 3 for the neck: three levels instead of five, and ReLU after
each convolution instead of swish before it. GFL (Li et al. 2020) and SCRFD (Guo et al. 2021) for
the head: one anchor a cell instead of two, batch norm, a tower of its own for each stride, corners
by L1 over the plate's width; the backbone is not searched for.

Legend: N batch, P cells of strides 8, 16, 32 one after the other, B bins of
a box side's distribution. Distances and offsets are in units of the cell's stride.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from alpr_edge.decode import MAX_CANDIDATES, STRIDES, decode_boxes, decode_corners, grid
from training.detector.loss import LossConfig, detection_loss
from training.detector.mobilenetv4 import (
    CONV_MEDIUM,
    CONV_SMALL,
    Depthwise,
    MobileNetV4,
    Table,
    Widths,
    widths_of,
    with_widths,
)

MEAN_BGR, STD_BGR = (0.406, 0.456, 0.485), (0.225, 0.224, 0.229)
"""ImageNet's statistics, in the order of our pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Everything that shapes the network."""

    backbone: Literal["conv_small", "conv_medium"] = "conv_small"
    channels: int = 64
    bifpn_layers: int = 2
    head_layers: int = 2
    bins: int = 17
    """A box side is the expectation over distances 0, 1 .. bins - 1 strides (GFL section 3.2)."""
    widths: Widths = ()
    """Inner channels of the backbone's blocks (:func:`.mobilenetv4.with_widths`); () means the
    table's own."""
    tower_widths: tuple[int, ...] = ()
    """Channels of each layer of each head's tower, stride 8's first; () means ``channels``."""

    @property
    def table(self) -> Table:
        """The backbone."""
        tables = {"conv_small": CONV_SMALL, "conv_medium": CONV_MEDIUM}
        return with_widths(tables[self.backbone], self.widths)

    @property
    def towers(self) -> tuple[tuple[int, ...], ...]:
        """Channels of the layers of each head's tower."""
        count = self.head_layers
        flat = self.tower_widths or (self.channels,) * (count * len(STRIDES))
        if len(flat) != count * len(STRIDES):
            raise ValueError(f"tower_widths has {len(flat)} entries, needed: "
                             f"{count * len(STRIDES)}")
        return tuple(flat[i * count : (i + 1) * count] for i in range(len(STRIDES)))


def _separable(inputs: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        Depthwise(inputs, 3),
        nn.Conv2d(inputs, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class _Fuse(nn.Module):
    """Fast normalised fusion of maps of one size, then a separable convolution."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))
        self.conv = _separable(channels, channels)

    def forward(self, *maps: Tensor) -> Tensor:
        weight = torch.relu(self.weight)
        weight = weight / (weight.sum() + 1e-4)
        fused = maps[0] * weight[0]
        for index, other in enumerate(maps[1:], 1):
            fused = fused + other * weight[index]
        return self.conv(fused)


def _up(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _down(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=2, padding=1)


class BiFPNLayer(nn.Module):
    """One top-down and one bottom-up pass over the maps of strides 8, 16, 32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.middle_down, self.fine = _Fuse(2, channels), _Fuse(2, channels)
        self.middle, self.coarse = _Fuse(3, channels), _Fuse(2, channels)

    def forward(self, p8: Tensor, p16: Tensor, p32: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        middle = self.middle_down(p16, _up(p32))
        out8 = self.fine(p8, _up(middle))
        out16 = self.middle(p16, middle, _down(out8))
        return out8, out16, self.coarse(p32, _down(out16))


class Head(nn.Module):
    """One level's tower; a cell's outputs are its score logit, 4 B bin logits and 8 offsets."""

    def __init__(self, config: DetectorConfig, widths: tuple[int, ...]) -> None:
        super().__init__()
        sides = (config.channels, *widths)
        self.tower = nn.Sequential(*(_separable(a, b) for a, b in itertools.pairwise(sides)))
        self.predict = nn.Conv2d(sides[-1], 1 + 4 * config.bins + 8, 1)
        nn.init.normal_(self.predict.weight, std=0.01)
        nn.init.zeros_(self.predict.bias)
        with torch.no_grad():  # focal loss section 4.1: begin with "nothing here"
            self.predict.bias[0] = -math.log((1 - 0.01) / 0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tower(x)
        with torch.autocast(x.device.type, enabled=False):  # offsets need more than bf16's 8 bits
            x = self.predict(x.float())
        return x.permute(0, 2, 3, 1).flatten(1, 2)  # (N, cells, 1 + 4 B + 8)


class Detector(nn.Module):
    """The trained module is the exported module; see :meth:`forward` for the contract.

    Only the best cells are decoded, in the graph: the softmax of all cells' distributions is work
    that 8 bits do not make faster.
    """

    mean: Tensor
    std: Tensor
    steps: Tensor

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = MobileNetV4(config.table)
        self.laterals = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c, config.channels, 1, bias=False), nn.BatchNorm2d(config.channels)
            )
            for c in self.backbone.channels
        )
        self.neck = nn.ModuleList(
            BiFPNLayer(config.channels) for _ in range(config.bifpn_layers)
        )
        self.heads = nn.ModuleList(Head(config, widths) for widths in config.towers)
        self.register_buffer("mean", torch.tensor(MEAN_BGR) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD_BGR) * 255, persistent=False)
        bins = torch.arange(config.bins, dtype=torch.float32)
        self.register_buffer("steps", bins, persistent=False)

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (N, H, W, 3) uint8 BGR, sides multiples of 32, to score logits (N, P),
        bin logits (N, P, 4, B) of left top right bottom, and corner offsets (N, P, 8)."""
        return parts(self.answer(self.maps(images)))

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """The neck's maps (N, channels, h, w) of strides 8, 16, 32."""
        x = (images.float() - self.mean) / self.std
        maps = self.backbone(x.permute(0, 3, 1, 2))
        maps = tuple(lateral(m) for lateral, m in zip(self.laterals, maps, strict=True))
        for layer in self.neck:
            maps = layer(*maps)
        return maps

    def answer(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The neck's maps to the heads' numbers of every cell (N, P, 1 + 4 B + 8)."""
        return torch.cat([head(m) for head, m in zip(self.heads, maps, strict=True)], dim=1)

    def expect(self, bins: Tensor) -> Tensor:
        """Bin logits (..., B) to the expected distance (...), in strides."""
        return (bins.softmax(-1) * self.steps).sum(-1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures (N, H, W, 3) uint8 BGR to the K best cells, best first: ``scores`` (N, K) in
        0..1, ``boxes`` (N, K, 4) x1 y1 x2 y2 and ``corners`` (N, K, 4, 2) in the input's pixels,
        ``cells`` (N, K) their numbers. K is :data:`alpr_edge.decode.MAX_CANDIDATES`, or P where
        there are fewer cells."""
        return self.deployed((self.answer(self.maps(images)),), images)

    def deployed(
        self, outputs: tuple[Tensor, ...], images: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The outputs of :meth:`inside` to those of :meth:`forward`."""
        cells = outputs[0]
        count = min(MAX_CANDIDATES, cells.shape[1])
        _, best = cells[..., 0].topk(count, dim=1)  # (N, K)
        logits, bins, offsets = parts(_of_each(cells, best))
        points, strides = (
            functional.embedding(best, torch.from_numpy(values).to(cells.device))
            for values in grid(*map(int, images.shape[1:3]))  # a tracer's sizes are tensors
        )
        boxes = decode_boxes(points, strides, self.expect(bins))
        return logits.sigmoid(), boxes, decode_corners(points, strides, offsets), best

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses of a batch of :mod:`training.detector.data`; ``loss`` is their sum."""
        return self.losses((self.answer(self.maps(batch["images"])),), batch)

    def inside(self, images: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Of pictures what :mod:`training.distill` compares: features, then the numbers of every
        cell, as :meth:`answer` gives them."""
        maps = self.maps(images)
        return maps, (self.answer(maps),)

    def losses(self, outputs: tuple[Tensor, ...], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """:meth:`loss` of the outputs of :meth:`inside`."""
        logits, bins, offsets = (part.float() for part in parts(outputs[0]))
        with torch.autocast(logits.device.type, enabled=False):
            return detection_loss(
                logits, bins, self.expect(bins), offsets, batch, LossConfig(),
            )


def parts(cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The heads' numbers (..., 1 + 4 B + 8) as score logits (...), bin logits (..., 4, B) of left
    top right bottom, and corner offsets (..., 8)."""
    bins = cells[..., 1:-8]
    return cells[..., 0], bins.unflatten(-1, (4, bins.shape[-1] // 4)), cells[..., -8:]


def _of_each(cells: Tensor, best: Tensor) -> Tensor:
    """Of cells (N, P, ...) those numbered ``best`` (N, K) of each picture: (N, K, ...). One
    selection over all pictures: the graph's engines are quicker at it than at gathering."""
    first = torch.arange(len(cells), device=cells.device)[:, None] * cells.shape[1]
    return cells.flatten(0, 1).index_select(0, (best + first).flatten()).unflatten(0, best.shape)


def detector_edge() -> Detector:
    """The detector we ship: MobileNetV4-Conv-Small, about 1.1 GMAC at 640 x 384."""
    return Detector(DetectorConfig())


def detector_small() -> Detector:
    """Half the inner channels, one BiFPN layer of 48: what pruning is compared with."""
    widths = tuple(width // 2 for width in widths_of(CONV_SMALL))
    return Detector(DetectorConfig(widths=widths, channels=48, bifpn_layers=1))


def detector_medium() -> Detector:
    """The larger one, for teaching: MobileNetV4-Conv-Medium, 96 channels, 3 BiFPN layers."""
    return Detector(DetectorConfig(backbone="conv_medium", channels=96, bifpn_layers=3))
