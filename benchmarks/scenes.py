"""What ``stages`` is timed on: real pictures in every frame size, as JPEG files, and their plates.

A scene is written once, so that decoding it is measured too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from alpr_edge import geometry
from alpr_edge._cv2 import cv2
from alpr_edge.data import Split, read, spread
from alpr_edge.errors import DataError, OutputError
from alpr_edge.images import load_image
from alpr_edge.types import Detection, Image, Quad
from benchmarks import pictures

FRAMES: Mapping[str, tuple[int, int]] = {
    "720p": (720, 1280), "1080p": (1080, 1920), "4k": (2160, 3840),
}
"""Height and width of each frame size."""
MOST = 24
"""Different pictures that take turns."""
JPEG_QUALITY = 90

Plates = tuple[Detection, ...]
Find = Callable[[Image], Sequence[Detection]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture: for each frame size its JPEG file, and the plates in that file's pixels."""

    name: str
    files: Mapping[str, Path]
    plates: Mapping[str, Plates]


def make_scenes(
    data: Path | None, frames: Sequence[str], folder: Path, find: Find
) -> list[Scene]:
    """At most :data:`MOST` scenes, written into ``folder``: the val frames of ``data`` that show a
    plate, or the repository's demo pictures, scaled into each frame size, aspect kept.

    Args:
        frames: of :data:`FRAMES`.
        find: finds the plates of pictures that are not annotated. A picture without any borrows
            those of the scene before.

    Raises:
        DataError: there is no picture, or no plate on any.
        OutputError: a file cannot be written.
    """
    scenes = []
    for number, (path, quads) in enumerate(spread(_sources(data), MOST)):
        image = load_image(path)
        quads = quads or tuple(plate.corners for plate in find(image))
        views = {frame: geometry.letterbox(image, *FRAMES[frame], math.inf) for frame in frames}
        scenes.append(Scene(
            name=path.name,
            files={
                frame: _write(view, folder / f"{number:02d}-{frame}.jpg")
                for frame, (view, _) in views.items()
            },
            plates={
                frame: tuple(_seen(quad, mapping) for quad in quads)
                for frame, (_, mapping) in views.items()
            },
        ))
    return lend(scenes)


def _sources(data: Path | None) -> list[tuple[Path, tuple[Quad, ...]]]:
    """Pictures and the corners of their plates, where they are annotated."""
    if data is None:
        return [(path, ()) for path in pictures.picture_files(None)]
    samples = [s for s in read(data) if s.split == Split.VAL and not s.crop and s.plates]
    if not samples:
        raise DataError(f"{data} has no frame of split {Split.VAL} that shows a plate")
    return [(sample.path, tuple(plate.outline for plate in sample.plates)) for sample in samples]


def _seen(quad: Quad, mapping: geometry.Letterbox) -> Detection:
    corners = geometry.as_quad(mapping.forward(np.array(quad)))
    return Detection(box=geometry.quad_box(corners), corners=corners, confidence=1.0)


def _write(image: Image, path: Path) -> Path:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; free some space") from error
    return path


def lend(scenes: Sequence[Scene]) -> list[Scene]:
    """The scenes, those without a plate with the plates of the one before (the first ones with
    those of the first that has any).

    Raises:
        DataError: there is no plate on any.
    """
    plates = next((scene.plates for scene in scenes if any(scene.plates.values())), None)
    if plates is None:
        raise DataError("no plate on any picture, so reading cannot be timed; give --data")
    lent = []
    for scene in scenes:
        plates = scene.plates if any(scene.plates.values()) else plates
        lent.append(dataclasses.replace(scene, plates=plates))
    return lent
