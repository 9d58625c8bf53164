"""Dropout (Srivastava et al. 2014) whose masks are cheap on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 256


class Dropout(nn.Dropout):
    """``nn.Dropout`` with ``p`` rounded to a 256th on CPUs, where eight elements share a random
    number: drawing one for each takes a quarter of a reader's training step."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape and float dtype; itself in evaluation."""
        dropped = round(self.p * _LEVELS)
        if not self.training or dropped in (0, _LEVELS) or input.device.type != "cpu":
            return super().forward(input)
        keep = (random_bytes(input.numel()) >= dropped).view(input.shape)
        return input * (keep.to(input.dtype) * (_LEVELS / (_LEVELS - dropped)))


def random_bytes(count: int) -> Tensor:
    """(count,) uint8, uniform, from torch's own generator on the CPU."""
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.uint8)[:count]
