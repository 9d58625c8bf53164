"""``python -m optimize all CHECKPOINT... --data DATA --out DIR``: weights to deployed models."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from alpr_edge.errors import AlprEdgeError, ExitCode
from alpr_edge.interrupts import interrupted_by_any
from optimize import commands, judging, options, running

Command = Callable[[str, str], argparse.ArgumentParser]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m optimize", description=__doc__)
    made = root.add_subparsers(dest="command", required=True)

    def command(name: str, help_: str) -> argparse.ArgumentParser:
        return made.add_parser(name, help=help_, description=help_, allow_abbrev=False)

    _add_all(command("all", "every step, then measure and select"))
    for step in commands.STEPS:
        one = command(step.name, step.help)
        metavar = f"{step.source.upper()}_DIR" if step.source else "CHECKPOINT"
        one.add_argument("source", metavar=metavar, type=Path)
        for add in (options.add_data, options.add_out, *step.options):
            add(one)
    graph = command("one-graph", "detector and reader in one graph from frame to raw readings")
    for add in (
        options.add_one_graph, options.add_data, options.add_targets, options.add_size,
        options.add_tolerances, options.add_timing,
    ):
        add(graph)
    _add_judging(command)
    return root


def _add_all(everything: argparse.ArgumentParser) -> None:
    """Every step's options, and those of measure and select."""
    everything.add_argument("source", metavar="CHECKPOINT", type=Path, nargs="+")
    everything.add_argument(
        "--steps", nargs="+", metavar="STEP", default=commands.USUAL,
        choices=[step.name for step in commands.STEPS],
        help=f"%(choices)s (default: {', '.join(commands.USUAL)})",
    )
    groups = [options.add_data, options.add_out, options.add_timing, options.add_max_drop]
    for add in dict.fromkeys([*groups, *(add for step in commands.STEPS for add in step.options)]):
        add(everything)


def _add_judging(command: Command) -> None:
    measure = command("measure", "size, accuracy and latency of variants: OUT/report.json")
    for add in (options.add_data, options.add_targets, options.add_timing, options.add_measure):
        add(measure)
    select = command("select", "the fastest variants that lost little enough: OUT/pick")
    options.add_targets(select)
    options.add_max_drop(select)
    command("table", "write the tables of docs/optimize.md from docs/results/optimize*.json")
    compare = command("compare", "the gate of a step once more: decoded results of two folders")
    for name in ("parent", "child"):
        compare.add_argument(name, type=Path)
    for add in (options.add_data, options.add_target, options.add_tolerances):
        add(compare)


def _compare(given: argparse.Namespace) -> None:
    from optimize.compare import check_agreement, compare_at

    agreement = compare_at(
        given.parent, given.child, given.data, target=given.target, limit=given.limit
    )
    figures = dataclasses.asdict(agreement) | {"share": agreement.share}
    print(json.dumps({
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in figures.items()
    }), flush=True)
    check_agreement("compare", agreement, options.tolerances(given))


def _table(given: argparse.Namespace) -> None:
    from optimize.tables import write_document

    print(f"{write_document().name} has the tables of docs/results/optimize*.json")


_OTHERS = {
    "all": running.run_all, "compare": _compare, "measure": judging.measure_all,
    "one-graph": running.run_one_graph, "select": judging.select_all, "table": _table,
}
"""The commands that are no steps."""


def run(given: argparse.Namespace) -> None:
    """Run one command.

    Raises:
        AlprEdgeError: wrong options, data or models, or a step failed.
    """
    if given.command in _OTHERS:
        _OTHERS[given.command](given)
    else:
        step = next(step for step in commands.STEPS if step.name == given.command)
        running.run_step_command(step, given, given.source)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit code."""
    given = parser().parse_args(arguments)
    try:
        with interrupted_by_any():
            run(given)
    except AlprEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except BrokenPipeError:
        sys.stdout = None  # what is left goes nowhere
        return int(ExitCode.OUTPUT)
    except KeyboardInterrupt:
        print("interrupted; finished steps are kept", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
