"""What a run's folder shows: curves of its logs, and its worst reads."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from alpr_edge.types import Image, Reading
from training.sheet import captioned, grid, save

LOG, EVAL = "log.csv", "eval.csv"
CURVES, WORST = "curves.png", "worst.png"
_NOT_DRAWN = ("step", "minutes", "lr")
_COLUMNS, _ROWS = 4, 10
"""Of the worst reads."""

Columns = dict[str, list[float]]


def read_columns(path: Path) -> Columns:
    """The columns of a log, by name, NaN where a row has none; no column where there is no such
    file yet."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        rows = list(table)
    return {
        name: [float(row[name] or math.nan) for row in rows] for name in table.fieldnames or ()
    }


def draw_curves(log: Columns, evaluations: Columns, title: str) -> Figure:
    """Losses (left, logarithmic) and dev figures (right) over the minutes of training."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, columns in ((left, log), (right, evaluations)):
        for name, values in columns.items():
            if name not in _NOT_DRAWN:
                axes.plot(columns["minutes"], values, label=name, marker="." * (axes is right))
        axes.set(xlabel="minutes")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="x-small")
    losses = [value for name, values in log.items() if name not in _NOT_DRAWN for value in values]
    if losses and min(losses) > 0:
        left.set_yscale("log")
    left.set_title(f"{title}: training loss")
    right.set_title("on dev")
    return figure


def write_curves(run_dir: Path, title: str) -> None:
    """Draw log.csv and eval.csv of a run into its curves.png."""
    figure = draw_curves(read_columns(run_dir / LOG), read_columns(run_dir / EVAL), title)
    figure.savefig(run_dir / CURVES, dpi=100)


def worst_reads(truths: Sequence[str], readings: Sequence[Reading]) -> list[int]:
    """Indices of the plates read wrong, the most confident first."""
    wrong = [i for i, truth in enumerate(truths) if readings[i].text != truth]
    return sorted(wrong, key=lambda i: -readings[i].confidence)


def worst_sheet(
    plates: Sequence[Image], truths: Sequence[str], readings: Sequence[Reading]
) -> Image | None:
    """The worst of ``plates`` (48, 192, 3): below each its truth, then what was read and how
    surely. None where all is right."""
    cells = []
    for index in worst_reads(truths, readings)[: _COLUMNS * _ROWS]:
        read = readings[index]
        cell = captioned(plates[index], truths[index])
        cells.append(captioned(cell, f"{read.text}  {read.confidence:.2f}"))
    return grid(cells, min(_COLUMNS, len(cells))) if cells else None


def write_worst(
    run_dir: Path, plates: Sequence[Image], truths: Sequence[str], readings: Sequence[Reading]
) -> None:
    """Draw :func:`worst_sheet` into a run's worst.png, or take an older one away."""
    sheet = worst_sheet(plates, truths, readings)
    if sheet is None:
        (run_dir / WORST).unlink(missing_ok=True)
    else:
        save(sheet, run_dir / WORST)
