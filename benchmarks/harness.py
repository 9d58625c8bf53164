"""How ``stages`` measures: pinned cores, models taking turns, the machine's pace beside each."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.cases import Case, Contestant, Ms, NullDetector, NullReader, without_load
from benchmarks.scenes import Scene

WARM_UP = 10
"""Rounds that are not counted."""
_PACE_VALUES = np.linspace(-1.0, 1.0, 32768)
_PACE_TIMES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timings:
    """``taken`` are the stamps of each contestant, case by case, run by run; ``pace_ms`` has one
    number a run: the median of the pieces of :func:`pace` between its contestants."""

    taken: list[dict[Case, list[Ms]]]
    pace_ms: list[float]


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[list[int] | None]:
    """Keep this process on the first ``threads`` of its cores, where it has more: tells which.
    None: it has no more, or the system cannot do it."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if threads >= len(before):
        yield None
        return
    cores = sorted(before)[:threads]
    os.sched_setaffinity(0, cores)
    try:
        yield cores
    finally:
        os.sched_setaffinity(0, before)


def pace() -> float:
    """Milliseconds of a small fixed piece of work on one thread, about half of one: running sums,
    each of which waits for the one before, so that the core's clock alone decides."""
    sums = np.empty_like(_PACE_VALUES)
    begin = time.perf_counter_ns()
    for _ in range(_PACE_TIMES):
        np.cumsum(_PACE_VALUES, out=sums)
    return (time.perf_counter_ns() - begin) / 1e6


def measure(
    contestants: Sequence[Contestant], scenes: Sequence[Scene], cases: Sequence[Case], runs: int,
    advance: Callable[[], None] = lambda: None,
) -> Timings:
    """``runs`` counted rounds, each of all cases on one scene. In a case the contestants take
    turns, with another one first in each round, and on each scene in the next pass over them."""
    timings = Timings(taken=[{case: [] for case in cases} for _ in contestants], pace_ms=[])
    for run in range(-WARM_UP, runs):
        scene = scenes[run % len(scenes)]
        first = run + run // len(scenes)
        paces = []
        for case in cases:
            for turn in range(len(contestants)):
                who = (first + turn) % len(contestants)
                paces.append(pace())
                ms = contestants[who].run(scene, case)
                if run >= 0:
                    timings.taken[who][case].append(ms)
        if run >= 0:
            timings.pace_ms.append(round(float(np.median(paces)), 4))
        advance()
    return timings


def null_ms(scenes: Sequence[Scene], frame: str, runs: int) -> list[float]:
    """Totals without load of networks that do nothing on no plates: what the harness costs."""
    null, case = Contestant(NullDetector(), NullReader()), Case(frame, 0)
    [taken] = measure([null], scenes, [case], runs).taken
    return [without_load(ms) for ms in taken[case]]
