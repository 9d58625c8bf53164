"""Rendered plates: drawn flat, pasted in perspective, with exact truth."""

from training.render.distractor import paste_distractor, render_distractor
from training.render.material import RenderMaterial
from training.render.paste import PasteConfig, paste_at, paste_plate
from training.render.plate import STYLES, RenderedPlate, render_plate, rendered_eval
from training.render.surround import surrounded

__all__ = [
    "STYLES",
    "PasteConfig",
    "RenderMaterial",
    "RenderedPlate",
    "paste_at",
    "paste_distractor",
    "paste_plate",
    "render_distractor",
    "render_plate",
    "rendered_eval",
    "surrounded",
]
