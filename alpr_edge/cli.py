"""The command ``alpr-edge``: ``read`` pictures, ``inspect`` models, ``tune`` for this device."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge import __version__
from alpr_edge.errors import AlprEdgeError, ExitCode, ImageError, StaleTuning, UsageError
from alpr_edge.interrupts import interrupted_by_any
from alpr_edge.picks import MODELS, PRECISIONS

if TYPE_CHECKING:
    from alpr_edge.output import Writer
    from alpr_edge.pipeline import ALPR, Result

DEPLOY = (
    "alpr_edge.watch.watch_command", "alpr_edge.serve.command", "alpr_edge.watch.camera_command",
    "alpr_edge.watch.config_command", "alpr_edge.watch.outbox_command",
)
"""Modules of the commands for cameras and the service; each has ``add_command(commands)``."""
_FORMATS = ("table", "json", "jsonl", "csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns one of :class:`~alpr_edge.errors.ExitCode`."""
    options = _parser().parse_args(arguments)
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        _say("stdout is closed; send it to a file, or to /dev/null")
        return ExitCode.OUTPUT
    os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")  # one line a bad picture, and it is ours
    for stream in (sys.stdout, sys.stderr):  # plates are Chinese, whatever the locale says
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        code: ExitCode = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _drop_stdout()
        return ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except AlprEdgeError as error:
        _say(str(error))
        return error.exit_code
    except OSError as error:  # pictures and models raise their own; what is left is the output
        _say(f"the output cannot be written: {error}")
        _drop_stdout()
        return ExitCode.OUTPUT


def read(options: argparse.Namespace) -> ExitCode:
    """Read pictures and write one record each; an unreadable one does not stop the others."""
    from alpr_edge import budget, heap
    from alpr_edge.annotated import AnnotatedFolder
    from alpr_edge.inputs import find_pictures
    from alpr_edge.output import FORMATS

    heap.keep_freed()
    files = find_pictures(options.paths)
    annotated = (
        AnnotatedFolder(options.save_annotated, files) if options.save_annotated else None
    )
    with _warnings_said():
        alpr = _alpr(options)
    writer = FORMATS[options.format](sys.stdout)
    timings = []
    failed = interrupted = False
    try:
        with interrupted_by_any():
            for file, result in _results(alpr, _progress(files, options.format), writer):
                failed |= result is None
                if result is not None:
                    timings.append((result.ms, len(result.plates)))
                    if annotated:
                        annotated.save(file, result)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        writer.close()
    if annotated:
        _say(f"annotated pictures are in {annotated.folder}")
    if options.verdict and timings:
        verdict = budget.verdict(timings)
        print(verdict, file=sys.stdout if options.format == "table" else sys.stderr)
        failed |= not verdict.met
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if failed else ExitCode.OK


def inspect(options: argparse.Namespace) -> ExitCode:
    """Print what a model says about itself and what it was made from; without a model, what the
    shipped models are and which are chosen here."""
    from alpr_edge.inspection import describe, describe_models
    from alpr_edge.manifest import load
    from alpr_edge.tuning import Chooser

    folder = options.model
    if folder is not None and not os.path.isdir(Path(folder) / "detector"):
        print(describe(load(folder)))
        return ExitCode.OK
    with _warnings_said():
        print(describe_models(Chooser(models=folder)))
    return ExitCode.OK


def tune(options: argparse.Namespace) -> ExitCode:
    """Time the shipped variants on this device, print the table and store the choice."""
    from alpr_edge import tune, tuning
    from alpr_edge.cpu import BUSY, load_average, this_cpu
    from alpr_edge.inputs import find_pictures
    from alpr_edge.output import print_table

    path = options.out or tuning.config_path()
    if path is None:
        raise UsageError(f"{tuning.VARIABLE} is empty: name the file to write with --out")
    files = find_pictures(options.paths) if options.paths else []
    tuning.make_room(path)
    if (load := load_average()) > BUSY:
        _say(f"other programs are running (load average {load:.1f}): the times will not be true")
    with _tuning_bar() as progress:
        timings, chosen = tune.tune(
            MODELS, this_cpu(), files, options.seconds,
            any_size=options.any_size, progress=progress,
        )
    print_table(tune.table(timings, chosen), sys.stdout)
    tuning.save(tune.as_tuning(chosen, MODELS), path)
    follow = "" if path == tuning.config_path() else f" with {tuning.VARIABLE}={path}"
    _say(f"stored in {path}; read and ALPR() follow it{follow}")
    return ExitCode.OK


def _results(
    alpr: ALPR, files: Iterable[str], writer: Writer
) -> Iterator[tuple[str, Result | None]]:
    """Read and write the pictures one by one; the result of an unreadable one is None."""
    from alpr_edge.output import error_record, record_of

    for file in files:
        result = None
        try:
            result = alpr.run(file)
            record = record_of(file, result)
        except ImageError as error:
            _say(str(error))
            record = error_record(file, error)
        writer.write(record)
        yield file, result


