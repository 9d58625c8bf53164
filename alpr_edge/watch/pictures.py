"""The folder of an event store's pictures: JPEG files, each on the disk before it is told of.

    FOLDER/3f/3f0c...-crop.jpg
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from alpr_edge.watch.durable import PARTIAL, write_file
from alpr_edge.watch.types import Media

Kind = Literal["crop", "scene"]


@dataclasses.dataclass(frozen=True)
class PictureFolder:
    """The pictures of events, found by the event's id and kind. Errors are the system's own."""

    folder: Path

    def write(self, event: str, media: Media) -> dict[Kind, int]:
        """Write and fsync the pictures there are; bytes of each.

        A picture that is there already is replaced at once, never seen in part.
        """
        pictures: dict[Kind, bytes | None] = {"crop": media.crop, "scene": media.scene}
        sizes: dict[Kind, int] = {}
        for kind, data in pictures.items():
            if data is not None:
                write_file(self._path(event, kind), data)
                sizes[kind] = len(data)
        return sizes

    def read(self, event: str, kind: Kind) -> bytes | None:
        """The JPEG file; None where it is gone."""
        try:
            return self._path(event, kind).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, event: str, kind: Kind) -> None:
        """Remove a picture, which may be gone already."""
        self._path(event, kind).unlink(missing_ok=True)

    def remove_partial(self) -> None:
        """Remove what a crash left half written; not for while a picture is written."""
        for path in self.folder.glob(f"??/*{PARTIAL}"):
            path.unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, Kind]]:
        """Event and kind of every picture in the folder."""
        for path in self.folder.glob("??/*.jpg"):
            event, _, kind = path.stem.rpartition("-")
            if kind == "crop":
                yield event, "crop"
            elif kind == "scene":
                yield event, "scene"

    def _path(self, event: str, kind: Kind) -> Path:
        if not event.replace("-", "").isalnum():
            raise ValueError(f"event id {event!r}; letters, digits and hyphens are allowed")
        return self.folder / event[:2] / f"{event}-{kind}.jpg"

