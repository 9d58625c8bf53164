"""The training loop: plain functions for both networks."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import fcntl
import json
import math
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from alpr_edge.errors import AlprEdgeError, UsageError
from training.checkpoint import (
    BEFORE,
    BEST,
    LAST,
    STATE,
    commit,
    load_weights,
    parameter_groups,
    resumed_step,
    save_state,
    save_weights,
)
from training.log import RunLog
from training.options import DEFAULTS, RunOptions, has_bfloat16
from training.plateau import Plateau, PlateauRate
from training.plots import EVAL, LOG
from training.schedule import Schedule, rate_factor

Batch = dict[str, Any]
Evaluate = Callable[[nn.Module], dict[str, float]]


class LoaderError(AlprEdgeError):
    """A process that makes samples has ended."""


class NonFiniteLossError(AlprEdgeError):
    """The loss or its gradient became NaN or infinite; the last checkpoint is from before."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How to train. The run ends after ``steps``, or after ``minutes`` of training (over all
    resumes) where they are given and come first; the schedule follows what is nearer its end."""

    steps: int
    minutes: float | None = None
    lr: float
    weight_decay: float = 0.01
    backbone: str = ""
    backbone_ratio: float = 0.1
    head_only: float = 0.0
    """Share of the run, from its start, in which the parameters of ``backbone`` are frozen."""
    schedule: Schedule = "cosine"
    warmup: float = 0.05
    """Share of the run in which the rate rises (cosine, plateau); one-cycle has its own rise."""
    plateau: Plateau = Plateau()
    """When the rate falls, for schedule "plateau"."""
    clip: float = 2.0
    ema: float = 0.999
    amp: bool = True
    """Mixed precision, on devices that have bfloat16."""
    seed: int = 0
    choose: str
    """Key of ``evaluate``'s result that is best when largest; picks ``best.safetensors``."""
    evaluate_minutes: float = 10.0
    checkpoint_minutes: float = 3.0
    log_steps: int = 50

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise UsageError(f"{self.minutes:g} minutes; give more than 0")
        if self.schedule not in get_args(Schedule):
            allowed = ", ".join(get_args(Schedule))
            raise UsageError(f"schedule {self.schedule!r}; allowed: {allowed}")
        if self.head_only and not self.backbone:
            raise UsageError(
                f"head_only={self.head_only} freezes the backbone, but backbone is empty: give "
                "the beginning of its parameters' names"
            )


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def begin(run_dir: Path, seed: int, options: RunOptions) -> int:
    """Set the threads of a run and seed everything; returns the seed of its data.

    That is ``seed`` and the step that the run goes on from, so that it neither sees its first
    pictures again nor drops out the same neurons.
    """
    torch.set_num_threads(options.threads)
    seed += resumed_step(run_dir) if options.resume else 0
    seed_everything(seed)
    return seed


def update_ema(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Average ← decay · average + (1 - decay) · model; the decay ramps up over the first steps."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, value in zip(
            average.state_dict().values(), model.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1 - decay)
            else:
                mean.copy_(value)


def losses_of(
    model: nn.Module, batch: Batch, device: torch.device, *, amp: bool
) -> dict[str, Tensor]:
    """``model.loss`` of a batch moved to ``device``; ``amp``: in bfloat16 where that is enough and
    the device has it."""
    moved = {name: value.to(device) for name, value in batch.items()}
    with torch.autocast(device.type, torch.bfloat16, enabled=amp and has_bfloat16(device)):
        losses: dict[str, Tensor] = model.loss(moved)  # type: ignore[operator]
    return losses


def descend(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, clip: float
) -> None:
    """One step of ``optimizer`` down the gradient of ``loss``, its norm clipped at ``clip``.

    Raises:
        NonFiniteLossError: the loss or its gradient is NaN or infinite; no step was made.
    """
    if not math.isfinite(loss.item()):
        raise NonFiniteLossError(f"the loss is {loss.item()}")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip).item()
    if not math.isfinite(norm):
        raise NonFiniteLossError(f"the gradient's norm is {norm}")
    optimizer.step()


