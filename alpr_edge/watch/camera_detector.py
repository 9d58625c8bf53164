"""The detector of one camera: tiles, a smaller stream to look in, only plates that count, and a
closer look only at what is not known to be no plate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alpr_edge import geometry
from alpr_edge.detector import StagedDetector
from alpr_edge.types import Detection, Image
from alpr_edge.watch.clutter import Clutter
from alpr_edge.watch.config import CameraConfig
from alpr_edge.watch.region import is_inside, plate_width
from alpr_edge.watch.tiles import TiledDetector


class CameraDetector(StagedDetector):
    """Another detector, as ``camera`` is configured.

    Set before each picture: ``small``, if any, is the picture to look in instead (what is found is
    scaled); ``time`` is when it was shown, in seconds, and ``clutter`` what pictures before it
    showed to be no plate (None: it follows no other picture). ``ignored`` has what does not count
    in the last picture, so that it is not read: outside of the region or too small. Redaction
    covers it all the same.
    """

    def __init__(self, detector: StagedDetector, camera: CameraConfig) -> None:
        tiled = camera.tiles != (1, 1)
        self._detector = TiledDetector(detector, *camera.tiles) if tiled else detector
        self._camera = camera
        self.small: Image | None = None
        self.time = 0.0
        self.clutter: Clutter | None = None
        self.ignored: list[Detection] = []

    def letterbox(self, image: Image) -> Any:
        """The picture to look in as the network takes it, with both sizes."""
        seen = image if self.small is None else self.small
        return self._detector.letterbox(seen), seen.shape[1::-1], image.shape[1::-1]

    def infer(self, framed: Any) -> Any:
        """The network's outputs."""
        return self._detector.infer(framed[0])

    def postprocess(self, outputs: Any, framed: Any) -> list[Detection]:
        """Detections that count, in the picture's pixels, most confident first."""
        own, seen, size = framed
        found = self._detector.postprocess(outputs, own)
        if seen != size:
            found = [_scaled(one, size[0] / seen[0], size[1] / seen[1]) for one in found]
        counts = [self._counts(one, *size) for one in found]
        self.ignored = [one for one, count in zip(found, counts, strict=True) if not count]
        return [one for one, count in zip(found, counts, strict=True) if count]

    def look_closer(self, detections: Sequence[Detection], image: Image) -> list[Detection]:
        """The other detector's, in the whole picture, at what is not known to be clutter; nothing
        that it doubts, since a plate is seen more surely a moment later."""
        if self.clutter is None:
            return self._sure(detections, image)
        unknown = self.clutter.unknown(detections, self.time)
        plates = self._sure(unknown, image)
        self.clutter.learn(unknown, plates, self.time)
        return plates

    def _sure(self, detections: Sequence[Detection], image: Image) -> list[Detection]:
        seen = self._detector.look_closer(detections, image)
        return [one for one in seen if one.confidence >= self._detector.sure]

    def _counts(self, detection: Detection, width: int, height: int) -> bool:
        camera = self._camera
        if plate_width(detection.corners) < camera.min_plate_width:
            return False
        return not camera.region or is_inside(detection.corners, camera.region, width, height)


def _scaled(detection: Detection, x: float, y: float) -> Detection:
    box = np.asarray(detection.box).reshape(2, 2) * (x, y)
    return Detection(
        box=geometry.quad_box(box), corners=geometry.as_quad(
            np.asarray(detection.corners) * (x, y)
        ), confidence=detection.confidence,
    )
