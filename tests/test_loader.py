"""Loader processes are forked from a process in which OpenCV has no threads: such threads are not
in the fork, and to end them OpenCV now and then waits for them for ever."""

from __future__ import annotations

import multiprocessing

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.loader import loaded


class Threads(torch.utils.data.IterableDataset):
    """The number of OpenCV's threads, as the loader's process finds it."""

    def __iter__(self):
        while True:
            yield torch.tensor(cv2.getNumThreads())


def first_batch(queue) -> None:
    cv2.setNumThreads(4)
    cv2.resize(np.zeros((500, 500), np.uint8), (50, 50), interpolation=cv2.INTER_AREA)
    queue.put(next(loaded(Threads(), 1, batch_size=2)).tolist())


def test_a_loader_starts_without_opencvs_threads() -> None:
    context = multiprocessing.get_context("spawn")  # this process keeps its threads
    queue = context.Queue()
    process = context.Process(target=first_batch, args=(queue,))
    process.start()
    try:
        assert queue.get(timeout=60) == [1, 1]
    finally:
        process.kill()
        process.join()
