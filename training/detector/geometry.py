"""How a frame and its plates move into a training picture: pure numpy and OpenCV geometry.

Pixel rule of the project: the centre of pixel i is at i + 0.5. Legend: G plates.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.types import Floats, Image

FROM_THE_SIDE = 0.25
"""Share of the views whose plates' corners are known that look at them from the side."""
MIRRORED = [1, 0, 3, 2]
"""Where TL TR BR BL of a mirrored plate stood before."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plates:
    """Annotations of a picture. ``corners`` (G, 4, 2) are always there: where nobody knows them
    they are the box's, with ``corner_weight`` (G,) 0. ``boxes`` (G, 4); ``ignore`` (G,) bool."""

    corners: Floats
    boxes: Floats
    corner_weight: Floats
    box_weight: Floats
    ignore: NDArray[np.bool_]

    def with_exact_boxes(self, exact: NDArray[np.bool_]) -> Plates:
        """Where ``exact`` (G,), the box becomes the hull of the corners."""
        boxes = np.where(exact[:, None], hulls(self.corners), self.boxes)
        return dataclasses.replace(self, boxes=boxes.astype(np.float32))

    def shifted(self, x: float, y: float) -> Plates:
        """The plates moved by (x, y) pixels."""
        step = np.array([x, y], np.float32)
        return dataclasses.replace(
            self, corners=self.corners + step, boxes=self.boxes + np.tile(step, 2)
        )


def join(parts: list[Plates]) -> Plates:
    """All plates of the parts, in order."""
    return Plates(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in dataclasses.fields(Plates)
        }
    )


