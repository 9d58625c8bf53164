"""Everything that can be configured, as frozen dataclasses; the file is TOML with the same names.

    [[cameras]]
    name = "gate"
    source = "rtsp://192.168.1.10/stream1"

:mod:`alpr_edge.watch.config_file` reads, checks and writes it. A *secret* is never in the file
itself, but the path of a file that holds it (``password_file``...).
"""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path

from alpr_edge.picks import Precision
from alpr_edge.types import Point
from alpr_edge.watch.types import Access

Polygon = tuple[Point, ...]
"""Three points or more, as shares of the picture's width and height, 0..1."""


class HardwareDecoding(enum.StrEnum):
    """Who decodes a camera's video."""

    AUTO = "auto"
    """VA-API where it works, otherwise the CPU, with one line that says so."""
    NONE = "none"
    VAAPI = "vaapi"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CameraConfig:
    """One source and how it is looked at."""

    name: str
    source: str
    """A video file, an rtsp:// or http:// URL, a webcam's number, or a folder that fills up."""
    detect_source: str | None = None
    """A smaller stream of the same camera: plates are found in it, and read in ``source``."""
    username: str | None = None
    password_file: Path | None = None
    """Of the camera; a URL in this file has no password in it."""
    hwaccel: HardwareDecoding = HardwareDecoding.AUTO
    every: int = 1
    """Only each Nth frame is processed."""
    max_fps: float | None = None
    """At most so many frames a second are processed."""
    region: tuple[Polygon, ...] = ()
    """Only plates whose centre is in one of these count; empty: the whole picture."""
    min_plate_width: float = 0.0
    """Pixels; narrower plates do not count."""
    tiles: tuple[int, int] = (1, 1)
    """Columns and rows of overlapping parts that are looked through one by one, for far plates."""
    motion: bool = True
    """Nothing is detected in a frame that shows what the one before showed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrackingConfig:
    """When several reads become one event."""

    min_reads: int = 2
    """Reads that must agree before there is an event."""
    max_gap: float = 1.0
    """Seconds that a vehicle may be hidden and still be the same track."""
    repeat_after: float = 300.0
    """Seconds for which the same plate at the same camera is no new event, as long as it was not
    seen for a shorter time than this; a parked car never is one again."""
    min_confidence: float | None = None
    """Of an event's text; None takes the reader's own threshold."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KnownPlate:
    """An entry of the list of known plates."""

    text: str
    access: Access = Access.ALLOW
    label: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PlatesConfig:
    """What plates may look like, and which are known."""

    grammars: tuple[str, ...] = ()
    """Countries whose layout re-ranks confusable characters: O/0, I/1, B/8..."""
    known: tuple[KnownPlate, ...] = ()
    known_file: Path | None = None
    """CSV with the columns text, access, label; read again when it changes."""
    fuzzy: bool = True
    """A known plate also fits where one character differs by a confusable one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PrivacyConfig:
    """What is kept of people."""

    redact: bool = False
    """Plates are blurred in stored scenes, videos and on the page."""
    crops: bool = True
    scenes: bool = True
    """Whether pictures of plates, and of what is around them, are kept and sent."""
    hash_key_file: Path | None = None
    """With it a plate's text is replaced by its keyed hash (HMAC-SHA256) everywhere."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StoreConfig:
    """The store of events."""

    path: Path | None = None
    """SQLite file; ``events.db`` has its pictures in ``events.pictures`` beside it. None: nothing
    is kept."""
    keep_events_days: float = 90.0
    keep_pictures_days: float = 30.0
    max_pictures_mb: float = 2000.0
    """The oldest pictures go first where there are more."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FilesConfig:
    """Outputs to files; ``-`` is stdout."""

    jsonl: Path | None = None
    csv: Path | None = None
    video: Path | None = None
    """Folder of one annotated video a camera."""
    pictures: Path | None = None
    """Folder of one annotated picture an event."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MqttConfig:
    """An MQTT broker."""

    host: str
    port: int = 1883
    topic: str = "alpr-edge"
    """Begins every topic."""
    client_id: str = "alpr-edge"
    username: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    discovery: str | None = "homeassistant"
    """Prefix of Home Assistant's discovery; None (in the file ``""``): no discovery."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WebhookConfig:
    """A receiver of events by HTTP POST."""

    name: str
    url: str
    token_file: Path | None = None
    """Sent as ``Authorization: Bearer``."""
    pictures: bool = True
    timeout: float = 10.0
    """Seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ServeConfig:
    """The HTTP service."""

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    """Needed to listen anywhere but on this machine."""
    max_body_mb: float = 20.0
    max_megapixels: float = 50.0
    concurrency: int = 4
    """Requests that read a picture at the same time; more wait."""
    timeout: float = 10.0
    """Seconds that a request may wait and read."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The networks, as ``alpr-edge read`` has them."""

    models: Path | None = None
    threads: int | None = None
    """Of one detection; None leaves it to OpenVINO."""
    workers: int = 1
    """Frames that are processed at the same time, each with ``threads``."""
    precision: Precision | None = None
    min_detection: float | None = None
    cache: Path | None = None
    """Folder where compiled models are kept to start faster."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The whole file."""

    cameras: tuple[CameraConfig, ...] = ()
    model: ModelConfig = ModelConfig()
    tracking: TrackingConfig = TrackingConfig()
    plates: PlatesConfig = PlatesConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    store: StoreConfig = StoreConfig()
    files: FilesConfig = FilesConfig()
    mqtt: MqttConfig | None = None
    webhooks: tuple[WebhookConfig, ...] = ()
    serve: ServeConfig = ServeConfig()