class Run:
    """A run in progress: the network and its average, the optimizer, how far it is."""

    def __init__(self, model: nn.Module, config: LoopConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.model = model.to(device)
        self.average = copy.deepcopy(self.model).eval()
        self.optimizer = torch.optim.AdamW(
            parameter_groups(
                self.model, lr=config.lr, weight_decay=config.weight_decay,
                backbone=config.backbone, backbone_ratio=config.backbone_ratio,
            ),
            fused=True,
        )
        self.plateau = PlateauRate(config.plateau)
        self.frozen_at_first = [
            parameter for name, parameter in model.named_parameters()
            if config.head_only and name.startswith(config.backbone) and parameter.requires_grad
        ]
        self.step, self.seconds, self.best = 0, 0.0, -math.inf
        self.judged = 0
        """The step after which the average was last evaluated."""
        self.rate = 0.0
        """Of the latest step."""

    @property
    def minutes(self) -> float:
        """Of training, over all resumes."""
        return self.seconds / 60

    def done(self) -> float:
        """Share of the run in 0..1."""
        share = self.step / self.config.steps
        return max(share, self.minutes / self.config.minutes) if self.config.minutes else share

    def update(self, batch: Batch) -> dict[str, float]:
        """One step; returns its losses.

        Raises:
            NonFiniteLossError: see :func:`descend`; the weights are as before.
        """
        self._set_rate()
        self.model.train()
        losses = losses_of(self.model, batch, self.device, amp=self.config.amp)
        values = {name: value.item() for name, value in losses.items()}
        try:
            descend(self.model, self.optimizer, losses["loss"], self.config.clip)
        except NonFiniteLossError as error:
            raise NonFiniteLossError(
                f"step {self.step}: {error} ({values}); {STATE} in the run's folder is from "
                f"before: resume with a lower rate than {self.config.lr}"
            ) from error
        update_ema(self.average, self.model, self.config.ema, self.step)
        self.step += 1
        if self.config.schedule == "plateau":
            self.plateau.add(values["loss"])
        return values

    def _set_rate(self) -> None:
        done = self.done()
        factor = rate_factor(
            self.config.schedule, done, warmup=self.config.warmup, plateau=self.plateau.rate
        )
        self.rate = self.config.lr * factor
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        for parameter in self.frozen_at_first:
            parameter.requires_grad_(done >= self.config.head_only)

    def save(self, path: Path) -> None:
        """Write what :meth:`load` needs."""
        save_state(path, {
            "model": self.model.state_dict(), "ema": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": self.seconds,
            "best": self.best, "judged": self.judged, "plateau": self.plateau.state_dict(),
        })

    def load(self, path: Path) -> None:
        """Go on where a run was saved, on whichever device that was, with this configuration's
        rates and weight decay.

        Raises:
            UsageError: it is of another network, or of one whose backbone had a rate of its own.
        """
        state = torch.load(path, weights_only=True, map_location=self.device)
        groups = self.optimizer.param_groups
        asked = [{name: group[name] for name in ("base_lr", "weight_decay")} for group in groups]
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"{path.parent} has a run of another network; give the --variant and the "
                "--imagenet that it began with, another --run, or --fresh to begin anew"
            ) from error
        self.average.load_state_dict(state["ema"])
        for group, values in zip(self.optimizer.param_groups, asked, strict=True):
            group.update(values)
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.judged = state.get("judged", self.step)  # not in older files
        if "plateau" in state:  # not in older files
            self.plateau.load_state_dict(state["plateau"])


