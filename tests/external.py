"""Programs that no Python package brings: which there are, and the Debian packages of the others.

    @pytest.mark.external("mosquitto")
"""

from __future__ import annotations

import ctypes.util
import functools
import shutil
import subprocess
from collections import Counter

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
"""Debian's, which sees Debian's GStreamer."""
PACKAGES = {
    "mosquitto": "mosquitto",
    "openssl": "openssl",
    "chromium": "chromium",
    "rtsp": "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base "
            "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad",
    "systemd-analyze": "systemd",
    "libseccomp": "libseccomp2",
}
"""Debian packages by what a test names."""
_RTSP = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ["rtph264pay", "qtdemux", "h264parse"]))
"""


@functools.cache
def present(program: str) -> bool:
    """Whether this machine has a program of :data:`PACKAGES`."""
    if program == "rtsp":
        return shutil.which(SYSTEM_PYTHON) is not None and not subprocess.run(
            [SYSTEM_PYTHON, "-c", _RTSP], capture_output=True, check=False
        ).returncode
    if program == "libseccomp":
        return ctypes.util.find_library("seccomp") is not None
    return shutil.which(program) is not None


def skip_if_absent(item: pytest.Item) -> None:
    """Skip a test whose ``external`` mark names an absent program."""
    for mark in item.iter_markers("external"):
        for program in mark.args:
            packages = PACKAGES[program]
            if not present(program):
                pytest.skip(f"no {program}: apt install {packages}")


def lines(skipped: list[pytest.TestReport]) -> list[str]:
    """One line a reason to skip, with the number of tests."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    return [f"{count} not run: {reason}" for reason, count in sorted(reasons.items())]
