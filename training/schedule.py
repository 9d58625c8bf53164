"""Learning-rate schedules as plain functions of the share of the run that is done."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

Schedule = Literal["cosine", "one_cycle", "plateau"]


def warmup_cosine(done: float, *, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the base rate at ``done`` in 0..1: linear warm-up, then half a cosine to floor."""
    if done < warmup:
        return max(done / warmup, 1e-3)
    share = min(1.0, (done - warmup) / (1.0 - warmup))
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * share))


def one_cycle(
    done: float, *, start: float = 0.1, tail: float = 0.1, floor: float = 1e-3
) -> float:
    """Factor on the base rate, the cycle's largest: linear from ``start`` up to 1, as long down
    again, and in the last ``tail`` of the run from ``start`` to ``floor``.

    Smith 2018, "A disciplined approach to neural network hyper-parameters", section 4; AdamW's
    momentum stays as it is.
    """
    return float(np.interp(done, [0, (1 - tail) / 2, 1 - tail, 1], [start, 1, start, floor]))


def rate_factor(schedule: Schedule, done: float, *, warmup: float, plateau: float = 1.0) -> float:
    """Factor on the base rate at ``done`` in 0..1; ``plateau`` is what the plateaus so far left
    of the rate (:class:`training.plateau.PlateauRate`)."""
    if schedule == "cosine":
        return warmup_cosine(done, warmup=warmup)
    if schedule == "one_cycle":
        return one_cycle(done)
    return plateau * (max(done / warmup, 1e-3) if done < warmup else 1.0)
