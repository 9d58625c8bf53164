"""``alpr-edge init`` and ``check-config``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from alpr_edge.errors import ExitCode

FILENAME = "alpr-edge.toml"
"""What ``alpr-edge init`` writes if nothing else is said."""


def init(options: argparse.Namespace) -> ExitCode:
    """Write a commented configuration to begin with."""
    from alpr_edge.watch import config_file

    config_file.write_template(options.file)
    print(f"{options.file} is written; edit it, then: alpr-edge check-config {options.file}")
    return ExitCode.OK


def check_config(options: argparse.Namespace) -> ExitCode:
    """Tell everything that is wrong with a configuration."""
    from alpr_edge.watch import config_file

    problems = config_file.check(options.file)
    for problem in problems:
        print(problem, file=sys.stderr)
    wrong = sum(not problem.warning for problem in problems)
    told = [f"{wrong} wrong", f"{len(problems) - wrong} to be warned of"]
    if wrong:
        print(f"{options.file}: {', '.join(told)}")
        return ExitCode.USAGE
    print(f"{options.file}: good" + (f", {told[1]}" if problems else ""))
    return ExitCode.OK


def add_command(commands: Any) -> None:
    """Add the parsers (``argparse``'s sub-parsers)."""
    command = commands.add_parser("init", help="write a commented configuration to begin with")
    command.set_defaults(run=init)
    _add_file(command, "file to write; one that is there already is kept")

    command = commands.add_parser(
        "check-config", help="tell everything that is wrong with a configuration, line by line",
        description="Exit code 2 where something is wrong; warnings alone keep it 0.",
    )
    command.set_defaults(run=check_config)
    _add_file(command, "configuration")


def _add_file(command: argparse.ArgumentParser, told: str) -> None:
    command.add_argument(
        "file", nargs="?", type=Path, default=Path(FILENAME), metavar="FILE",
        help=f"{told} (default: {FILENAME})",
    )
