"""Short H.264 clips of demo pictures that are moved about."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from conftest import ROOT

DEMO = ROOT / "docs" / "demo"
FPS = 10


def write_clip(path: Path, images: Iterable[np.ndarray], fps: int = FPS) -> Path:
    """``images`` (H, W, 3) uint8 BGR of even sides as an H.264 video."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(images):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def drive_by(name: str = "eu.jpg", frames: int = 12, size: tuple[int, int] = (640, 384)):
    """A demo picture that moves to the right, then nothing but its ground: ``frames`` of each."""
    picture = cv2.resize(cv2.imread(str(DEMO / name)), size)
    empty = cv2.GaussianBlur(picture, (0, 0), 40)
    for number in range(frames):
        yield np.roll(picture, 4 * number, axis=1)
    for _ in range(frames):
        yield empty
