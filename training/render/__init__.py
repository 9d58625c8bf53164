"""Rendered plates: drawn flat, pasted in perspective, with exact truth."""

from training.render.material import RenderMaterial
from training.render.paste import PasteConfig, paste_at, paste_plate
from training.render.plate import STYLES, RenderedPlate, render_plate, rendered_eval

__all__ = [
    "STYLES",
    "PasteConfig",
    "RenderMaterial",
    "RenderedPlate",
    "paste_at",
    "paste_plate",
    "render_plate",
    "rendered_eval",
]
