"""``python -m benchmarks COMMAND``: the module of the same name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from alpr_edge.errors import AlprEdgeError, ExitCode
from alpr_edge.interrupts import interrupted_by_any
from benchmarks import (
    accuracy,
    budget,
    cameras,
    cold,
    compare,
    energy,
    events,
    memory,
    model,
    record,
    report,
    sizes,
    stages,
    throughput,
)

_COMMANDS = {
    "accuracy": accuracy, "budget": budget, "cameras": cameras, "cold": cold, "compare": compare,
    "energy": energy, "events": events, "memory": memory, "model": model, "report": report,
    "sizes": sizes, "stages": stages, "throughput": throughput,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run one benchmark; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in _COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    options = parser.parse_args(arguments)
    try:
        record.check(getattr(options, "out", None))
        with interrupted_by_any():
            return int(_COMMANDS[options.command].main(options, arguments))
    except AlprEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except BrokenPipeError:
        sys.stdout = None  # what is left goes nowhere
        return int(ExitCode.OUTPUT)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
