"""How ``stages`` measures: pinned cores, models taking turns, the machine's pace beside each."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.cases import Case, Contestant, Ms, NullDetector, NullReader, without_load
from benchmarks.conditions import CPUS, told_by
from benchmarks.scenes import Scene

WARM_UP = 10
"""Rounds that are not counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timings:
    """``taken`` are the stamps of each contestant, case by case, run by run; ``pace_ms`` has one
    number a run: the median of the paces between its contestants."""

    taken: list[dict[Case, list[Ms]]]
    pace_ms: list[float]


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[list[int] | None]:
    """Keep this process on ``threads`` of its cores (:func:`fastest_first`), where it has more:
    tells which. None: it has no more, or the system cannot do it."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if threads >= len(before):
        yield None
        return
    cores = sorted(fastest_first(before)[:threads])
    os.sched_setaffinity(0, cores)
    try:
        yield cores
    finally:
        os.sched_setaffinity(0, before)


def fastest_first(cpus: Iterable[int], sys: Path = CPUS) -> list[int]:
    """Logical CPUs: one of each physical core, the fastest cores first, then their siblings. What
    Linux does not tell counts as alike, then the lower number is first."""
    def number(cpu: int, fact: str) -> int:
        told = told_by(sys / f"cpu{cpu}" / fact)
        return int(told) if told.isdigit() else 0

    def slowness(cpu: int) -> tuple[int, int, int]:
        return -number(cpu, "cpu_capacity"), -number(cpu, "cpufreq/cpuinfo_max_freq"), cpu

    seen: Counter[str] = Counter()
    rounds = []
    for cpu in sorted(cpus, key=slowness):
        core = told_by(sys / f"cpu{cpu}" / "topology/thread_siblings_list") or str(cpu)
        rounds.append((seen[core], cpu))
        seen[core] += 1
    return [cpu for _, cpu in sorted(rounds, key=lambda one: one[0])]


def measure(
    contestants: Sequence[Contestant], scenes: Sequence[Scene], cases: Sequence[Case], runs: int,
    pace: Callable[[], float], advance: Callable[[], None] = lambda: None, first: int = 0,
) -> Timings:
    """``runs`` counted rounds, each of all cases on one scene, from that with the number ``first``
    on. In a case the contestants take turns, with another one first in each round, and on each
    scene in the next pass over them.

    ``pace`` is called before each and tells milliseconds (:class:`benchmarks.pace.Pace`)."""
    timings = Timings(taken=[{case: [] for case in cases} for _ in contestants], pace_ms=[])
    for run in range(-WARM_UP, runs):
        number = first + run
        scene, turned = scenes[number % len(scenes)], number + number // len(scenes)
        paces = []
        for case in cases:
            for turn in range(len(contestants)):
                who = (turned + turn) % len(contestants)
                paces.append(pace())
                ms = contestants[who].run(scene, case)
                if run >= 0:
                    timings.taken[who][case].append(ms)
        if run >= 0:
            timings.pace_ms.append(round(float(np.median(paces)), 4))
        advance()
    return timings


def unpaced() -> float:
    """The pace of those who compare nothing with another report."""
    return 0.0


def joined(found: Sequence[Timings]) -> Timings:
    """The same contestants' and cases' timings, one after the other."""
    return Timings(
        taken=[
            {case: [ms for runs in parts for ms in runs[case]] for case in parts[0]}
            for parts in zip(*(timings.taken for timings in found), strict=True)
        ],
        pace_ms=[ms for timings in found for ms in timings.pace_ms],
    )


def null_ms(scenes: Sequence[Scene], frame: str, runs: int) -> list[float]:
    """Totals without load of networks that do nothing on no plates: what the harness costs."""
    null, case = Contestant(NullDetector(), NullReader()), Case(frame, 0)
    [taken] = measure([null], scenes, [case], runs, unpaced).taken
    return [without_load(ms) for ms in taken[case]]
