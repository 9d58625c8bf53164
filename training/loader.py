"""Batches made ahead in processes beside the training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, IterableDataset


def loaded(
    dataset: IterableDataset[Any], workers: int, *, batch_size: int | None = None,
    collate: Any = None,
) -> Iterator[Any]:
    """Endless batches of ``dataset``, made in ``workers`` processes (0: here).

    OpenCV computes with one thread from here on: a process that is forked while it has more would
    wait for them for ever.
    """
    cv2.setNumThreads(1)
    return iter(DataLoader(
        dataset, batch_size, num_workers=workers, collate_fn=collate,
        prefetch_factor=4 if workers else None, worker_init_fn=single_thread,
        multiprocessing_context="fork" if workers else None,  # which shares decoded pictures
    ))


def single_thread(_: int) -> None:
    """One thread a worker: they run beside the training."""
    torch.set_num_threads(1)
