"""A drawn vehicle as an upright board that is put into a video, frame by frame, in perspective."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.geometry import as_quad, perspective, quad_box
from alpr_edge.types import Floats, Image
from training.render.paste import PasteConfig, paste_at, plate_quad
from training.render.plate import RenderedPlate
from training.render.street import draw_vehicle

_PIXELS = 1040
"""Width of a vehicle on its board; its plate is a quarter of it."""
_MARGIN, _BELOW = 0.12, 0.06
"""Of the board beside and under the vehicle, in its widths: mirrors and shadow."""
_CAR, _LORRY = (1.76, 0.86), (2.0, 1.2)
"""Metres in width, and height in widths. A car's plate slot is 440 mm."""
_LEVELS = 4
_ON_VEHICLE = PasteConfig(roll=0.8, yaw=3, pitch=3, strong=0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """How bright a vehicle appears: its body, its plate (which reflects head lamps)."""

    body: float = 1.0
    plate: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """A vehicle seen from straight behind or in front, with its plate.

    ``levels`` are the picture and its halves, (H, W, 4) uint8 BGR and opacity, colours multiplied
    by the opacity. ``plate`` (4, 2) are the plate's corners in pixels of the first level.
    ``width`` and ``height`` are the board's in metres, its lower edge ``below`` the ground.
    """

    levels: tuple[NDArray[np.uint8], ...]
    plate: Floats
    width: float
    height: float
    below: float


def make_board(
    plate: RenderedPlate, rng: np.random.Generator, lorry: bool, light: Light
) -> Board:
    """Draw a vehicle of random looks that carries ``plate``."""
    metres, tall = _LORRY if lorry else _CAR
    width, height = round(_PIXELS * (1 + 2 * _MARGIN)), round(_PIXELS * (tall + _BELOW))
    shape, seed = (height, width, 3), int(rng.integers(2**32))
    dark, bright = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    for image in (dark, bright):  # what shows through tells the opacity
        slot = draw_vehicle(
            image, np.random.default_rng(seed), width / 2, _PIXELS * tall, _PIXELS, lorry
        )
    opacity = 255 - (bright.astype(np.int16) - dark).max(axis=2).clip(0, 255).astype(np.uint8)
    aspect = plate.image.shape[1] / plate.image.shape[0]
    wide = slot.width * (1.0 if aspect > 2.6 or lorry else 0.7)
    quad = plate_quad(rng, aspect, wide, _ON_VEHICLE) + np.array([slot.x, slot.y], np.float32)
    body = cv2.convertScaleAbs(dark, alpha=light.body)
    bare = plate.image if light.plate == 1 else cv2.convertScaleAbs(plate.image, alpha=light.plate)
    colours = paste_at(np.asarray(body, np.uint8), np.asarray(bare, np.uint8), quad, rng,
                       surround=False, match=0.0)
    x1, y1, x2, y2 = (round(side) for side in quad_box(as_quad(quad)))
    opacity[y1:y2, x1:x2] = 255
    scale = metres / _PIXELS
    return Board(
        levels=_halves(np.dstack([colours, opacity])), plate=quad, width=width * scale,
        height=height * scale, below=_BELOW * metres,
    )


def _halves(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    levels = [image]
    while len(levels) < _LEVELS:
        small = cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(small, np.uint8))
    return tuple(levels)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Where a board came to lie: its plate's corners (4, 2) in the frame, and its opacity
    (h, w) uint8 whose first pixel is the frame's ``left``, ``top``."""

    plate: Floats
    opacity: Image
    left: int
    top: int

    def covers(self, points: Floats) -> NDArray[np.bool_]:
        """Which of the points (N, 2) of the frame it hides: (N,)."""
        column, row = (points - (self.left, self.top)).astype(int).T
        height, width = self.opacity.shape
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        hidden = np.zeros(len(points), bool)
        hidden[inside] = self.opacity[row[inside], column[inside]] > 127
        return hidden


def draw_board(frame: Image, board: Board, quad: Floats) -> Drawn | None:
    """Blend a board into ``frame`` with its corners on ``quad`` (4, 2), in place; None where it
    lies wholly outside."""
    x1, y1 = np.maximum(np.floor(quad.min(0)).astype(int), 0).tolist()
    x2, y2 = np.minimum(np.ceil(quad.max(0)).astype(int), frame.shape[1::-1]).tolist()
    if x2 <= x1 or y2 <= y1:
        return None
    shown = float(np.linalg.norm(quad[1] - quad[0]))
    level = next((n for n in reversed(range(len(board.levels)))
                  if board.levels[n].shape[1] >= shown), 0)
    image = board.levels[level]
    matrix = perspective(_corners(image), quad - np.array([x1, y1], np.float32))
    warped = cv2.warpPerspective(image, matrix, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR)
    opacity = warped[..., 3]
    behind = cv2.cvtColor(255 - opacity, cv2.COLOR_GRAY2BGR)
    place = frame[y1:y2, x1:x2]
    place[:] = cv2.add(cv2.multiply(place, behind, scale=1 / 255), warped[..., :3])
    onto = cv2.getPerspectiveTransform(_corners(board.levels[0]), quad)
    plate = np.asarray(cv2.perspectiveTransform(board.plate[None], onto)[0], np.float32)
    return Drawn(plate=plate, opacity=np.asarray(opacity, np.uint8), left=x1, top=y1)


def _corners(image: NDArray[np.uint8]) -> Floats:
    height, width = image.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
