"""What a model folder is called in a report."""

from __future__ import annotations

from pathlib import Path

from alpr_edge.picks import MODELS


def folder_name(folder: Path) -> str:
    """``shipped`` for the package's own models, else the folder as it was given."""
    return "shipped" if folder.resolve() == MODELS.resolve() else str(folder)