def _alpr(options: argparse.Namespace) -> ALPR:
    from alpr_edge._cv2 import cv2
    from alpr_edge.pipeline import ALPR

    alpr = ALPR(
        models=options.models,
        cut_outs=options.crops,
        threads=options.threads,
        precision=options.precision,
        min_confidence=options.min_confidence,
        min_detection=options.min_detection,
    )
    if options.threads:
        cv2.setNumThreads(options.threads)
    return alpr


def _progress(files: Sequence[str], output: str) -> Iterator[str]:
    """The files, with a bar on stderr where somebody looks at it and no record runs into it."""
    apart = output == "table" or not sys.stdout.isatty()
    if len(files) < 2 or not sys.stderr.isatty() or not apart:
        yield from files
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(
        console=Console(stderr=True), transient=True, redirect_stdout=False
    ) as progress:
        yield from progress.track(files, description="reading")


@contextlib.contextmanager
def _tuning_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where somebody looks at it; called with what is done, and of how much."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("tuning", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def _warnings_said() -> Iterator[None]:
    """Each warning within as one line of ours."""
    with warnings.catch_warnings(
        record=True, action="always", category=StaleTuning
    ) as caught:
        try:
            yield
        finally:
            for warning in caught:
                _say(str(warning.message))


def _say(message: str) -> None:
    print(f"alpr-edge: {message}", file=sys.stderr)


def _drop_stdout() -> None:
    """Nobody reads stdout any more: keep the interpreter's last flush from failing too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}; give a number within 0..1")
    return value


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}; give seconds above 0")
    return value


def _number(text: str) -> float:
    """Not a number where it is none: outside every range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; give a whole number of at least 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "alpr-edge", description="Find and read licence plates on the CPU.",
        epilog="exit codes: " + ", ".join(f"{code.value} {code.name.lower()}" for code in ExitCode),
    )
    parser.add_argument("--version", action="version", version=f"alpr-edge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("read", help="read the plates of pictures")
    command.set_defaults(run=read)
    command.add_argument(
        "paths", nargs="+", metavar="PATH",
        help="picture, folder (without the folders in it) or pattern",
    )
    command.add_argument("--format", choices=_FORMATS, default="table", help="default: table")
    command.add_argument("--save-annotated", metavar="DIR", help="write pictures with plates drawn")
    command.add_argument(
        "--min-confidence", type=_share, metavar="P",
        help="leave out plates whose text is less certain (0..1; default: the model's own, "
        "0 with --crops)",
    )
    command.add_argument(
        "--min-detection", type=_share, metavar="P",
        help="leave out detections that are less certain (0..1, default: the model's own)",
    )
    command.add_argument("--threads", type=_count, metavar="N", help="CPU threads to use")
    command.add_argument("--models", metavar="DIR", help="models folder (default: the shipped one)")
    command.add_argument(
        "--precision", choices=PRECISIONS,
        help="auto: the models picked for this CPU, fp32: not quantized, int8: quantized "
        "(default: what tune stored, else auto)",
    )
    command.add_argument(
        "--crops", action="store_true", help="the pictures are plate cut-outs: one plate each"
    )
    command.add_argument(
        "--verdict", action="store_true", help="say whether the time budget was met; if not, exit 1"
    )

    command = commands.add_parser("inspect", help="print what a model, or the shipped ones, are")
    command.set_defaults(run=inspect)
    command.add_argument(
        "model", metavar="MODEL", nargs="?",
        help="model folder or manifest file: its manifest and ancestors; models folder (default: "
        "the shipped one): its variants, those chosen on this CPU, and why",
    )

    command = commands.add_parser(
        "tune", help="measure the shipped models on this device and store the fastest choice",
        description="Time every shipped variant that is right on this CPU with 1 to all threads "
        "and store the fastest. Streams are not tuned: one picture is read at a time.",
    )
    command.set_defaults(run=tune)
    command.add_argument(
        "paths", nargs="*", metavar="PATH", help="picture, folder or pattern (default: the demo "
        "pictures of the repository, or a drawn one)",
    )
    command.add_argument(
        "--seconds", type=_seconds, default=60.0, metavar="S", help="time to measure (default: 60)"
    )
    command.add_argument(
        "--any-size", action="store_true",
        help="allow detectors of another input size than the CPU's pick; a smaller one finds fewer "
        "small plates",
    )
    command.add_argument(
        "--out", type=Path, metavar="FILE",
        help="file to store the choice in (default: ALPR_EDGE_CONFIG, else alpr-edge/tune.json in "
        "XDG_CONFIG_HOME or ~/.config)",
    )
    for module in DEPLOY:
        importlib.import_module(module).add_command(commands)
    return parser
