"""A drive-by video with its truth: drawn vehicles pass a standing camera, by day and by night.

The same seed and material give the same pictures. The truth is a JSON file beside the video:

    {"schema": 1, "seed": 1, "fps": 25, "width": 1920, "height": 1080, "frames": 2600,
     "night": 1700, "idle": [[1450, 1700], [2550, 2600]],
     "vehicles": [{"id": 0, "text": "...", "style": "eu", "parked": false, "first": 12, "last": 80,
                   "quads": [[x1, y1, ... x4, y4], ...], "visible": [1.0, ...]}, ...]}

``quads`` and ``visible`` (share of the plate that is in the picture and not covered) have one entry
for each frame from ``first`` to ``last``, in which the plate's centre is in the picture.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from alpr_edge.errors import OutputError, UsageError
from alpr_edge.types import Floats, Image
from alpr_edge.watch.extras import require
from training.render.material import RenderMaterial
from training.render.plate import available_styles, render_plate
from training.render.street import empty_street
from training.render.traffic import FPS, Timetable, Trip, timetable
from training.render.vehicle import Board, Drawn, Light, draw_board, make_board

SCHEMA = 1
LEAST_VEHICLES = 20
_HEIGHT, _WIDTH = 1080, 1920
_HORIZON = 370
_FOCAL = 2600.0
"""Pixels: a plate of 440 mm is 60 pixels wide at 19 metres, 250 at 4.6."""
_EYE = 1.7
"""Height of the camera in metres."""
_WEAR = 0.3
_DAY = Light()
_HEADLIT = Light(body=0.3, plate=0.62)
_UNLIT = Light(body=0.24, plate=0.42)
_NIGHT_SKY = 0.2
_NOISE_DAY, _NOISE_NIGHT = 0.8, 2.0
"""Standard deviation of the sensor's noise in grey levels."""
_POLES = ((330, 34), (1250, 46))
"""Left edge and width in pixels of poles before everything."""
_GRID = np.stack(np.meshgrid(np.linspace(0.03, 0.97, 9), np.linspace(0.1, 0.9, 3)), -1)


@dataclasses.dataclass(kw_only=True, slots=True)
class _Vehicle:
    """A trip with its text, and what is known of it so far: the truth."""

    number: int
    trip: Trip
    text: str = ""
    board: Board | None = None
    first: int = -1
    quads: list[list[float]] = dataclasses.field(default_factory=list)
    visible: list[float] = dataclasses.field(default_factory=list)

    def row(self) -> dict[str, Any]:
        return {
            "id": self.number, "text": self.text, "style": self.trip.style,
            "parked": self.trip.parked, "first": self.first,
            "last": self.first + len(self.quads) - 1, "quads": self.quads, "visible": self.visible,
        }


