"""The detector of one camera: tiles, a smaller stream to look in, only plates that count, and a
closer look only at what is not known to be no plate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.detector import StagedDetector, mapped
from alpr_edge.geometry import sides
from alpr_edge.types import Detection, Image, Quad
from alpr_edge.watch.clutter import Clutter
from alpr_edge.watch.config import CameraConfig, Polygon
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
        self.sure = detector.sure
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
            scale = np.divide(size, seen)
            found = [mapped(one, lambda points: points * scale) for one in found]
        self.ignored = []
        return self._counting(found, *size)

    def look_closer(self, detections: Sequence[Detection], image: Image) -> list[Detection]:
        """The other detector's, in the whole picture; where others follow, at what is not known to
        be clutter, and nothing that it doubts, since a plate is seen more surely a moment later."""
        if self.clutter is None:
            return self._detector.look_closer(detections, image)
        unknown = self.clutter.unknown(detections, self.time)
        seen = self._detector.look_closer(unknown, image)
        plates = [one for one in seen if one.confidence >= self.sure]
        self.clutter.learn(unknown, plates, self.time)
        return plates

    def look_turned(self, image: Image) -> list[Detection]:
        """The other detector's, as far as they count."""
        height, width = image.shape[:2]
        return self._counting(self._detector.look_turned(image), width, height)

    def _counting(
        self, detections: Sequence[Detection], width: int, height: int
    ) -> list[Detection]:
        """Those that count; the others are added to :attr:`ignored`."""
        counts = [self._counts(one, width, height) for one in detections]
        self.ignored += [one for one, count in zip(detections, counts, strict=True) if not count]
        return [one for one, count in zip(detections, counts, strict=True) if count]

    def _counts(self, detection: Detection, width: int, height: int) -> bool:
        camera = self._camera
        if sides(detection.corners)[0] < camera.min_plate_width:
            return False
        return not camera.region or is_inside(detection.corners, camera.region, width, height)


def is_inside(quad: Quad, polygons: Sequence[Polygon], width: int, height: int) -> bool:
    """Whether the centre of ``quad`` (pixels) is in one of ``polygons`` (shares), or on an edge."""
    x, y = np.asarray(quad, np.float64).mean(axis=0) / (width, height)
    return any(
        cv2.pointPolygonTest(np.asarray(polygon, np.float32), (float(x), float(y)), False) >= 0
        for polygon in polygons
    )
