"""Learning-rate schedules as plain functions of the share of the run that is done."""

from __future__ import annotations

import math


def warmup_cosine(done: float, *, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the base rate at ``done`` in 0..1: linear warm-up, then half a cosine to floor."""
    if done < warmup:
        return max(done / warmup, 1e-3)
    share = min(1.0, (done - warmup) / (1.0 - warmup))
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * share))
