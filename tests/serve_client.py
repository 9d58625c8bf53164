"""A client of the service in this process: no server, no socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

Answer = TypeVar("Answer")
BASE = "http://localhost"


class Client:
    """Requests one after the other; :meth:`run` for several at a time."""

    def __init__(self, app: FastAPI, **options: Any) -> None:
        self._app = app
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._stack = contextlib.AsyncExitStack()

    def __enter__(self) -> Client:
        async def enter() -> httpx.AsyncClient:
            await self._stack.enter_async_context(self._app.router.lifespan_context(self._app))
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(self._app), base_url=BASE, **self._options
            )
            return await self._stack.enter_async_context(client)

        self._client = self._loop.run_until_complete(enter())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Answer]]) -> Answer:
        """What ``work`` gives, in the loop that serves."""
        async def awaited() -> Answer:
            return await work(self._client)

        return self._loop.run_until_complete(awaited())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.run(lambda client: client.get(path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.run(lambda client: client.post(path, **options))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.run(lambda client: client.request(method, path, **options))


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    """The body of an error, which is always of one form."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error", "code", "remedy"} and all(body.values())
    assert body["code"] == code
    return body
