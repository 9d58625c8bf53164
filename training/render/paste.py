"""Put a flat plate into a picture: perspective, light, blur and edges as the place has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.geometry import as_quad, perspective, quad_box
from alpr_edge.types import Box, Floats, Image, Quad
from training.render.canvas import vary


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PasteConfig:
    """How large and how tilted plates are pasted; angles in degrees, standard deviations."""

    width: tuple[float, float] = (16.0, 300.0)
    """Plate width in pixels of the picture, drawn evenly on a logarithmic scale."""
    roll: float = 6.0
    yaw: float = 22.0
    pitch: float = 14.0
    strong: float = 0.12
    """Share of plates with an extreme pose: roll up to 40, yaw up to 65, pitch up to 45."""
    surround: float = 0.6
    """Share of plates with a dealer's frame, a bumper patch or a shadow round them."""
    tries: int = 20


def plate_quad(
    rng: np.random.Generator, aspect: float, width: float, config: PasteConfig
) -> Floats:
    """Corners (4, 2) of a tilted plate seen by a pinhole camera, round the origin.

    ``width`` is the mean length of the upper and lower edge in pixels.
    """
    if rng.random() < config.strong:
        roll, yaw, pitch = rng.uniform(-1, 1, 3) * (40, 65, 45)
    else:
        roll, yaw, pitch = rng.normal(0, 1, 3) * (config.roll, config.yaw, config.pitch)
        roll, yaw, pitch = np.clip((roll, yaw, pitch), -15, 15) if rng.random() < 0.5 else (
            np.clip(roll, -15, 15), np.clip(yaw, -60, 60), np.clip(pitch, -40, 40))
    flat = np.array([[-1, -1 / aspect], [1, -1 / aspect], [1, 1 / aspect], [-1, 1 / aspect]])
    r, y, p = np.radians((roll, yaw, pitch))
    turned = flat @ np.array([[np.cos(r), np.sin(r)], [-np.sin(r), np.cos(r)]])
    depth = turned[:, 0] * np.sin(y) + turned[:, 1] * np.sin(p)
    squeezed = turned * (np.cos(y), np.cos(p))
    distance = rng.uniform(4, 16)
    quad = squeezed * (distance / (distance + depth))[:, None]
    edges = np.linalg.norm(quad[[1, 2]] - quad[[0, 3]], axis=1).mean()
    return np.asarray(quad * (width / edges), np.float32)


def paste_plate(
    frame: Image, plate: Image, rng: np.random.Generator, *,
    avoid: Sequence[Box] = (), config: PasteConfig | None = None, opacity: Floats | None = None,
) -> tuple[Image, Quad] | None:
    """Paste at a random place, wholly inside and clear of ``avoid``; the frame is not changed.

    With ``opacity`` (see :func:`paste_at`) nothing is put round the plate. Returns the new picture
    and the exact corners of the plate's outer edge, or None where no try found room.
    """
    config = config or PasteConfig()
    height, width = frame.shape[:2]
    low, high = np.log(config.width)
    aspect = plate.shape[1] / plate.shape[0] * rng.uniform(0.9, 1.1)
    for _ in range(config.tries):
        quad = plate_quad(rng, aspect, float(np.exp(rng.uniform(low, high))), config)
        x1, y1, x2, y2 = quad_box(quad)
        room_x, room_y = width - (x2 - x1) - 4, height - (y2 - y1) - 4
        if room_x <= 0 or room_y <= 0:
            continue
        offset = rng.uniform(0, 1, 2) * (room_x, room_y) + (2 - x1, 2 - y1)
        placed = np.asarray(quad + offset, np.float32)
        if not _touches(quad_box(placed), avoid):
            surround = opacity is None and rng.random() < config.surround
            pasted = paste_at(frame, plate, placed, rng, surround=surround, opacity=opacity)
            return pasted, as_quad(placed)
    return None


def _touches(box: Box, others: Sequence[Box]) -> bool:
    """Whether the box, with a tenth of its width around, meets one of the others."""
    x1, y1, x2, y2 = box
    margin = (x2 - x1) * 0.1
    return any(
        x1 - margin < b[2] and x2 + margin > b[0] and y1 - margin < b[3] and y2 + margin > b[1]
        for b in others
    )


