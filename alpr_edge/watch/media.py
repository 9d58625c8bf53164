"""Pictures for people: an event's plate and scene, and frames with plates drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from alpr_edge import geometry
from alpr_edge._cv2 import cv2
from alpr_edge.draw import draw_plates
from alpr_edge.types import Image, Quad
from alpr_edge.watch.config import PrivacyConfig
from alpr_edge.watch.redact import enlarged, redact
from alpr_edge.watch.types import Media, View

SCENE_WIDTH = 1280
"""Pixels that a scene is scaled down to."""
JPEG_QUALITY = 85
_CROP_MARGIN = 0.2
_CROP_HEIGHTS = (48, 192)


def media_of(
    image: Image, quad: Quad, privacy: PrivacyConfig, hidden: Sequence[Quad] | None
) -> Media:
    """The crop of ``quad`` and the scene of one frame (H, W, 3) uint8 BGR, as far as ``privacy``
    keeps them. ``hidden`` are the plates to blur in the scene, which is not kept where redaction
    is on and they are None: not known any more."""
    crop = jpeg(cut_out(image, quad)) if privacy.crops else None
    scene = None
    if privacy.scenes and not (privacy.redact and hidden is None):
        scene = jpeg(shrunk(redact(image, hidden or ())))
    return Media(crop=crop, scene=scene, redacted=privacy.redact)


def cut_out(image: Image, quad: Quad) -> Image:
    """The plate in ``quad``, upright, in its own proportions, with a little around it."""
    outer = enlarged(quad, _CROP_MARGIN)
    width, height = geometry.sides(outer)
    least, most = _CROP_HEIGHTS
    rows = round(min(max(height, least), most))
    columns = round(rows * min(max(width / max(height, 1.0), 0.5), 8.0))
    return geometry.rectify(image, outer, rows, columns)


def shrunk(image: Image) -> Image:
    """``image``, at most :data:`SCENE_WIDTH` pixels wide."""
    height, width = image.shape[:2]
    if width <= SCENE_WIDTH:
        return image
    size = SCENE_WIDTH, max(1, round(height * SCENE_WIDTH / width))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(image: Image) -> bytes:
    """``image`` (H, W, 3) uint8 BGR as a JPEG file."""
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return data.tobytes()


def annotated(view: View) -> Image:
    """A view's frame with its plates drawn, and what their tracks say, on a copy; as it is where it
    is redacted: a text beside a blurred plate would tell it."""
    if view.redacted:
        return view.frame.image
    plates = [
        dataclasses.replace(plate, text=text)
        for plate, text in zip(view.plates, view.texts, strict=True)
    ]
    return draw_plates(view.frame.image, plates)
