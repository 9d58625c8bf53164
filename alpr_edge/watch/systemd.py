"""Tell systemd how the service is: ``sd_notify``'s protocol, a datagram to a socket."""

from __future__ import annotations

import os
import socket
import time

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def notify(state: str) -> None:
    """Send ``state``; without systemd (no ``NOTIFY_SOCKET``) there is nobody to tell."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract name space
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect(address)
        connection.send(state.encode())


class Watchdog:
    """Tells systemd that all is well, twice as often as it wants to hear it."""

    def __init__(self) -> None:
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wanted = os.environ.get("WATCHDOG_USEC")
        self._every = int(wanted) / 2e6 if wanted and mine else None
        self._last = time.monotonic()

    def feed(self) -> None:
        """Call it several times a second, as long as all is well."""
        now = time.monotonic()
        if self._every is not None and now - self._last >= self._every:
            self._last = now
            notify(ALIVE)
