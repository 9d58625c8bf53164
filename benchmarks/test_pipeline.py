"""The cases of ``python -m benchmarks stages`` for pytest-benchmark's compare and storage.

    pytest benchmarks/ --threads 2 --benchmark-autosave

The instruction set is the environment's: set ``ONEDNN_MAX_CPU_ISA=AVX2`` before for an AVX2 CPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

pytest.importorskip("pytest_benchmark", reason="pip install 'alpr-edge[bench]'")

from pytest_benchmark.fixture import BenchmarkFixture

from alpr_edge import budget
from alpr_edge.engine import Engine
from alpr_edge.stages import Stage
from benchmarks.cases import Case, ModelContestant, Ms, without_load
from benchmarks.scenes import Scene
from benchmarks.statistics import summary

CASES = [Case("1080p", plates) for plates in (0, 1, 4)] + [Case("720p", 1), Case("4k", 1)]
WARM_UP = 10


def told(runs: Sequence[Ms]) -> Mapping[str, Mapping[str, float]]:
    """Percentiles of the counted runs, in milliseconds."""
    counted = runs[WARM_UP:]
    return {
        "total": summary([without_load(ms) for ms in counted]),
        "with_load": summary([ms[Stage.TOTAL] for ms in counted]),
        "detection": summary([budget.detection_ms(ms) for ms in counted]),
        "reading": summary([budget.reading_ms(ms) for ms in counted]),
    }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_picture(
    benchmark: BenchmarkFixture, contestant: ModelContestant, scenes: list[Scene], case: Case,
    request: pytest.FixtureRequest,
) -> None:
    """One picture from file to texts; its stages are in ``extra_info``."""
    turn, runs = itertools.cycle(scenes), []
    benchmark.pedantic(
        lambda: runs.append(contestant.run(next(turn), case)), warmup_rounds=WARM_UP,
        rounds=request.config.getoption("--rounds"),
    )
    benchmark.extra_info |= {"case": str(case), "ms": told(runs)}
    assert len(runs) == WARM_UP + request.config.getoption("--rounds")


@pytest.mark.parametrize("network", ["detector", "reader"])
def test_network(
    benchmark: BenchmarkFixture, contestant: ModelContestant, network: str,
    request: pytest.FixtureRequest,
) -> None:
    """One network alone, one picture or plate."""
    engine: Engine = getattr(contestant, network).engine
    shape = (1, *engine.manifest.input.shape[1:])
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    benchmark.pedantic(
        engine.run, args=(image,), warmup_rounds=WARM_UP,
        rounds=request.config.getoption("--rounds"),
    )
    benchmark.extra_info |= {
        "model": engine.manifest.name, "precision": engine.manifest.precision,
        "ms": summary([1e3 * seconds for seconds in benchmark.stats.stats.data]),
    }