def train(
    model: nn.Module,
    batches: Iterator[Batch],
    config: LoopConfig,
    run_dir: Path,
    evaluate: Evaluate,
    *,
    task: str,
    options: RunOptions = DEFAULTS,
    notes: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Train ``model`` (with ``config`` attribute and ``loss(batch) -> {"loss": ..., ...}``).

    Writes into ``run_dir``: config.json, log.csv, eval.csv, curves.png, TensorBoard events,
    ``state.pt`` (to resume), ``last.safetensors`` and ``best.safetensors`` (EMA weights). Returns
    the last evaluation; of a run that had ended before, its average's, anew. Interrupted it saves
    how far it is; if that was its last evaluation, it is made when the run is called again.
    Without ``options.resume`` what an earlier run left is removed first.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
        UsageError: another process trains in ``run_dir``.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with held(run_dir):
        return _train(model, batches, config, run_dir, evaluate, task, options, notes or {})


def _train(
    model: nn.Module, batches: Iterator[Batch], config: LoopConfig, run_dir: Path,
    evaluate: Evaluate, task: str, options: RunOptions, notes: dict[str, Any],
) -> dict[str, float]:
    run = Run(model, config, torch.device(options.device))
    if not options.resume:
        for name in (STATE, BEST, BEFORE, LAST, LOG, EVAL):
            (run_dir / name).unlink(missing_ok=True)
    elif (run_dir / STATE).exists():
        run.load(run_dir / STATE)
    notes = {"commit": commit(), **notes}
    if run.step:
        run.best = best_before(run, run_dir, notes)
    facts = {
        "task": task, "model": dataclasses.asdict(model.config),  # type: ignore[call-overload]
        "loop": dataclasses.asdict(config), "options": dataclasses.asdict(options), **notes,
    }
    figures: dict[str, float] = {}
    with (
        RunLog(run_dir, facts, step=run.step, project=options.wandb) as log,
        progress_bar(task) as progress,
        kept_when_interrupted(run, run_dir / STATE),
    ):
        def judge() -> dict[str, float]:
            figures = evaluate(run.average)
            log.write_figures(run.step, run.minutes, figures)
            progress.console.print(told(run, figures))
            save_average(run, run_dir, task, figures, notes)
            run.judged = run.step
            return figures

        bar = progress.add_task("", total=1.0, completed=run.done())
        checkpointed = evaluated = ticked = time.monotonic()
        while run.done() < 1.0:
            log.add(run.update(drawn(batches, run, run_dir / STATE)))
            now = time.monotonic()
            run.seconds += now - ticked
            ticked = now
            if run.step % config.log_steps == 0:
                if run.plateau.check():
                    progress.console.print(f"step {run.step}: plateau, rate x {run.plateau.rate:g}")
                loss = log.write_losses(run.step, run.minutes, run.rate)["loss"]
                progress.update(bar, completed=run.done(), description=f"loss {loss:.3f}")
            finished = run.done() >= 1.0
            if finished or now - evaluated > config.evaluate_minutes * 60:
                figures = judge()
                evaluated = ticked = time.monotonic()  # evaluation is not training time
            if finished or now - checkpointed > config.checkpoint_minutes * 60:
                run.save(run_dir / STATE)
                checkpointed = time.monotonic()
        if run.judged < run.step:  # interrupted in its last evaluation
            figures = judge()
            run.save(run_dir / STATE)
    return figures or evaluate(run.average)


@contextlib.contextmanager
def held(run_dir: Path) -> Iterator[None]:
    """``run_dir`` for this process alone: two runs in it would write each other's files.

    Raises:
        UsageError: another process has it.
    """
    descriptor = os.open(run_dir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{run_dir}: another process trains in it; end that first, or name "
                             "another folder for --run") from error
        except OSError:
            pass  # a drive in the network that has no locks
        yield
    finally:
        os.close(descriptor)


def drawn(batches: Iterator[Batch], run: Run, path: Path) -> Batch:
    """The next batch; how far the run is is saved first, should there be none.

    Raises:
        LoaderError: a loader's process has ended. Whatever else making the batch raises.
    """
    try:
        return next(batches)
    except Exception as error:
        run.save(path)
        if isinstance(error, AlprEdgeError) and str(error).startswith("Caught "):
            last = str(error).strip().splitlines()[-1]  # torch puts the whole traceback before it
            raise type(error)(last.partition(": ")[2]) from error
        if isinstance(error, ConnectionError | EOFError) or "DataLoader worker (pid" in str(error):
            raise LoaderError(
                f"a loader's process has ended ({error}); if memory was short, give fewer "
                "--workers, then run the same command again to resume"
            ) from error
        raise


@contextlib.contextmanager
def kept_when_interrupted(run: Run, path: Path) -> Iterator[None]:
    """Save how far a run is, should it be interrupted, with the loader's processes or without."""
    try:
        yield
    except KeyboardInterrupt:
        told = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's raises as they end
        run.save(path)
        signal.signal(signal.SIGCHLD, told)
        raise


JUDGED_BY = "data_hash", "lists"
"""Notes that tell which plates a run's figures are of."""


def best_before(run: Run, run_dir: Path, notes: dict[str, Any]) -> float:
    """The best figure that a run which goes on must beat: that of its best weights, which others
    may have mixed since. Weights that were judged by other plates than those of ``notes`` are kept
    as :data:`~training.checkpoint.BEFORE`, and are the best again where those are judged by."""
    def judged_alike(path: Path) -> bool:
        told = load_weights(path).notes
        return all(told.get(name, notes.get(name)) == notes.get(name) for name in JUDGED_BY)

    best, before, other = run_dir / BEST, run_dir / BEFORE, run_dir / f"{BEFORE}.other"
    if best.exists() and not judged_alike(best):
        best.replace(other)
        if before.exists() and judged_alike(before):
            before.replace(best)
        other.replace(before)
    return float(load_weights(best).notes["dev"][run.config.choose]) if best.exists() else -math.inf


def progress_bar(task: str) -> Progress:
    """On standard error: how much of the run is done."""
    return Progress(
        TextColumn(task), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def told(run: Run, figures: dict[str, float]) -> str:
    """An evaluation as one line of JSON."""
    row = {"step": run.step, "minutes": run.minutes, **figures}
    return json.dumps({name: round(value, 4) for name, value in row.items()})


def save_average(
    run: Run, run_dir: Path, task: str, figures: dict[str, float], notes: dict[str, Any]
) -> None:
    """Write the averaged weights as the latest, and as the best where they are that."""
    names = [LAST]
    if figures[run.config.choose] > run.best:
        run.best = figures[run.config.choose]
        names.append(BEST)
    for name in names:
        save_weights(
            run_dir / name, task=task, config=run.model.config, state=run.average.state_dict(),
            notes={
                "step": run.step, "minutes": round(run.minutes, 1), "seed": run.config.seed,
                "dev": figures, **notes,
            },
        )
