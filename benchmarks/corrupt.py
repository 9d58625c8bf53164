"""Corruptions that mimic CCPD's subsets (Xu et al. 2018): blur, DB, tilt, rotate, FN, weather.

``--corrupt rotate:strong``. Every corruption is a function of the picture, its place in the data
and the strength alone: the same on every machine and in every run. Optical ones are in pixels of a
plate :data:`~alpr_edge.geometry.PLATE_WIDTH` wide, so that a far plate is not blurred more than
a near one. Those that move the plate give the annotations that fit the moved picture, and the
canvas grows so that nothing is lost: grey around frames, repeated edges around cut-outs.
"""

from __future__ import annotations

import dataclasses
import enum
import zlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.data.sample import PlateTruth, Sample
from alpr_edge.errors import UsageError
from alpr_edge.geometry import PAD_VALUE, PLATE_WIDTH, as_quad, box_quad, quad_box
from alpr_edge.types import Box, Image, Quad

Matrix = NDArray[np.float64]
"""(3, 3), from the pixels of the picture as it is to those of the corrupted one."""
Random = np.random.Generator
_VIEWING = 2.0
"""Distance of the camera from a tilted picture, in its longer side."""
_NO_PLATE = 0.1
"""Width of the plate a frame without plates might have, as a share of its longer side."""
_ONE_ROW = 2.5
"""Cut-outs at least so wide for their height have one row."""


class Strength(enum.StrEnum):
    """How hard; medium is what the accuracy bars are about."""

    WEAK = "weak"
    MEDIUM = "medium"
    STRONG = "strong"


def _graded(weak: float, medium: float, strong: float) -> dict[Strength, float]:
    return dict(zip(Strength, (weak, medium, strong), strict=True))


BLUR = _graded(3.0, 6.0, 9.0)
"""Length of the movement, pixels of a plate 192 wide; the focus is off by a fifth of it (sigma)."""
DARK = _graded(0.4, 0.22, 0.12)
"""Share of the light that is left; with it comes noise."""
BRIGHT = _graded(1.5, 2.0, 2.8)
"""Gain where the light falls; a third of that gain less at the other end of the picture."""
TILT_FRAME, TILT_CROP = _graded(15.0, 30.0, 40.0), _graded(10.0, 18.0, 25.0)
"""Degrees seen from the side and as many from above or below."""
ROTATE_FRAME, ROTATE_CROP = _graded(10.0, 20.0, 35.0), _graded(3.0, 6.0, 10.0)
"""Degrees: frames as CCPD has them, cut-outs what may be left after they were rectified."""
FAR_FRAME = _graded(1.5, 2.0, 3.0)
"""How many times as far."""
FAR_CROP = _graded(128, 94, 72)
"""Width in pixels; a quarter of it high for one row (94 x 24, 72 x 18), half for two."""
RAIN = _graded(0.15, 0.3, 0.45)
"""Share of haze over the picture; drops in proportion."""


def blur(image: Image, rng: Random, strength: Strength, unit: float) -> Image:
    """Hand shake: a movement along a random line, and out of focus."""
    length, angle = BLUR[strength] * unit, rng.uniform(0, np.pi)
    steps = np.linspace(-0.5, 0.5, 4 * int(np.ceil(length)) + 1) * length
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for x, y in zip(steps * np.cos(angle) + reach, steps * np.sin(angle) + reach, strict=True):
        left, top = int(x), int(y)
        share = np.outer([1 - (y - top), y - top], [1 - (x - left), x - left])
        kernel[top : top + 2, left : left + 2] += share
    moved = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    sigma = max(0.2 * length, 0.1)
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def dark(image: Image, rng: Random, strength: Strength, unit: float) -> Image:
    """Little light, and the sensor's noise."""
    noise = rng.standard_normal(image.shape, np.float32) * 4
    return _clip(image * np.float32(DARK[strength]) + noise)


def bright(image: Image, rng: Random, strength: Strength, unit: float) -> Image:
    """Overexposed, unevenly: more light from one side."""
    height, width = image.shape[:2]
    angle, gain = rng.uniform(0, 2 * np.pi), BRIGHT[strength]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    light = gain * (1 + (along / np.abs(along).max() - 1) / 6)
    return _clip(image * light[..., None].astype(np.float32))


