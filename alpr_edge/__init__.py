"""Licence plates on an edge CPU: find them, straighten them, read them.

    from alpr_edge import ALPR
    plates = ALPR().predict(frame)   # frame: BGR uint8 (H, W, 3), or a path

Names are loaded on first use, so that importing the package needs neither OpenCV nor OpenVINO;
where they cannot be loaded, that first use raises :class:`LibraryError` with the remedy.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpr_edge.detector import PlateDetector
    from alpr_edge.errors import (
        AlprEdgeError,
        DataError,
        ExitCode,
        ImageError,
        LibraryError,
        ModelError,
        OutputError,
        StaleTuning,
        UsageError,
    )
    from alpr_edge.images import load_image
    from alpr_edge.pipeline import ALPR, Result
    from alpr_edge.reader import PlateReader
    from alpr_edge.types import Detection, DetectorLike, Plate, ReaderLike, Reading

__version__ = "0.1.0"

# OpenVINO and NNCF report their import to Google Analytics, and keep an ID and a count in the
# user's home, unless this package of theirs is missing. Nothing leaves the machine unasked.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

_HOMES = {
    "detector": ("PlateDetector",),
    "errors": (
        "AlprEdgeError", "DataError", "ExitCode", "ImageError", "LibraryError", "ModelError",
        "OutputError", "StaleTuning", "UsageError",
    ),
    "images": ("load_image",),
    "pipeline": ("ALPR", "Result"),
    "reader": ("PlateReader",),
    "types": ("Detection", "DetectorLike", "Plate", "ReaderLike", "Reading"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ALPR", "AlprEdgeError", "DataError", "Detection", "DetectorLike", "ExitCode", "ImageError",
    "LibraryError", "ModelError", "OutputError", "Plate", "PlateDetector", "PlateReader",
    "ReaderLike", "Reading", "Result", "StaleTuning", "UsageError", "__version__", "load_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'alpr_edge' has no attribute {name!r}")
    return getattr(importlib.import_module(f"alpr_edge.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
