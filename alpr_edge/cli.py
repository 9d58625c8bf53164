"""The command ``alpr-edge``: ``read`` pictures, ``inspect`` a model."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge import __version__
from alpr_edge.errors import AlprEdgeError, ExitCode, ImageError, OutputError

if TYPE_CHECKING:
    from alpr_edge.output import Writer
    from alpr_edge.pipeline import ALPR, Result

_FORMATS = ("table", "json", "jsonl", "csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns one of :class:`~alpr_edge.errors.ExitCode`."""
    options = _parser().parse_args(arguments)
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
    from alpr_edge import budget
    from alpr_edge.inputs import find_pictures
    from alpr_edge.output import FORMATS

    files = find_pictures(options.paths)
    annotated = _folder(options.save_annotated)
    alpr = _alpr(options)
    writer = FORMATS[options.format](sys.stdout)
    timings = []
    failed = interrupted = False
    try:
        for file, result in _results(alpr, _progress(files, options.format), writer):
            failed |= result is None
            if result is not None:
                timings.append((result.ms, result.read))
                if annotated:
                    _save_annotated(annotated, file, result)
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
    """Print what a model says about itself, and the chain of models it was made from."""
    from alpr_edge.inspection import describe
    from alpr_edge.manifest import load

    print(describe(load(options.model)))
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
    from alpr_edge.detector import WholePicture
    from alpr_edge.pipeline import ALPR

    least: float | None = options.min_confidence
    if options.threads:
        cv2.setNumThreads(options.threads)
    return ALPR(
        models=options.models,
        detector=WholePicture() if options.crops else None,
        threads=options.threads,
        min_confidence=0.0 if options.crops and least is None else least,
        min_detection=options.min_detection,
    )


class _Annotated:
    """A folder of annotated pictures, each name used once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: set[str] = set()

    def path(self, file: str) -> Path:
        stem = Path(file).stem
        name, number = stem, 1
        while name in self._used:
            number += 1
            name = f"{stem}-{number}"
        self._used.add(name)
        return self.folder / f"{name}.jpg"


def _folder(path: str | None) -> _Annotated | None:
    if path is None:
        return None
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder {path} cannot be made: {error.strerror}") from error
    return _Annotated(Path(path))


def _save_annotated(annotated: _Annotated, file: str, result: Result) -> None:
    from alpr_edge._cv2 import cv2
    from alpr_edge.draw import draw_plates

    path = annotated.path(file)
    _, data = cv2.imencode(".jpg", draw_plates(result.image, result.plates))
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


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


def _say(message: str) -> None:
    print(f"alpr-edge: {message}", file=sys.stderr)


def _drop_stdout() -> None:
    """Nobody reads stdout any more: keep the interpreter's last flush from failing too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not within 0..1")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "alpr-edge", description="Find and read licence plates on the CPU.",
        epilog="exit codes: " + ", ".join(f"{code.value} {code.name.lower()}" for code in ExitCode),
    )
    parser.add_argument("--version", action="version", version=f"alpr-edge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("read", help="read the plates of pictures")
    command.set_defaults(run=read)
    command.add_argument("paths", nargs="+", metavar="PATH", help="picture, folder or pattern")
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
    command.add_argument("--models", metavar="DIR", help="folder with detector/ and reader/")
    command.add_argument(
        "--crops", action="store_true", help="the pictures are plate cut-outs: read one plate each"
    )
    command.add_argument(
        "--verdict", action="store_true", help="say whether the time budget was met; if not, exit 1"
    )

    command = commands.add_parser("inspect", help="print a model's manifest and its ancestors")
    command.set_defaults(run=inspect)
    command.add_argument("model", metavar="MODEL", help="model folder or manifest file")
    return parser
