"""``alpr-edge outbox``: what receivers have not got, and another try for what they refused."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.errors import DataError, ExitCode, UsageError

if TYPE_CHECKING:
    from alpr_edge.watch.outbox import Outbox


def outbox(options: argparse.Namespace) -> ExitCode:
    """Show what waits and what was refused, or have the latter tried again."""
    from alpr_edge.inputs import why_missing
    from alpr_edge.watch.outbox import Outbox
    from alpr_edge.watch.store import open_database

    if not os.path.isfile(options.store):
        why = "is no file" if os.path.exists(options.store) else why_missing(options.store)
        raise DataError(f"{options.store}: {why}; name what [store] path names")
    with contextlib.closing(open_database(options.store)) as database:
        if options.retry is None:
            _show(Outbox(database))
        else:
            _retry(Outbox(database), options.retry)
    return ExitCode.OK


def _retry(outbox: Outbox, target: str) -> None:
    known = outbox.backlogs()
    if target not in known:
        raise UsageError(
            f"the outbox has nothing for {target!r}; it has something for "
            + (", ".join(map(repr, known)) or "nobody")
        )
    print(f"{outbox.revive(target)} announcements for {target} are tried again")


def _show(outbox: Outbox) -> None:
    backlogs = outbox.backlogs()
    if not backlogs:
        print("nothing waits, and nothing was refused")
    for target, backlog in backlogs.items():
        print(f"{target}: {backlog.waiting} waiting, {backlog.dead} refused")
    for letter in outbox.dead():
        print(f"{letter.target}\t{letter.key}\t{letter.problem}")


def add_command(commands: Any) -> None:
    """Add the parser (``argparse``'s sub-parsers)."""
    command = commands.add_parser(
        "outbox", help="show the events that webhooks and MQTT have not got, and why",
        description="One line a receiver, then one a refused event: receiver, key, reason. It may "
                    "run beside the service.",
    )
    command.set_defaults(run=outbox)
    command.add_argument("store", type=Path, metavar="FILE", help="the store of events")
    command.add_argument(
        "--retry", metavar="RECEIVER",
        help="have everything tried again that a receiver refused, e.g. 'webhook gate'",
    )
