"""What watch and serve share as processes, and libraries of extras."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from alpr_edge.errors import LibraryError, OutputError, UsageError
from alpr_edge.watch import process, systemd
from alpr_edge.watch.config import Config, ModelConfig
from alpr_edge.watch.extras import require
from alpr_edge.watch.systemd import Watchdog


def test_a_missing_library_names_its_extra(monkeypatch):
    assert require("json", "watch").dumps(1) == "1"
    with pytest.raises(LibraryError, match=r"pip install 'alpr-edge\[serve\]'"):
        require("no_such_library", "serve")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(LibraryError, match=r"av cannot be loaded.*alpr-edge\[watch\]"):
        require("av", "watch")


@pytest.mark.parametrize(("environment", "where"), [
    ({"CACHE_DIRECTORY": "{}/service"}, "service"),
    ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/alpr-edge"),
    ({"HOME": "{}", "XDG_CACHE_HOME": "relative"}, ".cache/alpr-edge"),
])
def test_compiled_models_are_kept(tmp_path, monkeypatch, environment, where):
    for name in ("CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert process.with_cache(Config()).model.cache == tmp_path / where
    named = Config(model=ModelConfig(cache=Path("elsewhere")))
    assert process.with_cache(named) is named


SIGNALS = """
import os, signal
from alpr_edge.watch import process

before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
with process.signals_asked(reloads=True) as asked:
    assert asked.stop is None and not asked.take_reload()
    os.kill(os.getpid(), signal.SIGHUP)
    assert asked.take_reload() and not asked.take_reload() and asked.stop is None
    os.kill(os.getpid(), signal.SIGTERM)
    assert asked.stop is signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # a second one ends it
assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == before
with process.signals_asked(reloads=False) as asked:
    os.kill(os.getpid(), signal.SIGHUP)
    assert asked.stop is signal.SIGHUP and not asked.take_reload()
"""


ENDED = """
import importlib, os, signal, sys, time
from alpr_edge.errors import ExitCode

command, work, number, *arguments = sys.argv[1:]

def ended(*_, **__):
    os.kill(os.getpid(), int(number))
    time.sleep(9)

module, _, name = work.rpartition(".")
setattr(importlib.import_module(module), name, ended)
assert importlib.import_module(command).main(arguments) == ExitCode.INTERRUPTED
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("command", "work", "arguments"), [
    ("training.__main__", "training.reader.train.run", ("reader", "--data", "a", "--run", "b")),
    ("optimize.__main__", "optimize.running.run_step_command",
     ("export", "a", "--data", "b", "--out", "c")),
    ("benchmarks.__main__", "benchmarks.energy.main", ("energy",)),
])
def test_a_command_that_is_ended_is_interrupted(number, command, work, arguments):
    if not command.startswith("benchmarks"):
        pytest.importorskip("torch")
        pytest.importorskip("nncf")
    words = [sys.executable, "-c", ENDED, command, work, str(int(number)), *arguments]
    subprocess.run(words, check=True)


def test_signals_are_noted_and_followed_again_afterwards():
    subprocess.run([sys.executable, "-c", SIGNALS], check=True)  # not this one's: OpenVINO is in it


def test_an_instruction_set_begins_the_command_anew(monkeypatch):
    started = []
    monkeypatch.setattr(process, "verify_isa", lambda isa: isa)
    monkeypatch.setattr(os, "execve", lambda *call: started.append(call))
    monkeypatch.setattr(sys, "argv", ["alpr-edge", "watch", "0", "--isa", "avx2"])
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    process.restart_at("native")
    assert not started
    process.restart_at("avx2")
    [(program, arguments, environment)] = started
    assert arguments == [program, "-m", "alpr_edge", "watch", "0", "--isa", "avx2"]
    assert environment["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    process.restart_at("avx2")
    assert len(started) == 1
    with pytest.raises(UsageError, match="unknown"):
        process.restart_at("z80")


def test_systemd_is_told(monkeypatch):
    name = f"\0alpr-edge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:])
        systemd.notify(systemd.READY)
        assert listener.recv(100) == b"READY=1"


def test_the_watchdog_is_fed_twice_as_often_as_it_wants(monkeypatch):
    told = []
    now = [100.0]
    monkeypatch.setattr(systemd, "notify", told.append)
    monkeypatch.setattr(systemd.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    watchdog = Watchdog()
    for now[0] in (101.0, 104.9, 105.0, 106.0, 109.9, 110.0):
        watchdog.feed()
    assert told == [systemd.ALIVE] * 2
    monkeypatch.setenv("WATCHDOG_PID", "1")  # meant for another process
    other = Watchdog()
    now[0] = 1000.0
    other.feed()
    assert len(told) == 2


@pytest.mark.parametrize("error", [
    UsageError("wrong"), OutputError("full"), PermissionError(13, "Permission denied"),
])
def test_whatever_a_reload_meets_ends_nothing(error, caplog):
    class Fails:
        def reload(self, _config):
            raise error

    process.reload(Fails(), Config)
    assert "the configuration stays as it was" in caplog.text
