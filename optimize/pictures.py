"""The pictures that the steps look at, all of split ``calib``.

Sorted by path, every fourth is held out to compare on; only the others give statistics.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr_edge import geometry
from alpr_edge.data import Sample, Split, read
from alpr_edge.detector import PlateDetector
from alpr_edge.errors import DataError
from alpr_edge.images import load_image
from alpr_edge.manifest import Manifest
from alpr_edge.types import Image

HELD_OUT_EVERY = 4
RAW_PICTURES = 16
"""Pictures on which raw outputs are compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictures:
    """Frames (for a detector) or plate cut-outs (for a reader), sorted by path."""

    statistics: tuple[Sample, ...]
    held_out: tuple[Sample, ...]

    def raw(self) -> tuple[Sample, ...]:
        """:data:`RAW_PICTURES` of the held out ones, evenly spread."""
        picks = np.linspace(0, len(self.held_out) - 1, min(RAW_PICTURES, len(self.held_out)))
        return tuple(self.held_out[i] for i in picks.round().astype(int))

    def digest(self) -> str:
        """SHA-256 of all pictures' names and bytes."""
        state = hashlib.sha256()
        for sample in (*self.statistics, *self.held_out):
            state.update(sample.path.name.encode() + sample.path.read_bytes())
        return state.hexdigest()


def calibration_pictures(data: Path, *, crops: bool, limit: int | None = None) -> Pictures:
    """The calib frames of ``data``, or with ``crops`` its plate cut-outs.

    ``limit`` takes that many, evenly spread.

    Raises:
        DataError: there are fewer than two: one to calibrate on, one to compare on.
    """
    kind = "plate cut-outs" if crops else "frames"
    found = [s for s in read(data) if s.split == Split.CALIB and s.crop == crops]
    found.sort(key=lambda sample: sample.path)
    if limit is not None and limit < len(found):
        found = [found[i * len(found) // limit] for i in range(limit)]
    if len(found) < 2:
        raise DataError(
            f"{data} has {len(found)} {kind} of split {Split.CALIB}; at least 2 are needed, one to "
            "calibrate on and one to compare on"
        )
    held_out = found[::HELD_OUT_EVERY]
    statistics = [s for i, s in enumerate(found) if i % HELD_OUT_EVERY]
    return Pictures(statistics=tuple(statistics), held_out=tuple(held_out))


def network_inputs(manifest: Manifest, samples: Sequence[Sample]) -> Iterator[NDArray[np.uint8]]:
    """Each picture as the network of ``manifest`` takes it: (1, H, W, 3) uint8 BGR."""
    for sample in samples:
        yield fit(manifest, load_image(sample.path))[None]


def fit(manifest: Manifest, image: Image) -> Image:
    """One whole picture resized the way ``manifest`` says: (H, W, 3) uint8 BGR."""
    _, height, width, _ = manifest.input.shape
    if manifest.input.resize == "letterbox":
        return geometry.letterbox(image, height, width)[0]
    return geometry.rectify(image, geometry.whole(image), height, width)


def detected_plates(detector: PlateDetector, frames: Sequence[Sample]) -> Iterator[Image]:
    """The plates that ``detector`` finds in ``frames``, rectified: (48, 192, 3) uint8 BGR each."""
    for frame in frames:
        image = load_image(frame.path)
        for detection in detector.predict(image):
            yield geometry.rectify(image, detection.corners)
