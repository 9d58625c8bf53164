"""``alpr-edge serve``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.errors import AlprEdgeError, ExitCode

if TYPE_CHECKING:
    from alpr_edge.serve.server import Server
    from alpr_edge.watch.config import Config
    from alpr_edge.watch.process import Asked
    from alpr_edge.watch.watch import Watch

_POLL = 0.25
"""Seconds between looks at what signals asked for."""


def serve(options: argparse.Namespace) -> ExitCode:
    """Watch the configured cameras, if there are any, and serve until a signal comes."""
    import logging
    import signal

    from alpr_edge.watch.extras import require

    for module in ("fastapi", "uvicorn", "python_multipart"):
        require(module, "serve")
    from alpr_edge.serve.app import create_app
    from alpr_edge.serve.server import Server
    from alpr_edge.watch import process, systemd
    from alpr_edge.watch.config_command import FILENAME
    from alpr_edge.watch.watch import Watch

    if options.isa:
        process.restart_at(options.isa)
    process.log_to_stderr()
    log = logging.getLogger(__name__)
    if not options.config and Path(FILENAME).is_file():
        log.info("%s is here and not used; name it by --config", FILENAME)
    with process.signals_asked(reloads=bool(options.config)) as asked:
        config = config_of(options)
        watch = Watch(process.with_cache(config))
        app = create_app(watch, config.serve)
        with watch, Server(app, host=config.serve.host, port=config.serve.port) as server:
            log.info("serving at %s", server.url)
            systemd.notify(systemd.READY)
            _follow(watch, server, asked, options)
            systemd.notify(systemd.STOPPING)
    return ExitCode.INTERRUPTED if asked.stop is signal.SIGHUP else ExitCode.OK


def config_of(options: argparse.Namespace) -> Config:
    """The configuration's file, if one is named, with the options put in its place.

    Raises:
        UsageError: something is wrong with it.
    """
    import dataclasses

    from alpr_edge.watch import config_file, config_rules
    from alpr_edge.watch.config import Config

    config = config_file.load(options.config) if options.config else Config()
    for part, names in (
        ("serve", ("host", "port", "token_file")), ("model", ("threads",)),
    ):
        given = {name: getattr(options, name) for name in names}
        changes = {name: value for name, value in given.items() if value is not None}
        changed = dataclasses.replace(getattr(config, part), **changes)
        config = dataclasses.replace(config, **{part: changed})
    if options.store:
        store = dataclasses.replace(config.store, path=options.store)
        config = dataclasses.replace(config, store=store)
    config_rules.check(config)
    return config


def _follow(
    watch: Watch, server: Server, asked: Asked, options: argparse.Namespace
) -> None:
    """Until a signal to stop: reload when asked to, tell systemd that all is well."""
    from alpr_edge.watch.process import reload
    from alpr_edge.watch.systemd import Watchdog

    watchdog = Watchdog()
    while asked.stop is None:
        watch.wait(0)  # raises what ended its work
        if not server.alive:
            raise AlprEdgeError("the HTTP service ended; its log says why")
        if asked.take_reload():
            reload(watch, lambda: config_of(options))
        if watch.alive:
            watchdog.feed()
        time.sleep(_POLL)


def add_command(commands: Any) -> None:
    """Add the parser (``argparse``'s sub-parsers)."""
    from alpr_edge.isa import ISAS

    command = commands.add_parser(
        "serve", help="watch cameras and serve a live page and an HTTP interface",
        description="Serves a page at http://127.0.0.1:8000, the interface that /docs there tells, "
        "and reads pictures that are sent to it. Watches the cameras of the configuration; works "
        "without any.",
    )
    command.set_defaults(run=serve)
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="configuration (TOML; default: none)"
    )
    command.add_argument(
        "--host", help="address to listen at (default: 127.0.0.1); another one needs a token"
    )
    command.add_argument("--port", type=int, metavar="N", help="default: 8000")
    command.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file with the token that clients must send"
    )
    command.add_argument(
        "--store", type=Path, metavar="FILE",
        help="keep events and their pictures in an SQLite file",
    )
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads of one inference")
    command.add_argument("--isa", choices=ISAS, help="cap the instruction set")
