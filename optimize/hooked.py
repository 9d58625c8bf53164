"""Networks that NNCF hooks into while they learn: masks of pruned weights, simulated 8 bits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from training.checkpoint import BEST, load_weights
from training.detector.model import Detector
from training.distill import distill, distill_loop
from training.options import RunOptions
from training.reader.model import Reader
from training.selection import EVERYTHING, Selection

os.environ.setdefault("NNCF_EXTENSION_LOAD_TIMEOUT", "0")
"""NNCF compiles its kernels when it first needs them, which may take minutes; 0 is no limit."""

class Hooked(nn.Module):
    """A network with NNCF's hooks, to be trained by :func:`training.distill.distill`.

    ``hook`` puts them on the network, whose ``forward`` is replaced by ``inside``: they work within
    it only, and all that is trained must pass through it. ``freeze_norms``: batch norms keep their
    statistics.
    """

    def __init__(
        self, network: Detector | Reader, hook: Callable[[nn.Module], nn.Module], *,
        freeze_norms: bool = False,
    ) -> None:
        super().__init__()
        self.config, self.freeze_norms = network.config, freeze_norms
        network.eval().forward = network.inside  # type: ignore[method-assign, assignment]
        self.network: Any = hook(network)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """As the network's own was."""
        _, outputs = self.network(image)
        deployed: tuple[Tensor, ...] = self.network.deployed(outputs, image)
        return deployed

    def inside(self, image: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """As the network's own."""
        features, outputs = self.network(image)
        return features, outputs

    def losses(self, outputs: tuple[Tensor, ...], batch: dict[str, Any]) -> dict[str, Tensor]:
        """As the network's own."""
        losses: dict[str, Tensor] = self.network.losses(outputs, batch)
        return losses

    def train(self, mode: bool = True) -> Hooked:
        super().train(mode)
        if self.freeze_norms:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


def recover(
    student: Hooked, checkpoint: Path, data: Path, run_dir: Path, minutes: float,
    options: RunOptions, *, selection: Selection = EVERYTHING,
) -> dict[str, float]:
    """Train ``student``, made of ``checkpoint``, with that as its teacher, and give it the weights
    that were best on dev; returns their figures there. Goes on where the run stopped."""
    task = load_weights(checkpoint).task
    distill(
        student, checkpoint, task, data, run_dir, distill_loop(task, minutes), start=checkpoint,
        selection=selection, options=options,
    )
    best = load_weights(run_dir / BEST)
    student.load_state_dict(best.state)
    student.eval()
    figures: dict[str, float] = best.notes["dev"]
    return figures
