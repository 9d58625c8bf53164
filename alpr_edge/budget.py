"""What the pipeline may take on the device, and whether it did."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping

from alpr_edge.stages import DETECTION_STAGES, READING_STAGES, Stage

DETECTION_BUDGET_MS = 100.0
"""Finding the plates of one picture: :data:`~alpr_edge.stages.DETECTION_STAGES`."""
READING_BUDGET_MS = 50.0
"""Reading one plate: :data:`~alpr_edge.stages.READING_STAGES`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Medians over the pictures, in milliseconds; ``reading_ms`` is for one plate, None if no
    plate was found."""

    detection_ms: float
    reading_ms: float | None

    @property
    def met(self) -> bool:
        """Whether both medians keep their budget."""
        reading = 0.0 if self.reading_ms is None else self.reading_ms
        return self.detection_ms <= DETECTION_BUDGET_MS and reading <= READING_BUDGET_MS

    def __str__(self) -> str:
        reading = "no plate" if self.reading_ms is None else f"{self.reading_ms:.1f} ms"
        return (
            f"budget {'MET' if self.met else 'MISSED'}: detection {self.detection_ms:.1f} ms of "
            f"{DETECTION_BUDGET_MS:.0f} ms, reading {reading} of {READING_BUDGET_MS:.0f} ms a "
            "plate (medians)"
        )


def detection_ms(ms: Mapping[Stage, float]) -> float:
    """Time of the detection stages of one picture."""
    return sum(ms[stage] for stage in DETECTION_STAGES)


def reading_ms(ms: Mapping[Stage, float]) -> float:
    """Time of the reading stages of one picture, all its plates together."""
    return sum(ms[stage] for stage in READING_STAGES)


def verdict(runs: Iterable[tuple[Mapping[Stage, float], int]]) -> Verdict:
    """The verdict over pictures, each its ``ms`` and how many plates it shows. Reading what turns
    out to be none counts to the plates of its picture.

    Raises:
        ValueError: there is no picture.
    """
    runs = list(runs)
    if not runs:
        raise ValueError("no picture was read; a verdict needs at least one")
    readings = [reading_ms(ms) / plates for ms, plates in runs if plates]
    return Verdict(
        detection_ms=statistics.median(detection_ms(ms) for ms, _ in runs),
        reading_ms=statistics.median(readings) if readings else None,
    )
