"""What a run logs: CSV files with their curves, TensorBoard events, and Weights & Biases if asked.

W&B is the extra ``wandb``; with ``WANDB_MODE=offline`` it writes into the run's folder only, and
``wandb sync`` uploads that later.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from alpr_edge.files import replace_file
from training.plots import EVAL, LOG, write_curves

CONFIG = "config.json"
"""What a run is: its recipe, options, seed, commit and data."""
WANDB_ID = "wandb.txt"
"""The file with the run's id at Weights & Biases, so that a resumed run goes on there too."""


class RunLog:
    """The logs of the run in ``run_dir``, which goes on from ``step``; ``facts`` is config.json,
    ``project`` one at W&B."""

    def __init__(
        self, run_dir: Path, facts: dict[str, Any], *, step: int, project: str | None = None
    ) -> None:
        self.run_dir, self.title = run_dir, str(facts["task"])
        for name in (LOG, EVAL):
            keep_rows(run_dir / name, last_step=step)
        replace_file(run_dir / CONFIG, json.dumps(facts, indent=1, default=str).encode())
        self.tensorboard = SummaryWriter(run_dir)
        self.wandb = begin_wandb(project, run_dir, facts, step) if project else None
        self.sums: dict[str, float] = defaultdict(float)
        self.added = 0

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.tensorboard.close()
        if self.wandb:
            self.wandb.finish()

    def add(self, losses: dict[str, float]) -> None:
        """Remember one step's losses for the next :meth:`write_losses`."""
        for name, value in losses.items():
            self.sums[name] += value
        self.added += 1

    def write_losses(self, step: int, minutes: float, rate: float) -> dict[str, float]:
        """Log the means of the losses added since the last time; returns them."""
        means = {name: total / self.added for name, total in self.sums.items()}
        self.sums.clear()
        self.added = 0
        log_row(self.run_dir / LOG, {"step": step, "minutes": minutes, "lr": rate, **means})
        self._scalars("train", means, step)
        return means

    def write_figures(self, step: int, minutes: float, figures: dict[str, float]) -> None:
        """Log an evaluation on dev and draw the curves."""
        log_row(self.run_dir / EVAL, {"step": step, "minutes": minutes, **figures})
        write_curves(self.run_dir, self.title)
        self._scalars("dev", figures, step)

    def _scalars(self, group: str, values: dict[str, float], step: int) -> None:
        named = {f"{group}/{name}": value for name, value in values.items()}
        for name, value in named.items():
            self.tensorboard.add_scalar(name, value, step)
        if self.wandb:
            self.wandb.log(named, step=step)


def begin_wandb(project: str, run_dir: Path, facts: dict[str, Any], step: int) -> Any:
    """W&B's own run in ``run_dir``: the one it had when it goes on from a ``step``, else new."""
    import wandb

    known = run_dir / WANDB_ID
    if not (step and known.exists()):
        known.write_text(uuid.uuid4().hex)
    run = wandb.init(
        project=project, name=run_dir.name, id=known.read_text(), resume="allow", dir=run_dir,
        settings=wandb.Settings(silent=True, console="off"),
    )
    run.config.update(json.loads(json.dumps(facts, default=str)), allow_val_change=True)
    return run


def keep_rows(path: Path, last_step: int) -> None:
    """Drop the rows of a log that lie beyond the step a run goes on from."""
    if not path.exists():
        return
    header, *rows = path.read_text().splitlines(keepends=True) or [""]
    if header:
        kept = [row for row in rows if int(row.split(",")[0]) <= last_step]
        if kept != rows:
            replace_file(path, (header + "".join(kept)).encode())
    else:  # what a full disk leaves
        path.unlink()


def log_row(path: Path, row: dict[str, float]) -> None:
    """Append one row to a CSV, with a header where the file is new. What the header lacks, since
    the run goes on with other dev sets, becomes a column that is empty in the rows before."""
    rows: list[dict[str, Any]] = []
    names = list(row)
    if path.exists():
        with path.open(newline="") as file:
            table = csv.DictReader(file)
            names = list(table.fieldnames or ())
            if not row.keys() <= set(names):
                rows = list(table)
    added = [name for name in row if name not in names]
    with path.open("w" if rows or added or not path.exists() else "a", newline="") as file:
        written = csv.DictWriter(file, fieldnames=names + added, restval="")
        if file.tell() == 0:
            written.writeheader()
            written.writerows(rows)
        written.writerow({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})