def rain(image: Image, rng: Random, strength: Strength, unit: float) -> Image:
    """Haze, and streaks of falling drops."""
    height, width = image.shape[:2]
    haze, slope = RAIN[strength], rng.uniform(-0.3, 0.3)
    streaks = np.zeros((height, width), np.uint8)
    for _ in range(int(np.ceil(height * width / (unit * 40) ** 2 * haze * 5))):
        x, y = rng.uniform(0, width), rng.uniform(-0.1 * height, height)
        length = unit * rng.uniform(8, 24)
        ends = np.round([[x, y], [x + slope * length, y + length]]).astype(int).tolist()
        brightness = int(rng.integers(30, 90))
        cv2.line(streaks, *ends, brightness, max(1, round(unit)), cv2.LINE_AA)
    soft = cv2.GaussianBlur(streaks, (0, 0), max(0.6 * unit, 0.3))
    return _clip(image * np.float32(1 - haze) + np.float32(200 * haze) + soft[..., None])


_OPTICAL: dict[str, Callable[[Image, Random, Strength, float], Image]] = {
    "blur": blur, "dark": dark, "bright": bright, "rain": rain,
}
_MOVING = ("tilt", "rotate", "far")
NAMES = (*_OPTICAL, *_MOVING)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Corruption:
    """One corruption at one strength."""

    name: str
    strength: Strength = Strength.MEDIUM

    @classmethod
    def parse(cls, written: str) -> Corruption:
        """``NAME`` or ``NAME:STRENGTH``.

        Raises:
            UsageError: either is unknown.
        """
        name, _, strength = written.partition(":")
        if name not in NAMES or (strength or Strength.MEDIUM) not in list(Strength):
            raise UsageError(
                f"--corrupt {written}: allowed are {', '.join(NAMES)}, each alone (medium) or "
                f"with :{', :'.join(Strength)}"
            )
        return cls(name=name, strength=Strength(strength or Strength.MEDIUM))

    def image(self, image: Image, sample: Sample) -> Image:
        """The corrupted picture of ``sample``, whose picture ``image`` (H, W, 3) uint8 is."""
        if self.name in _OPTICAL:
            return _OPTICAL[self.name](image, _random(sample), self.strength, _unit(sample))
        matrix, size = self._motion(sample)
        if self.name == "far" and sample.crop:
            return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        if self.name == "far":
            return _shrunk(image, matrix, size)
        border = cv2.BORDER_REPLICATE if sample.crop else cv2.BORDER_CONSTANT
        moved = cv2.warpPerspective(
            image, _shift(-0.5, -0.5) @ matrix @ _shift(0.5, 0.5), size, flags=cv2.INTER_LINEAR,
            borderMode=border, borderValue=(PAD_VALUE,) * 3,
        )
        return np.asarray(moved, np.uint8)

    def truth(self, sample: Sample) -> Sample:
        """The sample with the size and the annotations of the corrupted picture."""
        if self.name in _OPTICAL:
            return sample
        matrix, (width, height) = self._motion(sample)
        if sample.crop:  # the cut-out as a whole is the plate, before and after
            box = (0.0, 0.0, float(width), float(height))
            plates = tuple(
                dataclasses.replace(plate, box=box, corners=box_quad(box), corners_pseudo=None)
                for plate in sample.plates
            )
        else:
            plates = tuple(_moved(plate, matrix) for plate in sample.plates)
        return dataclasses.replace(sample, width=width, height=height, plates=plates)

    def boxes(self, sample: Sample, boxes: Sequence[Box]) -> list[Box]:
        """Boxes in a frame where the corrupted picture has them."""
        if self.name in _OPTICAL:
            return list(boxes)
        matrix, _ = self._motion(sample)
        return [_box(box, box_quad(box), matrix) for box in boxes]

    def _motion(self, sample: Sample) -> tuple[Matrix, tuple[int, int]]:
        """How the plane of the picture moves, and (width, height) of the canvas."""
        rng = _random(sample)
        if self.name == "far":
            return _far(sample, self.strength)
        if self.name == "rotate":
            degrees = (ROTATE_CROP if sample.crop else ROTATE_FRAME)[self.strength]
            return _fitted(_rotation(float(rng.choice([-1, 1])) * degrees), sample)
        yaw, pitch = rng.choice([-1, 1], 2) * (TILT_CROP if sample.crop else TILT_FRAME)[
            self.strength
        ]
        return _fitted(_tilt(yaw, pitch, max(sample.width, sample.height)), sample)


