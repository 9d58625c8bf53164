"""``alpr-edge watch``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.errors import ExitCode
from alpr_edge.watch.config import HardwareDecoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpr_edge.watch.process import Asked
    from alpr_edge.watch.watch import Watch

_POLL = 0.25
"""Seconds between looks at what signals asked for."""


def watch(options: argparse.Namespace) -> ExitCode:
    """Watch cameras until they end or a signal comes."""
    from alpr_edge.watch import process, systemd
    from alpr_edge.watch.watch import Watch
    from alpr_edge.watch.watch_options import check_some_input, config_of

    if options.isa:
        process.restart_at(options.isa)
    process.log_to_stderr()
    with process.signals_asked(reloads=bool(options.config)) as asked:
        config = config_of(options)
        check_some_input(options.sources)
        running = Watch(process.with_cache(config))
        with running:
            systemd.notify(systemd.READY)
            _follow(running, asked, options)
            systemd.notify(systemd.STOPPING)
    return _exit_code(running, asked)


def _follow(running: Watch, asked: Asked, options: argparse.Namespace) -> None:
    """Until the end: reload when asked to, tell systemd that all is well, show progress."""
    from alpr_edge.watch.process import reload
    from alpr_edge.watch.systemd import Watchdog
    from alpr_edge.watch.watch_options import config_of

    watchdog = Watchdog()
    with _progress(running) as show:
        while not running.wait(_POLL) and asked.stop is None:
            if asked.take_reload():
                reload(running, lambda: config_of(options))
            if running.alive:
                watchdog.feed()
            show()


def _exit_code(running: Watch, asked: Asked) -> ExitCode:
    import signal

    if running.metrics.failures:
        return ExitCode.OUTPUT
    if asked.stop in (signal.SIGINT, signal.SIGHUP):
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if running.failed_cameras else ExitCode.OK


@contextmanager
def _progress(running: Watch) -> Iterator[Callable[[], None]]:
    """A bar a file on stderr, where somebody looks at it and no event's line runs into it; what is
    yielded brings them up to date."""
    import sys

    from rich.console import Console
    from rich.progress import Progress

    from alpr_edge.watch.lines import STDOUT

    console = Console(stderr=True)
    files = running.config.files
    apart = not sys.stdout.isatty() or STDOUT not in (files.jsonl, files.csv)
    seen = console.is_terminal and apart
    with Progress(console=console, transient=True, disable=not seen) as progress:
        bars: dict[str, Any] = {}

        def show() -> None:
            expected = running.expected()
            for status in running.statuses():
                total = expected.get(status.camera)
                if total is not None:
                    if status.camera not in bars:
                        bars[status.camera] = progress.add_task(status.camera, total=total)
                    progress.update(bars[status.camera], completed=status.frames, total=total)

        yield show


def add_command(commands: Any) -> None:
    """Add the parser (``argparse``'s sub-parsers)."""
    command = commands.add_parser(
        "watch", help="read the plates of videos, cameras and folders that fill up",
        description="Vehicles that pass become events. Without outputs they are written to stdout "
        "as JSON lines.",
    )
    command.set_defaults(run=watch)
    command.add_argument(
        "sources", nargs="*", metavar="SOURCE",
        help="video file, rtsp:// or http:// camera, webcam's number, or folder that fills up; in "
        "the place of the configuration's cameras",
    )
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="configuration (TOML; default: none)"
    )
    _add_looking(command)
    _add_outputs(command)


def _add_looking(command: argparse.ArgumentParser) -> None:
    from alpr_edge.isa import ISAS

    command.add_argument("--every", type=int, metavar="N", help="process only each Nth frame")
    command.add_argument(
        "--max-fps", type=float, metavar="F", help="process at most F frames a second"
    )
    command.add_argument(
        "--region", action="append", type=_polygon, metavar="POLYGON",
        help="only plates within count: 'x,y x,y x,y ...', shares of width and height; may be "
        "given several times",
    )
    command.add_argument(
        "--min-plate-width", type=float, metavar="PIXELS", help="narrower plates do not count"
    )
    command.add_argument(
        "--tiles", type=_tiles, metavar="CxR",
        help="look through overlapping columns x rows as well, for far plates",
    )
    command.add_argument(
        "--hwaccel", type=HardwareDecoding, choices=list(HardwareDecoding),
        help="who decodes video (default: auto)",
    )
    command.add_argument(
        "--grammar", action="append", metavar="CC",
        help="country whose plates' layout re-ranks confusable characters; may be given several "
        "times",
    )
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads of one inference")
    command.add_argument("--isa", choices=ISAS, help="cap the instruction set")


def _add_outputs(command: argparse.ArgumentParser) -> None:
    for name, metavar, told in (
        ("--jsonl", "FILE", "append events as JSON lines; - is stdout"),
        ("--csv", "FILE", "append events as CSV; - is stdout"),
        ("--video", "DIR", "write an annotated video a camera"),
        ("--pictures", "DIR", "write a picture an event"),
        ("--store", "FILE", "keep events and their pictures in an SQLite file"),
    ):
        command.add_argument(name, type=Path, metavar=metavar, help=told)
    command.add_argument(
        "--redact", action="store_true", help="blur plates in scenes, videos and pictures"
    )


def _polygon(text: str) -> Any:
    from alpr_edge.watch.watch_options import polygon

    return polygon(text)


def _tiles(text: str) -> Any:
    from alpr_edge.watch.watch_options import tiles

    return tiles(text)
