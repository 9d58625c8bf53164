"""Schedules by hand, and the loop that follows them: one-cycle, plateau, head-only warm-up."""

from __future__ import annotations

import csv
import dataclasses

import pytest

torch = pytest.importorskip("torch")

from alpr_edge.errors import UsageError
from training.loop import LoopConfig, train
from training.plateau import Plateau
from training.schedule import one_cycle, rate_factor, warmup_cosine


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoConfig:
    pass


class Pair(torch.nn.Module):
    """Two weights, ``backbone`` and ``head``, whose sum should be 1, on top of a floor of 5."""

    def __init__(self) -> None:
        super().__init__()
        self.config = NoConfig()
        self.backbone = torch.nn.Parameter(torch.zeros(1))
        self.head = torch.nn.Parameter(torch.zeros(1))

    def loss(self, batch):
        return {"loss": ((self.backbone + self.head - 1) * batch["x"]).square().mean() + 5}


def batches(x: float):
    while True:
        yield {"x": torch.full((1,), x)}


def score(model) -> dict[str, float]:
    return {"score": 0.0, "backbone": model.backbone.item(), "head": model.head.item()}


CONFIG = LoopConfig(steps=40, lr=0.01, warmup=0.1, amp=False, choose="score", log_steps=10)


def rates(run_dir) -> list[float]:
    with (run_dir / "log.csv").open() as file:
        return [float(row["lr"]) for row in csv.DictReader(file)]


def test_one_cycle_by_hand() -> None:
    found = [one_cycle(done) for done in (0, 0.225, 0.45, 0.675, 0.9, 0.95, 1)]
    assert found == pytest.approx([0.1, 0.55, 1, 0.55, 0.1, 0.0505, 0.001])


def test_rate_factor_by_hand() -> None:
    assert rate_factor("cosine", 0.3, warmup=0.1) == warmup_cosine(0.3, warmup=0.1)
    assert rate_factor("one_cycle", 0.45, warmup=0.1) == pytest.approx(1)
    assert rate_factor("plateau", 0.05, warmup=0.1, plateau=0.1) == pytest.approx(0.05)
    assert rate_factor("plateau", 0.9, warmup=0.1, plateau=0.1) == pytest.approx(0.1)


def test_one_cycle_in_the_loop(tmp_path) -> None:
    config = dataclasses.replace(CONFIG, schedule="one_cycle")
    train(Pair(), batches(1), config, tmp_path, score, task="pair")
    expected = [0.01 * one_cycle(step / 40) for step in (9, 19, 29, 39)]
    assert rates(tmp_path) == pytest.approx(expected, abs=1e-6)


def test_a_flat_loss_lowers_the_rate_and_a_resumed_run_keeps_it(tmp_path) -> None:
    config = dataclasses.replace(
        CONFIG, schedule="plateau", plateau=Plateau(patience=15, factor=0.5, minimum=0.25)
    )
    train(Pair(), batches(0), config, tmp_path, score, task="pair")
    assert rates(tmp_path) == pytest.approx([0.01, 0.01, 0.005, 0.005])
    longer = dataclasses.replace(config, steps=80)
    train(Pair(), batches(0), longer, tmp_path, score, task="pair")
    assert rates(tmp_path)[4:] == pytest.approx([0.0025] * 4)


def test_a_state_without_plateau_resumes_to_a_fresh_one(tmp_path) -> None:
    train(Pair(), batches(0), CONFIG, tmp_path, score, task="pair")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["plateau"]
    torch.save(state, tmp_path / "state.pt")
    longer = dataclasses.replace(CONFIG, steps=60, schedule="plateau")
    train(Pair(), batches(0), longer, tmp_path, score, task="pair")
    assert rates(tmp_path)[4:] == pytest.approx([0.01] * 2)


def test_the_backbone_is_frozen_for_its_share_of_the_run(tmp_path) -> None:
    config = dataclasses.replace(
        CONFIG, steps=20, backbone="backbone", head_only=0.5, evaluate_minutes=0, ema=0.0
    )
    train(Pair(), batches(1), config, tmp_path, score, task="pair")
    with (tmp_path / "eval.csv").open() as file:
        rows = list(csv.DictReader(file))
    moved = [float(row["backbone"]) != 0 for row in rows]
    assert moved == [False] * 10 + [True] * 10
    assert all(float(row["head"]) > 0 for row in rows)


def test_what_cannot_be_followed_is_told() -> None:
    with pytest.raises(UsageError, match="cosine, one_cycle, plateau"):
        dataclasses.replace(CONFIG, schedule="linear")
    with pytest.raises(UsageError, match="backbone is empty"):
        dataclasses.replace(CONFIG, head_only=0.1)
