"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from alpr_edge import __version__
from alpr_edge.engine import runtime_version

BUSY = 0.5
"""Load average from which a machine is not idle."""


def facts() -> dict[str, Any]:
    """The machine and the versions of what runs on it."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "openvino": runtime_version(),
        "alpr_edge": __version__,
    }


def cpu_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's own name of itself, as Linux tells it."""
    if info.exists():
        for line in info.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def load_average() -> float:
    """Processes that wanted a core in the last minute, on average."""
    return os.getloadavg()[0]
