"""``POST /v1/read``: a picture in, its plates out, within limits of number, size and time."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time

from fastapi import Request

from alpr_edge.errors import ImageError
from alpr_edge.images import decode_image
from alpr_edge.output import Record, record_of
from alpr_edge.serve.refusal import RequestError
from alpr_edge.serve.upload import check_picture, uploaded
from alpr_edge.serve.watching import WatchLike
from alpr_edge.stages import Stage
from alpr_edge.watch.config import ServeConfig

WAITING = 16
"""Requests that may wait for a turn; nothing of their bodies is read meanwhile."""


class Reception:
    """Serves ``config.concurrency`` pictures at a time. A turn ends when its work has ended, not
    when its client gave up, so that memory stays bounded whatever clients do."""

    def __init__(self, watch: WatchLike, config: ServeConfig) -> None:
        self._watch = watch
        self._config = config
        self._turns = asyncio.Semaphore(config.concurrency)
        self._waiting = 0

    def start(self) -> None:
        """Begin."""
        self._pool = concurrent.futures.ThreadPoolExecutor(
            self._config.concurrency, thread_name_prefix="serve-read"
        )

    def close(self) -> None:
        """Begin nothing more; what has begun ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def read(self, request: Request) -> Record:
        """The record of ``alpr-edge read`` for the request's picture, without ``file``.

        Raises:
            RequestError: there are too many requests (503), the picture did not arrive (408) or
                was not read (504) in time, or it is refused itself (400, 413, 415, 422).
        """
        deadline = time.monotonic() + self._config.timeout
        late = self._busy
        try:
            async with asyncio.timeout(self._config.timeout):
                await self._turn()
                late = self._too_slow
                try:
                    data = await uploaded(request, round(self._config.max_body_mb * 1e6))
                    check_picture(data, self._config.max_megapixels * 1e6)
                except BaseException:
                    self._turns.release()
                    raise
                late = self._not_read
                return await self._work(data, deadline)
        except TimeoutError as error:
            raise late() from error
        except ImageError as error:
            raise RequestError(422, "damaged_picture", str(error), "send a whole one") from error

    async def _turn(self) -> None:
        if self._waiting >= WAITING:
            raise self._busy()
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1

    async def _work(self, data: bytes, deadline: float) -> Record:
        """Decode and read in a thread, which gives the turn back."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._pool, self._record, data, deadline)
        work.add_done_callback(self._finished)
        return await asyncio.shield(work)

    def _record(self, data: bytes, deadline: float) -> Record:
        began = time.perf_counter()
        image = decode_image(data, "image")
        decoding = (time.perf_counter() - began) * 1e3
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        record = record_of("", self._watch.read(image, left))
        del record["file"]
        for stage in (Stage.LOAD, Stage.TOTAL):
            record["ms"][stage] = round(record["ms"][stage] + decoding, 3)
        return record

    def _finished(self, work: asyncio.Future[Record]) -> None:
        self._turns.release()
        if not work.cancelled():
            work.exception()  # where nobody waits any more, it is nobody's

    def _busy(self) -> RequestError:
        return RequestError(
            503, "busy", f"{self._config.concurrency} pictures are being read and "
            f"{self._waiting} wait", "try again after Retry-After seconds", {"retry-after": "1"},
        )

    def _too_slow(self) -> RequestError:
        return RequestError(
            408, "too_slow", f"the picture did not arrive within {self._config.timeout:g} s",
            "send it faster, or raise timeout in the service's configuration",
            {"connection": "close"},
        )

    def _not_read(self) -> RequestError:
        return RequestError(
            504, "timeout", f"the picture was not read within {self._config.timeout:g} s",
            "try again when less is going on, or raise timeout in the service's configuration",
        )
