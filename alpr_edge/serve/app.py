"""The HTTP service as an ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from alpr_edge import __version__
from alpr_edge.errors import UsageError
from alpr_edge.serve.answers import Reading
from alpr_edge.serve.cameras import CameraRoutes
from alpr_edge.serve.events import EventRoutes
from alpr_edge.serve.guard import Guard
from alpr_edge.serve.page_files import docs_page, page_routes
from alpr_edge.serve.picture_size import KINDS
from alpr_edge.serve.reading import Reception
from alpr_edge.serve.refusal import RequestError, add_handlers, documented, only_known
from alpr_edge.serve.stream import Announcer
from alpr_edge.serve.upload import FIELD
from alpr_edge.serve.watching import WatchLike
from alpr_edge.watch.config import ServeConfig
from alpr_edge.watch.config_rules import is_loopback
from alpr_edge.watch.prometheus import exposition
from alpr_edge.watch.secrets import read_token, weakness

_ABOUT = (
    "Licence plates on the CPU. Times are seconds since 1970 (UTC), coordinates pixels of the "
    "picture. Every error is an object with error, code and remedy. Where the service has a "
    "token, send Authorization: Bearer TOKEN."
)
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD = {"requestBody": {"required": True, "content": {
    **{f"image/{kind.lower()}": _BINARY for kind in KINDS},
    "multipart/form-data": {"schema": {
        "type": "object", "required": [FIELD], "properties": {FIELD: _BINARY["schema"]},
    }},
}}}


def create_app(watch: WatchLike, config: ServeConfig) -> FastAPI:
    """The service on a running watch. ``app.state.announcer`` has ``close()``, which ends the
    open event streams; the server calls it before it waits for its connections.

    Raises:
        UsageError: it would listen beyond this machine without a token, or the token is
            too short, cannot be read or is nothing for a header.
    """
    announcer = Announcer(watch)
    reception = Reception(watch, config)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        announcer.start()
        reception.start()
        yield
        await announcer.finish()
        reception.close()

    app = FastAPI(
        title="alpr-edge", version=__version__, description=_ABOUT, lifespan=lifespan,
        docs_url=None, redoc_url=None,  # they load scripts from elsewhere
        redirect_slashes=False,
    )
    app.state.announcer = announcer
    app.add_middleware(Guard, token=_token(config))
    add_handlers(app)
    app.include_router(page_routes())
    for router in (EventRoutes(watch, announcer).router(), CameraRoutes(watch).router()):
        app.include_router(router, dependencies=[Depends(only_known)])
    _add_reading(app, reception)
    _add_health(app, watch)
    return app


def _add_reading(app: FastAPI, reception: Reception) -> None:
    @app.post(
        "/v1/read", tags=["read"], openapi_extra=_UPLOAD, dependencies=[Depends(only_known)],
        responses={200: {"model": Reading}, **documented(400, 408, 413, 415, 422, 503, 504)},
    )
    async def read(request: Request) -> JSONResponse:
        """Read the plates of one picture, the request's body or the form's field ``image``. The
        answer is the record of ``alpr-edge read --format jsonl`` without ``file``."""
        return JSONResponse(await reception.read(request))


def _add_health(app: FastAPI, watch: WatchLike) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, Any]:
        """The process serves."""
        return {"healthy": True}

    @app.get("/readyz", tags=["health"], responses=documented(503))
    async def readyz() -> dict[str, Any]:
        """The models are loaded and cameras are watched."""
        if not watch.ready:
            raise RequestError(
                503, "not_ready", "the models are being loaded", "ask again in a second",
                {"retry-after": "1"},
            )
        return {"ready": True}

    @app.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    def metrics() -> PlainTextResponse:
        """Counts and latencies for Prometheus."""
        return PlainTextResponse(exposition(watch), media_type="text/plain; version=0.0.4")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return docs_page(app.openapi())


def _token(config: ServeConfig) -> str | None:
    if config.token_file is None:
        if not is_loopback(config.host):
            raise UsageError(
                f"[serve] host is {config.host}, which others can reach, and there is no token; "
                "write one to a file (openssl rand -hex 32 > FILE) and set token_file, or listen "
                "on 127.0.0.1"
            )
        return None
    token = read_token(config.token_file)
    if problem := weakness(token, config.token_file):
        raise UsageError(problem)
    return token
