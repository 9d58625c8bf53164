"""``alpr-edge watch`` and ``serve`` as systemd would run them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 10


def site(folder: Path, port: int = 0) -> None:
    """A configuration whose only camera is a folder that stays empty."""
    (folder / "incoming").mkdir()
    (folder / "alpr-edge.toml").write_text(
        '[[cameras]]\nname = "gate"\nsource = "incoming"\n[store]\npath = "events.sqlite"\n'
        f'[model]\ncache = "cache"\n[serve]\nport = {port}\n'
    )


@contextlib.contextmanager
def ready(
    folder: Path, command: str, prefix: Sequence[object] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The process, from READY=1 on, and the seconds until then; it must end well in the end."""
    address = folder / "notify"
    address.unlink(missing_ok=True)
    words = [*prefix, sys.executable, "-m", "alpr_edge", command, "--config", "alpr-edge.toml"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(START_SECONDS)
        began = time.monotonic()
        process = subprocess.Popen(
            list(map(str, words)), cwd=folder, stdout=subprocess.DEVNULL,
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
        )
        try:
            while b"READY=1" not in systemd.recv(1000):
                pass
            yield process, time.monotonic() - began
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_SECONDS)
    assert code == 0
