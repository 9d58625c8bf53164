"""Where a run is carried out, and what it logs to Weights & Biases without a network."""

from __future__ import annotations

import contextlib
import dataclasses
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from test_training import CONFIG, Line, ones, slope

from alpr_edge.errors import ExitCode, UsageError
from training.__main__ import main
from training.log import WANDB_ID
from training.loop import Run, losses_of, train
from training.options import RunOptions, device_of

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_told(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="finds no GPU"):
        RunOptions(device="cuda")
    with pytest.raises(UsageError, match="device 'tpu'; allowed: cpu, cuda"):
        RunOptions(device="tpu")


def test_a_batch_goes_to_the_device_and_the_loss_is_computed_there(monkeypatch) -> None:
    """On PyTorch's device without memory: shapes and devices, no numbers."""
    meta = torch.device("meta")
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda kind, *_, enabled: (
        asked.append((kind, enabled)), contextlib.nullcontext())[1])
    model = Line().to(meta)
    assert device_of(model) == meta
    losses = losses_of(model, {"x": torch.ones(4)}, meta, amp=False)
    assert losses["loss"].device == meta
    assert asked == [("meta", False)]


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_only_where_the_cpu_has_it(monkeypatch, has) -> None:
    told = {"avx512_bf16": False, "amx_bf16": has}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told)
    seen = []

    class Seeing(Line):
        def loss(self, batch):
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().loss(batch)

    losses_of(Seeing(), {"x": torch.ones(4)}, CPU, amp=True)
    assert seen == [has]


def test_a_state_is_read_onto_the_run_s_device(tmp_path, monkeypatch) -> None:
    one = Run(Line(), CONFIG, CPU)
    one.update(next(ones()))
    one.save(tmp_path / "state.pt")
    wanted, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **more: (
        wanted.append(more["map_location"]), load(*args, **more))[1])
    other = Run(Line(), CONFIG, CPU)
    other.load(tmp_path / "state.pt")
    assert wanted == [CPU]
    assert (other.step, other.model.slope.item()) == (1, one.model.slope.item())


def test_without_wandb_the_extra_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    arguments = ["reader", "--data", "absent", "--run", "absent", "--wandb", "plates"]
    assert main(arguments) == ExitCode.USAGE
    assert "pip install 'alpr-edge[wandb]'" in capsys.readouterr().err


def test_wandb_logs_offline_into_the_run_s_folder(tmp_path, monkeypatch, capfd) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = RunOptions(wandb="plates")
    config = dataclasses.replace(CONFIG, steps=20)
    train(Line(), ones(), config, tmp_path, slope, task="line", options=options)
    wandb.teardown()  # waits for what its service still writes
    known = (tmp_path / WANDB_ID).read_text()
    logs = list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    assert [path.stem for path in logs] == [f"run-{known}"]
    written = logs[0].read_bytes()
    for name in (b"train/loss", b"dev/score", b"log_steps"):
        assert name in written
    assert "wandb" not in "".join(capfd.readouterr())