def paste_at(
    frame: Image, plate: Image, corners: NDArray[np.floating] | Quad, rng: np.random.Generator, *,
    surround: bool = True, match: float = 1.0, opacity: Floats | None = None,
) -> Image:
    """Paste with the plate's outer edge exactly on ``corners`` (4, 2); returns a new picture.

    ``surround`` adds a frame, bumper patch or shadow round the plate; ``match`` (0..1) says how far
    the plate takes on the light and the softness of the place. ``opacity`` (H, W) of the plate's
    size, 0..1, lets the frame show through.
    """
    quad = np.asarray(corners, np.float32)
    small = _shrink(plate, quad)
    padded, alpha, pad = _surrounded(small, rng, surround)
    height, width = small.shape[:2]
    if opacity is not None:
        shrunk = cv2.resize(opacity, (width, height), interpolation=cv2.INTER_AREA)
        alpha[pad : pad + height, pad : pad + width] *= shrunk
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + pad
    reach = cv2.perspectiveTransform(
        np.array([[[0, 0], [width + 2 * pad, 0], [width + 2 * pad, height + 2 * pad],
                   [0, height + 2 * pad]]], np.float32),
        cv2.getPerspectiveTransform(source, quad),
    )[0]
    x1, y1 = np.maximum(np.floor(reach.min(0)).astype(int) - 2, 0).tolist()
    x2, y2 = (np.ceil(reach.max(0)).astype(int) + 2).tolist()
    x2, y2 = min(x2, frame.shape[1]), min(y2, frame.shape[0])
    result = frame.copy()
    place = frame[y1:y2, x1:x2]
    matrix, size = perspective(source, quad - (x1, y1)), (x2 - x1, y2 - y1)
    lit = _match_light(padded, place, rng, match)
    warped: Floats = np.empty((size[1], size[0], 3), np.float32)
    weight: Floats = np.empty((size[1], size[0]), np.float32)
    cv2.warpPerspective(lit, matrix, size, warped, borderMode=cv2.BORDER_REPLICATE)
    cv2.warpPerspective(alpha, matrix, size, weight)
    warped, weight = _match_blur(warped, weight, place, rng, match)
    mixed = place + (warped - place) * weight[..., None]
    result[y1:y2, x1:x2] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return result


