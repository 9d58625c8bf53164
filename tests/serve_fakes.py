"""A watch that does what a test tells it, for the service to stand on."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from alpr_edge.pipeline import Result
from alpr_edge.stages import Stage
from alpr_edge.types import Image, Plate
from alpr_edge.watch.config import StoreConfig
from alpr_edge.watch.metrics import Metrics
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import CameraStatus, Event, Frame, Media, State, View

MS = {
    Stage.LOAD: 0.1, Stage.LETTERBOX: 1.25, Stage.DETECT: 20.0, Stage.POSTPROCESS: 0.75,
    Stage.CLOSER: 1.0, Stage.RECTIFY: 0.5, Stage.READ: 9.0, Stage.TEXT: 0.5, Stage.TOTAL: 33.1,
}
QUAD = ((30.0, 40.0), (90.0, 40.0), (90.0, 60.0), (30.0, 60.0))


def plate(text: str = "WOB AB 12", quad=QUAD) -> Plate:
    points = np.asarray(quad)
    return Plate(
        text=text, confidence=0.97, char_confidences=(0.99,) * len(text), rows=1, region=None,
        kind=None, box=(*points.min(axis=0).tolist(), *points.max(axis=0).tolist()), corners=quad,
        detection_confidence=0.9,
    )


def status(camera: str = "gate", state: State = State.RUNNING, **changes) -> CameraStatus:
    values = {
        "camera": camera, "state": state, "since": 1_750_000_000.0, "problem": None, "fps": 9.8,
        "frames": 1200, "dropped": 3, "idle": 700,
    }
    return CameraStatus(**values | changes)


def view(camera: str = "gate", number: int = 7, image: Image | None = None, **changes) -> View:
    if image is None:
        image = np.full((120, 160, 3), 90, np.uint8)
    frame = Frame(camera=camera, number=number, time=1_750_000_000.5, arrived=1.0,
                  picture=Picture(image))
    values = {"frame": frame, "plates": (plate(),), "texts": ("WOBAB12",), "read": 1, "ms": MS}
    return View(**values | changes)


def jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


class Subscribed:
    """A listener whose events a test puts in."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.closed = False
        self.lost = 0

    def get(self, timeout: float) -> Event | None:
        try:
            return self.events.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed = True


class FakeWatch:
    """Reads every picture as one plate, after ``seconds``."""

    def __init__(self, folder: Path | None = None) -> None:
        self.ready = True
        self.store = Store(StoreConfig(path=folder / "events.db")) if folder else None
        self.metrics = Metrics()
        self.seconds = 0.0
        self.subscription = Subscribed()
        self.cameras: Sequence[CameraStatus] = (status(),)
        self.latest = {"gate": view()}
        self.pictures: list[Image] = []

    def add(self, one: Event, media: Media | None = None) -> Event:
        """Keep an event and tell of it, as a real watch does."""
        if self.store is not None:
            self.store.add(one, media or Media(crop=None, scene=None))
        self.subscription.events.put(one)
        return one

    def read(self, image: Image, timeout: float) -> Result:
        self.pictures.append(image)
        time.sleep(min(self.seconds, timeout))
        if self.seconds > timeout:
            raise TimeoutError
        return Result(plates=(plate(),), read=1, ms=MS, image=image)

    def statuses(self) -> list[CameraStatus]:
        return list(self.cameras)

    def views(self) -> dict[str, View]:
        return dict(self.latest)

    def subscribe(self) -> Subscribed:
        return self.subscription