def write_driveby(
    material: RenderMaterial, folder: Path, seed: int, vehicles: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[Path, Path]:
    """Write ``driveby_SEED.mp4`` and ``driveby_SEED.json``; returns both paths.

    ``progress`` is called after every frame with the number of all.

    Raises:
        UsageError: too few vehicles. OutputError: a file cannot be written.
        LibraryError: PyAV is not installed.
    """
    if vehicles < LEAST_VEHICLES:
        raise UsageError(f"{vehicles} vehicles; allowed: {LEAST_VEHICLES} or more")
    film = Film(material, seed, vehicles)
    video, truth = (folder / f"driveby_{seed}{suffix}" for suffix in (".mp4", ".json"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_video(video, film.frames(progress))
        truth.write_text(json.dumps(film.truth(), ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"cannot write the video to {folder}: {error}") from error
    return video, truth


def write_video(path: Path, frames: Iterable[Image]) -> None:
    """Encode pictures (H, W, 3) as H.264 at :data:`~training.render.traffic.FPS`: no B-frames and a
    keyframe each second, so that a server can send it to anyone at any time as it is.

    Raises:
        LibraryError: PyAV is not installed. OSError: the file cannot be written.
    """
    av = require("av", "watch")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={
            "preset": "superfast", "crf": "24", "maxrate": "8M", "bufsize": "8M", "bf": "0",
            "sc_threshold": "0", "threads": "1",
        })
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        stream.codec_context.gop_size = FPS
        stream.codec_context.time_base = Fraction(1, FPS)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


class Film:
    """Draws the frames one by one; :meth:`truth` is complete after the last."""

    def __init__(self, material: RenderMaterial, seed: int, vehicles: int) -> None:
        self.seed, self.material = seed, material
        rng = np.random.default_rng((seed, 0))
        self.plan: Timetable = timetable(rng, vehicles)
        styles = available_styles(material)
        trips = [trip if trip.style in styles else dataclasses.replace(trip, style="eu")
                 for trip in self.plan.trips]
        self.vehicles = [_Vehicle(number=n, trip=trip) for n, trip in enumerate(trips)]
        self._street = empty_street(rng, _HEIGHT, _WIDTH, _HORIZON)
        self._noise = _Noise(rng)

    def frames(self, progress: Callable[[int], None] | None = None) -> Iterator[Image]:
        """Every frame (1080, 1920, 3) in order."""
        for number in range(self.plan.frames):
            if number == self.plan.night:
                self._street = cv2.convertScaleAbs(self._street, alpha=_NIGHT_SKY)
                self._forget_boards()
            yield self._frame(number)
            if progress is not None:
                progress(self.plan.frames)

    def truth(self) -> dict[str, Any]:
        """The content of the truth file."""
        return {
            "schema": SCHEMA, "seed": self.seed, "fps": FPS, "width": _WIDTH, "height": _HEIGHT,
            "frames": self.plan.frames, "night": self.plan.night,
            "idle": [[part.start, part.stop] for part in self.plan.idle],
            "vehicles": [vehicle.row() for vehicle in self.vehicles if vehicle.quads],
        }

    def _forget_boards(self) -> None:
        """What stands in the street is drawn anew in another light."""
        for vehicle in self.vehicles:
            vehicle.board = None

    def _frame(self, number: int) -> Image:
        image = self._street.copy()
        night = number >= self.plan.night
        present = [v for v in self.vehicles if v.trip.begin <= number < v.trip.end]
        present.sort(key=lambda v: -v.trip.ground[number - v.trip.begin][1])
        drawn: list[tuple[_Vehicle, Drawn]] = []
        for vehicle in present:
            trip = vehicle.trip
            board = vehicle.board = vehicle.board or self._board(vehicle, night)
            x, z = trip.ground[number - trip.begin]
            done = draw_board(image, board, _project(board, x, z, trip.yaw))
            if done is not None:
                drawn.append((vehicle, done))
            if number == trip.end - 1:
                vehicle.board = None
        _draw_poles(image, night)
        for index, (vehicle, done) in enumerate(drawn):
            _note(vehicle, number, done.plate, [other for _, other in drawn[index + 1 :]])
        return self._noise.add(image, number, night)

    def _board(self, vehicle: _Vehicle, night: bool) -> Board:
        rng = np.random.default_rng((self.seed, 1, vehicle.number))
        plate = render_plate(self.material, rng, vehicle.trip.style, _WEAR)
        vehicle.text = plate.text
        light = _DAY if not night else _UNLIT if vehicle.trip.parked else _HEADLIT
        return make_board(plate, rng, plate.kind == "yellow" and plate.rows == 2, light)


def _project(board: Board, x: float, z: float, yaw: float) -> Floats:
    """The board's corners in the picture, (4, 2), TL TR BR BL."""
    half = board.width / 2
    across = np.array([-half, half, half, -half])
    high = np.array([board.height, board.height, 0, 0]) - board.below
    far = z + across * np.sin(yaw)
    left = _WIDTH / 2 + _FOCAL * (x + across * np.cos(yaw)) / far
    return np.stack([left, _HORIZON + _FOCAL * (_EYE - high) / far], -1).astype(np.float32)


def _note(vehicle: _Vehicle, number: int, plate: Floats, before: list[Drawn]) -> None:
    """Add this frame to the vehicle's truth, where its plate's centre is in the picture."""
    x, y = plate.mean(axis=0)
    if not (0 <= x < _WIDTH and 0 <= y < _HEIGHT):
        return
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    onto = cv2.getPerspectiveTransform(square, plate)
    points = cv2.perspectiveTransform(_GRID.reshape(1, -1, 2).astype(np.float32), onto)[0]
    hidden = ((points < 0) | (points >= (_WIDTH, _HEIGHT))).any(axis=1)
    for left, width in _POLES:
        hidden |= (points[:, 0] >= left) & (points[:, 0] < left + width)
    for other in before:
        hidden |= other.covers(np.asarray(points, np.float32))
    if vehicle.first < 0:
        vehicle.first = number
    vehicle.quads.append([round(float(v), 1) for v in plate.reshape(-1)])
    vehicle.visible.append(round(float(1 - hidden.mean()), 2))


def _draw_poles(image: Image, night: bool) -> None:
    shade = 0.3 if night else 1.0
    for left, width in _POLES:
        ramp = np.sin(np.linspace(0.25, 2.9, width))[None, :, None] * 120 * shade
        image[:, left : left + width] = ramp.astype(np.uint8)


class _Noise:
    """Sensor noise: one sheet, shifted differently in each frame."""

    def __init__(self, rng: np.random.Generator) -> None:
        sheet = rng.standard_normal((_HEIGHT + 64, _WIDTH + 64), np.float32)
        self._sheets = {
            night: tuple(np.repeat((sign * sheet * sigma + 0.5).clip(0, 255).astype(np.uint8)
                                   [..., None], 3, axis=2) for sign in (1, -1))
            for night, sigma in ((False, _NOISE_DAY), (True, _NOISE_NIGHT))
        }

    def add(self, image: Image, number: int, night: bool) -> Image:
        """The picture with noise on it; the same for the same frame."""
        x, y = np.random.default_rng((7, number)).integers(0, 64, 2).tolist()
        part = slice(y, y + _HEIGHT), slice(x, x + _WIDTH)
        more, less = self._sheets[night]
        return np.asarray(cv2.subtract(cv2.add(image, more[part]), less[part]), np.uint8)
