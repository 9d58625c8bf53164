"""Letterbox with its exact inverse, and perspective rectification to the reader's input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alpr_edge._cv2 import cv2
from alpr_edge.types import Box, Floats, Image, Quad

PLATE_HEIGHT, PLATE_WIDTH = 48, 192
"""Size of a rectified plate: the reader's input."""
PAD_VALUE = 114
"""Grey that fills the part of a letterbox the picture does not cover."""
ENLARGED = 2.0
"""So many times a small picture is enlarged for the detector at most: more shows nothing new."""
CLOSE = 0.6, 0.5
"""Greatest share of a close-up's width and height that the plate in its middle takes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Letterbox:
    """How a picture was put into a fixed frame: scaled per axis, its top left corner at ``left``,
    ``top``.

    ``scale_x`` and ``scale_y`` are the *exact* ratios of the rounded sizes, so the inverse is
    exact too.
    """

    scale_x: float
    scale_y: float
    left: float = 0
    top: float = 0

    def forward(self, points: NDArray[np.floating]) -> Floats:
        """Picture pixels (..., 2) to network pixels (..., 2), float32."""
        scaled = points * np.array([self.scale_x, self.scale_y])
        return np.asarray(scaled + np.array([self.left, self.top]), np.float32)

    def inverse(self, points: NDArray[np.floating]) -> Floats:
        """Network pixels (..., 2) to picture pixels (..., 2), float32."""
        moved = points - np.array([self.left, self.top])
        return np.asarray(moved / np.array([self.scale_x, self.scale_y]), np.float32)


def letterbox(
    image: Image, height: int, width: int, enlarge: float = ENLARGED
) -> tuple[Image, Letterbox]:
    """Scale ``image`` (H, W, 3) to fit (height, width), aspect kept, the rest grey; a small one at
    most ``enlarge`` times.

    It is halved by averaging while it stays large enough, then scaled linearly: so nothing aliases,
    and OpenCV averages fast by two only.

    Returns the (height, width, 3) uint8 picture and the mapping between the two.
    """
    new_height, new_width, halvings = fit(
        image.shape[0], image.shape[1], height, width, enlarge
    )
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[new_height:] = canvas[:, new_width:] = PAD_VALUE
    covered = canvas[:new_height, :new_width]  # OpenCV writes into it: no second copy
    for _ in range(halvings):
        image = _halved(image)
    cv2.resize(image, (new_width, new_height), dst=covered, interpolation=cv2.INTER_LINEAR)
    seen_height, seen_width = (side << halvings for side in image.shape[:2])
    return canvas, Letterbox(scale_x=new_width / seen_width, scale_y=new_height / seen_height)


def fit(
    source_height: int, source_width: int, height: int, width: int, enlarge: float = ENLARGED
) -> tuple[int, int, int]:
    """How a picture fills a frame of (height, width), enlarged at most so many times: its height
    and width there, and how many times it is halved on the way."""
    scale = min(height / source_height, width / source_width, enlarge)
    new_height = min(height, max(1, round(source_height * scale)))
    new_width = min(width, max(1, round(source_width * scale)))
    ratio = min(source_height // new_height, source_width // new_width)
    return new_height, new_width, max(1, ratio).bit_length() - 1


def _halved(image: Image) -> Image:
    """(H, W, 3) to (H // 2, W // 2, 3), each pixel the average of four. Of an odd side the last
    pixel is left out: OpenCV would average by a little more than two, much more slowly."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    even = image[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def farther(frame: Image, mapping: Letterbox) -> tuple[Image, Letterbox]:
    """A letterboxed picture (H, W, 3) as from twice as far: half as large in the middle of a frame
    of the same size, grey around it; and the picture's mapping into that."""
    height, width = frame.shape[:2]
    left, top = width // 4, height // 4
    canvas = np.full_like(frame, PAD_VALUE)
    half = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    canvas[top : top + height // 2, left : left + width // 2] = half
    return canvas, Letterbox(
        scale_x=mapping.scale_x / 2, scale_y=mapping.scale_y / 2,
        left=left + mapping.left / 2, top=top + mapping.top / 2,
    )


def close_up(image: Image, box: Box, height: int, width: int) -> tuple[Image, Letterbox]:
    """The surroundings of ``box``, scaled so that it fills :data:`CLOSE` of a frame of (height,
    width) in one direction and no more in the other, its centre in the middle; grey beyond the
    picture's edge. And the picture's mapping into that."""
    x1, y1, x2, y2 = box
    scale = close_scale(box, height, width)
    left, top = width / 2 - scale * (x1 + x2) / 2, height / 2 - scale * (y1 + y2) / 2
    x, x_end = _seen(left, width, scale, image.shape[1])
    y, y_end = _seen(top, height, scale, image.shape[0])
    part, step = image[y:y_end, x:x_end], scale
    while step <= 0.5 and min(part.shape[:2]) > 1:
        part, step = _halved(part), 2 * step
    middle = 0.5 * step - 0.5  # OpenCV's pixel centres are whole numbers
    matrix = np.array(
        [[step, 0, left + scale * x + middle], [0, step, top + scale * y + middle]], np.float64
    )
    close = cv2.warpAffine(
        part, matrix, (width, height), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(PAD_VALUE,) * 3,
    )
    mapping = Letterbox(scale_x=scale, scale_y=scale, left=left, top=top)
    return np.asarray(close, np.uint8), mapping


def close_scale(box: Box, height: int, width: int) -> float:
    """How many pixels of a close-up of (height, width) a picture's pixel takes."""
    x1, y1, x2, y2 = box
    return min(CLOSE[0] * width / max(x2 - x1, 1.0), CLOSE[1] * height / max(y2 - y1, 1.0))


def _seen(offset: float, side: int, scale: float, limit: int) -> tuple[int, int]:
    """First pixel and end, at least one pixel within 0..limit, of what a frame's side shows, and a
    pixel more at either end."""
    first = min(max(math.floor(-offset / scale) - 1, 0), limit - 1)
    end = min(max(math.ceil((side - offset) / scale) + 1, first + 1), limit)
    return first, end


def turned(image: Image, turns: int) -> Image:
    """The picture (H, W, 3) turned to the left by so many right angles, 1 to 3."""
    codes = cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE
    return np.asarray(cv2.rotate(image, codes[turns - 1]), np.uint8)


def turned_back(points: NDArray[np.floating], turns: int, height: int, width: int) -> Floats:
    """Pixels (..., 2) of ``turned(image, turns)`` as pixels of the image of (height, width)."""
    x, y = points[..., 0], points[..., 1]
    seen = ((width - y, x), (width - x, height - y), (y, height - x))[turns - 1]
    return np.stack(seen, axis=-1).astype(np.float32)


def perspective(
    source: NDArray[np.floating] | Quad, target: NDArray[np.floating] | Quad
) -> NDArray[np.float64]:
    """The 3x3 matrix for ``cv2.warpPerspective`` that takes ``source`` (4, 2) to ``target`` (4, 2).

    Both in the project's pixels; OpenCV's pixel centres are whole numbers, hence the half pixel.
    """
    matrix = cv2.getPerspectiveTransform(
        np.asarray(source, np.float32) - 0.5, np.asarray(target, np.float32) - 0.5
    )
    return np.asarray(matrix, np.float64)


def project(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """``points`` (..., 2) where a matrix of :func:`perspective` takes them, both in the project's
    pixels."""
    flat = np.asarray(points, np.float64).reshape(-1, 1, 2)
    moved = np.asarray(cv2.perspectiveTransform(flat - 0.5, matrix), np.float64)
    return (moved + 0.5).reshape(points.shape)


def sides(quad: Quad) -> tuple[float, float]:
    """The mean width and the mean height of what lies inside the corners TL TR BR BL, in pixels."""
    top, right, bottom, left = (math.dist(quad[i], quad[i - 3]) for i in range(4))
    return (top + bottom) / 2, (right + left) / 2


def rectify(
    image: Image, corners: NDArray[np.floating] | Quad,
    height: int = PLATE_HEIGHT, width: int = PLATE_WIDTH,
) -> Image:
    """The plate inside ``corners`` (4, 2) TL TR BR BL as an upright (height, width, 3) picture.

    Large plates are warped at a whole multiple of the size and averaged down, so that thin strokes
    are not lost to aliasing. What lies outside the picture repeats its edge.
    """
    quad = as_quad(corners)
    top, right, bottom, left = (math.dist(quad[i], quad[i - 3]) for i in range(4))
    factor = max(top / width, bottom / width, right / height, left / height)
    multiple = min(4, max(1, math.ceil(factor / 1.5)))
    size = (width * multiple, height * multiple)
    target = box_quad((0.0, 0.0, *size))
    plate = cv2.warpPerspective(
        image, perspective(quad, target), size,
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
    )
    if multiple > 1:
        plate = cv2.resize(plate, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(plate, np.uint8)


def whole(image: Image) -> Quad:
    """The corners of a picture that is a plate cut-out: the picture's own."""
    height, width = image.shape[:2]
    return box_quad((0.0, 0.0, float(width), float(height)))


def box_quad(box: Box) -> Quad:
    """The corners of an upright box: TL TR BR BL."""
    x1, y1, x2, y2 = box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


EDGE = 2.0
"""Pixels from the picture's edge at which a plate may be cut off."""


def is_whole(box: Box, width: int, height: int) -> bool:
    """Whether a plate lies away from all edges of its picture of ``width`` x ``height`` pixels."""
    x1, y1, x2, y2 = box
    return min(x1, y1, width - x2, height - y2) > EDGE


def quad_box(corners: NDArray[np.floating] | Quad) -> Box:
    """The smallest upright box around ``corners`` (4, 2)."""
    xs, ys = zip(*_rows(corners), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def as_quad(corners: NDArray[np.floating] | Sequence[Sequence[float]]) -> Quad:
    """A (4, 2) array as a tuple of four points."""
    a, b, c, d = ((float(x), float(y)) for x, y in _rows(corners))
    return a, b, c, d


def _rows(points: NDArray[np.floating] | Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    """Python's numbers, with which four points are faster than with arrays."""
    return points.tolist() if isinstance(points, np.ndarray) else points
