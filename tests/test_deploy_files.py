"""The files of docs/deploy: the unit is sound and the runtime lives in its sandbox; the image's
commands make a working environment."""

from __future__ import annotations

import http.server
import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
import sandboxed
import service
from conftest import ROOT

from alpr_edge import cli

UNIT = ROOT / "docs" / "deploy" / "alpr-edge.service"
DOCKERFILE = ROOT / "docs" / "deploy" / "Dockerfile"
INSTALLED = "/opt/alpr-edge/bin/alpr-edge"
MOST_EXPOSED = 1.8
"""Of ``systemd-analyze security``: 0 is shut, 10 open; "OK" is below 5."""
PICTURE = ROOT / "docs" / "demo" / "eu.jpg"
TEXT = "29BHJ54"
systemd = pytest.mark.external("systemd-analyze")


@pytest.fixture
def unit(tmp_path) -> Path:
    """The unit with a command that exists here."""
    file = tmp_path / UNIT.name
    file.write_text(UNIT.read_text().replace(INSTALLED, sys.executable))
    return file


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@systemd
def test_the_unit_is_verified(unit):
    done = analyze("verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


@systemd
def test_the_unit_is_hardly_exposed(unit):
    most = round(10 * MOST_EXPOSED)
    done = analyze("security", "--offline=true", f"--threshold={most}", unit)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_the_unit_uses_commands_and_variables_that_exist():
    found = sandboxed.settings(UNIT)
    program, *words = shlex.split(found["ExecStart"][0])
    assert program == INSTALLED
    assert cli._parser().parse_args(words)
    assert (found["DynamicUser"], found["ProtectSystem"]) == (["yes"], ["strict"])
    assert "MemoryDenyWriteExecute" not in found  # the next tests say why
    assert {"WatchdogSec", "MemoryMax", "StateDirectory", "LoadCredential"} <= found.keys()


def in_sandbox(option: str, *command: object) -> subprocess.CompletedProcess[str]:
    """Run ``alpr-edge`` with what the unit allows."""
    return subprocess.run(
        [sys.executable, sandboxed.__file__, option, UNIT, sys.executable, "-m", "alpr_edge",
         *map(str, command)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )


@pytest.fixture
def clip(tmp_path) -> Path:
    """A second of video: a picture that moves."""
    picture = cv2.imread(str(PICTURE))
    height, width = picture.shape[:2]
    file = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 10, (width, height))
    for step in range(10):
        writer.write(np.roll(picture, 4 * step, axis=1))
    writer.release()
    return file


@systemd
@pytest.mark.external("libseccomp")
@pytest.mark.slow
def test_a_video_is_watched_with_the_system_calls_of_the_unit_and_without_internet(clip, tmp_path):
    done = in_sandbox("--offline", "watch", clip, "--jsonl", "-", "--csv", tmp_path / "events.csv",
                      "--pictures", tmp_path / "pictures", "--store", tmp_path / "events.sqlite")
    assert done.returncode == 0, done.stderr
    first, final = map(json.loads, done.stdout.splitlines())
    assert first["text"] == final["text"] == TEXT
    assert (tmp_path / "events.sqlite").exists() and list((tmp_path / "pictures").iterdir())


@systemd
@pytest.mark.external("libseccomp")
@pytest.mark.slow
def test_the_runtime_needs_executable_memory():
    done = in_sandbox("--no-executable-memory", "read", PICTURE)
    if "does not know PR_SET_MDWE" in done.stderr:
        pytest.skip("no PR_SET_MDWE; needs Linux 6.3 or later")
    assert done.returncode == 3 and "can't protect" in done.stderr


@systemd
@pytest.mark.external("libseccomp")
def test_the_sandbox_forbids_what_the_unit_does():
    """Otherwise the tests above would prove nothing."""
    offline = [sys.executable, sandboxed.__file__, "--offline", UNIT, sys.executable, "-c"]
    done = subprocess.run([*offline, "import socket; socket.socket()"], check=False)
    assert done.returncode == -signal.SIGSYS
    forbidden = ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "os.setuid(1)",
                 "os.sched_setaffinity(0, {0})", "os.chroot('/')")
    for action in ("socket.socket()", *forbidden):
        done = subprocess.run(
            [sys.executable, sandboxed.__file__, UNIT, sys.executable, "-c",
             f"import os, socket; {action}"], capture_output=True, text=True, check=False,
        )
        assert ("PermissionError" in done.stderr) == (action in forbidden), (action, done.stderr)


