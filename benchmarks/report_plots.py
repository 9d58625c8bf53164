"""The report's plots: SVG that is the same for the same JSON, in ink that a page may recolour."""

from __future__ import annotations

import dataclasses
import functools
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alpr_edge.budget import DETECTION_BUDGET_MS, READING_BUDGET_MS
from alpr_edge.stages import DETECTION_STAGES, READING_STAGES
from benchmarks import memory, plots, throughput
from benchmarks.cases import JUDGED
from benchmarks.report_facts import Report, kind_of, noise
from benchmarks.report_pareto import Panel, front

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, PAPER = "#1f2328", "#fefefe"
"""Of lines and letters, and of what is behind them. Used for nothing else, so that
:mod:`benchmarks.report_html` can put the page's colours in their place."""
COLORS = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#8c8c8c", "#b8860b")
"""Of stages and of lines: Okabe and Ito's, which colour-blind people tell apart, and two more."""
MARKERS = "osD^v"
"""Of points, for where the colours begin again."""
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "alpr-edge", "svg.fonttype": "none", "font.size": 9,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.titlesize": 9, "figure.titlesize": 9, "figure.facecolor": PAPER,
    "axes.facecolor": PAPER, "legend.facecolor": PAPER, "legend.edgecolor": INK,
    "axes.prop_cycle": f"cycler(color={list(COLORS)})",
}
NO_FACTS = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""Nothing in a file that changes without its JSON."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A picture to be drawn: its file's name, what it shows in words, inches, and how."""

    name: str
    shows: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]


def svg(plot: Plot) -> str:
    """The drawn file.

    Raises:
        UsageError: matplotlib is not installed.
    """
    plots.check("report")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=plot.size, layout="constrained")
        plot.draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=NO_FACTS)
    return _shortened(file.getvalue())


