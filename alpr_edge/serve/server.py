"""uvicorn in a thread, so that it ends within seconds although event streams are open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import TracebackType

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from alpr_edge.errors import UsageError
from alpr_edge.serve.refusal import Refused

STOP_SECONDS = 3
"""Requests that take longer are cut off at the end."""
MOST_CONNECTIONS = 300
"""At once; what comes beyond is closed."""
HEAD_SECONDS = 10.0
"""For a whole request head, from its first byte or the begin of the connection on."""
STALL_SECONDS = 30.0
"""After which a client that takes nothing of its answer is gone."""
_BACKLOG = 128
"""Connections that wait; as many may be open beyond :data:`MOST_CONNECTIONS` for a moment."""
_KEEP_ALIVE_SECONDS = 15
_JOIN_SECONDS = STOP_SECONDS + 1.5


class Server:
    """Serves an app of :func:`~alpr_edge.serve.app.create_app` within a ``with`` block.

    Raises:
        UsageError: nothing can listen at that address.
    """

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        address, number = self._socket.getsockname()[:2]
        self.url = f"http://{f'[{address}]' if ':' in address else address}:{number}"
        self._uvicorn = _Uvicorn(app)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it serves; False after an error that its log tells."""
        return self._thread.is_alive()

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(_JOIN_SECONDS)
        self._socket.close()

    def _run(self) -> None:
        with contextlib.suppress(SystemExit):  # how uvicorn ends when the app cannot start
            self._uvicorn.run([self._socket])


class _Protocol(H11Protocol):
    """What is no HTTP is refused as everything else is: in JSON. Connections that are too many,
    or send for too long what is no request, are closed."""

    _hang_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._limit_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # the rest of a body counts too
            self._limit_wait()
        else:
            self._end_wait()

    def _limit_wait(self) -> None:
        if self._hang_up is None:
            self._hang_up = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _end_wait(self) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
            self._hang_up = None

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # the answer has begun
            self.transport.close()
            return
        body = Refused(
            error=msg, code="no_http", remedy="send HTTP/1.1; see /docs for the addresses"
        ).model_dump_json().encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))),
                   ("connection", "close")]
        for part in (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                     h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()


class _Uvicorn(uvicorn.Server):
    """Ends the event streams, which would never end by themselves, before it waits for requests."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(
            app, log_config=None, log_level="warning", access_log=False, server_header=False,
            proxy_headers=False, lifespan="on", http=_Protocol, ws="none",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=STOP_SECONDS,
            backlog=_BACKLOG,
        ))
        self._announcer = app.state.announcer

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._announcer.close()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that connections already wait at, so that the first request is not refused."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address, family=family, backlog=_BACKLOG)
        listening.setsockopt(  # its connections inherit it
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(STALL_SECONDS * 1e3)
        )
        return listening
    except OSError as error:
        raise UsageError(
            f"nothing can listen at {host} port {port}: {error.strerror}; choose another host or "
            "port in [serve], or end the program that listens there"
        ) from error