def _shrink(plate: Image, quad: Floats) -> Image:
    """The plate about as large as it will appear, averaged down, so that the warp cannot alias."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    height, width = plate.shape[:2]
    scale_x = min(1.0, float(max(sides[0], sides[2])) / width)
    scale_y = min(1.0, float(max(sides[1], sides[3])) / height)
    size = max(4, round(width * scale_x)), max(3, round(height * scale_y))
    small = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _surrounded(
    plate: Image, rng: np.random.Generator, surround: bool
) -> tuple[Image, Floats, int]:
    """The plate with a margin on all sides, its opacity 0..1 (H, W), and the margin in pixels."""
    height, width = plate.shape[:2]
    form = rng.integers(4) if surround else 0
    pad = 2 if form == 0 else max(2, round(height * (rng.uniform(0.08, 0.25), 0.7, 0.35)[form - 1]))
    padded: Image = np.pad(plate, ((pad, pad), (pad, pad), (0, 0)), "edge")
    alpha: Floats = np.zeros(padded.shape[:2], np.float32)
    inner = slice(pad, pad + height), slice(pad, pad + width)
    if form == 1:  # dealer's frame
        _paint_margin(padded, inner, vary(rng, (60, 60, 60), 70))
        sides = (rng.uniform(0.2, 1, 4) * pad).astype(int)
        top, bottom, left, right = (pad - sides).tolist()
        alpha[top : padded.shape[0] - bottom, left : padded.shape[1] - right] = 1
    elif form == 2:  # patch of bumper
        _paint_margin(padded, inner, vary(rng, (110, 110, 110), 110))
        soft = max(1.0, pad * 0.25)
        margin = round(soft * 2)
        alpha[margin:-margin, margin:-margin] = 1
        cv2.GaussianBlur(alpha, (0, 0), soft, alpha)
    elif form == 3:  # shadow above or below
        _paint_margin(padded, inner, (12, 12, 12))
        shift = int(rng.integers(-pad // 2, pad // 2 + 1))
        y = max(0, pad + shift)
        alpha[y : y + height, pad // 2 : -(pad // 2)] = rng.uniform(0.3, 0.9)
        cv2.GaussianBlur(alpha, (0, 0), max(1.0, pad * 0.3), alpha)
    alpha[inner] = 1
    if form in (0, 3) and height > 12 and rng.random() < 0.7:
        _round_corners(alpha, inner, height * rng.uniform(0.03, 0.09))
    return np.asarray(padded, np.uint8), np.asarray(alpha, np.float32), pad


def _paint_margin(padded: Image, inner: tuple[slice, slice], colour: tuple[int, int, int]) -> None:
    """Fill all but the plate itself."""
    plate = padded[inner].copy()
    padded[:] = colour
    padded[inner] = plate


def _round_corners(alpha: Floats, inner: tuple[slice, slice], radius: float) -> None:
    """Take the four corners of the plate off the opacity, in place."""
    ys, xs = inner
    n = max(1, int(np.ceil(radius)))
    steps = np.arange(n, dtype=np.float32) + 0.5
    far = np.hypot(radius - steps[:, None], radius - steps[None])
    corner = np.clip(radius - far + 0.5, 0, 1)
    for y, x, part in (
        (ys.start, xs.start, corner), (ys.start, xs.stop - n, corner[:, ::-1]),
        (ys.stop - n, xs.start, corner[::-1]), (ys.stop - n, xs.stop - n, corner[::-1, ::-1]),
    ):
        alpha[y : y + n, x : x + n] *= part


def _match_light(
    plate: Image, place: Image, rng: np.random.Generator, match: float
) -> Floats:
    """The plate in the light of the place: brightness, contrast and colour cast, float32."""
    sample = place[:: max(1, place.shape[0] // 24), :: max(1, place.shape[1] // 24)]
    mean = sample.reshape(-1, 3).mean(0) + 1
    level = float(mean.mean())
    gain = np.clip(0.3 + 0.75 * (level / 115), 0.25, 1.25) * rng.uniform(0.8, 1.2)
    cast = (mean / level) ** rng.uniform(0.1, 0.5)
    haze = min(60.0, float(np.quantile(sample, 0.05))) * rng.uniform(0, 0.8)
    gain = 1 + match * (gain * (1 - haze / 255) - 1)
    cast = 1 + match * (cast - 1)
    return np.asarray(plate * (gain * cast).astype(np.float32) + np.float32(match * haze))


def _match_blur(
    plate: Floats, alpha: Floats, place: Image, rng: np.random.Generator, match: float
) -> tuple[Floats, Floats]:
    """Blur as soft as the place, sometimes along one axis, add as much grain as it has."""
    grey = cv2.cvtColor(place, cv2.COLOR_BGR2GRAY)
    detail = float(cv2.absdiff(grey, cv2.blur(grey, (3, 3))).mean())
    size = plate.shape[1] / 160
    sigma = rng.uniform(0, 0.7) + rng.uniform(0, 1.0) * min(size, 2) * (detail < 2.5)
    if rng.random() < 0.1:
        sigma += rng.uniform(0, 1.5) * min(1.0, size)
    sigma *= match
    if sigma > 0.3:
        cv2.GaussianBlur(plate, (0, 0), sigma, plate, borderType=cv2.BORDER_REPLICATE)
        cv2.GaussianBlur(alpha, (0, 0), min(sigma, 1.0), alpha, borderType=cv2.BORDER_REPLICATE)
    if rng.random() < 0.12 * match and plate.shape[1] > 40:
        length = int(rng.integers(2, 3 + plate.shape[1] // 40))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        if rng.random() < 0.3:
            kernel = kernel.T
        cv2.filter2D(plate, -1, kernel, plate, borderType=cv2.BORDER_REPLICATE)
    grain = rng.uniform(0.3, 1.2) * min(detail, 6.0)
    plate = plate + rng.standard_normal(plate.shape[:2], np.float32)[..., None] * grain
    return np.asarray(plate, np.float32), np.asarray(alpha, np.float32)
