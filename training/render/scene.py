"""A whole picture with plates and their truth."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from alpr_edge.data.sample import PlateTruth
from alpr_edge.geometry import as_quad, perspective, quad_box
from alpr_edge.types import Floats, Image
from training.render.material import RenderMaterial
from training.render.paste import PasteConfig, paste_at, paste_plate, plate_quad
from training.render.plate import RenderedPlate, render_plate
from training.render.street import PlateSlot, draw_street

_ON_CAR = PasteConfig(roll=0.8, yaw=5, pitch=4, strong=0)


def render_scene(
    material: RenderMaterial, rng: np.random.Generator, *, height: int = 720, width: int = 1280,
    styles: Sequence[str] | None = None, background: Image | None = None, wear: float = 1.0,
    config: PasteConfig | None = None,
) -> tuple[Image, list[PlateTruth]]:
    """A picture with one plate for each of ``styles``, or one to three of random styles.

    On a drawn street every car carries a plate and the camera is a little askew. With a
    ``background`` (H, W, 3) the plates are pasted on it at random places by ``config``; those that
    found no room are left out. The truth has exact corners. ``wear`` is that of
    :func:`render_plate`.
    """
    if styles is None:
        plates = [render_plate(material, rng, wear=wear) for _ in range(rng.integers(1, 4))]
    else:
        plates = [render_plate(material, rng, style, wear) for style in styles]
    if background is not None:
        return _scatter(background, plates, rng, config)
    big = any(plate.kind == "yellow" and plate.rows == 2 for plate in plates)
    image, slots = draw_street(rng, height, width, len(plates), lorry=big)
    plates.sort(key=lambda plate: plate.kind == "yellow" and plate.rows == 2)
    quads = []
    for plate, slot in zip(plates, slots, strict=True):
        quad = _on_car(plate, slot, rng)
        image = paste_at(image, plate.image, quad, rng, surround=False, match=0.4)
        quads.append(quad)
    image, quads = _askew(image, quads, rng)
    return image, [_truth(plate, quad) for plate, quad in zip(plates, quads, strict=True)]


def _on_car(plate: RenderedPlate, slot: PlateSlot, rng: np.random.Generator) -> Floats:
    """The corners of a plate on a car, its size by its shape: long, US or square."""
    aspect = plate.image.shape[1] / plate.image.shape[0]
    wide = slot.width * (1.0 if aspect > 2.6 or plate.kind == "yellow" else 0.7)
    return plate_quad(rng, aspect, wide, _ON_CAR) + np.array([slot.x, slot.y], np.float32)


def _askew(
    image: Image, quads: list[Floats], rng: np.random.Generator
) -> tuple[Image, list[Floats]]:
    """Look at the drawn picture a little from the side: the corners move exactly with it."""
    height, width = image.shape[:2]
    full = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inset = rng.uniform(0.0, 0.05, (4, 2)) * (width, height)
    inner = full + inset * [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    turned = cv2.warpPerspective(
        image, perspective(inner, full), (width, height), borderMode=cv2.BORDER_REFLECT
    )
    matrix = cv2.getPerspectiveTransform(np.asarray(inner, np.float32), full)
    moved = [np.asarray(cv2.perspectiveTransform(q[None], matrix)[0], np.float32) for q in quads]
    return np.asarray(turned, np.uint8), moved


def _scatter(
    background: Image, plates: Sequence[RenderedPlate], rng: np.random.Generator,
    config: PasteConfig | None,
) -> tuple[Image, list[PlateTruth]]:
    """The plates at random places of a picture, none over another."""
    image, truths = background, list[PlateTruth]()
    for plate in plates:
        taken = [truth.box for truth in truths]
        pasted = paste_plate(image, plate.image, rng, avoid=taken, config=config)
        if pasted is not None:
            image, quad = pasted
            truths.append(_truth(plate, np.array(quad, np.float32)))
    return image, truths


def _truth(plate: RenderedPlate, quad: Floats) -> PlateTruth:
    return PlateTruth(
        box=quad_box(quad), corners=as_quad(quad), text=plate.text, rows=plate.rows,
        kind=plate.kind,
    )
