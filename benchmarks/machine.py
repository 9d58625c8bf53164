"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from typing import Any

from alpr_edge import __version__
from alpr_edge.cpu import cpu_name, usable_cores
from alpr_edge.engine import runtime_version


def facts() -> dict[str, Any]:
    """The machine and the versions of what runs on it."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "openvino": runtime_version(),
        "alpr_edge": __version__,
    }
