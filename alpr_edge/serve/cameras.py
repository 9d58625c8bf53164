"""``/v1/cameras``: how each camera is, what it sees and how long that took."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import JSONResponse

from alpr_edge import budget
from alpr_edge.serve.answers import Cameras
from alpr_edge.serve.refusal import RequestError, documented
from alpr_edge.serve.watching import WatchLike
from alpr_edge.stages import DETECTION_STAGES, READING_STAGES, Stage
from alpr_edge.watch.media import annotated, jpeg, shrunk
from alpr_edge.watch.types import CameraStatus, View


class CameraRoutes:
    """The routes, on a watch."""

    def __init__(self, watch: WatchLike) -> None:
        self._watch = watch
        self._drawing = threading.Lock()
        self._drawn: dict[str, tuple[str, bytes]] = {}
        """Tag and JPEG of each camera's latest picture, drawn once for all who look."""

    def router(self) -> APIRouter:
        """What the service includes."""
        router = APIRouter(prefix="/v1/cameras", tags=["cameras"])
        router.add_api_route(
            "", self.cameras, responses={200: {"model": Cameras}, **documented(422)}
        )
        router.add_api_route(
            "/{name}/picture", self.picture, response_class=Response,
            responses={
                200: {"content": {"image/jpeg": {}}},
                304: {"description": "The picture with the ETag in If-None-Match is the latest."},
                **documented(404, 422),
            },
        )
        return router

    def cameras(self) -> JSONResponse:
        """Each camera's state, the plates in its latest frame and the time of each stage."""
        views = self._watch.views()
        return JSONResponse({"cameras": [
            camera_json(status, views.get(status.camera)) for status in self._watch.statuses()
        ]})

    def picture(
        self,
        name: Annotated[str, Path(max_length=200)],
        if_none_match: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """A camera's latest frame as JPEG, with quads and texts drawn."""
        view = self._watch.views().get(name)
        if view is None:
            raise RequestError(
                404, "no_picture", f"there is no picture of a camera {name!r}",
                "see /v1/cameras for the names and what is wrong with a camera",
            )
        tag = f'"{view.frame.number}-{view.frame.time}"'
        if if_none_match == tag:
            return Response(status_code=304, headers={"etag": tag})
        with self._drawing:
            if (known := self._drawn.get(name)) is None or known[0] != tag:
                self._drawn[name] = known = tag, jpeg(shrunk(annotated(view)))
        return Response(known[1], media_type="image/jpeg", headers={"etag": tag})


def camera_json(status: CameraStatus, view: View | None) -> dict[str, Any]:
    """A camera's status and, where a frame was processed, ``view``."""
    record = dataclasses.asdict(status) | {"state": str(status.state), "fps": round(status.fps, 2)}
    return record | {"view": view and _view_json(view)}


def latency_json(ms: Mapping[Stage, float], read: int) -> dict[str, Any] | None:
    """The time of each stage beside the budget; that of reading counts for one of the ``read``
    plates, as its budget does. None where nothing was detected."""
    if not ms:
        return None
    return {
        "detection": _part(ms, DETECTION_STAGES, 1, budget.DETECTION_BUDGET_MS),
        "reading": _part(ms, READING_STAGES, max(1, read), budget.READING_BUDGET_MS),
    }


def _view_json(view: View) -> dict[str, Any]:
    height, width = view.frame.image.shape[:2]
    return {
        "frame": view.frame.number,
        "time": round(view.frame.time, 3),
        "width": width,
        "height": height,
        "plates": [
            {"text": text, "confidence": round(plate.confidence, 6),
             "quad": [[round(x, 2), round(y, 2)] for x, y in plate.corners]}
            for plate, text in zip(view.plates, view.texts, strict=True)
        ],
        "latency": latency_json(view.ms, view.read),
    }


def _part(
    ms: Mapping[Stage, float], stages: Sequence[Stage], divisor: int, limit: float
) -> dict[str, Any]:
    times = {str(stage): round(ms[stage] / divisor, 3) for stage in stages}
    return {"ms": round(sum(times.values()), 3), "budget_ms": limit, "stages": times}
