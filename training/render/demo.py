"""The demo pictures of the documentation: drawn streets, only freely licensed glyphs and fonts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from alpr_edge.data.sample import PlateTruth
from alpr_edge.errors import OutputError
from alpr_edge.types import Image
from training.render.material import RenderMaterial
from training.render.scene import render_scene
from training.render.street import drawn_background

MAX_BYTES = 120_000
TRUTH = "truth.jsonl"
_SMALL, _LARGE = (720, 1280), (1080, 1920)
DEMOS: dict[str, tuple[int, tuple[int, int], tuple[str, ...]]] = {
    "cn_blue": (1, _SMALL, ("cn_blue",)),
    "cn_lorry": (2, _SMALL, ("cn_yellow_two", "cn_blue")),
    "cn_green": (3, _LARGE, ("cn_green_small", "cn_blue")),
    "cn_white_black": (4, _SMALL, ("cn_police", "cn_black")),
    "eu": (5, _SMALL, ("eu",)),
    "uk": (22, _SMALL, ("uk", "uk")),
    "vn_two_rows": (25, _SMALL, ("vn_two", "vn_two")),
    "several": (23, _LARGE, ("cn_green_large", "eu", "us", "in")),
    "none": (9, _SMALL, ()),
}
"""Name: seed, (height, width), styles of the plates."""


def demo_pictures(material: RenderMaterial) -> Iterator[tuple[str, Image, list[PlateTruth]]]:
    """Name, picture and truth of every demo; the same pictures on every call."""
    for name, (seed, (height, width), styles) in DEMOS.items():
        rng = np.random.default_rng(seed)
        if styles:
            image, truths = render_scene(
                material, rng, height=height, width=width, styles=styles, wear=0.2
            )
        else:
            image, truths = drawn_background(rng, height, width), []
        yield name, image, truths


def write_demo(material: RenderMaterial, folder: Path) -> list[Path]:
    """Write the demo pictures as JPEG of at most MAX_BYTES, and :data:`TRUTH` beside them.

    Raises:
        OutputError: a file cannot be written.
    """
    paths, lines = [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, image, truths in demo_pictures(material):
            path = folder / f"{name}.jpg"
            path.write_bytes(_jpeg(image))
            paths.append(path)
            lines.append(json.dumps(_row(path.name, image, truths), ensure_ascii=False))
        (folder / TRUTH).write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"cannot write the demo pictures to {folder}: {error}") from error
    return paths


def _jpeg(image: Image) -> bytes:
    """The best JPEG of at most MAX_BYTES, of quality 90 or less."""
    for quality in range(90, 20, -4):
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) <= MAX_BYTES:
            return bytes(data)
    raise ValueError(f"a picture of {image.shape} does not fit in {MAX_BYTES} bytes")


def _row(name: str, image: Image, truths: list[PlateTruth]) -> dict[str, object]:
    """One line of the truth, shaped like a row of ``frames.jsonl``."""
    return {
        "image": name,
        "width": image.shape[1],
        "height": image.shape[0],
        "plates": plate_rows(truths),
    }


def plate_rows(truths: list[PlateTruth]) -> list[dict[str, object]]:
    """The plates of a row of ``frames.jsonl``."""
    return [
        {
            "box": [round(v, 2) for v in truth.box],
            "corners": [[round(x, 2), round(y, 2)] for x, y in truth.corners or ()],
            "text": truth.text,
            "rows": truth.rows,
            "colour": truth.kind,
        }
        for truth in truths
    ]
