"""Every answer that is no success: JSON ``{"error", "code", "remedy"}``."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pydantic
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from alpr_edge.errors import AlprEdgeError


class Refused(pydantic.BaseModel):
    """What went wrong, a name for it that programs can rely on, and what to do."""

    error: str
    code: str
    remedy: str


class RequestError(Exception):
    """Ends a request with ``status`` and the three values of :class:`Refused`."""

    def __init__(
        self, status: int, code: str, error: str, remedy: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.body = Refused(error=error, code=code, remedy=remedy)
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.body.model_dump(), self.status, self.headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Entries for ``responses=`` of a route."""
    return {
        status: {"model": Refused, "description": HTTPStatus(status).phrase}
        for status in statuses
    }


async def only_known(request: Request) -> None:
    """A route's dependency that refuses names in the query that the route does not have, and any
    that comes twice.

    Raises:
        RequestError: 422.
    """
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    if unknown := sorted(request.query_params.keys() - set(known)):
        raise RequestError(
            422, "invalid_parameter", f"{', '.join(unknown)}: unknown",
            f"known here: {', '.join(known) or 'none'}; see /docs",
        )
    names = collections.Counter(name for name, _ in request.query_params.multi_items())
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise RequestError(
            422, "invalid_parameter", f"{', '.join(twice)}: given more than once", "give it once"
        )


def add_handlers(app: FastAPI) -> None:
    """Make every error of the framework a :class:`RequestError` too."""
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(AlprEdgeError, _unavailable)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    return error.response()


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}"
        for fault in error.errors()
    )
    return RequestError(
        422, "invalid_parameter", faults, "see /docs for the parameters of this address"
    ).response()


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    """The store's disk, a model: nothing the client can help."""
    return RequestError(
        503, "unavailable", str(error), "see the service's log", {"retry-after": "5"}
    ).response()


_HTTP = {
    404: ("not_found", "see /docs for the addresses"),
    405: ("method_not_allowed", "see /docs; the header Allow has the methods of this address"),
}


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, remedy = _HTTP.get(error.status_code, ("refused", "see /docs"))
    said = f"{request.method} {request.url.path}: {error.detail}"
    return RequestError(error.status_code, code, said, remedy, error.headers).response()
