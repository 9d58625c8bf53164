"""``python -m training.render demo|eval|driveby --data DATA --out PATH``."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import Progress

from alpr_edge.errors import AlprEdgeError, ExitCode
from training.arguments import at_least_one
from training.render.demo import write_demo
from training.render.driveby import write_driveby
from training.render.heldout import SEED, write_heldout
from training.render.material import RenderMaterial


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m training.render", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="write the demo pictures of the documentation")
    held_out = commands.add_parser("eval", help="write the held-out set of every plate style")
    driveby = commands.add_parser("driveby", help="write a video of passing vehicles, with truth")
    for command in (demo, held_out, driveby):
        command.add_argument("--data", type=Path, required=True, help="folder that holds render/")
        command.add_argument("--out", type=Path, required=True)
    held_out.add_argument("--per-style", type=at_least_one, default=500, metavar="N",
                          help="cut-outs of each style, and frames of all")
    held_out.add_argument("--seed", type=int, default=SEED,
                          help="give another one to look at pictures: the default's are reported")
    driveby.add_argument("--seed", type=int, default=1)
    driveby.add_argument("--vehicles", type=at_least_one, default=72, metavar="N")
    return root


@contextlib.contextmanager
def _rendering() -> Iterator[Callable[[int], None]]:
    """A bar; what it gives is called after each picture with the number of all."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rendering", total=None)
        yield lambda total: progress.update(task, advance=1, total=total)


def _write_heldout(options: argparse.Namespace) -> None:
    with _rendering() as progress:
        count, pictures = write_heldout(
            options.data, options.out, options.per_style, options.seed, progress=progress
        )
    print(f"{count} cut-outs and {pictures} frames in {options.out}")


def _write_driveby(options: argparse.Namespace) -> None:
    material = RenderMaterial.load(options.data)
    with _rendering() as progress:
        files = write_driveby(
            material, options.out, options.seed, options.vehicles, progress=progress
        )
    for path in files:
        print(f"{path} {path.stat().st_size / 1e6:.1f} MB")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "demo":
            material = RenderMaterial.load(options.data, unclear=False)
            for path in write_demo(material, options.out):
                print(f"{path} {path.stat().st_size / 1000:.0f} kB")
        elif options.command == "eval":
            _write_heldout(options)
        else:
            _write_driveby(options)
    except (AlprEdgeError, cv2.error) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, AlprEdgeError) else ExitCode.OUTPUT
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
