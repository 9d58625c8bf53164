"""The findings of :mod:`training.check` as tables on stdout, and its command."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from alpr_edge.data import Split
from alpr_edge.errors import ExitCode, OutputError
from training.check import Found, Kind, Problem, check, write

SHOWN = 10
"""Problems of a kind that are printed; the JSON has all."""
_BAR = 40
_WIDTH = 160
"""Columns where stdout is no terminal."""


def run(data: Path, out: Path | None, corrections: Sequence[Path] = ()) -> ExitCode:
    """Check ``data``, its wrong labels corrected by lists, print the findings, write them to
    ``out``; FAILED where there are problems.

    Raises:
        DataError: no known format, or nothing in it; or a list of other data.
        OutputError: the folder of ``out`` does not exist.
    """
    if out and not out.resolve().parent.is_dir():
        raise OutputError(f"--out {out}: its folder does not exist; make it first")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)
        found = check(
            data, lambda total: progress.update(task, advance=1, total=total), corrections
        )
    show(found)
    if out:
        write(found, out)
    return ExitCode.FAILED if found.problems else ExitCode.OK


def show(found: Found) -> None:
    """Print everything, the problems last."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(_sets(found.sets))
    for name, counts in found.histograms.items():
        if any(counts.values()):
            console.print(_characters(counts) if name == "character" else _bars(name, counts))
    by_kind: dict[Kind, list[Problem]] = defaultdict(list)
    for problem in found.problems:
        by_kind[problem.kind].append(problem)
    for kind in Kind:
        if by_kind[kind]:
            console.print(_problems(kind, by_kind[kind]))
    console.print(f"{found.pictures} pictures, {len(found.problems)} problems")


def _sets(sets: dict[str, dict[str, int]]) -> Table:
    table = Table("set", title="Pictures", title_justify="left")
    for split in Split:
        table.add_column(split.value, justify="right")
    for name, counts in sets.items():
        table.add_row(Text(name), *(str(counts.get(split.value, 0)) for split in Split))
    totals = (str(sum(counts.get(split.value, 0) for counts in sets.values())) for split in Split)
    table.add_section()
    table.add_row("all", *totals)
    return table


def _bars(name: str, counts: dict[str, int]) -> Table:
    table = Table(name, "", title_justify="left")
    table.add_column("plates", justify="right")
    most = max(counts.values())
    for value, count in counts.items():
        table.add_row(value, "█" * round(_BAR * count / most), str(count))
    return table


def _characters(counts: dict[str, int]) -> Group:
    """Every character with its count, in running text: there are many."""
    return Group("characters", Text("  ".join(f"{c} {count}" for c, count in counts.items())), "")


def _problems(kind: Kind, problems: list[Problem]) -> Table:
    table = Table("where", "what", title=f"{kind.value}: {len(problems)}", title_justify="left")
    for problem in problems[:SHOWN]:
        table.add_row(Text(problem.where), Text(problem.what))
    if len(problems) > SHOWN:
        table.add_row(f"... {len(problems) - SHOWN} more", "--out FILE.json has all")
    return table
