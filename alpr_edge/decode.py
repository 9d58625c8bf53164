"""From the detector's grid to boxes and corners. Written once, for numpy arrays and torch tensors.

Legend: N batch, P cells of all levels one after the other (stride 8 first, each level row by row),
k candidates. A cell's point is the centre of its stride x stride square. Distances and corner
offsets are in units of the cell's stride: GFL (Li et al. 2020), SCRFD (Guo et al. 2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge.types import Floats

STRIDES = (8, 16, 32)
MAX_CANDIDATES = 300
"""Cells, best score first, that the graph decodes: they go into the suppression of doubles."""


def grid(height: int, width: int, strides: tuple[int, ...] = STRIDES) -> tuple[Floats, Floats]:
    """Points (P, 2) in pixels and strides (P, 1), float32, of an input of (height, width) pixels.

    Raises:
        ValueError: a side is no multiple of the largest stride.
    """
    if height % max(strides) or width % max(strides) or min(height, width) <= 0:
        raise ValueError(
            f"input {height}x{width}: both must be positive multiples of {max(strides)}"
        )
    points, sizes = [], []
    for stride in strides:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        level = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride
        points.append(level)
        sizes.append(np.full((len(level), 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def decode_boxes(points: Any, strides: Any, distances: Any) -> Any:
    """Boxes (..., 4) x1 y1 x2 y2 from points (..., 2), strides (..., 1) and distances (..., 4)
    left, top, right, bottom. Same kind of array out as in (numpy or torch)."""
    boxes = distances * strides
    boxes[..., :2] = points - boxes[..., :2]
    boxes[..., 2:] = points + boxes[..., 2:]
    return boxes


def decode_corners(points: Any, strides: Any, offsets: Any) -> Any:
    """Corners (..., 4, 2) from points (..., 2), strides (..., 1), offsets (..., 8) x y x y ..."""
    corners = (offsets * strides).reshape(*offsets.shape[:-1], 4, 2)
    return corners + points[..., None, :]


def encode_boxes(points: Any, strides: Any, boxes: Any) -> Any:
    """The inverse of :func:`decode_boxes`: distances (..., 4) in strides."""
    distances = boxes * 1.0
    distances[..., :2] = points - boxes[..., :2]
    distances[..., 2:] = boxes[..., 2:] - points
    return distances / strides


def encode_corners(points: Any, strides: Any, corners: Any) -> Any:
    """The inverse of :func:`decode_corners`: offsets (..., 8) in strides."""
    offsets = corners - points[..., None, :]
    return offsets.reshape(*points.shape[:-1], 8) / strides


def box_iou(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of every box (A, 4) with every other (B, 4): (A, B)."""
    a = np.asarray(boxes, np.float64).reshape(-1, 1, 4)
    b = np.asarray(others, np.float64).reshape(1, -1, 4)
    intersection = _area(np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:]))
    area_a, area_b = (_area(corners[..., :2], corners[..., 2:]) for corners in (a, b))
    union = area_a + area_b - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(union), where=union > 0))


def _area(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of boxes between two corners (..., 2); 0 where they are the wrong way round."""
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def nms(boxes: NDArray[np.floating], scores: NDArray[np.floating], iou: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the kept boxes (k, 4), best score first."""
    order = np.argsort(-scores, kind="stable")
    overlaps = box_iou(boxes[order], boxes[order]) > iou
    kept: list[int] = []
    doubles = np.zeros(len(order), bool)
    for candidate in range(len(order)):
        if not doubles[candidate]:
            kept.append(candidate)
            doubles |= overlaps[candidate]
    return order[kept]


def select(
    scores: Floats, boxes: Floats, corners: Floats, *, min_score: float, iou: float
) -> tuple[Floats, Floats, Floats]:
    """One picture's graph outputs, float32 (K,), (K, 4) and (K, 4, 2), without those below
    ``min_score`` and without doubles: boxes (k, 4), corners (k, 4, 2) and scores (k,). They must
    come best first, as the graph gives them.

    A plate's doubles vote on where it is, each with the square of its score (box voting, Gidaris
    and Komodakis 2015, section 5): the mean of several cells errs less than the best of them.
    """
    count = int((scores >= min_score).sum())
    boxes, corners, scores = boxes[:count], corners[:count], scores[:count]
    kept = nms(boxes, scores, iou)
    votes = np.where(box_iou(boxes[kept], boxes) > iou, np.square(scores), 0)
    votes[np.arange(len(kept)), kept] = np.square(scores[kept])  # also where it has no area
    votes = (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
    return votes @ boxes, np.tensordot(votes, corners, 1), scores[kept]
