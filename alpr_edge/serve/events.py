"""``/v1/events``: the stored events, their pictures, and the stream of new ones."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse

from alpr_edge.serve.answers import EventPage
from alpr_edge.serve.refusal import RequestError, documented
from alpr_edge.serve.stream import Announcer
from alpr_edge.serve.watching import WatchLike
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.pictures import Kind
from alpr_edge.watch.store import EventQuery, Store
from alpr_edge.watch.types import Access, Event

MAX_LIMIT = 200
_MAX_TEXT, _MAX_NAME = 32, 200
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}

Seconds = Annotated[
    float | None, Query(ge=0, le=1e11, allow_inf_nan=False, description="since 1970, UTC")
]


class EventRoutes:
    """The routes, on a watch's store and an announcer."""

    def __init__(self, watch: WatchLike, announcer: Announcer) -> None:
        self._watch = watch
        self._announcer = announcer

    def router(self) -> APIRouter:
        """What the service includes."""
        router = APIRouter(prefix="/v1/events", tags=["events"])
        router.add_api_route(
            "", self.page, responses={200: {"model": EventPage}, **documented(404, 422)}
        )
        router.add_api_route(
            "/stream", self.stream, response_class=StreamingResponse,
            responses={200: {"content": {"text/event-stream": {}}}, **documented(422, 503)},
        )
        router.add_api_route(
            "/{event_id}", self.event, responses={200: {"model": Event}, **documented(404, 422)}
        )
        for kind, route in (("crop", self.crop), ("scene", self.scene)):
            router.add_api_route(
                f"/{{event_id}}/{kind}", route, response_class=Response,
                responses=_JPEG | documented(404, 422),
            )
        return router

    def page(
        self,
        text: Annotated[str, Query(max_length=_MAX_TEXT, description="part of the plate")] = "",
        camera: Annotated[str | None, Query(max_length=_MAX_NAME)] = None,
        since: Seconds = None,
        until: Seconds = None,
        access: Annotated[Access | None, Query(description="of known plates")] = None,
        before: Annotated[
            UUID | None, Query(description="a page's next: only what comes after that event")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    ) -> JSONResponse:
        """Stored events that fit all that is given, the latest first."""
        page = self._store().events(EventQuery(
            text=text, camera=camera, since=since, until=until, access=access,
            before=str(before) if before else None, limit=limit,
        ))
        events = [event_json(event) for event in page.events]
        return JSONResponse({"events": events, "next": page.next})

    async def stream(
        self, last_event_id: Annotated[str | None, Header(max_length=_MAX_NAME)] = None
    ) -> StreamingResponse:
        """New events as server-sent events, for as long as the client listens."""
        self._announcer.check()
        messages = self._announcer.messages(self._watch.store, last_event_id)
        return StreamingResponse(messages, media_type="text/event-stream")

    def event(self, event_id: UUID) -> JSONResponse:
        """One stored event."""
        event = self._store().event(str(event_id))
        if event is None:
            raise RequestError(404, "no_event", f"no event {event_id} is stored", "see /v1/events")
        return JSONResponse(event_json(event))

    def crop(self, event_id: UUID) -> Response:
        """An event's plate as JPEG."""
        return self._picture(event_id, "crop")

    def scene(self, event_id: UUID) -> Response:
        """What was around an event's plate, as JPEG."""
        return self._picture(event_id, "scene")

    def _picture(self, event_id: UUID, kind: Kind) -> Response:
        data = self._store().picture(str(event_id), kind)
        if data is None:
            raise RequestError(
                404, "no_picture", f"no {kind} of event {event_id} is kept",
                f"set {kind}s in [privacy], and keep_pictures_days in [store], to keep some",
            )
        return Response(data, media_type="image/jpeg")

    def _store(self) -> Store:
        store = self._watch.store
        if store is None:
            raise RequestError(
                404, "no_store", "events are not kept",
                "set path in [store] of the configuration; /v1/events/stream has new ones",
            )
        return store
