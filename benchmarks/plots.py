"""Plots of the reader's confidence over all cut-outs: reliability and ROC, one line a model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.errors import DataError, OutputError, UsageError
from benchmarks.certainty import ALL_CROPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def check(option: str = "--plots") -> None:
    """Whether plots can be made.

    Raises:
        UsageError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(f"{option} needs matplotlib; run: pip install 'alpr-edge[bench]'")


def write(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write reliability.png and roc.png of an accuracy report into ``folder``.

    Raises:
        UsageError: matplotlib is not installed.
        DataError: the report has no cut-outs.
        OutputError: a file cannot be written.
    """
    check()
    if ALL_CROPS not in report["confidence"]:
        raise DataError("no labelled cut-outs were measured, so there is no confidence to plot")
    entries = report["confidence"][ALL_CROPS]["models"]
    models = {about["folder"]: e for about, e in zip(report["models"], entries, strict=True)}
    paths = [folder / "reliability.png", folder / "roc.png"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, draw in zip(paths, (_reliability, _roc), strict=True):
            _save(path, draw, models)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error
    return paths


def _save(
    path: Path, draw: Callable[[Axes, Mapping[str, Any]], None], models: Mapping[str, Any]
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    draw(axes, models)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def _reliability(axes: Axes, models: Mapping[str, Any]) -> None:
    """Share right over mean confidence, a bin a point with its 95 % interval."""
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for name, entry in models.items():
        bins = [b for b in entry["reliability"] if b["right"]["n"]]
        sure = [b["confidence"] for b in bins]
        shares = [b["right"]["value"] for b in bins]
        reach = [
            [max(0.0, b["right"]["value"] - b["right"]["low"]) for b in bins],
            [max(0.0, b["right"]["high"] - b["right"]["value"]) for b in bins],
        ]
        label = f"{name}: calibration error {entry['calibration_error']:.2%}"
        axes.errorbar(sure, shares, reach, marker="o", capsize=2, label=label)
    axes.set(xlabel="confidence", ylabel="read exactly", title=f"Reliability, {ALL_CROPS}")


def _roc(axes: Axes, models: Mapping[str, Any]) -> None:
    """Right readings shown over wrong readings shown, a threshold a point."""
    for name, entry in models.items():
        wrong, right = entry["curve"]["wrong_shown"], entry["curve"]["right_shown"]
        if wrong is None or right is None:
            axes.plot([], [], label=f"{name}: only right or only wrong readings")
        else:
            label = f"{name}: AUC {entry['auc']:.3f}"
            axes.plot([0, *wrong], [0, *right], label=label)
    axes.set(
        xlabel="wrong readings shown", ylabel="right readings shown", title=f"ROC, {ALL_CROPS}"
    )
