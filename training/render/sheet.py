"""A contact sheet of every style, to look at."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from alpr_edge.types import Image
from training.render.material import RenderMaterial
from training.render.plate import RenderedPlate, available_styles, rendered_eval

_CELL, _HEIGHT, _LABEL = 230, 120, 16


def contact_sheet(material: RenderMaterial, columns: int = 6, seed: int = 0) -> Image:
    """One row of plates a style, the style and the text below each: BGR uint8."""
    rows = len(available_styles(material))
    sheet = np.full((rows * (_HEIGHT + _LABEL), columns * _CELL, 3), 40, np.uint8)
    plates = list(rendered_eval(material, columns, seed))
    for index, plate in enumerate(plates):
        y, x = (index // columns) * (_HEIGHT + _LABEL), (index % columns) * _CELL
        _place(sheet, plate, x, y)
    picture = PilImage.fromarray(sheet)
    pen, face = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for index, plate in enumerate(plates):
        y, x = (index // columns) * (_HEIGHT + _LABEL) + _HEIGHT, (index % columns) * _CELL
        label = "".join(c if c.isascii() else "#" for c in plate.text)
        pen.text((x + 2, y), f"{plate.style} {plate.country} {label}", fill="white", font=face)
    return np.asarray(picture)


def _place(sheet: Image, plate: RenderedPlate, x: int, y: int) -> None:
    height, width = plate.image.shape[:2]
    scale = min((_CELL - 8) / width, (_HEIGHT - 8) / height)
    small = cv2.resize(
        plate.image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
    )
    sheet[y + 4 : y + 4 + small.shape[0], x + 4 : x + 4 + small.shape[1]] = small
