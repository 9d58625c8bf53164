"""Far plates: a picture looked through in overlapping parts, each at the network's full size."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from alpr_edge import decode
from alpr_edge.detector import StagedDetector, mapped
from alpr_edge.geometry import EDGE
from alpr_edge.types import Box, Detection, Image

OVERLAP = 0.2
"""Share of a tile's side that the next one repeats: wider than any plate that needs tiles."""
SAME_IOU = 0.3
"""Boxes of two parts that overlap more are one plate; plates themselves do not overlap."""


def tiles(width: int, height: int, columns: int, rows: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of ``columns`` x ``rows`` overlapping parts, row by row; each
    has a pixel at least."""
    return [
        (left, top, right, bottom)
        for top, bottom in _spans(height, rows) for left, right in _spans(width, columns)
    ]


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    size = length / (count - (count - 1) * OVERLAP)
    begins = [min(round(i * size * (1 - OVERLAP)), length - 1) for i in range(count)]
    return [(begin, min(length, begin + max(1, round(size)))) for begin in begins]


class TiledDetector(StagedDetector):
    """Finds plates in the whole picture and in each tile of it; each plate counts once."""

    def __init__(self, detector: StagedDetector, columns: int, rows: int) -> None:
        self._detector, self.sure = detector, detector.sure
        self._grid = columns, rows

    def letterbox(self, image: Image) -> Any:
        """Size of the picture, and its parts as the network takes them, the whole one first."""
        height, width = image.shape[:2]
        parts = [(0, 0, width, height), *tiles(width, height, *self._grid)]
        return (width, height), [
            (part, self._detector.letterbox(image[part[1] : part[3], part[0] : part[2]]))
            for part in parts
        ]

    def infer(self, framed: Any) -> Any:
        """The network's outputs, one a part."""
        return [self._detector.infer(own) for _, own in framed[1]]

    def postprocess(self, outputs: Any, framed: Any) -> list[Detection]:
        """Detections in the picture's pixels without doubles, most confident first."""
        size, ((_, own), *parts) = framed
        found = self._detector.postprocess(outputs[0], own)
        for (part, own), output in zip(parts, outputs[1:], strict=True):
            to_whole = functools.partial(np.add, part[:2])
            moved = [mapped(one, to_whole) for one in self._detector.postprocess_part(output, own)]
            found += [one for one in moved if not _is_cut(one, part, size)]
        boxes = np.array([d.box for d in found]).reshape(-1, 4)
        scores = np.array([d.confidence for d in found])
        return [found[index] for index in decode.nms(boxes, scores, SAME_IOU)]

    def look_closer(self, detections: Sequence[Detection], image: Image) -> list[Detection]:
        """The other detector's, in the whole picture."""
        return self._detector.look_closer(detections, image)

    def look_turned(self, image: Image) -> list[Detection]:
        """The other detector's, in the whole picture."""
        return self._detector.look_turned(image)


def _is_cut(detection: Detection, part: Box, size: tuple[int, int]) -> bool:
    """Whether a plate ends at an edge of its tile that is no edge of the picture."""
    left, top, right, bottom = detection.box
    return (
        (part[0] > 0 and left < part[0] + EDGE)
        or (part[1] > 0 and top < part[1] + EDGE)
        or (part[2] < size[0] and right > part[2] - EDGE)
        or (part[3] < size[1] and bottom > part[3] - EDGE)
    )
