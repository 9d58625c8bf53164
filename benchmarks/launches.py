"""The runs of ``stages``, spread over fresh processes.

Where the system happens to put a process's memory decides how well the caches serve it, for as long
as it lives, and a shared machine has moods of some ten seconds that the pace does not follow: one
process of twenty is some per cent slower or faster than the others. So a report's runs are those of
several, spread over half a minute (Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time",
ISMM 2013: repeat at the level where the variation is).
"""

from __future__ import annotations

import ctypes
import dataclasses
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from alpr_edge import heap
from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from alpr_edge.errors import AlprEdgeError
from benchmarks import harness
from benchmarks.cases import Case, ModelContestant
from benchmarks.pace import Pace
from benchmarks.requests import SIXTEEN_BITS, PrecisionError
from benchmarks.scenes import Scene

KILLED = ("the process that measured was killed, perhaps for want of memory; free some and measure "
          "again")
"""What is told of a process that a signal ended."""
_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is timed: ``runs`` rounds of ``cases`` on ``scenes``, from that with the number
    ``first`` on, by the models of ``folders``."""

    folders: Sequence[Path]
    threads: int
    scenes: Sequence[Scene]
    cases: Sequence[Case]
    runs: int
    first: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """The times, and for each model's folder what :func:`about` says of its networks."""

    timings: harness.Timings
    models: list[dict[str, Any]]


def measured(plan: Plan, advance: Callable[[], None] = lambda: None) -> Measured:
    """All runs in this process.

    Raises:
        ModelError: a model cannot be loaded. PrecisionError: see :func:`check_precisions`.
    """
    heap.keep_freed()  # as alpr-edge read does
    contestants = [ModelContestant(folder, plan.threads) for folder in plan.folders]
    for contestant in contestants:
        for engine in contestant.engines().values():
            check_precisions(engine)
    timings = harness.measure(
        contestants, plan.scenes, plan.cases, plan.runs, Pace(plan.threads), advance, plan.first
    )
    return Measured(timings=timings, models=[
        {"folder": c.name} | {name: about(engine) for name, engine in c.engines().items()}
        for c in contestants
    ])


def spread(plan: Plan, launches: int, advance: Callable[[int], None]) -> Measured:
    """The runs in ``launches`` fresh processes, one after the other, as many in each as in the
    others but for one, each with the scenes that follow; in this process if ``launches`` is 1.
    ``advance`` gets the rounds that were done since its last call.

    Raises:
        AlprEdgeError: a process was killed; and what :func:`measured` raises.
    """
    if launches == 1:
        return measured(plan, lambda: advance(1))
    found: list[Measured] = []
    first = plan.first
    for number in range(launches):
        runs = plan.runs // launches + (number < plan.runs % launches)
        found.append(_fresh(dataclasses.replace(plan, runs=runs, first=first)))
        first += runs
        advance(runs + harness.WARM_UP)
    return Measured(timings=harness.joined([one.timings for one in found]), models=found[0].models)


def _fresh(plan: Plan) -> Measured:
    """:func:`measured` in a process of its own."""
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        try:
            return pool.submit(measured, plan).result()
        except BrokenProcessPool as error:
            raise AlprEdgeError(KILLED) from error


def _end_with_parent() -> None:
    """Have Linux end this process once the one that began it is gone, however it went."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def check_precisions(engine: Engine) -> None:
    """A model that its manifest has computed in f32 must be.

    Raises:
        PrecisionError: layers run in 16 bits.
    """
    layers = engine.layers_in(*SIXTEEN_BITS)
    if layers and engine.manifest.inference_precision == "f32":
        raise PrecisionError(
            f"{engine.folder}: {len(layers)} layers run in 16 bits, first {layers[0]}, but the "
            "manifest says f32: these are another model's times. Take another OpenVINO build, or "
            "convert the model anew"
        )


def about(engine: Engine) -> dict[str, Any]:
    """What a network is and how it is executed."""
    manifest = engine.manifest
    return {
        "name": manifest.name, "version": manifest.version, "step": manifest.step,
        "precision": manifest.precision, "digest": manifests.digest(manifest),
        "files": manifest.files, "input": list(manifest.input.shape), "threads": engine.threads,
        "inference_precision": engine.inference_precision,
        "executed_precisions": engine.executed_precisions(),
        "executed_kernels": engine.executed_kernels(),
    }
