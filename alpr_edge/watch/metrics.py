"""What a running watch counts: facts for ``/metrics``, the page and the end of ``watch``."""

from __future__ import annotations

import bisect
import dataclasses

from alpr_edge.stages import Stage

BUCKETS = (0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper ends of a histogram's buckets in seconds; a last one has no end."""


@dataclasses.dataclass(slots=True)
class Histogram:
    """Durations in seconds. ``counts`` has one entry a bucket, not summed up, the last one for
    those above all of :data:`BUCKETS`."""

    counts: list[int] = dataclasses.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many were added."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Seconds; 0 where nothing was added."""
        return self.total / max(1, self.count)


@dataclasses.dataclass(slots=True)
class CameraMetrics:
    """Of one camera, since the start. Only its hub's workers write it, one at a time."""

    frames: int = 0
    """Processed, those in which nothing moved too."""
    idle: int = 0
    """Frames in which nothing moved, so that nothing was detected."""
    plates: int = 0
    """Plates that were read."""
    events: int = 0
    """Vehicles; the second announcement of one is not counted."""
    frame_latency: Histogram = dataclasses.field(default_factory=Histogram)
    """From a frame's arrival until it was processed."""
    event_latency: Histogram = dataclasses.field(default_factory=Histogram)
    """From the arrival of the deciding frame to its event."""
    stages: dict[Stage, Histogram] = dataclasses.field(
        default_factory=lambda: {stage: Histogram() for stage in Stage}
    )


@dataclasses.dataclass(slots=True)
class Metrics:
    """Of the whole process; ``cameras`` by name, ``failures`` by output (``store`` among them)."""

    cameras: dict[str, CameraMetrics] = dataclasses.field(default_factory=dict)
    failures: dict[str, int] = dataclasses.field(default_factory=dict)
    """Events, statuses and views that an output could not take."""
    views_dropped: int = 0
    """Views that no output got, because the outputs were slower."""
    requests: int = 0
    """Pictures read for the HTTP service."""
