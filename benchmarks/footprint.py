"""What a process holds: memory, threads, descriptors (from ``/proc``)."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.memory import resident

_SELF = Path("/proc/self")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """At a moment: ``mb`` of resident memory, and numbers of threads and open descriptors."""

    mb: float
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Footprint:
        """Those of the process that asks."""
        return cls(
            mb=round(resident(), 1), threads=len(list((_SELF / "task").iterdir())),
            descriptors=len(list((_SELF / "fd").iterdir())),
        )

    @classmethod
    def usual(cls, moments: Sequence[Footprint]) -> Footprint:
        """The median of each figure: what is held for a moment only does not count."""
        middle = {
            field.name: statistics.median(getattr(one, field.name) for one in moments)
            for field in dataclasses.fields(cls)
        }
        return cls(
            mb=round(middle["mb"], 1), threads=math.ceil(middle["threads"]),
            descriptors=math.ceil(middle["descriptors"]),
        )
