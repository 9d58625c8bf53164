"""What a model folder is called in a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alpr_edge.detector import PlateDetector
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import ALPR


def folder_name(folder: Path) -> str:
    """``shipped`` for the package's own models, else the folder as it was given."""
    return "shipped" if folder.resolve() == MODELS.resolve() else str(folder)


def unlike(models: Mapping[str, ALPR]) -> str | None:
    """What to know where one pipeline has a closer look and another has none; else None."""
    closer = {
        name: isinstance(model.detector, PlateDetector) and model.detector.closer is not None
        for name, model in models.items()
    }
    without = [name for name, has in closer.items() if not has]
    if not without or len(without) == len(closer):
        return None
    return (
        f"{', '.join(without)} has no detector/closer, the other one has: times and figures of the "
        "detector differ by that network too. Copy one there to compare like with like"
    )
