"""Pictures into the one type the project uses: BGR uint8 (H, W, 3)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge._cv2 import MAX_PIXELS, cv2
from alpr_edge.damage import what_is_wrong
from alpr_edge.errors import ImageError
from alpr_edge.types import Image

MAX_SIDE = 32766
"""Longest side OpenCV can warp."""
SUFFIXES = frozenset((
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
))
"""What counts as a picture when a folder is read; a file named itself may be called anything."""
STDIN = "/dev/stdin"

_BEGINNING = re.compile(
    rb"\xff\xd8\xff|\x89PNG|RIFF....WEBP|II\*\0|MM\0\*|BM|GIF8|P[1-6]\s|"
    rb"\0\0\0\x0cjP|\xff\x4f\xff\x51|....ftypavi", re.DOTALL,
)
"""How the files of the kinds begin that :func:`_why_not` names."""

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PNM = re.compile(rb"P[2356](?:%b\d+){2}%b(\d{1,5})\s" % (_GAP, _GAP))
"""The header: width, height and the pixel value of white."""
_VIDEO = re.compile(rb"....ftyp(?!avi[fs]|heic|mif1)|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL)


def load_image(path: str | os.PathLike[str]) -> Image:
    """Read a picture file: (H, W, 3) uint8 BGR, upright by its EXIF orientation (but AVIF's).

    Greyscale becomes three equal channels, more bits become 8, transparency is dropped, of an
    animation or a file of pages the first picture counts. A file that is cut short or shows damage
    (:mod:`alpr_edge.damage`) is an error, never a half grey picture; of a TIFF only a missing end
    shows.

    Raises:
        ImageError: the file is missing, empty, no picture, damaged or too large.
    """
    file = Path(path)
    if "://" in os.fspath(path):
        raise ImageError(f"{os.fspath(path)}: of cameras and videos in the network, alpr-edge "
                         "watch reads")
    try:
        data = _bytes_of(file)
    except FileNotFoundError:
        raise ImageError(f"{file}: no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{file}: is a folder; a picture file is needed") from None
    except OSError as error:
        raise ImageError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a null byte in the name
        raise ImageError(f"{str(file)!r}: cannot be read: {error}") from error
    return decode_image(data, str(file))


def _bytes_of(file: Path) -> bytes:
    """All of a file, or of a pipe if somebody has it open to write: none is waited for but the
    standard input, which is not opened anew: a socket cannot be."""
    if str(file) == STDIN:
        with os.fdopen(0, "rb", closefd=False) as stream:
            os.set_blocking(0, True)
            return stream.read()
    if not file.is_fifo():
        return file.read_bytes()
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        os.set_blocking(descriptor, True)
        return stream.read()


def decode_image(data: bytes, name: str) -> Image:
    """The bytes of a picture file as :func:`load_image` has them; ``name`` begins each message.

    Raises:
        ImageError: they are empty, no picture, damaged or too large.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes)")
    if data[:2] in (b"PF", b"Pf"):  # OpenCV cuts 0..1 to 0 and 1
        raise ImageError(f"{name}: its pixels are floating-point (PFM); save it with 8 bits a "
                         "channel")
    if data[:3].rstrip() == b"P7":  # OpenCV takes red for blue
        raise ImageError(f"{name}: is a PAM file; save it as PNG or PPM")
    if problem := what_is_wrong(data):
        raise ImageError(f"{name}: the file is {problem}")
    try:
        image = _decoded(data)
    except cv2.error as error:
        raise ImageError(_refusal(name, str(error))) from error
    if image is None:
        raise ImageError(f"{name}: {_why_not(data)}")
    return _check_side(image, f"{name}: ")


def _decoded(data: bytes) -> Image | None:
    """What OpenCV makes of a file; None: nothing."""
    white = _unscaled_white(data)
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if white else 0)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if white and image is not None:
        image = cv2.convertScaleAbs(image, alpha=255 / white)
    return None if image is None else np.asarray(image, np.uint8)


def _unscaled_white(data: bytes) -> int | None:
    """The pixel value of white in a PNM file, where OpenCV would take another for it: it reckons
    with 255 or 65535, and scales only numbers in text up to 255."""
    found = _PNM.match(data)
    if found is None:
        return None
    white = int(found[1])
    scaled = white in (255, 65535) or (white < 255 and data[:2] in (b"P2", b"P3"))
    return None if scaled else white


def check_image(image: object) -> Image:
    """The caller's picture, if it is (H, W, 3) uint8 BGR of at least one pixel.

    Raises:
        ImageError: it is anything else; the message has the call that converts it.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"frame is {type(image).__name__}; needed: a numpy array (H, W, 3) uint8 BGR or a path"
        )
    got = f"frame is {image.dtype} {image.shape}; needed: uint8 (H, W, 3) BGR"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        raise ImageError(f"{got}; convert with cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)")
    if image.ndim == 3 and image.shape[2] == 4:
        raise ImageError(f"{got}; convert with cv2.cvtColor(frame, cv2.COLOR_BGRA2BGR)")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"{got}; give one picture, not a batch (predict_batch takes several)")
    if image.dtype != np.uint8:
        raise ImageError(f"{got}; {_to_uint8(image.dtype)}")
    if image.size == 0:
        raise ImageError(f"{got}, at least 1 x 1 pixels")
    return _check_side(np.ascontiguousarray(image), "frame: ")


def _to_uint8(dtype: np.dtype[Any]) -> str:
    if dtype == np.uint16:
        return "(frame >> 8).astype('uint8') of 16 bits, >> 2 of a camera's 10, >> 4 of 12"
    if dtype.kind == "f":
        return "(frame * 255).astype('uint8') of 0..1, frame.astype('uint8') of 0..255"
    return "convert it to 0..255 in uint8"


def _check_side(image: Image, where: str) -> Image:
    height, width = image.shape[:2]
    if max(height, width) > MAX_SIDE:
        raise ImageError(
            f"{where}{width} x {height} pixels; no side may exceed {MAX_SIDE}: cut or shrink it"
        )
    return image


def _refusal(name: str, error: str) -> str:
    if "validateInputImageSize" in error:
        return (
            f"{name}: too large; at most {MAX_PIXELS / 1e6:.0f} megapixels are read, more with "
            "OPENCV_IO_MAX_IMAGE_PIXELS in the environment"
        )
    return f"{name}: OpenCV cannot decode it: {error.strip().splitlines()[-1]}"


def _why_not(data: bytes) -> str:
    if _VIDEO.match(data):
        return "is a video; alpr-edge watch reads those"
    if _BEGINNING.match(data):
        return "begins like a picture, but is cut short, damaged or of an unsupported kind"
    return "is no picture that OpenCV reads (JPEG, PNG, WebP, TIFF, BMP, GIF, JPEG 2000, AVIF)"
