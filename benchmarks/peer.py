"""One reader in a process of its own: pictures' paths in, answers out, and the time they took."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from alpr_edge.geometry import box_quad, quad_box
from alpr_edge.types import Plate

_PATIENCE = 5.0
"""Seconds that a process has to end when it is asked to."""
_NOWHERE = box_quad((0.0, 0.0, 0.0, 0.0))


class PeerFailedError(Exception):
    """A reader crashed, hung or answered what is no record."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """``ms`` from writing the path to having the answer. ``boxed``: all plates have a place."""

    plates: tuple[Plate, ...]
    ms: float
    capped: bool = False
    boxed: bool = True
    unreadable: bool = False


class Peer:
    """An adapter's process (:mod:`benchmarks.adapters.protocol`).

    Args:
        name: of the reader.
        command: of its adapter, which is started now.
        environment: of that process.
        timeout: seconds that it may take for one picture; loading its models is part of the first.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> None:
        self.name = name
        self._timeout = timeout
        self._last_error = ""
        self._answers: queue.Queue[tuple[float, str]] = queue.Queue()  # when, and the line
        self._process: subprocess.Popen[str] | None = None
        try:
            self._process = subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            )
        except OSError as error:
            self._last_error = error.strerror or str(error)
            return
        self._listeners = [
            threading.Thread(target=listen, args=(stream,), daemon=True)
            for listen, stream in ((self._take_answers, self._process.stdout),
                                   (self._take_errors, self._process.stderr))
        ]
        for listener in self._listeners:
            listener.start()

    def ask(self, path: Path) -> Answer:
        """What the reader sees in the picture.

        Raises:
            PeerFailedError: it crashed, took too long or answered garbage. Its process is ended.
        """
        if self._process is None:
            raise PeerFailedError(f"cannot be started: {self._last_error}")
        begin = time.perf_counter()
        with contextlib.suppress(OSError):  # that it has ended is told below, with the reason
            print(path.resolve(), file=self._process.stdin, flush=True)
        try:
            end, line = self._answers.get(timeout=self._timeout)
        except queue.Empty:
            raise self._failure(f"no answer within {self._timeout:g} s") from None
        if not line:
            raise self._failure(f"ended with exit code {self._process.wait(_PATIENCE)}")
        try:
            return parse(line, (end - begin) * 1e3)
        except (LookupError, TypeError, ValueError) as error:
            raise self._failure(f"answered {line.strip()[:60]!r}, which is no record: "
                                f"{type(error).__name__}: {error}") from error

    def close(self, patience: float = _PATIENCE) -> None:
        """End the process by the end of its stdin; kill it after ``patience`` seconds."""
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for listener in self._listeners:
            listener.join(_PATIENCE)

    def _failure(self, what: str) -> PeerFailedError:
        self.close(patience=0)
        return PeerFailedError(what + (f" ({self._last_error})" if self._last_error else ""))

    def _take_answers(self, stream: TextIO) -> None:
        for line in stream:
            self._answers.put((time.perf_counter(), line))
        self._answers.put((time.perf_counter(), ""))

    def _take_errors(self, stream: TextIO) -> None:
        for line in stream:
            self._last_error = line.strip() or self._last_error


def parse(line: str, ms: float) -> Answer:
    """A record's line as an answer that took ``ms``.

    Raises:
        LookupError, TypeError, ValueError: it is no such record.
    """
    record = json.loads(line)
    if "error" in record:
        return Answer(plates=(), ms=ms, unreadable=True)
    plates = tuple(_plate(plate) for plate in record["plates"])
    boxed = all("box" in plate or "corners" in plate for plate in record["plates"])
    return Answer(plates=plates, ms=ms, boxed=boxed, capped=bool(record.get("capped", False)))


def _plate(values: Mapping[str, Any]) -> Plate:
    """Of a plate's record; one without a place lies nowhere, in an empty box."""
    confidence = float(values["confidence"])
    if "box" in values:
        x1, y1, x2, y2 = map(float, values["box"])
    else:
        x1, y1, x2, y2 = quad_box(values.get("corners", _NOWHERE))
    box = x1, y1, x2, y2
    return Plate(
        text=str(values["text"]), confidence=confidence, char_confidences=(), rows=None,
        region=None, kind=None, box=box, corners=box_quad(box),
        detection_confidence=float(values.get("detection_confidence", confidence)),
    )
