"""MobileNetV4 (Qin et al. 2024), the convolutional models, as a feature extractor.

Parameter names and order equal those of timm's ``features_only`` models, so published ImageNet
weights load (:func:`imagenet_weights`). A model is a table of rows, one row a block.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from alpr_edge.errors import ModelError


class Conv(NamedTuple):
    """A plain convolution with BN and ReLU."""

    kernel: int
    stride: int
    out: int


class Fused(NamedTuple):
    """A fused inverted bottleneck: full convolution that expands, 1x1 that projects."""

    kernel: int
    stride: int
    expanded: int
    out: int


class Uib(NamedTuple):
    """Universal inverted bottleneck (section 3): optional depthwise kernels ``start`` and ``mid``
    (0: none) round a 1x1 expansion and a 1x1 projection."""

    start: int
    mid: int
    stride: int
    expanded: int
    out: int


Row = Conv | Fused | Uib
Table = tuple[tuple[Row, ...], ...]
Widths = tuple[int, ...]
STEM_CHANNELS = 32

CONV_SMALL: Table = (
    (Conv(3, 2, 32), Conv(1, 1, 32)),
    (Conv(3, 2, 96), Conv(1, 1, 64)),
    (
        Uib(5, 5, 2, 192, 96), *[Uib(0, 3, 1, 192, 96)] * 4, Uib(3, 0, 1, 384, 96),
    ),
    (
        Uib(3, 3, 2, 576, 128), Uib(5, 5, 1, 512, 128), Uib(0, 5, 1, 512, 128),
        Uib(0, 5, 1, 384, 128), *[Uib(0, 3, 1, 512, 128)] * 2,
    ),
    (Conv(1, 1, 960),),
)
CONV_MEDIUM: Table = (
    (Fused(3, 2, 128, 48),),
    (Uib(3, 5, 2, 192, 80), Uib(3, 3, 1, 160, 80)),
    (
        Uib(3, 5, 2, 480, 160), *[Uib(3, 3, 1, 640, 160)] * 2, Uib(3, 5, 1, 640, 160),
        Uib(3, 3, 1, 640, 160), Uib(3, 0, 1, 640, 160), Uib(0, 0, 1, 320, 160),
        Uib(3, 0, 1, 640, 160),
    ),
    (
        Uib(5, 5, 2, 960, 256), Uib(5, 5, 1, 1024, 256), *[Uib(3, 5, 1, 1024, 256)] * 2,
        Uib(0, 0, 1, 1024, 256), Uib(3, 0, 1, 1024, 256), Uib(3, 5, 1, 512, 256),
        Uib(5, 5, 1, 1024, 256), *[Uib(0, 0, 1, 1024, 256)] * 2, Uib(5, 0, 1, 512, 256),
    ),
    (Conv(1, 1, 960),),
)


def widths_of(table: Table) -> Widths:
    """What :func:`with_widths` sets."""
    return tuple(_width(row) for rows in table for row in rows)


def _width(row: Row) -> int:
    return row.out if isinstance(row, Conv) else row.expanded


def with_widths(table: Table, widths: Widths) -> Table:
    """The table with other inner widths, one a block: the channels that a bottleneck expands to,
    a plain convolution's own. () leaves it as it is.

    Raises:
        ValueError: another number of widths than of blocks.
    """
    if not widths:
        return table
    if len(widths) != sum(map(len, table)):
        raise ValueError(f"{len(widths)} widths, the backbone has {sum(map(len, table))} blocks")
    left = iter(widths)
    return tuple(
        tuple(
            row._replace(**{"out" if isinstance(row, Conv) else "expanded": next(left)})
            for row in rows
        )
        for rows in table
    )


class Depthwise(nn.Conv2d):
    """A depthwise convolution that stays in FP32 under autocast.

    Its bf16 gradient on CPUs (oneDNN 3) is up to 20 times slower for 5x5 kernels and strides of 2.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


