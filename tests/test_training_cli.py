"""``python -m training``: exit codes and messages of what goes wrong."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from alpr_edge.errors import ExitCode
from training.__main__ import main


@pytest.mark.parametrize("task", ["reader", "detector"])
def test_an_unknown_variant_names_the_known_ones(task, tmp_path, capsys) -> None:
    code = main([task, "--data", str(tmp_path), "--run", str(tmp_path), "--variant", "huge"])
    assert code == ExitCode.USAGE
    assert "edge" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["reader", "detector"])
def test_data_of_no_known_format_is_told(task, tmp_path, capsys) -> None:
    code = main([task, "--data", str(tmp_path), "--run", str(tmp_path / "run")])
    assert code == ExitCode.USAGE
    assert "should be" in capsys.readouterr().err


def test_a_run_without_weights_cannot_be_published(tmp_path, capsys) -> None:
    arguments = ["--data", str(tmp_path), "--run", str(tmp_path), "--to", str(tmp_path / "w")]
    assert main(["publish", *arguments]) == ExitCode.MODEL
    assert "no such file" in capsys.readouterr().err


def test_a_full_disk_is_told(tmp_path, capsys, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "state.pt")

    monkeypatch.setattr("training.commands.train_reader", full)
    code = main(["reader", "--data", str(tmp_path), "--run", str(tmp_path)])
    assert code == ExitCode.OUTPUT
    assert "No space left on device" in capsys.readouterr().err
