"""Our own reader as an adapter: ``python -m benchmarks.adapters.ours``."""

from __future__ import annotations

import argparse
from pathlib import Path

from alpr_edge._cv2 import cv2
from alpr_edge.output import record_of
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import ALPR
from benchmarks.adapters.protocol import Answer, serve_answers, threads


def main() -> None:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, metavar="DIR", help="models folder")
    options = parser.parse_args()
    cv2.setNumThreads(threads())
    alpr = ALPR(models=options.models, threads=threads())

    def answer(path: str) -> Answer:
        return record_of(path, alpr.run(path)) | {"capped": True}

    serve_answers(answer)


if __name__ == "__main__":
    main()
