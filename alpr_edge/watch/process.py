"""What ``watch`` and ``serve`` share as processes: log, signals, compile cache, instruction set."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from alpr_edge.errors import AlprEdgeError
from alpr_edge.isa import capped_environment, is_effective, verify_isa
from alpr_edge.watch.config import Config

if TYPE_CHECKING:
    from alpr_edge.watch.watch import Watch

_log = logging.getLogger(__name__)


def log_to_stderr() -> None:
    """One line a fact; systemd adds the time."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="alpr-edge: %(message)s")
    for noisy in ("httpx", "httpcore", "python_multipart"):  # a line for each request
        logging.getLogger(noisy).setLevel(logging.ERROR)


def restart_at(isa: str) -> None:
    """Go on with the same command capped to ``isa``, if this process is not.

    Raises:
        UsageError, LibraryError: see :func:`alpr_edge.isa.verify_isa`.
    """
    if not is_effective(isa):
        verify_isa(isa)
        command = [sys.executable, "-m", "alpr_edge", *sys.argv[1:]]
        os.execve(sys.executable, command, capped_environment(isa))


def with_cache(config: Config) -> Config:
    """``config`` with a folder for compiled models, ``alpr-edge`` in ``CACHE_DIRECTORY``'s,
    ``XDG_CACHE_HOME`` or ~/.cache, where it names none."""
    if config.model.cache is not None:
        return config
    model = dataclasses.replace(config.model, cache=_cache_folder())
    return dataclasses.replace(config, model=model)


def reload(watch: Watch, configured: Callable[[], Config]) -> None:
    """Take over what is configured by now; a configuration that is wrong changes nothing."""
    try:
        watch.reload(with_cache(configured()))
    except (AlprEdgeError, OSError) as error:
        _log.error("%s; the configuration stays as it was", error)
    else:
        _log.info("configuration read again")


def _cache_folder() -> Path:
    if of_service := os.environ.get("CACHE_DIRECTORY"):  # systemd's, ours alone
        return Path(of_service)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "alpr-edge"


class Asked:
    """What signals have asked for; ``reloads``: there is something to read again."""

    def __init__(self, reloads: bool) -> None:
        self.reloads = reloads
        self.stop: signal.Signals | None = None
        """SIGTERM, SIGINT, or SIGHUP without reloads; the same one again ends the process."""
        self.reload = False
        """SIGHUP."""

    def take_reload(self) -> bool:
        """Whether a reload was asked for since this was called last."""
        asked, self.reload = self.reload, False
        return asked

    def note(self, number: int, _frame: FrameType | None) -> None:
        """The handler."""
        if number == signal.SIGHUP and self.reloads:
            self.reload = True
            return
        self.stop = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def signals_asked(*, reloads: bool) -> Iterator[Asked]:
    """Signals noted instead of followed, within; for the main thread."""
    asked = Asked(reloads)
    numbers = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
    before = [signal.signal(number, asked.note) for number in numbers]
    try:
        yield asked
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