# ---- Dockerfile -----------------------------------------------------------------------------

def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile in order, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def values(name: str) -> list[str]:
    return [value for instruction, value in instructions() if instruction == name]


def test_the_image_runs_as_nobody_in_particular():
    last = dict(instructions())  # of several the last one
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert len(values("FROM")) == 2 and all("-slim" in image for image in values("FROM"))
    program, = json.loads(last["ENTRYPOINT"])
    assert program == INSTALLED and cli._parser().parse_args(json.loads(last["CMD"]))


def test_what_the_image_copies_exists():
    copied = [words.split()[:-1] for words in values("COPY") if not words.startswith("--from")]
    for name in itertools.chain.from_iterable(copied):
        assert (ROOT / name).exists(), name


class Health(http.server.BaseHTTPRequestHandler):
    code = 200

    def do_GET(self):  # noqa: N802
        self.send_response(self.code if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *args):
        pass


def healthy(port: int) -> bool:
    """What the image's health check says of a service at ``port``."""
    _, command = values("HEALTHCHECK")[0].split("CMD ")
    _, *words = json.loads(command)
    done = subprocess.run([sys.executable, *(word.replace("8000", str(port)) for word in words)],
                          capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("code", [200, 503])
def test_the_health_check_asks_the_service(monkeypatch, code):
    monkeypatch.setattr(Health, "code", code)
    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.handle_request, name="health", daemon=True).start()
        assert healthy(server.server_port) == (code == 200)


@systemd
@pytest.mark.external("libseccomp")
@pytest.mark.slow
def test_the_service_works_with_the_system_calls_of_the_unit(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service.site(tmp_path, port)
    with service.ready(tmp_path, "serve", [sys.executable, sandboxed.__file__, UNIT]):
        assert healthy(port)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/read", PICTURE.read_bytes(),
            headers={"Content-Type": "image/jpeg"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["plates"][0]["text"] == TEXT
    assert not healthy(port)


@pytest.mark.slow
def test_the_commands_of_the_image_make_a_working_environment(tmp_path):
    """Each RUN as it is written, with the image's folders in a folder of their own. Not tested: the
    base image, the layers, the user (chown is left out where root alone may)."""
    def moved(text: str) -> str:
        text = re.sub(r"(?<![\w./])/(?=(opt|wheels|source|data)\b)", f"{tmp_path}/", text)
        return re.sub(r"^python ", f"{sys.executable} ", text)

    folder = tmp_path
    for instruction, value in instructions():
        if instruction == "WORKDIR":
            folder = Path(moved(value))
            folder.mkdir(exist_ok=True)
        elif instruction == "COPY" and not value.startswith("--from"):
            copied = [ROOT / name for name in value.split()[:-1]]
            subprocess.run(["cp", "-r", *copied, folder], check=True)
        elif instruction == "RUN" and ("chown" not in value or os.geteuid() == 0):
            subprocess.run(moved(value), shell=True, cwd=folder, check=True)
    program = moved(INSTALLED)
    done = subprocess.run([program, "read", PICTURE, "--format", "csv"], cwd=tmp_path,
                          capture_output=True, text=True, check=True)
    assert TEXT in done.stdout
    for command in ("serve", "watch", "check-config"):
        subprocess.run([program, command, "--help"], capture_output=True, check=True)
