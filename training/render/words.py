"""Words of signs, watermarks and dealers: no plate text."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from PIL import ImageFont

from alpr_edge.types import Image
from training.render.canvas import Colour
from training.render.material import Mask, RenderMaterial, Typeface, ink_mask

WORDS = (
    "taxi", "service", "rental", "parking", "only", "for", "sale", "open", "closed", "coffee",
    "super", "market", "hotel", "garage", "auto", "motors", "turbo", "sport", "limited", "diesel",
    "hybrid", "electric", "call", "now", "welcome", "fresh", "pizza", "kitchen", "bank",
    "express", "city", "center", "street", "police", "school", "bus", "stop", "no", "smoking",
    "danger", "keep", "clear", "photo", "stock", "image", "alamy", "getty", "spotter", "cars",
    "club", "racing", "team", "brothers", "mobile", "repair", "insurance", "credit", "world",
    "since", "best", "price", "free", "delivery", "line", "road", "tours", "museum", "flowers",
    "books", "fashion", "studio", "design",
)
_FACE = 40
"""Height in pixels of the letters that words are kept at."""


def phrase(rng: np.random.Generator, count: int) -> str:
    """``count`` words, mostly in small or mixed letters; a single one never in capitals."""
    words = [WORDS[i] for i in rng.integers(len(WORDS), size=count)]
    form = rng.integers(4 if count > 2 else 3)
    if form == 0:
        return " ".join(words)
    if form == 3:
        return " ".join(words).upper()
    return " ".join(word.capitalize() for word in words)


def address(rng: np.random.Generator) -> str:
    """A web address, or the name that a photographer writes over his pictures."""
    first, second = (WORDS[i] for i in rng.integers(len(WORDS), size=2))
    return (
        f"www.{first}{second}.com", f"{first}.{second}.net", f"{first.title()}{second.title()}",
        f"{first.title()}{second.upper()[:3]}", f"@{first}_{second}", f"{first} {second} photo",
    )[rng.integers(6)]


@functools.lru_cache(maxsize=4096)
def _word(face: Typeface, text: str) -> Mask:
    small = face.font_variant(size=_FACE) if isinstance(face, ImageFont.FreeTypeFont) else face
    return ink_mask(small, text)


def text_line(material: RenderMaterial, rng: np.random.Generator, text: str, height: int) -> Mask:
    """Words in an everyday font as a mask (height, w), w not above nine heights."""
    face = material.everyday[rng.integers(len(material.everyday))].face
    parts = []
    for word in text.split():
        mask = _word(face, word)
        top = max(0, _FACE * 3 // 4 - mask.shape[0])
        parts.append(np.pad(mask, ((top, max(0, _FACE - top - len(mask))), (0, 10)))[:_FACE])
    line = np.concatenate(parts, axis=1)
    width = min(round(line.shape[1] * height / _FACE), 9 * height)
    return np.asarray(cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def blend_ink(image: Image, mask: Mask, colour: Colour) -> None:
    """Colour a part of a picture where a mask of its size is, in place."""
    image[:] = cv2.blendLinear(
        np.full_like(image, colour), image, mask / np.float32(255), 1 - mask / np.float32(255)
    )
