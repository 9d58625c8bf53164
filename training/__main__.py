"""``python -m training reader|detector|publish --data DATA --run DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from alpr_edge.errors import AlprEdgeError, ExitCode


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    for name in ("reader", "detector"):
        command = commands.add_parser(name, help=f"train the {name}; run again to resume")
        command.add_argument("--data", type=Path, required=True, help="folder with the pictures")
        command.add_argument("--run", type=Path, required=True, help="folder of this run")
        command.add_argument("--variant", default="edge", help="named size (default: edge)")
        command.add_argument("--minutes", type=float, help="length of the run (default: by steps)")
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--workers", type=int, default=1, help="loader processes")
        command.add_argument("--start", type=Path, help="weights to continue from (.safetensors)")
        command.add_argument("--fresh", action="store_true", help="do not resume")
        if name == "detector":
            command.add_argument(
                "--imagenet", type=Path, help="timm's MobileNetV4 weights for the backbone"
            )
    publish = commands.add_parser("publish", help="a run's best weights, fitted on dev, to a file")
    publish.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    publish.add_argument("--run", type=Path, required=True, help="folder of the run")
    publish.add_argument("--to", type=Path, required=True, help=".safetensors to write")
    return root


def execute(options: argparse.Namespace) -> None:
    """Run a parsed command."""
    if options.command == "publish":
        from training.publish import publish

        print(publish(options.run, options.to, options.data))
        return
    common = {
        "variant": options.variant, "minutes": options.minutes, "threads": options.threads,
        "workers": options.workers, "start": options.start, "resume": not options.fresh,
    }
    if options.command == "reader":
        from training.reader.train import run as train_reader

        train_reader(options.data, options.run, **common)
    else:
        from training.detector.train import run as train_detector

        train_detector(options.data, options.run, imagenet=options.imagenet, **common)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        execute(options)
    except AlprEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror}; free some space or name "
              "another folder, then run the same command again to resume", file=sys.stderr)
        return ExitCode.OUTPUT
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
