"""Magnitude pruning by NNCF: the smallest weights of every layer become zeros.

Unstructured: shapes stay, so that dense kernels gain no time from it; what it gains is a file that
compresses better. The masks hold while the network recovers by distillation from its parent, and
are folded into the weights: the result is an ordinary checkpoint.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import nncf
import numpy as np
import openvino
import torch
from nncf.torch.function_hook.pruning.magnitude.algo import get_pruned_modules
from nncf.torch.function_hook.wrapper import ATR_HOOK_STORAGE
from torch import nn

from alpr_edge.count import constant_behind
from alpr_edge.errors import UsageError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from alpr_edge.manifest import MODEL_BIN, MODEL_XML
from optimize.hooked import Hooked, recover
from optimize.quantize import WEIGHTED, quiet_nncf
from optimize.steps import StepFailedError
from training.checkpoint import commit, load_weights, save_weights
from training.detector.model import Detector
from training.distill import kept_notes, lineage
from training.networks import build
from training.options import RunOptions
from training.reader.model import Reader
from training.selection import EVERYTHING, Selection

SMALLEST = (64, 64)
"""A picture on which a detector shows all its layers."""
TOLERANCE = 0.01
"""Greatest difference of the share of zeros from the ratio asked for: the share is exact in each
tensor, but for ties and whole numbers."""


def sparsify(
    checkpoint: Path, ratio: float, data: Path, target: Path, run_dir: Path, *, minutes: float,
    options: RunOptions, selection: Selection = EVERYTHING,
) -> Path:
    """Write ``checkpoint`` to ``target`` with the share ``ratio`` of each layer's weights zero and
    the others trained for ``minutes``.

    Raises:
        UsageError: ``ratio`` is not between 0 and 1. ModelError: the checkpoint is not ours.
        DataError: the data cannot be read.
    """
    if not 0 < ratio < 1:
        raise UsageError(f"ratio {ratio}; allowed: above 0 and below 1, the share of zeros")
    weights = load_weights(checkpoint)
    student = masked(build(weights), ratio)
    figures = recover(student, checkpoint, data, run_dir, minutes, options, selection=selection)
    save_weights(
        target, task=weights.task, config=student.config, state=folded(student),
        notes=kept_notes(weights) | {
            "commit": commit(), "made_by": "sparsify", "lineage": lineage(checkpoint, weights),
            "zeros": ratio, "dev": figures,
        },
    )
    return target


def masked(network: Detector | Reader, ratio: float) -> Hooked:
    """The network with NNCF's masks on the smallest weights of each layer."""
    quiet_nncf()
    size = (PLATE_HEIGHT, PLATE_WIDTH) if isinstance(network, Reader) else SMALLEST
    example = torch.zeros((2, *size, 3), dtype=torch.uint8)

    def hook(hooked: nn.Module) -> nn.Module:
        return nncf.prune(
            hooked, nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_LOCAL, ratio=ratio,
            examples_inputs=example,
        )

    return Hooked(network, hook)


def folded(student: Hooked) -> dict[str, torch.Tensor]:
    """The network's own state, its masked weights zero (NNCF's ``strip`` needs torchao)."""
    state = student.network.state_dict()
    masks = get_pruned_modules(student.network)
    return {
        name: tensor * masks[name].binary_mask if name in masks else tensor
        for name, tensor in state.items() if not name.startswith(ATR_HOOK_STORAGE)
    }


def zeros(folder: Path) -> float:
    """Share of zeros among the weights of an IR's convolutions and matrix products."""
    count = total = 0
    for op in openvino.Core().read_model(folder / MODEL_XML).get_ops():
        constant = constant_behind(op, 1) if op.get_type_name() in WEIGHTED else None
        if constant is not None:
            values = constant.get_data()
            total += values.size
            count += values.size - int(np.count_nonzero(values))
    return count / total if total else 0.0


def check_zeros(folder: Path, ratio: float) -> dict[str, float]:
    """Figures of a sparse IR: its share of zeros, and its weights' bytes, plain and deflated.

    Raises:
        StepFailedError: the share is not ``ratio``.
    """
    share = zeros(folder)
    if abs(share - ratio) > TOLERANCE:
        raise StepFailedError(
            f"sparsify: {share:.1%} of the weights in the IR are zeros; allowed: {ratio:.1%}, "
            f"{TOLERANCE:.0%} more or less. The masks were lost: make the checkpoint anew"
        )
    data = (folder / MODEL_BIN).read_bytes()
    return {
        "zeros": share, "weight_bytes": float(len(data)),
        "deflated_bytes": float(len(zlib.compress(data, 9))),
    }
