"""``alpr-edge check-camera``: what a source gives, before it is written into a configuration."""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpr_edge.errors import ExitCode, OutputError, UsageError
from alpr_edge.watch.config import CameraConfig, Config, HardwareDecoding
from alpr_edge.watch.types import Frame

SECONDS = 5.0
"""For which the frame rate is measured."""
SETTLE = 1.0
"""What a camera sent while it was being opened comes at once: no measure of its rate."""


def check_camera(options: argparse.Namespace) -> ExitCode:
    """Open a source, take frames for a while, print what came; exit code 1 where nothing does."""
    from alpr_edge.watch.sources import SourceError, open_source, shown

    camera = CameraConfig(
        name="camera", source=options.source, username=options.username,
        password_file=options.password_file, hwaccel=HardwareDecoding(options.hwaccel),
    )
    if os.path.isdir(camera.source):
        raise UsageError(f"{camera.source} is a folder; give a camera or a video file")
    _check(camera)
    print(f"source       {shown(camera.source)}")
    began = time.monotonic()
    source = open_source(camera, threading.Event())
    try:
        print(f"video        {source.about}")
        print(f"opened       after {time.monotonic() - began:.2f} s")
        frames = source.frames()
        first = next(frames, None)
        if first is None:
            raise SourceError(f"{shown(camera.source)}: no frame came", permanent=False)
        height, width = first.image.shape[:2]
        print(f"first frame  after {first.arrived - began:.2f} s, {width} x {height} pixels")
        if options.save:
            _save(first, options.save)
        print(f"frame rate   {_rate(frames, source.live)}")
    finally:
        source.close()
    return ExitCode.OK


def _check(camera: CameraConfig) -> None:
    """Refuse what a configuration may not have; of the source itself, opening tells more, and a
    password in its URL may be tried."""
    from alpr_edge.watch import config_rules

    wrong = [one.message for one in config_rules.mistakes(Config(cameras=(camera,)))
             if not one.warning and one.key[-1] != "source"]
    if wrong:
        raise UsageError("\n".join(wrong))


def _rate(frames: Iterator[Frame], live: bool) -> str:
    """Frames a second that come; of a file that is how fast it can be decoded."""
    begin = time.monotonic() + (SETTLE if live else 0.0)
    arrived = []
    for frame in frames:
        if frame.arrived >= begin:
            arrived.append(frame.arrived)
        if frame.arrived - begin >= SECONDS:
            break
    elapsed = arrived[-1] - arrived[0] if arrived else 0.0
    if not elapsed:
        return "unknown: too few frames came"
    return f"{(len(arrived) - 1) / elapsed:.1f} a second over {elapsed:.1f} s"


def _save(frame: Frame, path: Path) -> None:
    from alpr_edge._cv2 import cv2

    try:
        written = cv2.imwrite(str(path), frame.image)
    except cv2.error:  # of an ending that it does not know
        written = False
    if not written:
        raise OutputError(
            f"{path} cannot be written; give a file ending in .jpg or .png in a folder that exists"
        )
    print(f"saved in     {path}")


def add_command(commands: Any) -> None:
    """Add the parser (``argparse``'s sub-parsers)."""
    command = commands.add_parser(
        "check-camera", help="connect to a camera and print what it sends",
        description="Print codec, size, frame rate and how long the first frame takes.",
    )
    command.set_defaults(run=check_camera)
    command.add_argument(
        "source", metavar="SOURCE",
        help="rtsp:// or http:// URL, webcam's number, or video file",
    )
    command.add_argument("--save", type=Path, metavar="FILE", help="write the first frame there")
    command.add_argument("--username", metavar="NAME", help="of the camera")
    command.add_argument(
        "--password-file", type=Path, metavar="FILE", help="holds the camera's password"
    )
    command.add_argument(
        "--hwaccel", choices=[choice.value for choice in HardwareDecoding], default="auto",
        help="who decodes (default: auto)",
    )