def _shortened(svg: str) -> str:
    """Half the size, and nobody sees it: no indents, no names of groups that nothing refers to,
    coordinates with two digits after the point."""
    svg = re.sub(r'<g id="\w+_\d+"', "<g", "\n".join(map(str.strip, svg.splitlines())))
    return re.sub("<[^>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), svg)


def of_report(name: str, report: Report) -> list[Plot]:
    """The plots of one report, by its name: ``KIND-...``."""
    kind = kind_of(name)
    if kind == "stages":
        rows = len(_rows(report))
        return [
            Plot(name=f"{name}.svg", size=(7.5, 1.4 + 0.26 * rows), draw=_titled(report, _stages),
                 shows=f"{name}: p50 of each stage, and p90 of the total as share of the budget"),
            Plot(name=f"{name}-cdf.svg", size=(7.5, 3.8), draw=_titled(report, _cdf),
                 shows=f"{name}: share of the runs that took at most so long"),
        ]
    if kind == "throughput":
        shows = f"{name}: frames a second and p90 of a frame over camera streams, and the knee"
        return [Plot(name=f"{name}.svg", size=(7.5, 3.8), shows=shows,
                     draw=_titled(report, throughput.draw))]
    if kind == "memory":
        return [Plot(name=f"{name}.svg", size=(7.5, 3), draw=_titled(report, _memory),
                     shows=f"{name}: resident memory over the pictures read")]
    return []


def _titled(report: Report, draw: Callable[[Report, Figure], None]) -> Callable[[Figure], None]:
    """``draw`` under a line that says where the figures come from."""
    def drawn(figure: Figure) -> None:
        draw(report, figure)
        threads = [f"{report['threads']} threads"] if "threads" in report else []
        counts = [f"{report[what]} {what}" for what in ("runs", "frames", "pictures")
                  if isinstance(report.get(what), int)]
        noisy = ["NOISY"] if noise(report) else []
        figure.suptitle(", ".join([report["machine"]["cpu"], f"ISA {report['isa']['asked']}",
                                   *threads, *counts, *noisy]))

    return drawn


def of_panels(panels: Sequence[Panel]) -> list[Plot]:
    """Accuracy over latency, a plot a panel."""
    return [
        Plot(name=f"{panel.name}.svg", shows=f"{panel.title}: accuracy over time",
             size=(7.5, max(4.0, 1 + 0.15 * len(panel.points))),  # the legend's lines
             draw=functools.partial(_pareto, panel))
        for panel in panels
    ]


def _rows(report: Report) -> list[tuple[str, int, Report]]:
    """A bar each: its label, how many plates are read, its figures; the first on top."""
    return [
        (f"{case}  {model['folder']}", int(case.partition("/")[2]), figures)
        for case in report["models"][0]["cases"]
        for model in report["models"] for figures in [model["cases"][case]]
    ]


def _stages(report: Report, figure: Figure) -> None:
    rows = _rows(report)
    places = np.arange(len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    begin = np.zeros(len(rows))
    for stage, color in zip((*DETECTION_STAGES, *READING_STAGES), COLORS, strict=False):
        wide = [figures["stages"].get(stage.value, {"p50": 0.0})["p50"] for _, _, figures in rows]
        left.barh(places, wide, left=begin, color=color, label=stage.value)
        begin += wide
    left.set_yticks(places, [label for label, _, _ in rows])
    left.invert_yaxis()
    left.set(xlabel="p50 of each stage, ms")
    budgets = [DETECTION_BUDGET_MS + n * READING_BUDGET_MS for _, n, _ in rows]
    slow = [figures["total"]["p90"] for _, _, figures in rows]
    shares = [100 * ms / most for ms, most in zip(slow, budgets, strict=True)]
    right.barh(places, shares, color=COLORS[6])
    for place, share, ms, most in zip(places, shares, slow, budgets, strict=True):
        right.annotate(f"{ms:.1f} of {most:g} ms", (share, place), (3, 0), va="center",
                       textcoords="offset points", fontsize=7)
    right.axvline(100, color=COLORS[4], linewidth=2)
    right.set(xlabel="p90 without load, % of the budget (line)", xlim=(0, 1.5 * max(100, *shares)))
    figure.legend(loc="outside lower center", ncols=6, frameon=False)


def _cdf(report: Report, figure: Figure) -> None:
    """One line a model and case of the judged frame size, through every percentile."""
    axes, percents = figure.subplots(), np.arange(101)
    rows = _rows(report)
    judged = [row for row in rows if row[0].startswith(f"{JUDGED.frame}/")]
    for label, _, figures in judged or rows:
        axes.plot(np.percentile(figures["samples"], percents), percents / 100, label=label)
    axes.set(xlabel="total without load, ms", ylabel="share of the runs", ylim=(0, 1),
             xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def _memory(report: Report, figure: Figure) -> None:
    axes = figure.subplots()
    frames, megabytes = zip(*report["samples"], strict=True)
    axes.plot(frames, megabytes)
    axes.axhline(memory.STEADY_MB, color=COLORS[4], label=f"at most {memory.STEADY_MB:g} MB")
    axes.set(xlabel="pictures read", ylabel="resident, MB",
             ylim=(0, 1.1 * max(memory.STEADY_MB, *megabytes)))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def _pareto(panel: Panel, figure: Figure) -> None:
    """A point a model with the accuracy's 95 % interval; the front as a line through the best."""
    axes = figure.subplots()
    for number, point in enumerate(panel.points):
        again, color = divmod(number, len(COLORS))
        reach = [[point.value - point.low], [point.high - point.value]]
        axes.errorbar([point.ms], [point.value], reach, color=COLORS[color],
                      fmt="*" if point.picked else MARKERS[again % len(MARKERS)],
                      markersize=12 if point.picked else 5, elinewidth=0.6, capsize=2,
                      label=point.name + ", pick" * point.picked)
    best = front(panel.points)
    axes.plot([p.ms for p in best], [p.value for p in best], color=INK, linewidth=0.8,
              label="front")
    axes.set(title=panel.title, xlabel=panel.time, ylabel=panel.accuracy)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
