"""What plates are drawn with: glyph masks, fonts, blank plates and noise, loaded once."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Mapping
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from alpr_edge.alphabet import DIGITS, LATIN
from alpr_edge.types import Floats, Image

Mask = NDArray[np.uint8]
"""(H, W) uint8, 255 where the ink is."""
Typeface = ImageFont.FreeTypeFont | ImageFont.ImageFont

EVERYDAY = (
    "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSansMono-Bold.ttf",
    "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSerif-BoldItalic.ttf", "STIXGeneral.ttf",
    "STIXGeneralBol.ttf", "STIXGeneralBolIta.ttf", "cmb10.ttf", "cmss10.ttf", "cmtt10.ttf",
)
"""Fonts of books and screens that Matplotlib brings along, for plates that anybody may letter."""
GLYPH_HEIGHT = 100
"""Height of the stored Latin glyphs; plates shrink them to the size they need."""
_GERMAN = ("glnummern", "fe-", "europlate", "eu_ua")
_NOISE = 640


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Font:
    """One typeface: a tight mask of GLYPH_HEIGHT rows for each digit and letter.

    ``german`` marks the forgery-proof look of German and Mercosur plates.
    """

    name: str
    face: Typeface
    glyphs: Mapping[str, Mask]
    german: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RenderMaterial:
    """The glyphs of Chinese plates by file stem, fonts of Latin plates, everyday fonts, blank US
    plates, smooth noise."""

    chinese: Mapping[str, Mask]
    fonts: tuple[Font, ...]
    everyday: tuple[Font, ...]
    blanks: tuple[Image, ...]
    noise: Floats

    @staticmethod
    def load(data_root: Path, unclear: bool = True) -> RenderMaterial:
        """Load ``data_root``/render, of a file the render beside it.

        ``unclear=False`` leaves out everything without a clear licence: what remains may be used
        for pictures that are published. Without the folder, Pillow's built-in font is used (a
        warning says so) and Chinese plates are not available.
        """
        root = (data_root.parent if data_root.is_file() else data_root) / "render"
        folders = ["fonts_free"] + ["fonts_unclear"] * unclear
        files = [p for name in folders for p in sorted((root / name).glob("*.?tf"))]
        files += [p for name in folders for p in sorted((root / name).glob("*.?TF"))]
        fonts = [font for path in files if (font := _load_font(path)) is not None]
        chinese = _load_chinese(root / "cn" / "font_model")
        if not fonts or not chinese:
            warnings.warn(
                f"no plate {'fonts' if not fonts else 'glyphs of Chinese plates'} in {root}: "
                "rendering Latin plates with Pillow's built-in font where fonts are missing, and "
                "no Chinese plates where glyphs are missing; give the data folder to have both",
                stacklevel=2,
            )
        fonts = fonts or [_builtin_font()]
        blanks = _load_blanks(root / "templates" / "us_openalpr") if unclear else ()
        return RenderMaterial(
            chinese=chinese, fonts=tuple(fonts), everyday=_everyday_fonts(), blanks=blanks,
            noise=_smooth_noise(),
        )

    def font(
        self, rng: np.random.Generator, german: bool | None = None, everyday: float = 0.0
    ) -> Font:
        """A random font, of the German kind or not where that is asked for and there is one; with
        probability ``everyday`` one of the :data:`EVERYDAY` fonts instead."""
        if everyday and rng.random() < everyday:
            return self.everyday[rng.integers(len(self.everyday))]
        wanted = [f for f in self.fonts if german is None or f.german is german]
        fonts = wanted or self.fonts
        return fonts[rng.integers(len(fonts))]

    def noise_patch(self, rng: np.random.Generator, height: int, width: int) -> Floats:
        """Smooth noise (height, width) float32 in 0..1, a random cut of the stored texture."""
        height_cut, width_cut = min(height, _NOISE // 2), min(width, _NOISE // 2)
        y = rng.integers(_NOISE - height_cut)
        x = rng.integers(_NOISE - width_cut)
        cut = self.noise[y : y + height_cut, x : x + width_cut]
        if cut.shape != (height, width):
            cut = np.asarray(cv2.resize(cut, (width, height)), np.float32)
        return cut


def ink_mask(face: Typeface, text: str) -> Mask:
    """The text drawn by a typeface, cut tight: (h, w); (1, 1) where it draws nothing."""
    left, top, right, bottom = face.getbbox(text)
    size = max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)
    picture = PilImage.new("L", size)
    ImageDraw.Draw(picture).text((1 - left, 1 - top), text, fill=255, font=face)
    mask = np.asarray(picture)
    ys, xs = np.nonzero(mask > 96)
    if not len(ys):
        return np.zeros((1, 1), np.uint8)
    return np.ascontiguousarray(mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])


@functools.lru_cache(maxsize=512)
def word(face: Typeface, text: str) -> Mask:
    """A word in a typeface as a tight mask, cached: state names, slogans, country letters."""
    return ink_mask(face, text)


def _as_font(name: str, face: Typeface) -> Font:
    glyphs = {}
    for character in DIGITS + LATIN:
        mask = ink_mask(face, character)
        width = max(6, round(mask.shape[1] * GLYPH_HEIGHT / mask.shape[0]))
        glyphs[character] = np.asarray(
            cv2.resize(mask, (width, GLYPH_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8
        )
    return Font(
        name=name, face=face, glyphs=glyphs, german=name.lower().startswith(_GERMAN)
    )


def _load_font(path: Path) -> Font | None:
    """The font in a file, or None where it lacks digits or letters."""
    face = ImageFont.truetype(str(path), 130)
    absent = bytes(face.getmask("\uffff"))
    if any(bytes(face.getmask(c)) == absent for c in DIGITS + LATIN):
        return None
    return _as_font(path.name, face)


def _everyday_fonts() -> tuple[Font, ...]:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return tuple(_as_font(name, ImageFont.truetype(str(folder / name), 130)) for name in EVERYDAY)


def _builtin_font() -> Font:
    return _as_font("built-in", ImageFont.load_default(130))


def _read(path: Path, flag: int) -> Image | None:
    """``cv2.imread`` for paths that are not ASCII on every system."""
    image = cv2.imdecode(np.fromfile(path, np.uint8), flag)
    return None if image is None else np.asarray(image, np.uint8)


def _load_chinese(folder: Path) -> dict[str, Mask]:
    """Glyph masks by file stem, such as ``140_京``, ``220_up_A``, ``green_8``."""
    glyphs = {}
    for path in sorted(folder.glob("*.jpg")):
        image = _read(path, cv2.IMREAD_GRAYSCALE)
        if image is not None:
            glyphs[path.stem] = np.asarray(255 - image, np.uint8)
    return glyphs


def _load_blanks(folder: Path) -> tuple[Image, ...]:
    """Blank US plates, cut two pixels inside their picture."""
    images = (_read(path, cv2.IMREAD_COLOR) for path in sorted(folder.glob("*.jpg")))
    return tuple(image[2:-2, 2:-2] for image in images if image is not None)


def _smooth_noise() -> Floats:
    """One texture of several octaves, (_NOISE, _NOISE) float32 in 0..1, always the same."""
    rng = np.random.default_rng(7)
    total = np.zeros((_NOISE, _NOISE), np.float32)
    for cells, weight in ((5, 1.0), (16, 0.6), (60, 0.4), (220, 0.3)):
        small = rng.random((cells, cells), np.float32)
        total += weight * cv2.resize(small, (_NOISE, _NOISE), interpolation=cv2.INTER_CUBIC)
    low, high = np.quantile(total, (0.01, 0.99))
    return np.asarray(np.clip((total - low) / (high - low), 0, 1), np.float32)
