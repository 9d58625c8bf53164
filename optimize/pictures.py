"""The pictures that the steps look at: split ``calib`` to make models, ``dev`` to judge them.

Of ``calib``, sorted by path, every fourth is held out to compare on; only the others give
statistics.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr_edge import geometry
from alpr_edge.data import PlateTruth, Sample, Split, read, spread
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
    """Frames (for a detector) or plates (for a reader), sorted by path."""

    statistics: tuple[Sample, ...]
    held_out: tuple[Sample, ...]

    def raw(self) -> tuple[Sample, ...]:
        """:data:`RAW_PICTURES` of the held out ones, evenly spread."""
        picks = np.linspace(0, len(self.held_out) - 1, min(RAW_PICTURES, len(self.held_out)))
        return tuple(self.held_out[i] for i in picks.round().astype(int))

    def digest(self) -> str:
        """SHA-256 of all pictures' names and bytes."""
        return digest((*self.statistics, *self.held_out))


def digest(samples: Iterable[Sample]) -> str:
    """SHA-256 of the pictures' names, bytes and annotations.

    Raises:
        DataError: a picture cannot be read.
    """
    state = hashlib.sha256()
    for sample in samples:
        state.update(f"{sample.path.name} {sample.plates} {sample.complete}".encode())
        try:
            state.update(sample.path.read_bytes())
        except OSError as error:
            raise DataError(f"{sample.path}: {error.strerror}; python -m training check lists all "
                            "that cannot be read, take them out of the data") from error
    return state.hexdigest()


def calibration_pictures(data: Path, *, crops: bool, limit: int | None = None) -> Pictures:
    """The calib frames of ``data``, or with ``crops`` its plate cut-outs; where it has none, the
    first plate of each of its frames.

    ``limit`` takes that many, evenly spread.

    Raises:
        DataError: there are fewer than two: one to calibrate on, one to compare on.
    """
    found = _of_split(data, Split.CALIB, crops=crops, limit=limit)
    if len(found) < 2:
        raise DataError(
            f"{data} has {len(found)} {_kind(crops)} of split {Split.CALIB}; at least 2 are "
            "needed, one to calibrate on and one to compare on; of CCPD, list some in "
            "splits/calib.txt"
        )
    held_out = found[::HELD_OUT_EVERY]
    statistics = [s for i, s in enumerate(found) if i % HELD_OUT_EVERY]
    return Pictures(statistics=tuple(statistics), held_out=tuple(held_out))


def judging_pictures(
    data: Path, *, crops: bool, split: str = Split.DEV, limit: int | None = None
) -> list[Sample]:
    """The frames that accuracy is judged on, or with ``crops`` the cut-outs with a text; where
    there are none, the plates with one of frames.

    ``limit`` takes that many, evenly spread.

    Raises:
        DataError: there is no plate among them.
    """
    found = _of_split(data, split, crops=crops, limit=limit)
    if not any(sample.plates for sample in found):
        raise DataError(
            f"{data} has no annotated plate among {len(found)} {_kind(crops)} of split {split}; at "
            "least 1 is needed to judge accuracy on"
        )
    return found


def _of_split(data: Path, split: str, *, crops: bool, limit: int | None) -> list[Sample]:
    """Frames or plates sorted by path, at most ``limit``; of plates to judge on those that have a
    text."""
    samples = [sample for sample in read(data) if sample.split == split]
    found = [sample for sample in samples if sample.crop == crops]
    if crops:
        plates = found or [
            dataclasses.replace(frame, plates=(plate,))
            for frame in samples
            for plate in frame.plates[: 1 if split == Split.CALIB else None]
        ]
        found = [s for s in plates if split == Split.CALIB or s.plates[0].text is not None]
    found.sort(key=lambda sample: sample.path)
    return found if limit is None else spread(found, limit)


def _kind(crops: bool) -> str:
    return "plates" if crops else "frames"


def network_inputs(manifest: Manifest, samples: Sequence[Sample]) -> Iterator[NDArray[np.uint8]]:
    """Each picture, or the plate of a frame, as the network of ``manifest`` takes it: (1, H, W, 3)
    uint8 BGR."""
    for sample in samples:
        yield fit(manifest, load_image(sample.path), None if sample.crop else sample.plates)[None]


def fit(manifest: Manifest, image: Image, plates: Sequence[PlateTruth] | None = None) -> Image:
    """One picture resized the way ``manifest`` says: (H, W, 3) uint8 BGR. A network of plates gets
    the first of ``plates``, else the whole picture."""
    _, height, width, _ = manifest.input.shape
    if manifest.input.resize == "letterbox":
        return geometry.letterbox(image, height, width)[0]
    corners = geometry.whole(image) if plates is None else plates[0].outline
    return geometry.rectify(image, corners, height, width)


def detected_plates(detector: PlateDetector, frames: Sequence[Sample]) -> Iterator[Image]:
    """The plates that ``detector`` finds in ``frames``, rectified: (48, 192, 3) uint8 BGR each."""
    for frame in frames:
        image = load_image(frame.path)
        for detection in detector.predict(image):
            yield geometry.rectify(image, detection.corners)