def _conv(inputs: int, out: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, out, kernel, stride, kernel // 2, bias=False)


class _ConvBlock(nn.Module):
    def __init__(self, inputs: int, row: Conv) -> None:
        super().__init__()
        self.conv = _conv(inputs, row.out, row.kernel, row.stride)
        self.bn1 = nn.BatchNorm2d(row.out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn1(self.conv(x)))


class _FusedBlock(nn.Module):
    def __init__(self, inputs: int, row: Fused) -> None:
        super().__init__()
        self.conv_exp = _conv(inputs, row.expanded, row.kernel, row.stride)
        self.bn1 = nn.BatchNorm2d(row.expanded)
        self.conv_pwl = _conv(row.expanded, row.out, 1, 1)
        self.bn2 = nn.BatchNorm2d(row.out)
        self.skip = row.stride == 1 and inputs == row.out

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv_exp(x)))
        y = self.bn2(self.conv_pwl(y))
        return x + y if self.skip else y


class _ConvNorm(nn.Module):
    def __init__(self, conv: nn.Conv2d, *, act: bool) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(conv.out_channels)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return torch.relu(x) if self.act else x


def _depthwise(channels: int, kernel: int, stride: int, *, act: bool) -> nn.Module:
    return _ConvNorm(Depthwise(channels, kernel, stride), act=act) if kernel else nn.Identity()


class _UibBlock(nn.Module):
    def __init__(self, inputs: int, row: Uib) -> None:
        super().__init__()
        wide, stride = row.expanded, row.stride
        first = 1 if row.mid else stride  # the stride belongs to the middle kernel, if there is one
        self.dw_start = _depthwise(inputs, row.start, first, act=False)
        self.pw_exp = _ConvNorm(_conv(inputs, wide, 1, 1), act=True)
        self.dw_mid = _depthwise(wide, row.mid, stride, act=True)
        self.pw_proj = _ConvNorm(_conv(wide, row.out, 1, 1), act=False)
        self.skip = stride == 1 and inputs == row.out

    def forward(self, x: Tensor) -> Tensor:
        y = self.pw_proj(self.dw_mid(self.pw_exp(self.dw_start(x))))
        return x + y if self.skip else y


def _block(inputs: int, row: Row) -> nn.Module:
    match row:
        case Conv():
            return _ConvBlock(inputs, row)
        case Fused():
            return _FusedBlock(inputs, row)
        case Uib():
            return _UibBlock(inputs, row)


class MobileNetV4(nn.Module):
    """The feature extractor of a table; ``channels`` are those of strides 8, 16, 32."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.conv_stem = _conv(3, STEM_CHANNELS, 3, 2)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        stages, inputs = [], STEM_CHANNELS
        for rows in table:
            blocks = []
            for row in rows:
                blocks.append(_block(inputs, row))
                inputs = row.out
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.channels = (table[1][-1].out, table[2][-1].out, table[4][-1].out)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised pictures (N, 3, H, W) to the feature maps of strides 8, 16, 32."""
        x = torch.relu(self.bn1(self.conv_stem(x)))  # (N, 32, H/2, W/2)
        x = self.blocks[0](x)  # stride 4
        stride8 = self.blocks[1](x)
        stride16 = self.blocks[2](stride8)
        return stride8, stride16, self.blocks[4](self.blocks[3](stride16))


def imagenet_weights(path: Path) -> dict[str, Tensor]:
    """timm's safetensors file of a classifier as the state dict of a BGR :class:`MobileNetV4`.

    The published weights take RGB: the stem's input channels are turned round. The classifier's
    own layers are left out.

    Raises:
        ModelError: the file is absent or no safetensors file.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read ({error}); give the .safetensors file that timm "
                         "publishes") from error
    state = {k: v for k, v in state.items() if not k.startswith(("conv_head", "norm_head",
                                                                 "classifier"))}
    state["conv_stem.weight"] = state["conv_stem.weight"].flip(1)
    return state
