"""The numbers that a configuration may have."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from alpr_edge.cpu import MOST_THREADS
from alpr_edge.watch.config import (
    CameraConfig,
    Config,
    ModelConfig,
    MqttConfig,
    ServeConfig,
    StoreConfig,
    TrackingConfig,
    WebhookConfig,
)
from alpr_edge.watch.config_files import tables
from alpr_edge.watch.config_values import Mistake


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Allowed numbers; ``least`` itself too, unless ``above``."""

    least: float
    most: float = math.inf
    above: bool = False

    def __contains__(self, value: float) -> bool:
        low = value > self.least if self.above else value >= self.least
        return low and value <= self.most and math.isfinite(value)

    def __str__(self) -> str:
        if self.above:
            most = "" if self.most == math.inf else f", at most {self.most:g}"
            return f"more than {self.least:g}{most}"
        if self.most == math.inf:
            return f"{self.least:g} or more"
        return f"{self.least:g}..{self.most:g}"


SHARE = Range(0, 1)
_COUNT = Range(1)
_NONE_OR_MORE = Range(0)
_POSITIVE = Range(0, above=True)
_AT_ONCE = Range(1, MOST_THREADS)
_SECONDS = Range(0, 3600, above=True)
RANGES: dict[type, dict[str, Range]] = {
    CameraConfig: {
        "every": _COUNT, "max_fps": _POSITIVE, "min_plate_width": _NONE_OR_MORE,
        "tiles": Range(1, 8),
    },
    TrackingConfig: {
        "min_reads": _COUNT, "max_gap": _POSITIVE, "repeat_after": _NONE_OR_MORE,
        "min_confidence": SHARE,
    },
    StoreConfig: {
        "keep_events_days": _POSITIVE, "keep_pictures_days": _POSITIVE,
        "max_pictures_mb": _POSITIVE,
    },
    MqttConfig: {"port": Range(1, 65535)},
    WebhookConfig: {"timeout": _SECONDS},
    ServeConfig: {
        "port": Range(0, 65535), "max_body_mb": _POSITIVE, "max_megapixels": _POSITIVE,
        "concurrency": _COUNT, "timeout": _SECONDS,
    },
    ModelConfig: {"threads": _AT_ONCE, "workers": _AT_ONCE, "min_detection": SHARE},
}
"""By dataclass and field; of an array each number."""


def mistakes(config: Config) -> Iterator[Mistake]:
    """Numbers that are out of range."""
    for key, part in tables(config):
        for name, allowed in RANGES.get(type(part), {}).items():
            value = getattr(part, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(number is not None and number not in allowed for number in numbers):
                yield Mistake(key=(*key, name), message=f"got {value}; allowed: {allowed}")
