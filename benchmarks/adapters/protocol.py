"""What an adapter is: a command that reads pictures' paths from stdin, one a line, and answers each
at once by one line of JSON, as ``alpr-edge read --format jsonl`` prints it.

A line needs ``plates``, each with ``text`` and ``confidence``, and with ``box`` or ``corners``
where they are known; of a picture that cannot be read it has ``error`` instead. ``capped`` says
whether the reader obeys the cap on oneDNN's instruction set. The command ends with its stdin.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from alpr_edge.errors import ImageError
from alpr_edge.images import load_image
from alpr_edge.stages import Stage
from alpr_edge.types import Image

THREADS = "OMP_NUM_THREADS"
"""The variable by which an adapter is told how many CPU threads it may use."""

Plate = dict[str, Any]
Answer = dict[str, Any]


def serve(predict: Callable[[Image], Iterable[Plate]]) -> None:
    """Be an adapter of a reader that takes one BGR uint8 (H, W, 3) picture and obeys no cap."""

    def answer(path: str) -> Answer:
        begin = time.perf_counter()
        image = load_image(path)
        plates = list(predict(image))
        total = round((time.perf_counter() - begin) * 1e3, 3)
        return {"file": path, "width": image.shape[1], "height": image.shape[0],
                "plates": plates, "ms": {Stage.TOTAL: total}, "capped": False}

    serve_answers(answer)


def serve_answers(answer: Callable[[str], Answer]) -> None:
    """Be an adapter: ``answer`` makes the whole record of the picture at a path."""
    answers = _private_stdout()
    for line in sys.stdin:
        path = line.rstrip("\n")
        try:
            record = answer(path)
        except ImageError as error:
            record = {"file": path, "error": str(error)}
        print(json.dumps(record, ensure_ascii=False), file=answers, flush=True)


def plate(text: str, confidence: float, box: Iterable[float]) -> Plate:
    """A plate of a record, of whatever numbers a reader has; ``box`` is x1 y1 x2 y2."""
    return {"text": text, "confidence": float(confidence), "box": [float(v) for v in box]}


def threads() -> int:
    """How many CPU threads the adapter may use; 1 where nobody said."""
    return int(os.environ.get(THREADS, "1"))


def library(module: str, install: str) -> Any:
    """A reader's own module, imported when its adapter is run: it is no dependency of ours.

    Raises:
        SystemExit: it is not installed; the message has the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SystemExit(
            f"{module} cannot be imported by {Path(sys.executable).name} ({error}); in an "
            f"environment of its own: pip install {install}"
        ) from error


def _private_stdout() -> TextIO:
    """The real stdout, for answers alone: what libraries print goes to stderr from now on."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers
