"""The training loop, checkpoints and schedules on a model of two numbers."""

from __future__ import annotations

import csv
import dataclasses
import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from alpr_edge.errors import DataError, ModelError, UsageError
from training.checkpoint import (
    BEFORE,
    BEST,
    STATE,
    begin_with,
    load_weights,
    parameter_groups,
    save_state,
    save_weights,
)
from training.log import keep_rows, log_row
from training.loop import (
    LoaderError,
    LoopConfig,
    NonFiniteLossError,
    Run,
    begin,
    train,
    update_ema,
)
from training.options import RunOptions
from training.plots import EVAL, read_columns, write_curves
from training.schedule import warmup_cosine


@dataclasses.dataclass(frozen=True, kw_only=True)
class LineConfig:
    start: float = 0.0


class Line(torch.nn.Module):
    """y = slope · x, to fit y = 3 x."""

    def __init__(self) -> None:
        super().__init__()
        self.config = LineConfig()
        self.slope = torch.nn.Parameter(torch.zeros(1))

    def loss(self, batch):
        return {"loss": ((self.slope * batch["x"] - 3 * batch["x"]) ** 2).mean()}


def ones():
    while True:
        yield {"x": torch.ones(4)}


def slope(model) -> dict[str, float]:
    return {"score": -abs(3 - float(model.slope.detach()))}


CONFIG = LoopConfig(steps=200, lr=0.1, amp=False, ema=0.9, choose="score", log_steps=20)


def test_training_fits_logs_and_keeps_the_best(tmp_path) -> None:
    figures = train(Line(), ones(), CONFIG, tmp_path, slope, task="line")
    assert figures["score"] > -0.1
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    best = load_weights(tmp_path / "best.safetensors")
    assert best.task == "line"
    assert best.config == {"start": 0.0}
    assert best.notes["dev"]["score"] == pytest.approx(figures["score"])
    assert (tmp_path / "config.json").exists()


def test_a_finished_run_resumes_to_nothing_and_a_longer_one_goes_on(tmp_path) -> None:
    train(Line(), ones(), dataclasses.replace(CONFIG, steps=40), tmp_path, slope, task="line")
    model = Line()
    figures = train(model, ones(), CONFIG, tmp_path, slope, task="line")
    assert train(Line(), ones(), CONFIG, tmp_path, slope, task="line") == figures
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 200
    with (tmp_path / "log.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(20, 201, 20))


def test_a_resumed_run_has_the_rates_it_is_given_now(tmp_path) -> None:
    def line() -> Line:
        model = Line()
        model.slope = torch.nn.Parameter(torch.zeros(1, 1))  # a vector would not decay
        return model

    cpu = torch.device("cpu")
    Run(line(), CONFIG, cpu).save(tmp_path / "state.pt")
    lower = dataclasses.replace(CONFIG, lr=1e-4, weight_decay=0.5, warmup=0.0)
    run = Run(line(), lower, cpu)
    run.load(tmp_path / "state.pt")
    run.update(next(ones()))
    [group] = run.optimizer.param_groups
    assert group["lr"] == run.rate == pytest.approx(1e-4) and group["weight_decay"] == 0.5
    assert abs(run.model.slope.item()) < 2e-4


def test_non_finite_loss_stops(tmp_path) -> None:
    def poison():
        yield {"x": torch.ones(1)}
        yield {"x": torch.full((1,), math.nan)}

    with pytest.raises(NonFiniteLossError, match="step 1"):
        train(Line(), poison(), CONFIG, tmp_path, slope, task="line")


def test_a_gradient_that_is_no_number_changes_nothing(tmp_path) -> None:
    class Kink(Line):
        def loss(self, batch):  # 0 at its start, where the root is infinitely steep
            return {"loss": (self.slope * batch["x"]).abs().mean().sqrt()}

    run = Run(Kink(), CONFIG, torch.device("cpu"))
    with pytest.raises(NonFiniteLossError, match="step 0: the gradient's norm is"):
        run.update(next(ones()))
    assert run.model.slope.item() == 0 and run.average.slope.item() == 0 and run.step == 0


def test_a_resumed_run_goes_on_with_other_random_numbers(tmp_path) -> None:
    assert begin(tmp_path, 7, RunOptions()) == 7
    drawn = torch.rand(1)
    assert begin(tmp_path, 7, RunOptions()) == 7 and torch.rand(1) == drawn
    save_state(tmp_path / STATE, {"step": 30})
    assert begin(tmp_path, 7, RunOptions()) == 37 and torch.rand(1) != drawn
    assert begin(tmp_path, 7, RunOptions(resume=False)) == 7


def test_ema_by_two_routes() -> None:
    model, average = Line(), Line()
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, -1.0]):
        with torch.no_grad():
            model.slope.fill_(value)
        update_ema(average, model, 0.5, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.slope.item() == pytest.approx(expected)


def test_schedule_by_hand() -> None:
    assert warmup_cosine(0.05, warmup=0.1, floor=0.0) == pytest.approx(0.5)
    assert warmup_cosine(0.1, warmup=0.1, floor=0.0) == pytest.approx(1.0)
    assert warmup_cosine(0.55, warmup=0.1, floor=0.0) == pytest.approx(0.5)
    assert warmup_cosine(1.0, warmup=0.1, floor=0.01) == pytest.approx(0.01)


def test_vectors_do_not_decay_and_the_backbone_is_slower() -> None:
    model = torch.nn.ModuleDict({"backbone": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    groups = parameter_groups(
        model, lr=1.0, weight_decay=0.01, backbone="backbone.", backbone_ratio=0.1
    )
    found = {(g["base_lr"], g["weight_decay"]): len(g["params"]) for g in groups}
    assert found == {(0.1, 0.01): 1, (0.1, 0.0): 1, (1.0, 0.01): 1, (1.0, 0.0): 1}


def test_weights_that_are_not_ours_are_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        load_weights(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(ModelError, match="not a readable safetensors"):
        load_weights(tmp_path / "text.safetensors")


def test_weights_round_trip_in_fp32(tmp_path) -> None:
    state = {"a": torch.arange(3, dtype=torch.bfloat16), "n": torch.tensor(7)}
    save_weights(tmp_path / "w.safetensors", task="t", config=LineConfig(), state=state, notes={})
    back = load_weights(tmp_path / "w.safetensors").state
    assert back["a"].dtype == torch.float32
    assert back["a"].tolist() == [0, 1, 2]
    assert back["n"].item() == 7


def test_an_interrupted_run_goes_on_where_it_was(tmp_path) -> None:
    def interrupted():
        for number, batch in enumerate(ones()):
            if number == 30:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        train(Line(), interrupted(), CONFIG, tmp_path, slope, task="line")
    assert torch.load(tmp_path / STATE, weights_only=True)["step"] == 30
    train(Line(), ones(), CONFIG, tmp_path, slope, task="line")
    steps = [int(row["step"]) for row in csv.DictReader((tmp_path / "log.csv").open())]
    assert steps == list(range(20, 201, 20))


def test_a_last_evaluation_that_was_interrupted_is_made_again(tmp_path) -> None:
    def interrupted(model):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Line(), ones(), CONFIG, tmp_path, interrupted, task="line")
    figures = train(Line(), ones(), CONFIG, tmp_path, slope, task="line")
    assert load_weights(tmp_path / BEST).notes["dev"] == figures
    assert read_columns(tmp_path / EVAL)["step"] == [200]
    train(Line(), ones(), CONFIG, tmp_path, slope, task="line")
    assert read_columns(tmp_path / EVAL)["step"] == [200]


KILLED = """
import multiprocessing, subprocess, sys, time
from pathlib import Path

import torch
from test_training import CONFIG, Line, ones, slope
from training import loop

class Ones(torch.utils.data.IterableDataset):
    def __iter__(self):
        return ones()

save_state, folder = loop.save_state, Path(sys.argv[1])
loader = iter(torch.utils.data.DataLoader(Ones(), batch_size=None, num_workers=1))

def interrupted():
    yield next(loader)
    raise KeyboardInterrupt

def slowly(path, state):
    for process in multiprocessing.active_children():
        subprocess.run(["kill", str(process.pid)], check=True)
    time.sleep(0.5)
    save_state(path, state)

loop.save_state = slowly
try:
    loop.train(Line(), interrupted(), CONFIG, folder, slope, task="line")
except KeyboardInterrupt:
    sys.exit(0)
"""


def test_an_interrupted_run_is_kept_though_its_loader_ends_with_it(tmp_path) -> None:
    """What ends a run may end each of its processes. In one of its own: signals go to it."""
    here = Path(__file__).parent
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=True, cwd=here.parent,
                   env=os.environ | {"PYTHONPATH": str(here)})
    assert torch.load(tmp_path / STATE, weights_only=True)["step"] == 1


def test_two_runs_in_one_folder_are_refused(tmp_path) -> None:
    def meanwhile():
        with pytest.raises(UsageError, match="another process trains in it; end that first"):
            train(Line(), ones(), CONFIG, tmp_path, slope, task="line")
        yield from ones()

    train(Line(), meanwhile(), dataclasses.replace(CONFIG, steps=2), tmp_path, slope, task="line")
    train(Line(), ones(), dataclasses.replace(CONFIG, steps=3), tmp_path, slope, task="line")


def test_a_fresh_run_takes_nothing_of_the_one_before(tmp_path) -> None:
    train(Line(), ones(), CONFIG, tmp_path, slope, task="line")

    def none():
        raise KeyboardInterrupt
        yield

    fresh = RunOptions(resume=False)
    with pytest.raises(KeyboardInterrupt):
        train(Line(), none(), CONFIG, tmp_path, slope, task="line", options=fresh)
    assert not (tmp_path / BEST).exists() and not (tmp_path / "log.csv").exists()
    assert torch.load(tmp_path / STATE, weights_only=True)["step"] == 0


@pytest.mark.parametrize("notes", [{"data_hash": "b", "lists": {}},
                                   {"data_hash": "a", "lists": {"frame_texts": "c"}}])
def test_of_other_data_the_best_is_judged_anew(tmp_path, notes) -> None:
    half = dataclasses.replace(CONFIG, steps=100)
    train(Line(), ones(), half, tmp_path, lambda _: {"score": 9.0}, task="line",
          notes={"data_hash": "a", "lists": {}})
    train(Line(), ones(), CONFIG, tmp_path, lambda _: {"score": 1.0}, task="line", notes=notes)
    assert load_weights(tmp_path / BEST).notes["dev"] == {"score": 1.0}
    assert load_weights(tmp_path / BEFORE).notes["dev"] == {"score": 9.0}


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit()])  # the second as kill -9
def test_the_best_is_judged_anew_though_a_run_on_other_data_was_ended(tmp_path, end) -> None:
    half = dataclasses.replace(CONFIG, steps=100)
    train(Line(), ones(), half, tmp_path, lambda _: {"score": 9.0}, task="line",
          notes={"data_hash": "a"})

    def none():
        raise end
        yield

    other = {"data_hash": "b"}
    with pytest.raises(type(end)):
        train(Line(), none(), CONFIG, tmp_path, slope, task="line", notes=other)
    train(Line(), ones(), CONFIG, tmp_path, lambda _: {"score": 1.0}, task="line", notes=other)
    assert load_weights(tmp_path / BEST).notes["dev"] == {"score": 1.0}
    longer = dataclasses.replace(CONFIG, steps=300)
    train(Line(), ones(), longer, tmp_path, lambda _: {"score": 2.0}, task="line",
          notes={"data_hash": "a"})  # as before
    assert load_weights(tmp_path / BEST).notes["dev"] == {"score": 9.0}
    assert load_weights(tmp_path / BEFORE).notes["dev"] == {"score": 1.0}


@pytest.mark.parametrize(("failure", "kind", "told"), [
    (DataError("Caught DataError in DataLoader worker process 0.\nOriginal Traceback:\n  x\n"
               "alpr_edge.errors.DataError: a.png: cannot be read\n"),
     DataError, "^a.png: cannot be read$"),
    (DataError("a.csv: JSONDecodeError: b"), DataError, "^a.csv: JSONDecodeError: b$"),
    (ValueError("a bug"), ValueError, "^a bug$"),
    (ConnectionResetError(104, "Connection reset by peer"), LoaderError, "fewer --workers"),
    (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), LoaderError, "pid 7"),
])
def test_a_run_is_kept_though_its_loader_fails(tmp_path, failure, kind, told) -> None:
    def failing():
        for number, batch in enumerate(ones()):
            if number == 30:
                raise failure
            yield batch

    with pytest.raises(kind, match=told):
        train(Line(), failing(), CONFIG, tmp_path, slope, task="line")
    assert torch.load(tmp_path / STATE, weights_only=True)["step"] == 30


def test_a_better_mixture_is_not_replaced(tmp_path) -> None:
    half = dataclasses.replace(CONFIG, steps=100)
    train(Line(), ones(), half, tmp_path, lambda _: {"score": 1.0}, task="line")
    mixture = load_weights(tmp_path / BEST)
    save_weights(tmp_path / BEST, task="line", config=LineConfig(), state=mixture.state,
                 notes=mixture.notes | {"dev": {"score": 3.0}})
    train(Line(), ones(), CONFIG, tmp_path, lambda _: {"score": 2.0}, task="line")
    assert load_weights(tmp_path / BEST).notes["dev"] == {"score": 3.0}


def test_a_run_of_another_network_is_refused(tmp_path) -> None:
    save_state(tmp_path / STATE, {"model": {"other": torch.ones(1)}})
    with pytest.raises(UsageError, match="a run of another network; give the --variant"):
        train(Line(), ones(), CONFIG, tmp_path, slope, task="line")


def test_a_run_whose_backbone_had_a_rate_of_its_own_is_refused(tmp_path) -> None:
    train(Line(), ones(), dataclasses.replace(CONFIG, steps=2), tmp_path, slope, task="line")

    class Bent(Line):
        """With a weight that is no vector, and so a second group of weights."""

        def __init__(self) -> None:
            super().__init__()
            self.bend = torch.nn.Parameter(torch.zeros(1, 1))

    state = torch.load(tmp_path / STATE, weights_only=True)
    save_state(tmp_path / STATE, state | {"model": Bent().state_dict()})
    with pytest.raises(UsageError, match="--imagenet that it began with"):
        train(Bent(), ones(), CONFIG, tmp_path, slope, task="line")


def test_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match="0 minutes; give more than 0"):
        dataclasses.replace(CONFIG, minutes=0.0)


def test_a_run_that_goes_on_with_other_dev_sets_logs_them_too(tmp_path) -> None:
    for row in ({"step": 1, "minutes": 1.0, "a": 0.5}, {"step": 2, "minutes": 2.0, "b": 0.7},
                {"step": 3, "minutes": 3.0, "a": 0.9, "b": 0.8}):
        log_row(tmp_path / EVAL, row)
    columns = read_columns(tmp_path / EVAL)
    assert columns["step"] == [1, 2, 3]
    assert columns["a"] == pytest.approx([0.5, math.nan, 0.9], nan_ok=True)
    assert columns["b"] == pytest.approx([math.nan, 0.7, 0.8], nan_ok=True)
    write_curves(tmp_path, "line")


def test_a_log_is_left_as_it_is_where_no_row_goes(tmp_path, monkeypatch) -> None:
    path = tmp_path / "log.csv"
    for step in (1, 2, 3):
        log_row(path, {"step": step, "loss": 0.5})
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("training.log.replace_file", full)
    keep_rows(path, last_step=3)
    with pytest.raises(OSError, match="No space left"):
        keep_rows(path, last_step=2)
    assert path.read_bytes() == before
    monkeypatch.undo()
    keep_rows(path, last_step=2)
    assert read_columns(path)["step"] == [1, 2]


def test_an_emptied_log_begins_again(tmp_path) -> None:
    (tmp_path / "log.csv").touch()
    keep_rows(tmp_path / "log.csv", last_step=9)
    log_row(tmp_path / "log.csv", {"step": 10, "loss": 0.5})
    assert read_columns(tmp_path / "log.csv") == {"step": [10], "loss": [0.5]}


def test_weights_of_another_network_are_told_apart(tmp_path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, task="line", config=LineConfig(start=2.0), state={"other": torch.ones(1)},
                 notes={})
    with pytest.raises(ModelError, match=r"another line \(start 2.0 instead of 0.0\)"):
        begin_with(Line(), path)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch) -> None:
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        save_state(tmp_path / STATE, {"step": 1})
    assert list(tmp_path.iterdir()) == []
