"""What the tests share: the data folder, tiny models, a picture."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import external
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_VARIABLE = "ALPR_EDGE_DATA"
os.environ["ALPR_EDGE_CONFIG"] = ""  # no test follows what this machine was tuned to

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell: children
    signal.signal(signal.SIGINT, signal.default_int_handler)  # would inherit that


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip", action="store_true", help="a skipped test fails the run (make verify)"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    external.skip_if_absent(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What did not run, and what it needs."""
    for line in external.lines(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line, yellow=True)


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


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of drawn pictures: 8 frames and 8 cut-outs of calib, dev and train."""
    from drawn import build_data
    return build_data(tmp_path_factory.mktemp("drawn") / "data", splits=("calib", "dev", "train"))


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Weights of a tiny reader and a tiny detector."""
    import trained
    return trained.write_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def command(
    data: Path, checkpoints: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """The arguments of the run that ``models`` is made by."""
    import trained
    return trained.all_of(checkpoints, data, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="session")
def models(command: list[str]) -> Path:
    """Everything that `python -m optimize all` writes."""
    import trained
    return trained.make_models(command)


@pytest.fixture
def failing(
    models: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    in_process: list[str],
) -> Callable[..., str]:
    """Run one step on the reader, which must fail: what it told. Nothing may be left behind."""
    from optimize.__main__ import main

    def run(step: str, source: str, *options: str, data: Path = data, code: int = 1) -> str:
        arguments = [step, str(models / source / "reader"), "--data", str(data), "--out",
                     str(tmp_path / "out"), "--target", "native", *options]
        assert main(arguments) == code
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert not list(tmp_path.rglob("*.partial"))
        return capsys.readouterr().err

    return run


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Capped works are done in this process; the list names them."""
    from in_process import work_here
    return work_here(monkeypatch)


@pytest.fixture
def readers(tmp_path: Path) -> list[Path]:
    """Variants of ``tmp_path/out``: a root that is always right and one that is always wrong."""
    import tiny
    return [tiny.build_reader(tmp_path / "out" / name / "reader", text)
            for name, text in (("fp32", "A1"), ("wrong", "A2"))]


@pytest.fixture
def frame() -> np.ndarray:
    """A picture of 192 x 128 pixels: twice the tiny detector's frame."""
    return np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
