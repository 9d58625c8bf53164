"""Small videos for tests of sources: each frame tells its number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS = 10
NUMBERS = 40
_STEP = 6


def picture(number: int, *, width: int = 160, height: int = 120) -> np.ndarray:
    """A picture whose left half is a grey that tells ``number`` (0..39), the right half noise."""
    image = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    image[:, : width // 2] = _STEP * number + 4  # codecs darken it by up to 3
    return image


def number_of(image: np.ndarray) -> int:
    """What :func:`picture` was given, after the codec."""
    return int(image[:, : image.shape[1] // 2 - 8].mean() // _STEP)


def write(
    path: Path, frames: int = 20, *, width: int = 160, height: int = 120, faststart: bool = False,
    fps: Fraction | int = FPS,
) -> Path:
    """An H.264 video with a key frame each second; its container is told by the file's ending."""
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", FPS
        stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        for number in range(frames):
            image = picture(number % NUMBERS, width=width, height=height)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """The begin of a file, as a file beside it."""
    short = path.with_name(f"cut-{path.name}")
    data = path.read_bytes()
    short.write_bytes(data[: int(len(data) * share)])
    return short
