"""What the tests share: the data folder, tiny models, a picture."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_VARIABLE = "ALPR_EDGE_DATA"
os.environ["ALPR_EDGE_CONFIG"] = ""  # no test follows what this machine was tuned to


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip", action="store_true", help="a skipped test fails the run (make verify)"
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With --fail-on-skip: whatever was skipped was not verified."""
    if not session.config.getoption("--fail-on-skip"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} skipped: not verified", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real pictures; a test that needs it is skipped where there is none."""
    named = os.environ.get(DATA_VARIABLE)
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "frames.jsonl").exists():
        if named:
            pytest.fail(f"{DATA_VARIABLE}={named} holds no frames.jsonl")
        pytest.skip(f"no real pictures; set {DATA_VARIABLE} to a folder with frames.jsonl")
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder: a detector that always finds one plate, a reader that always reads TEXT."""
    import tiny
    folder = tmp_path_factory.mktemp("models")
    tiny.build_detector(folder / "detector")
    tiny.build_reader(folder / "reader")
    return folder


@pytest.fixture
def frame() -> np.ndarray:
    """A picture of 192 x 128 pixels: twice the tiny detector's frame."""
    return np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
