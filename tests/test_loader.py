"""Loader processes: they work also where OpenCV has computed with several threads before."""

from __future__ import annotations

import multiprocessing

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.loader import loaded


class Resized(torch.utils.data.IterableDataset):
    """One picture again and again, made by OpenCV."""

    def __iter__(self):
        while True:
            yield torch.from_numpy(resized())


def resized() -> np.ndarray:
    return cv2.resize(np.full((600, 800, 3), 7, np.uint8), (1600, 1200))


def first_batch(queue) -> None:
    cv2.setNumThreads(2)
    resized()
    queue.put(next(loaded(Resized(), 1, batch_size=2)).shape)


def test_a_loader_starts_after_opencv_has_used_threads() -> None:
    context = multiprocessing.get_context("spawn")  # which may hang for ever; this process not
    queue = context.Queue()
    process = context.Process(target=first_batch, args=(queue,))
    process.start()
    try:
        assert queue.get(timeout=60) == (2, 1200, 1600, 3)
    finally:
        process.kill()
        process.join()
