"""The network of a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from alpr_edge.errors import ModelError, UsageError
from training.checkpoint import Weights, load_weights
from training.detector.model import Detector, DetectorConfig
from training.reader.model import VARIANTS, Reader, ReaderConfig

CHOOSE = {"reader": "exact", "detector": "score"}
"""The dev figure that a task's recipes choose by."""


Network = TypeVar("Network", Detector, Reader)


def load(path: Path, kind: type[Network]) -> tuple[Weights, Network]:
    """A weights file and its network, one of ``kind``, in evaluation mode.

    Raises:
        ModelError: no weights of ours, of another task, or they do not fit.
    """
    weights = load_weights(path)
    network = build(weights)
    if not isinstance(network, kind):
        raise ModelError(
            f"{path} are weights of a {weights.task}; give those of a {kind.__name__.lower()}"
        )
    return weights, network


def variant_of(name: str) -> Reader:
    """A reader of the named size, with random weights.

    Raises:
        UsageError: there is no such size.
    """
    if name not in VARIANTS:
        raise UsageError(f"variant {name!r}: the reader has {', '.join(VARIANTS)}")
    return VARIANTS[name]()


def build(weights: Weights) -> Detector | Reader:
    """The network of a weights file, in evaluation mode.

    Raises:
        ModelError: unknown task, or configuration and weights do not fit.
    """
    config = weights.arguments
    networks: dict[str, Any] = {
        "detector": lambda: Detector(DetectorConfig(**config)),
        "reader": lambda: Reader(ReaderConfig(**config)),
    }
    if weights.task not in networks:
        raise ModelError(f"weights of task {weights.task!r}; allowed: {', '.join(networks)}")
    try:
        network: Detector | Reader = networks[weights.task]()
        network.load_state_dict(weights.state)
    except (TypeError, RuntimeError) as error:
        raise ModelError(
            f"the {weights.task}'s weights do not fit this version's network ({error}); use the "
            "commit that trained them"
        ) from error
    return network.eval()
