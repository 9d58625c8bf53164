"""The training loop: one plain function for both networks."""

from __future__ import annotations

import copy
import csv
import dataclasses
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from alpr_edge.errors import AlprEdgeError, UsageError
from training.checkpoint import STATE, commit, parameter_groups, save_state, save_weights
from training.plateau import Plateau, PlateauRate
from training.plots import EVAL, LOG, write_curves
from training.schedule import Schedule, rate_factor

Batch = dict[str, Any]
Evaluate = Callable[[nn.Module], dict[str, float]]


class NonFiniteLossError(AlprEdgeError):
    """The loss became NaN or infinite; the last checkpoint is from before."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How to train. The run ends after ``minutes`` of training (over all resumes) when given,
    else after ``steps``; the schedule follows whichever of the two is nearer its end."""

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
    seed: int = 0
    choose: str
    """Key of ``evaluate``'s result that is best when largest; picks ``best.safetensors``."""
    evaluate_minutes: float = 10.0
    checkpoint_minutes: float = 3.0
    log_steps: int = 50

    def __post_init__(self) -> None:
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


def train(
    model: nn.Module,
    batches: Iterator[Batch],
    config: LoopConfig,
    run_dir: Path,
    evaluate: Evaluate,
    *,
    task: str,
    resume: bool = True,
    notes: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Train ``model`` (with ``config`` attribute and ``loss(batch) -> {"loss": ..., ...}``).

    Writes into ``run_dir``: config.json, log.csv, eval.csv, curves.png, TensorBoard events,
    ``state.pt`` (to resume), ``last.safetensors`` and ``best.safetensors`` (EMA weights). Returns
    the last evaluation.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    model_config: Any = model.config
    loss_of: Callable[[Batch], dict[str, Tensor]] = model.loss  # type: ignore[assignment]
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(
        parameter_groups(
            model, lr=config.lr, weight_decay=config.weight_decay,
            backbone=config.backbone, backbone_ratio=config.backbone_ratio,
        )
    )
    plateau = PlateauRate(config.plateau)
    backbone = [
        parameter for name, parameter in model.named_parameters()
        if config.head_only and name.startswith(config.backbone) and parameter.requires_grad
    ]
    step, seconds, best = 0, 0.0, -math.inf
    state_path = run_dir / STATE
    if resume and state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds, best = state["step"], state["seconds"], state["best"]
        if "plateau" in state:  # not in older files
            plateau.load_state_dict(state["plateau"])
    for name in (LOG, EVAL):
        keep_rows(run_dir / name, last_step=step)
    facts = {
        "task": task, "model": dataclasses.asdict(model_config), "commit": commit(),
        "loop": dataclasses.asdict(config), **(notes or {}),
    }
    (run_dir / "config.json").write_text(json.dumps(facts, indent=1, default=str))

    def save(name: str, figures: dict[str, float]) -> None:
        save_weights(
            run_dir / name, task=task, config=model_config, state=average.state_dict(),
            notes={
                "step": step, "minutes": round(seconds / 60, 1), "commit": commit(),
                "seed": config.seed, "dev": figures, **(notes or {}),
            },
        )

    def checkpoint() -> None:
        save_state(
            state_path,
            {
                "model": model.state_dict(), "ema": average.state_dict(),
                "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds,
                "best": best, "plateau": plateau.state_dict(),
            },
        )

    def done() -> float:
        share = step / config.steps
        return max(share, seconds / 60 / config.minutes) if config.minutes else share

    writer = SummaryWriter(run_dir)
    sums: dict[str, float] = {}
    figures: dict[str, float] = {}
    last_checkpoint = last_evaluation = last_tick = time.monotonic()
    with Progress(
        TextColumn(task), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        bar = progress.add_task("", total=1.0, completed=done())
        while done() < 1.0:
            factor = rate_factor(
                config.schedule, done(), warmup=config.warmup, plateau=plateau.rate
            )
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * factor
            for parameter in backbone:
                parameter.requires_grad_(done() >= config.head_only)
            model.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=config.amp):
                losses = loss_of(next(batches))
            if not torch.isfinite(losses["loss"]):
                values = {name: value.item() for name, value in losses.items()}
                raise NonFiniteLossError(
                    f"step {step}: loss is {values}; resume from {state_path} with a lower "
                    f"rate than {config.lr}"
                )
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.step()
            update_ema(average, model, config.ema, step)
            step += 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.item()
            if config.schedule == "plateau":
                plateau.add(losses["loss"].item())
            now = time.monotonic()
            seconds += now - last_tick
            last_tick = now
            if step % config.log_steps == 0:
                if plateau.check():
                    progress.console.print(f"step {step}: plateau, rate x {plateau.rate:g}")
                means = {name: total / config.log_steps for name, total in sums.items()}
                sums = {}
                row = {"step": step, "minutes": seconds / 60, "lr": config.lr * factor, **means}
                log_row(run_dir / LOG, row)
                for name, value in means.items():
                    writer.add_scalar(f"train/{name}", value, step)
                progress.update(bar, completed=done(), description=f"loss {means['loss']:.3f}")
            finished = done() >= 1.0
            if finished or now - last_evaluation > config.evaluate_minutes * 60:
                figures = evaluate(average)
                row = {"step": step, "minutes": seconds / 60, **figures}
                log_row(run_dir / EVAL, row)
                write_curves(run_dir, task)
                progress.console.print(json.dumps({k: round(v, 4) for k, v in row.items()}))
                for name, value in figures.items():
                    writer.add_scalar(f"dev/{name}", value, step)
                save("last.safetensors", figures)
                if figures[config.choose] > best:
                    best = figures[config.choose]
                    save("best.safetensors", figures)
                last_evaluation = last_tick = time.monotonic()  # evaluation is not training time
            if finished or now - last_checkpoint > config.checkpoint_minutes * 60:
                checkpoint()
                last_checkpoint = time.monotonic()
    writer.close()
    return figures


def keep_rows(path: Path, last_step: int) -> None:
    """Drop the rows of a log that lie beyond the step a run goes on from."""
    if path.exists():
        header, *rows = path.read_text().splitlines(keepends=True)
        path.write_text(header + "".join(r for r in rows if int(r.split(",")[0]) <= last_step))


def log_row(path: Path, row: dict[str, float]) -> None:
    """Append one row to a CSV, with a header where the file is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(row))
        if new:
            table.writeheader()
        table.writerow({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})
