"""A camera on this machine: ``rtsp_server.py`` in a process. For tests marked external("rtsp")."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from external import SYSTEM_PYTHON

_SERVER = Path(__file__).with_name("rtsp_server.py")


class Camera:
    """A running server; ``url`` gives the video once, in real time, to each client."""

    def __init__(self, video: Path, *, port: int = 0, login: str | None = None) -> None:
        command = [SYSTEM_PYTHON, str(_SERVER), str(video), "--port", str(port)]
        self._process = subprocess.Popen(
            [*command, "--login", login] if login else command,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("rtsp://"), "the RTSP server did not start"
        self.port = int(self.url.split(":")[2].split("/")[0])

    def freeze(self) -> None:
        """It hangs: connections stay open, nothing comes."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """It is switched off."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def camera(video: Path, *, port: int = 0, login: str | None = None) -> Iterator[Camera]:
    """A camera that shows an H.264 MP4 file as it is encoded."""
    served = Camera(video, port=port, login=login)
    try:
        yield served
    finally:
        served.kill()