def hulls(corners: Floats) -> Floats:
    """Smallest upright boxes (G, 4) round corners (G, 4, 2)."""
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def areas(corners: Floats) -> Floats:
    """Areas (G,) of quads (G, 4, 2), by the diagonals' cross product."""
    first, second = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    return np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def flip(plates: Plates, width: int) -> Plates:
    """The plates of the mirrored picture: corners are those of the mirrored plate's own edge."""
    corners = plates.corners[:, MIRRORED] * [-1, 1] + [width, 0]
    boxes = plates.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [width, 0, width, 0]
    return dataclasses.replace(
        plates, corners=corners.astype(np.float32), boxes=boxes.astype(np.float32)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """A homography ``matrix`` (3, 3) from a frame's pixels to a training picture's."""

    matrix: NDArray[np.float64]

    def points(self, points: Floats) -> Floats:
        """Points (..., 2) of the frame in the training picture."""
        moved = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return (moved[..., :2] / moved[..., 2:]).astype(np.float32)

    def move(self, plates: Plates) -> Plates:
        """The plates in the training picture, not clipped.

        A box goes the way of its corners' hull; what it differed from the hull before, it differs
        after, in scale: corners of doubtful outline still turn a box tightly.
        """
        if not len(plates.boxes):
            return plates
        corners = self.points(plates.corners)
        scale = np.sqrt(areas(corners) / np.maximum(areas(plates.corners), 1e-6))[:, None]
        boxes = hulls(corners) + (plates.boxes - hulls(plates.corners)) * scale
        return dataclasses.replace(plates, corners=corners, boxes=boxes.astype(np.float32))


def _turn(rng: np.random.Generator, turnable: bool) -> NDArray[np.float64]:
    """Rotation, shear, aspect and a little perspective round the origin, in units of the side.

    Some views are from the side: narrower, with edges that were level now sloping. Boxes without
    corners only allow what keeps an upright box tight.
    """
    angle = np.clip(rng.normal(0, 1.0), -2, 2)
    if turnable:
        angle = rng.uniform(-35, 35) if rng.random() < 0.08 else rng.normal(0, 5)
    angle = np.deg2rad(angle)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.eye(2)
    if turnable:
        shear[0, 1], shear[1, 0] = rng.normal(0, (0.06, 0.04))
    stretch = np.exp(rng.normal(0, 0.08) * np.array([1, -1]))
    if turnable and rng.random() < FROM_THE_SIDE:
        stretch[0] *= rng.uniform(0.5, 1.0)
        shear[1, 0] = rng.uniform(-0.45, 0.45)
    matrix = np.eye(3)
    matrix[:2, :2] = rotation @ shear @ np.diag(stretch)
    if turnable:
        matrix[2, :2] = np.clip(rng.normal(0, 0.08, 2), -0.2, 0.2)
    return matrix


def random_view(
    rng: np.random.Generator, plates: Plates, source: tuple[int, int], target: tuple[int, int]
) -> View:
    """A random view of a frame of (height, width) pixels in a picture of (height, width) pixels.

    0.6 to 2.5 times the size that fits; most views with plates keep one of them inside.
    """
    height, width = source
    fit = min(target[0] / height, target[1] / width)
    scale = fit * np.exp(rng.uniform(np.log(0.6), np.log(2.5)))
    size = np.array(target[::-1], np.float64)  # x y, as points are
    free = size - scale * np.array([width, height])
    offset = rng.uniform(np.minimum(free, 0), np.maximum(free, 0))
    if len(plates.boxes) and rng.random() < 0.8:
        box = plates.boxes[rng.integers(len(plates.boxes))]
        centre = (box[:2] + box[2:]) / 2 * scale
        room = np.minimum(0.15 * size + (box[2:] - box[:2]) * scale / 2, size / 2)
        offset = np.clip(offset, room - centre, size - room - centre)
    return turned_view(rng, plates, scale, offset, target)


def turned_view(
    rng: np.random.Generator, plates: Plates, scale: float, offset: NDArray[np.floating],
    target: tuple[int, int],
) -> View:
    """A view of ``scale`` and ``offset`` (x, y) in a picture of (height, width) pixels, turned and
    sheared a little at random round the picture's middle."""
    size = np.array(target[::-1], np.float64)
    place = np.array([[scale, 0, offset[0]], [0, scale, offset[1]], [0, 0, 1]])
    side = float(max(target))
    middle = np.array([[side, 0, size[0] / 2], [0, side, size[1] / 2], [0, 0, 1]])
    turnable = bool((plates.corner_weight > 0).all())
    return View(matrix=middle @ _turn(rng, turnable) @ np.linalg.inv(middle) @ place)


def warp(image: Image, view: View, target: tuple[int, int], fill: int) -> Image:
    """The view's picture of (height, width) pixels; outside the frame it is ``fill``.

    Frames that shrink below 0.6 are averaged down by halves first, so that nothing aliases.
    """
    matrix = view.matrix
    shrink = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    while shrink < 0.6:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        scale = np.diag([image.shape[1] / width, image.shape[0] / height, 1.0])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        matrix, shrink = matrix @ scale, shrink * 2
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's pixel centres are whole
    return np.asarray(
        cv2.warpPerspective(
            image, np.linalg.inv(half) @ matrix @ half, target[::-1], flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(fill, fill, fill),
        ),
        np.uint8,
    )


def crop(plates: Plates, height: int, width: int, visible: float, smallest: float) -> Plates:
    """Plates clipped to the picture; those outside are dropped.

    Ignored from then on: plates of which less than the share ``visible`` is inside, and plates
    narrower than ``smallest`` pixels.
    """
    limit = np.array([width, height, width, height], np.float32)
    boxes = np.clip(plates.boxes, 0, limit)
    sides, whole = boxes[:, 2:] - boxes[:, :2], plates.boxes[:, 2:] - plates.boxes[:, :2]
    share = sides.prod(axis=1) / np.maximum(whole.prod(axis=1), 1e-6)
    ignore = plates.ignore | (share < visible) | (sides[:, 0] < smallest) | (sides[:, 1] < 2)
    inside = share > 0
    moved = dataclasses.replace(plates, boxes=boxes, ignore=ignore)
    return Plates(**{f.name: getattr(moved, f.name)[inside] for f in dataclasses.fields(Plates)})
