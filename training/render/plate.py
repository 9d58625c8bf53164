"""A rendered plate and the styles it comes in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from alpr_edge.alphabet import fits
from alpr_edge.errors import DataError, UsageError
from alpr_edge.types import Floats, Image
from training.render import abroad, america, asia, chinese, europe, india, world
from training.render.canvas import finish
from training.render.draft import Draft
from training.render.material import RenderMaterial

Draw = Callable[[RenderMaterial, np.random.Generator], Draft]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RenderedPlate:
    """A flat plate, cut exactly at its outer edge, and its truth.

    ``image`` BGR uint8 (H, W, 3); ``unworn`` the same without age, dirt and light, to tell what is
    still to be seen (:mod:`training.legible`); ``glyphs`` (N, 4) float32 where each character of
    the text is, x1, y1, x2, y2 in shares of the plate; ``text`` without separators, upper row
    first, with ``upper`` characters in it, where the rows can be taken apart, else 0;
    ``kind`` the colour of a Chinese plate or ``"latin"``; ``style`` the name in :data:`STYLES`.
    """

    image: Image
    unworn: Image
    glyphs: Floats
    text: str
    rows: int
    kind: str
    country: str
    style: str
    upper: int = 0


CHINESE_STYLES: dict[str, tuple[Draw, float]] = {
    "cn_blue": (chinese.blue, 12),
    "cn_yellow": (chinese.yellow, 3),
    "cn_yellow_two": (chinese.yellow_two_rows, 5),
    "cn_trailer": (chinese.trailer, 2),
    "cn_learner": (chinese.learner, 1.5),
    "cn_motorcycle": (chinese.motorcycle, 5),
    "cn_green_small": (chinese.green_small, 6),
    "cn_green_large": (chinese.green_large, 3),
    "cn_police": (chinese.police, 1.5),
    "cn_police_two": (chinese.police_two_rows, 1.5),
    "cn_army": (chinese.army, 1),
    "cn_army_two": (chinese.army_two_rows, 1),
    "cn_armed": (chinese.armed_police, 3),
    "cn_armed_two": (chinese.armed_police_two_rows, 4),
    "cn_black": (chinese.black, 2),
    "cn_black_two": (chinese.black_two_rows, 3),
}
LATIN_STYLES: dict[str, tuple[Draw, float]] = {
    "eu": (europe.europe, 10),
    "eu_two": (europe.europe_two_rows, 7),
    "uk": (europe.britain, 4),
    "uk_two": (europe.britain_two_rows, 3),
    "us": (america.america, 12),
    "br": (america.brazil, 2.5),
    "br_two": (america.brazil_two_rows, 1.5),
    "mercosur": (america.mercosur, 3.5),
    "mercosur_two": (america.mercosur_two_rows, 3),
    "in": (india.india, 13),
    "in_two": (india.india_two_rows, 19),
    "vn": (asia.vietnam, 3),
    "vn_two": (asia.vietnam_two_rows, 5),
    "tn": (asia.tunisia, 2.5),
    "id": (asia.indonesia, 12),
    "world": (world.world, 9),
    "world_two": (world.world_two_rows, 14),
    "abroad": (abroad.abroad, 10),
    "abroad_two": (abroad.abroad_two_rows, 11),
}
STYLES: dict[str, tuple[Draw, float]] = CHINESE_STYLES | LATIN_STYLES
"""Drawing function and sampling weight by name: most often what is read worst, on a rendered set
of another seed than the reported one's; a good quarter is Chinese."""


def available_styles(material: RenderMaterial) -> dict[str, tuple[Draw, float]]:
    """The styles that ``material`` can draw: without Chinese glyphs the Latin ones."""
    return STYLES if material.chinese else LATIN_STYLES


def render_plate(
    material: RenderMaterial, rng: np.random.Generator, style: str | None = None,
    wear: float = 1.0,
) -> RenderedPlate:
    """Draw one plate, of ``style`` or of a style drawn by weight.

    ``wear`` scales how often the paint is faded, the plate dirty, in half shadow or blurred.

    Raises:
        UsageError: there is no such style.
        DataError: the style needs glyphs that ``material`` lacks.
    """
    styles = available_styles(material)
    if style is None:
        weights = np.array([weight for _, weight in styles.values()])
        style = list(styles)[rng.choice(len(styles), p=weights / weights.sum())]
    if style not in STYLES:
        raise UsageError(f"unknown plate style {style!r}; allowed are {', '.join(STYLES)}")
    if style not in styles:
        raise DataError(
            f"style {style!r} needs the glyphs of Chinese plates, which were not found; give the "
            "data folder that holds render/cn/font_model"
        )
    draft = styles[style][0](material, rng)
    if not fits(draft.text):
        raise ValueError(f"style {style!r} made the text {draft.text!r}, which no reader answers")
    return RenderedPlate(
        unworn=draft.canvas.unworn(),
        glyphs=_glyphs(draft),
        image=finish(draft.canvas, material, rng, wear),
        text=draft.text,
        rows=draft.rows,
        kind=draft.kind,
        country=draft.country,
        style=style,
        upper=draft.upper,
    )


def _glyphs(draft: Draft) -> Floats:
    """:attr:`RenderedPlate.glyphs`; in one row from left to right, in whatever order drawn."""
    height, width = draft.canvas.image.shape[:2]
    boxes = sorted(draft.canvas.glyphs) if draft.rows == 1 else draft.canvas.glyphs
    return np.asarray(boxes, np.float32) / np.float32([width, height, width, height])


def rendered_eval(
    material: RenderMaterial, n_per_style: int, seed: int, wear: float = 1.0
) -> Iterator[RenderedPlate]:
    """The same plates on every call: ``n_per_style`` of each available style, style by style."""
    for number, style in enumerate(available_styles(material)):
        rng = np.random.default_rng((seed, number))
        for _ in range(n_per_style):
            yield render_plate(material, rng, style, wear)
