"""Command-line options of ``alpr-edge watch`` to a configuration."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alpr_edge.errors import UsageError
from alpr_edge.inputs import why_missing
from alpr_edge.watch import config_file, config_rules
from alpr_edge.watch.config import CameraConfig, Config, Polygon
from alpr_edge.watch.lines import STDOUT
from alpr_edge.watch.sources import is_live

_OF = {
    "cameras": ("every", "max_fps", "region", "min_plate_width", "tiles", "hwaccel"),
    "files": ("jsonl", "csv", "video", "pictures"),
    "model": ("threads",),
}
"""Options by the part of the configuration that has a field of the same name."""


def config_of(options: argparse.Namespace) -> Config:
    """The configuration's file, if one is named, with the options put in its place.

    Raises:
        UsageError: there is no camera, or something does not fit.
    """
    config = config_file.load(options.config) if options.config else Config()
    if options.sources:
        config = dataclasses.replace(config, cameras=cameras_of(options.sources))
    if not config.cameras:
        raise UsageError(
            "no source; give video files, URLs of cameras, webcams' numbers or folders, or a "
            "configuration that has [[cameras]] with --config FILE"
        )
    for_cameras = _given(options, "cameras")
    config = dataclasses.replace(
        config,
        cameras=tuple(dataclasses.replace(camera, **for_cameras) for camera in config.cameras),
        files=dataclasses.replace(config.files, **_given(options, "files")),
        model=dataclasses.replace(config.model, **_given(options, "model")),
    )
    if options.store:
        config = dataclasses.replace(
            config, store=dataclasses.replace(config.store, path=options.store)
        )
    if options.redact:
        config = dataclasses.replace(
            config, privacy=dataclasses.replace(config.privacy, redact=True)
        )
    if options.grammar:
        plates = dataclasses.replace(config.plates, grammars=tuple(options.grammar))
        config = dataclasses.replace(config, plates=plates)
    config_rules.check(config)
    return _with_some_output(config)


def check_some_input(sources: Sequence[str]) -> None:
    """For the start.

    Raises:
        UsageError: sources are given, and none is there; cameras are taken to be.
    """
    if sources and not any(is_live(source) or os.path.exists(source) for source in sources):
        raise UsageError(
            f"{'; '.join(f'{source}: {why_missing(source)}' for source in sources)}; give video "
            "files, URLs of cameras, webcams' numbers or folders"
        )


def cameras_of(sources: Sequence[str]) -> tuple[CameraConfig, ...]:
    """One a source, each with a name of its own."""
    names: list[str] = []
    for source in sources:
        stem = name_of(source)
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return tuple(
        CameraConfig(name=name, source=source)
        for name, source in zip(names, sources, strict=True)
    )


def name_of(source: str) -> str:
    """A camera's name made of its source: a file's or folder's name, a URL's host, ``webcam0``."""
    if source.isdecimal():
        return f"webcam{source}"
    if "://" in source:
        url = config_rules.split_url(source)
        stem = url.hostname if url else None
    else:
        stem = Path(source).stem
    letters = re.sub(r"[^A-Za-z0-9_-]+", "-", stem or "").strip("-_")
    return letters[:60] or "camera"


def _given(options: argparse.Namespace, part: str) -> dict[str, Any]:
    values = {name: getattr(options, name) for name in _OF[part]}
    return {name: value for name, value in values.items() if value is not None}


def _with_some_output(config: Config) -> Config:
    """``config``; where nothing of it is written anywhere, JSON lines go to stdout."""
    files = (getattr(config.files, field.name) for field in dataclasses.fields(config.files))
    if any(files) or config.store.path or config.mqtt or config.webhooks:
        return config
    return dataclasses.replace(config, files=dataclasses.replace(config.files, jsonl=STDOUT))


def polygon(text: str) -> Polygon:
    """``0.1,0.5 0.9,0.5 0.9,1 0.1,1``: three points or more, shares of width and height."""
    try:
        points = tuple(
            (float(x), float(y)) for x, y in (point.split(",") for point in text.split())
        )
    except ValueError:
        points = ()
    if problem := config_rules.polygon_problem(points):
        raise argparse.ArgumentTypeError(
            f"region {text!r}: {problem}; points are x,y with a space between, "
            "e.g. '0,0.5 1,0.5 1,1 0,1'"
        )
    return points


def tiles(text: str) -> tuple[int, int]:
    """``3x2``: columns and rows."""
    if (match := re.fullmatch(r"(\d+)x(\d+)", text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r}; needed: columns x rows, e.g. 3x2")
    return int(match[1]), int(match[2])
