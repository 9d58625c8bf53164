"""GELU → hard-swish: an activation that costs a CPU next to nothing, for one that does.

Hard-swish (Howard et al. 2019, MobileNetV3, section 5.2), h(x) = x · clip(x + 3, 0, 6) / 6, comes
close to GELU once its input is stretched: GELU(x) ≈ h(s x) / s. The factors go into the layers
before and after, so that the network begins near to what it was; some training does the rest.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from alpr_edge.errors import UsageError
from training.checkpoint import commit, save_weights
from training.distill import kept_notes, lineage
from training.networks import load
from training.reader.model import Reader

STRETCH = 1.7
"""s: the greatest difference from GELU is then 0.07, about the least there is."""
_FACTORS = {".mlp.0.weight": STRETCH, ".mlp.0.bias": STRETCH, ".mlp.3.weight": 1 / STRETCH}


def harden(checkpoint: Path, target: Path) -> Path:
    """Write the reader ``checkpoint`` with hard-swish for GELU to ``target``.

    Raises:
        UsageError: its reader has no GELU. ModelError: the checkpoint is not a reader of ours.
    """
    weights, network = load(checkpoint, Reader)
    if network.config.activation != "gelu":
        raise UsageError(f"{checkpoint} has no GELU; only readers are hardened, and once")
    state = {
        name: tensor * next((f for end, f in _FACTORS.items() if name.endswith(end)), 1)
        for name, tensor in network.state_dict().items()
    }
    save_weights(
        target, task=weights.task, state=state,
        config=dataclasses.replace(network.config, activation="hardswish"),
        notes=kept_notes(weights) | {
            "commit": commit(), "made_by": "harden", "lineage": lineage(checkpoint, weights),
        },
    )
    return target
