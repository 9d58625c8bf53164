"""Annotated videos of what the cameras saw.

A video is Matroska, written cluster by cluster: after a crash it plays up to the last second.
"""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge.annotated import output_folder
from alpr_edge.errors import OutputError
from alpr_edge.types import Image
from alpr_edge.watch.extras import require
from alpr_edge.watch.media import annotated
from alpr_edge.watch.types import CameraStatus, Event, Media, View

ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "superfast", "tune": "zerolatency", "crf": "26"},
    "mpeg4": {"qscale": "5"},
}
"""In order; the first that this build of FFmpeg has, with its options."""
CLUSTER_MS = 1000
FILE_SECONDS = 3600.0
"""After so long a new file begins: what is old can be deleted while the camera goes on."""
RETRY_SECONDS = 10.0
"""After an error nothing of the camera is written for so long: a full disk gets no more files."""
_TICKS = 1000
"""Time stamps are in milliseconds."""
_MAX_GAP = 10.0
"""Seconds; a longer gap between two frames, or a step back, counts as one frame's time."""
_FRAME = 0.04


class AnnotatedVideos:
    """One video a camera, in a folder: each processed frame, its plates and texts drawn on it.

    A frame of another size begins a new file; so does each start, and each hour of writing.
    Where redaction is on nothing is drawn: a text beside a blurred plate would tell it.

    Raises:
        OutputError: the folder cannot be made.
        LibraryError: PyAV is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = output_folder(folder)
        self._av = require("av", "watch")
        self._videos: dict[str, _Video] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        """When and why a camera's video could not be written."""

    def event(self, event: Event, media: Media) -> None:
        """Events are seen in the frames."""

    def status(self, status: CameraStatus) -> None:
        """A camera that is new or comes back goes on in the same video."""

    def view(self, view: View) -> None:
        """Append one frame.

        Raises:
            OutputError: it cannot be written; a frame after 10 s begins a new file.
        """
        camera = view.frame.camera
        failed, problem = self._failed.get(camera, (float("-inf"), ""))
        if time.monotonic() - failed < RETRY_SECONDS:
            raise OutputError(problem)
        image = _even(annotated(view))
        video, begun = self._videos.get(camera), None
        try:
            if video is None or video.size != image.shape[1::-1] or video.is_long:
                self._end(camera)
                begun = self._path(camera)
                video = self._videos[camera] = _Video(self._av, begun, image)
            video.write(image, view.frame.time)
        except (OSError, self._av.FFmpegError) as error:
            self._videos.pop(camera, None)
            if begun is not None:
                begun.unlink(missing_ok=True)
            problem = (
                f"the video of camera {camera} in {self._folder} cannot be written: "
                f"{error.strerror}; free space, or name another folder"
            )
            self._failed[camera] = time.monotonic(), problem
            raise OutputError(problem) from error

    def close(self) -> None:
        """End all videos."""
        for camera in list(self._videos):
            self._end(camera)

    def _end(self, camera: str) -> None:
        if (video := self._videos.pop(camera, None)) is not None:
            try:
                video.close()
            except (OSError, self._av.FFmpegError) as error:
                raise OutputError(
                    f"the video of camera {camera} in {self._folder} cannot be ended: "
                    f"{error.strerror}; what was written plays"
                ) from error

    def _path(self, camera: str) -> Path:
        stem = f"{camera}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        path, number = self._folder / f"{stem}.mkv", 1
        while path.exists():
            number += 1
            path = self._folder / f"{stem}-{number}.mkv"
        return path


class _Video:
    """One file of one size."""

    def __init__(self, av: Any, path: Path, first: Image) -> None:
        height, width = first.shape[:2]
        self.size = width, height
        options = {"cluster_time_limit": str(CLUSTER_MS), "flush_packets": "1"}
        self._frame_of = av.VideoFrame.from_ndarray
        self._container = av.open(os.path.abspath(path), "w", format="matroska", options=options)
        name = next(name for name in ENCODERS if name in av.codecs_available)
        self._stream = self._container.add_stream(name, rate=25, options=ENCODERS[name])
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream.codec_context.gop_size = 50
        self._last: float | None = None
        self._shown = 0.0
        self._begun = time.monotonic()

    @property
    def is_long(self) -> bool:
        """Whether it has had its time."""
        return time.monotonic() - self._begun >= FILE_SECONDS

    def write(self, image: Image, moment: float) -> None:
        elapsed = 0.0 if self._last is None else moment - self._last
        if self._last is not None:
            self._shown += elapsed if 1 / _TICKS <= elapsed <= _MAX_GAP else _FRAME
        self._last = moment
        frame = self._frame_of(image, format="bgr24")
        frame.pts, frame.time_base = round(self._shown * _TICKS), Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _even(image: Image) -> Image:
    """``image``, its last row and column twice where they are odd: H.264 halves the colour's
    resolution."""
    height, width = image.shape[:2]
    if not (height % 2 or width % 2):
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
