"""``--isa``: benchmarks at a chosen instruction set (:mod:`alpr_edge.isa`)."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from alpr_edge.isa import (
    CAPS,
    ISAS,
    NATIVE,
    capped_environment,
    is_effective,
    verify_isa,
)

__all__ = ["CAPS", "ISAS", "NATIVE", "capped_environment", "respawn", "verify_isa"]


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option ``--isa``."""
    parser.add_argument("--isa", default=NATIVE, choices=ISAS, help="instruction set")


def respawn(isa: str, arguments: Sequence[str]) -> int | None:
    """Run ``python -m benchmarks ARGUMENTS`` in a child capped to ``isa`` and verified.

    Returns the child's exit code, or None where this process has that environment already: then
    the caller goes on itself. Call it before OpenVINO is imported.
    """
    if is_effective(isa):
        return None
    verify_isa(isa)
    command = [sys.executable, "-m", "benchmarks", *arguments]
    with subprocess.Popen(command, env=capped_environment(isa)) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            end(child)
            raise


def end(child: subprocess.Popen[Any]) -> None:
    """End a child that may have heard the same Ctrl-C and is ending what it began itself."""
    for seconds, make in ((1.0, child.terminate), (10.0, child.kill)):
        try:
            child.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            make()
    child.wait()


def asked_and_proven(isa: str) -> dict[str, str]:
    """For a report: the instruction set asked for, and what oneDNN itself says it runs.

    Raises:
        UsageError, LibraryError: see :func:`alpr_edge.isa.verify_isa`.
    """
    return {"asked": isa, "onednn": verify_isa(isa)}
