"""Options of ``pytest benchmarks/``: the measurements of ``stages`` as pytest-benchmark tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alpr_edge.picks import MODELS
from benchmarks.cases import ModelContestant
from benchmarks.harness import pinned
from benchmarks.scenes import FRAMES, Scene, make_scenes


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; ``--threads`` and the others of ``stages`` under names of their own."""
    parser.addoption("--models", type=Path, default=MODELS, help="models folder")
    parser.addoption("--data", type=Path, default=None, help="annotated pictures (default: demo)")
    parser.addoption("--threads", type=int, default=2, help="CPU threads")
    parser.addoption("--rounds", type=int, default=50, help="counted rounds of each benchmark")


@pytest.fixture(scope="session")
def contestant(request: pytest.FixtureRequest) -> Iterator[ModelContestant]:
    """The pipeline of ``--models``, pinned to ``--threads`` cores."""
    threads = request.config.getoption("--threads")
    with pinned(threads):
        yield ModelContestant(request.config.getoption("--models"), threads)


@pytest.fixture(scope="session")
def scenes(
    request: pytest.FixtureRequest, contestant: ModelContestant,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Scene]:
    """Pictures in every frame size, as JPEG files."""
    return make_scenes(
        request.config.getoption("--data"), list(FRAMES), tmp_path_factory.mktemp("scenes"),
        contestant.detector.predict,
    )
