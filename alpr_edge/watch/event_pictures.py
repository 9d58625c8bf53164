"""A folder of one picture an event: ``--pictures``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.annotated import output_folder, write_picture
from alpr_edge.draw import draw_plates
from alpr_edge.geometry import as_quad, quad_box
from alpr_edge.types import Plate
from alpr_edge.watch.media import jpeg
from alpr_edge.watch.types import CameraStatus, Event, Media, View


class EventPictures:
    """Writes ``CAMERA-ID.jpg``: the scene with the plate drawn, or the crop where no scene is kept.

    The second announcement of a vehicle replaces the picture of the first. Where redaction is on
    nothing is drawn and no crop is written: either would tell the text of a blurred plate.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = output_folder(folder)

    def event(self, event: Event, media: Media) -> None:
        """Write the picture, if there is one.

        Raises:
            OutputError: it cannot be written.
        """
        if media.redacted:
            picture = media.scene
        else:
            picture = _with_plate(media.scene, event) if media.scene else media.crop
        if picture is not None:
            write_picture(self._folder / f"{event.camera}-{event.id}.jpg", picture)

    def status(self, status: CameraStatus) -> None:
        """Only events have pictures."""

    def view(self, view: View) -> None:
        """Only events have pictures."""

    def close(self) -> None:
        """Nothing is left."""


def _with_plate(scene: bytes, event: Event) -> bytes:
    image = np.asarray(cv2.imdecode(np.frombuffer(scene, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    corners = as_quad(np.asarray(event.quad) * (image.shape[1] / event.width))
    plate = Plate(
        text=event.text, confidence=event.confidence, char_confidences=event.char_confidences,
        rows=event.rows, region=event.region, kind=event.kind, box=quad_box(corners),
        corners=corners, detection_confidence=1.0,
    )
    return jpeg(draw_plates(image, [plate]))
