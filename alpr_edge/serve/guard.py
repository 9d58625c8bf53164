"""Who may ask, and what a browser may do with an answer: around the whole service.

*With a token* every address but the public ones needs ``Authorization: Bearer TOKEN``. It is sent
by the page's own script for pictures and the event stream too, never as a cookie (which a browser
would also send for a foreign page) and never in an address (which ends up in logs).

*Without a token*, which is only possible on this machine, the browser is what stands between the
service and any page on the web. ``Host`` must then name this machine, so that no foreign name that
is made to resolve to 127.0.0.1 gets in (DNS rebinding), and ``Origin``, where it is sent, must be
the service itself.
"""

from __future__ import annotations

import hmac
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alpr_edge.serve.refusal import RequestError
from alpr_edge.watch.config_rules import is_loopback

PUBLIC = frozenset(("/", "/healthz", "/readyz", "/openapi.json", "/docs"))
"""Besides the page's files: nothing about plates or cameras."""
PAGE = "/page/"
"""Begins the addresses of the page's files."""

MOST_REQUESTS = 256
"""At once, open event streams among them."""

_SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware: checks each request, completes each answer, and refuses more than
    :data:`MOST_REQUESTS` at once.

    An exception that nobody caught becomes a 500 here, with its traceback in the log alone.
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = token
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def secured(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        self._open += 1
        try:
            if self._open > MOST_REQUESTS:
                await _BUSY.response()(scope, receive, secured)
                return
            self._check(scope["path"], Headers(scope=scope))
            if scope["method"] == "HEAD":
                await _answer_head(self._app, scope, receive, secured)
            else:
                await self._app(scope, receive, secured)
        except RequestError as refusal:
            await refusal.response()(scope, receive, secured)
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            await _FAILED.response()(scope, receive, secured)
        finally:
            self._open -= 1

    def _check(self, path: str, headers: Headers) -> None:
        if self._token is None:
            _check_browser(headers)
        elif path not in PUBLIC and not path.startswith(PAGE):
            _check_token(headers, self._token)


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """``HEAD`` is answered as ``GET`` is (RFC 9110, 9.1), but ends with the headers: from then on
    the client counts as gone, which ends an event stream."""
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body"})

    await app({**scope, "method": "GET"}, receive, send_head)


_BUSY = RequestError(
    503, "too_many_requests", "the service is at its limit of requests at once",
    "ask again in some seconds, and close event streams that nobody reads", {"retry-after": "5"},
)
_FAILED = RequestError(
    500, "internal_error", "the service failed at this request",
    "see the service's log and report it; other requests are served",
)


def _check_token(headers: Headers, token: str) -> None:
    """Raises RequestError; takes the same time whatever was sent."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not same:
        raise RequestError(
            401, "no_token", "this address needs the service's token",
            "send the header 'Authorization: Bearer TOKEN'; TOKEN is in the service's token_file",
            {"www-authenticate": "Bearer"},
        )


def _check_browser(headers: Headers) -> None:
    """Raises RequestError where a page from elsewhere may have sent the request."""
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        raise RequestError(
            421, "wrong_host", f"the header Host names {host or 'nothing'}, not this machine",
            "ask for http://localhost or http://127.0.0.1, or start the service with a token_file",
        )
    if origin is not None and origin.partition("://")[2] != host:
        raise RequestError(
            403, "wrong_origin", f"the request comes from a page of {origin}",
            "use the service's own page, or start the service with a token_file",
        )
