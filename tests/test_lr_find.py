"""The learning-rate sweep on a model of one number, and its command."""

from __future__ import annotations

import csv
import json
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from alpr_edge.errors import ExitCode, UsageError
from training import lr_find as module
from training.__main__ import main
from training.loop import LoopConfig, NonFiniteLossError
from training.lr_find import Sweep, lr_find, smooth, write

CONFIG = LoopConfig(steps=1, lr=0.1, weight_decay=0.0, amp=False, choose="score")


class Number(torch.nn.Module):
    """One number that should be 3."""

    def __init__(self) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.zeros(1))

    def loss(self, batch):
        return {"loss": (self.value - batch["target"]).square().mean()}


def targets(*values: float):
    for value in values:
        yield {"target": torch.tensor([value])}


def test_rates_and_losses_by_hand() -> None:
    model = Number()
    sweep = lr_find(model, targets(3, 3, 3, 3), CONFIG, lowest=1e-3, highest=1, steps=4)
    assert sweep.rates == pytest.approx((1e-3, 1e-2, 1e-1, 1))
    # AdamW moves by about the rate a step: the number is 0, 0.001, 0.011, 0.111
    assert sweep.losses == pytest.approx((9, 2.999**2, 2.989**2, 2.889**2), rel=1e-3)
    assert not sweep.diverged
    assert sweep.suggestion == pytest.approx(0.1)
    assert model.value.item() == 0  # the sweep learned on a copy


def test_smoothing_by_hand() -> None:
    assert smooth([2.0, 4.0]) == pytest.approx([2.0, (0.9 * 0.2 + 0.1 * 4) / 0.19])


def test_divergence_ends_the_sweep() -> None:
    sweep = lr_find(Number(), targets(*[3] * 50), CONFIG, lowest=1e-2, highest=1e6, steps=50)
    assert sweep.diverged
    assert len(sweep.rates) < 50
    assert sweep.smoothed[-1] > 4 * min(sweep.smoothed)
    sweep = lr_find(Number(), targets(3, 3, math.nan), CONFIG)
    assert sweep.diverged
    assert len(sweep.rates) == 2


def test_what_cannot_be_swept_is_told() -> None:
    with pytest.raises(NonFiniteLossError, match="before any step"):
        lr_find(Number(), targets(math.nan), CONFIG)
    with pytest.raises(UsageError, match="rates that rise"):
        lr_find(Number(), targets(3), CONFIG, lowest=1, highest=0.1)


def test_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss(tmp_path) -> None:
    sweep = Sweep(
        rates=(1e-4, 1e-3, 1e-2, 1e-1), losses=(3, 1, 2, 9), smoothed=(3, 2, 1, 5), diverged=True
    )
    assert sweep.suggestion == pytest.approx(1e-3)
    write(sweep, tmp_path / "out", "a title")
    with (tmp_path / "out" / "lr_find.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["smoothed"]) for row in rows] == [3, 2, 1, 5]
    facts = json.loads((tmp_path / "out" / "lr_find.json").read_text())
    assert facts == {"suggestion": pytest.approx(1e-3), "diverged": True, "steps": 4}
    assert (tmp_path / "out" / "lr_find.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("task", ["reader", "detector"])
def test_the_command_sweeps_the_recipe(task, tmp_path, capsys, monkeypatch) -> None:
    """With the data and the networks replaced by a number."""
    def batches(*_):
        return targets(*[3] * 5)

    monkeypatch.setattr(module, "plate_batches", batches)
    monkeypatch.setattr(module, "frame_batches", batches)
    for name in ("read", "FrameDataset", "PlateStream"):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    monkeypatch.setattr(module, "train_plates", lambda *_: ([], {}))
    monkeypatch.setattr(module.RenderMaterial, "load", lambda *_: None)
    monkeypatch.setattr(module.reader, "build_reader", lambda *_: Number())
    monkeypatch.setattr(module.detector, "build_detector", lambda *_: Number())
    folders = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["lr-find", task, *folders, "--steps", "5", "--threads", "1"]) == ExitCode.OK
    said = capsys.readouterr()
    assert float(said.out) == pytest.approx(0.1)
    assert not said.err
    assert (tmp_path / "out" / "lr_find.png").exists()


def test_a_loss_that_never_falls_is_told(tmp_path, capsys, monkeypatch) -> None:
    flat = Sweep(rates=(1e-3, 1.0), losses=(1, 2), smoothed=(1, 2), diverged=False)
    monkeypatch.setattr(module, "run", lambda *_, **__: flat)
    assert main(["lr-find", "reader", "--data", "d", "--out", str(tmp_path)]) == ExitCode.OK
    assert "hardly fell" in capsys.readouterr().err


def test_wrong_options_are_told(tmp_path, capsys) -> None:
    folders = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["lr-find", "reader", *folders, "--imagenet", "w"]) == ExitCode.USAGE
    assert "--imagenet is for the detector" in capsys.readouterr().err
    assert main(["lr-find", "detector", *folders, "--variant", "huge"]) == ExitCode.USAGE
    assert "edge" in capsys.readouterr().err
