"""What a worker thread reads pictures with: views of one pair of networks for each camera."""

from __future__ import annotations

import dataclasses
from typing import cast

from alpr_edge.detector import StagedDetector
from alpr_edge.pipeline import ALPR, Result
from alpr_edge.types import Image, Quad
from alpr_edge.watch.camera_detector import CameraDetector
from alpr_edge.watch.clutter import Clutter
from alpr_edge.watch.config import CameraConfig, ModelConfig
from alpr_edge.watch.types import Frame


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What was found in a frame; ``ignored`` are plates that do not count there: not read."""

    result: Result
    ignored: tuple[Quad, ...]


class Desk:
    """One thread's: for requests the networks as they are, for a camera as it is configured.

    A camera's plates are all given, the uncertain ones too: the tracker weighs them.
    """

    def __init__(self, alpr: ALPR) -> None:
        self._alpr = alpr
        self._cameras: dict[str, tuple[CameraConfig, ALPR, CameraDetector]] = {}

    def read(self, image: Image) -> Result:
        """The plates of a picture of no camera."""
        return self._alpr.run(image)

    @property
    def min_confidence(self) -> float:
        """The reader's own threshold of a text."""
        return self._alpr.min_confidence

    def look(self, frame: Frame, camera: CameraConfig, clutter: Clutter | None) -> Look:
        """The plates of a camera's frame that count; ``clutter`` is the camera's, None where its
        frames do not follow each other."""
        known = self._cameras.get(camera.name)
        if known is None or known[0] is not camera:
            known = self._cameras[camera.name] = camera, *self._for(camera)
        _, alpr, detector = known
        alpr.reread = alpr.turned = frame.apart  # of others the next frame shows it again
        detector.small = frame.small.image if frame.small else None
        detector.time, detector.clutter = frame.time, clutter
        result = alpr.run(frame.image)
        return Look(result=result, ignored=tuple(d.corners for d in detector.ignored))

    def forget(self, camera: str) -> None:
        """A camera of this name gives no more frames."""
        self._cameras.pop(camera, None)

    def _for(self, camera: CameraConfig) -> tuple[ALPR, CameraDetector]:
        detector = CameraDetector(cast(StagedDetector, self._alpr.detector), camera)
        alpr = ALPR(
            detector=detector, reader=self._alpr.reader, min_confidence=0.0,
            min_detection=self._alpr.min_detection,
        )
        return alpr, detector


def desks(config: ModelConfig) -> list[Desk]:
    """One a worker, all with the same compiled networks.

    Raises:
        ModelError, UsageError: see :class:`~alpr_edge.pipeline.ALPR`.
    """
    alpr = ALPR(
        models=config.models, threads=config.threads, streams=config.workers, cache=config.cache,
        precision=config.precision, min_detection=config.min_detection,
    )
    return [Desk(alpr), *(Desk(alpr.twin()) for _ in range(config.workers - 1))]
