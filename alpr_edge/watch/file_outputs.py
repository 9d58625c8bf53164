"""The outputs to files that a configuration names."""

from __future__ import annotations

from collections.abc import Iterator

from alpr_edge.watch.annotated_video import AnnotatedVideos
from alpr_edge.watch.config import FilesConfig
from alpr_edge.watch.event_pictures import EventPictures
from alpr_edge.watch.lines import EventLines, EventTable
from alpr_edge.watch.types import Output


def file_outputs(config: FilesConfig) -> Iterator[Output]:
    """One for each that is named, opened as it is asked for.

    Raises:
        OutputError: a file or folder cannot be made.
        LibraryError: PyAV is missing.
    """
    if config.jsonl is not None:
        yield EventLines(config.jsonl)
    if config.csv is not None:
        yield EventTable(config.csv)
    if config.video is not None:
        yield AnnotatedVideos(config.video)
    if config.pictures is not None:
        yield EventPictures(config.pictures)
