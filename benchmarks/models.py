"""What a model folder is called in a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alpr_edge.detector import PlateDetector
from alpr_edge.picks import MODELS
from alpr_edge.types import DetectorLike


def folder_name(folder: Path) -> str:
    """``shipped`` for the package's own models, else the folder as it was given."""
    return "shipped" if folder.resolve() == MODELS.resolve() else str(folder)


def unlike(detectors: Mapping[str, DetectorLike]) -> str | None:
    """What to know where the detector of one models folder has a closer look and that of another
    has none; else None."""
    closer = {
        name: isinstance(detector, PlateDetector) and detector.closer is not None
        for name, detector in detectors.items()
    }
    without = [name for name, has in closer.items() if not has]
    if not without or len(without) == len(closer):
        return None
    return (
        f"{', '.join(without)} has no detector/closer, the other one has: times and figures of the "
        "detector differ by that network too. Copy one there to compare like with like"
    )
