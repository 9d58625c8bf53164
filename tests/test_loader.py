"""Loader processes are forked from a process in which OpenCV has one thread: more are not in the
fork, and now and then OpenCV waits there for ever for them to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

SCRIPT = """
import cv2, numpy, torch
from training.loader import loaded

class Threads(torch.utils.data.IterableDataset):
    def __iter__(self):
        while True:
            yield torch.tensor(cv2.getNumThreads())

cv2.setNumThreads(4)
cv2.resize(numpy.zeros((500, 500), numpy.uint8), (50, 50), interpolation=cv2.INTER_AREA)
print(next(loaded(Threads(), 1, batch_size=2)).tolist())
"""


def test_a_loader_starts_without_more_threads_of_opencv() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=Path(__file__).parent.parent, timeout=120,
        capture_output=True, text=True, check=True,
    )
    assert done.stdout.strip() == "[1, 1]"