def apply(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points (..., 2) where the moved plane has them."""
    moved = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[..., :2] / moved[..., 2:])


def _random(sample: Sample) -> Random:
    """Of the picture's place in its data, not of where the data lies."""
    return np.random.default_rng(zlib.crc32(f"{sample.dataset}/{sample.path.name}".encode()))


def _unit(sample: Sample) -> float:
    """Pixels of this picture to one of a plate :data:`PLATE_WIDTH` wide (the median plate's)."""
    widths = [plate.box[2] - plate.box[0] for plate in sample.plates]
    typical = float(np.median(widths)) if widths else _NO_PLATE * max(sample.width, sample.height)
    return max(typical, 1.0) / PLATE_WIDTH


def _shift(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _rotation(degrees: float) -> Matrix:
    """Round the origin; positive is clockwise in the picture."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _tilt(yaw: float, pitch: float, side: float) -> Matrix:
    """A plane turned round the vertical, then the horizontal axis, seen in perspective."""
    (cy, sy), (cp, sp) = ((np.cos(a), np.sin(a)) for a in np.deg2rad([yaw, pitch]))
    distance = _VIEWING * side
    x, y, depth = (cy, 0, 0), (sp * sy, cp, 0), (-cp * sy / distance, sp / distance, 1)
    return np.array([x, y, depth])


def _fitted(turn: Matrix, sample: Sample) -> tuple[Matrix, tuple[int, int]]:
    """``turn`` round the picture's middle, on the smallest canvas that holds all of it."""
    centred = turn @ _shift(-sample.width / 2, -sample.height / 2)
    edge = box_quad((0.0, 0.0, float(sample.width), float(sample.height)))
    x1, y1, x2, y2 = quad_box(apply(centred, np.array(edge)))
    width, height = int(np.ceil(x2 - x1 - 1e-6)), int(np.ceil(y2 - y1 - 1e-6))
    return _shift((width - x1 - x2) / 2, (height - y1 - y2) / 2) @ centred, (width, height)


def _far(sample: Sample, strength: Strength) -> tuple[Matrix, tuple[int, int]]:
    """Frames shrink in the middle of their canvas; cut-outs become small pictures."""
    width, height = sample.width, sample.height
    if sample.crop:
        wide = int(FAR_CROP[strength])
        high = -(-wide // 4) if width >= _ONE_ROW * height else wide // 2
        size = min(width, wide), min(height, high)
        return np.diag([size[0] / width, size[1] / height, 1.0]), size
    small = [max(1, round(side / FAR_FRAME[strength])) for side in (width, height)]
    place = _shift((width - small[0]) // 2, (height - small[1]) // 2)
    return place @ np.diag([small[0] / width, small[1] / height, 1.0]), (width, height)


def _shrunk(image: Image, matrix: Matrix, size: tuple[int, int]) -> Image:
    small = round(matrix[0, 0] * size[0]), round(matrix[1, 1] * size[1])
    left, top = (round(float(v)) for v in matrix[:2, 2])
    canvas = np.full((size[1], size[0], 3), PAD_VALUE, np.uint8)
    canvas[top : top + small[1], left : left + small[0]] = cv2.resize(
        image, small, interpolation=cv2.INTER_AREA
    )
    return canvas


def _moved(plate: PlateTruth, matrix: Matrix) -> PlateTruth:
    """Corners go with the plane; a box goes as the hull of the corners it has, and keeps what it
    differed from their hull before, in scale."""
    known = plate.corners or plate.corners_pseudo
    return dataclasses.replace(
        plate,
        corners=_quad(plate.corners, matrix),
        corners_pseudo=_quad(plate.corners_pseudo, matrix),
        box=_box(plate.box, known or box_quad(plate.box), matrix),
    )


def _quad(quad: Quad | None, matrix: Matrix) -> Quad | None:
    return None if quad is None else as_quad(apply(matrix, np.array(quad)))


def _box(box: Box, quad: Quad, matrix: Matrix) -> Box:
    moved = apply(matrix, np.array(quad))
    scale = np.sqrt(_area(moved) / max(_area(np.array(quad)), 1e-6))
    hull = np.array(quad_box(moved))
    x1, y1, x2, y2 = (hull + (np.array(box) - np.array(quad_box(quad))) * scale).tolist()
    return x1, y1, x2, y2


def _area(quad: NDArray[np.floating]) -> float:
    """Of corners (4, 2), by the diagonals' cross product."""
    (a, b), (c, d) = quad[2] - quad[0], quad[3] - quad[1]
    return abs(float(a * d - b * c)) / 2


def _clip(values: NDArray[np.floating]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
