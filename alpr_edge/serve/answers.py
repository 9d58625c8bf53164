"""The objects that the service answers with, for the OpenAPI description.

They describe what :func:`~alpr_edge.watch.event_json.event_json`,
:func:`~alpr_edge.output.record_of` and :func:`~alpr_edge.serve.cameras.camera_json` make; tests
hold them together.
"""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pydantic

from alpr_edge.stages import Stage
from alpr_edge.types import Plate, Quad
from alpr_edge.watch.types import CameraStatus, Event


class Reading(pydantic.BaseModel):
    """One picture's plates; ``ms`` has each stage in milliseconds."""

    version: int = pydantic.Field(alias="schema")
    width: int
    height: int
    plates: list[Plate]
    ms: dict[Stage, float]


class EventPage(pydantic.BaseModel):
    """Events, the latest first. ``next`` is the ``before`` of the page after it: the id of the last
    event, where there are more."""

    events: list[Event]
    next: UUID | None


class SeenPlate(pydantic.BaseModel):
    """A plate in a camera's latest frame, with what its track says by now."""

    text: str
    confidence: float
    quad: Quad


class Part(pydantic.BaseModel):
    """Milliseconds of one half of the work and of its stages."""

    ms: float
    budget_ms: float
    stages: dict[Stage, float]


class Latency(pydantic.BaseModel):
    """Finding the plates of a frame, and reading one of them."""

    detection: Part
    reading: Part


class CameraView(pydantic.BaseModel):
    """A camera's latest frame; no latency where nothing moved."""

    frame: int
    time: float
    width: int
    height: int
    plates: list[SeenPlate]
    latency: Latency | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Camera(CameraStatus):
    """A camera's state and, where it had a frame, what it sees."""

    view: CameraView | None


class Cameras(pydantic.BaseModel):
    """All cameras."""

    cameras: list[Camera]
