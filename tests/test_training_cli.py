"""``python -m training``: exit codes and messages of what goes wrong."""

from __future__ import annotations

import dataclasses

import pytest
from drawn import build_data

pytest.importorskip("torch")

from alpr_edge.errors import ExitCode
from training.__main__ import main
from training.checkpoint import save_weights
from training.reader.model import reader_tiny


@pytest.mark.parametrize("task", ["reader", "detector"])
def test_an_unknown_variant_names_the_known_ones(task, tmp_path, capsys) -> None:
    code = main([task, "--data", str(tmp_path), "--run", str(tmp_path), "--variant", "huge"])
    assert code == ExitCode.USAGE
    assert "edge" in capsys.readouterr().err


@pytest.mark.parametrize(("task", "module"), [
    ("reader", "training.reader.train"), ("pretrain", "training.reader.pretrain"),
    ("detector", "training.detector.train"), ("closer", "training.detector.closer"),
])
def test_rate_and_seed_are_the_recipes_unless_asked_for(
    task, module, tmp_path, monkeypatch
) -> None:
    seen = []

    def run(data, run_dir, recipe, **_: object) -> None:
        seen.append(getattr(recipe, "loop", recipe))

    monkeypatch.setattr(f"{module}.run", run)
    start = ["--start", str(tmp_path / "w"), "--detector", str(tmp_path)][: 4 * (task == "closer")]
    given = [task, "--data", str(tmp_path), "--run", str(tmp_path), *start]
    assert main(given) == main([*given, "--lr", "1e-4", "--seed", "7"]) == ExitCode.OK
    assert (seen[0].seed, seen[1].seed, seen[1].lr) == (0, 7, 1e-4) and seen[0].lr > 1e-4
    assert dataclasses.replace(seen[0], seed=7, lr=1e-4) == seen[1]


@pytest.mark.parametrize("seed", ["-1", "1.5", "one"])
def test_a_seed_is_a_whole_number(seed, tmp_path, capsys) -> None:
    given = ["reader", "--data", str(tmp_path), "--run", str(tmp_path), "--seed", seed]
    with pytest.raises(SystemExit) as stopped:
        main(given)
    assert stopped.value.code == ExitCode.USAGE
    assert "--seed" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["reader", "detector"])
def test_data_of_no_known_format_is_told(task, tmp_path, capsys) -> None:
    code = main([task, "--data", str(tmp_path), "--run", str(tmp_path / "run")])
    assert code == ExitCode.USAGE
    assert "should be" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["reader", "distill", "lr-find"])
def test_nothing_to_learn_from_is_told_before_it_begins(command, tmp_path, capsys) -> None:
    data, network = build_data(tmp_path / "data", count=2, splits=("dev",)), reader_tiny()
    save_weights(tmp_path / "w", task="reader", config=network.config, notes={},
                 state=network.state_dict())
    given = {
        "reader": ["--variant", "tiny", "--run", str(tmp_path / "run")],
        "distill": ["--run", str(tmp_path / "run"), *(
            text for name in ("--start", "--teacher") for text in (name, str(tmp_path / "w"))
        )],
        "lr-find": ["reader", "--variant", "tiny", "--out", str(tmp_path / "run")],
    }
    assert main([command, *given[command], "--data", str(data)]) == ExitCode.USAGE
    assert "has no plate with a text to learn from" in capsys.readouterr().err


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
