"""The instruction set is capped in a child process and proven, or refused."""

import contextlib
import dataclasses
import subprocess
import sys
import time

import pytest

from alpr_edge import isa as runtime_isa
from alpr_edge.errors import LibraryError, UsageError
from benchmarks import isa


def test_environment_sets_and_lifts_the_cap(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "SSE41")
    monkeypatch.setenv("OTHER", "kept")
    capped, native = isa.capped_environment("avx2"), isa.capped_environment("native")
    assert capped["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "ONEDNN_MAX_CPU_ISA" not in native
    assert "DNNL_MAX_CPU_ISA" not in capped | native
    assert capped["OTHER"] == native["OTHER"] == "kept"


def test_unknown_isa_names_the_known_ones():
    with pytest.raises(UsageError, match="native, zen2, avx2, n100"):
        isa.capped_environment("avx9")


def test_onednn_names_its_isa():
    assert isa.verify_isa("native")


@pytest.mark.parametrize("name", isa.CAPS)
def test_each_target_takes_effect_or_is_refused(name):
    if runtime_isa.missing_flags(name):
        with pytest.raises(UsageError, match=f"cannot execute {name}: it lacks"):
            isa.verify_isa(name)
    else:
        assert isa.verify_isa(name) == isa.CAPS[name].onednn


def test_a_target_beyond_this_cpu_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(runtime_isa, "cpu_flags", lambda: frozenset({"avx2", "fma", "avx512f"}))
    monkeypatch.setattr(runtime_isa, "onednn_isa", lambda environment: "Intel AVX2")
    with pytest.raises(UsageError, match="lacks avx512_vnni, avx512bw, avx512dq, avx512vl"):
        isa.verify_isa("avx512_vnni")
    with pytest.raises(UsageError, match="cannot execute n100: it lacks avx_vnni;"):
        isa.verify_isa("n100")
    assert isa.verify_isa("zen2") == isa.verify_isa("avx2") == "Intel AVX2"


def test_flags_as_linux_tells_them(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    assert runtime_isa.cpu_flags(info) is None
    info.write_text("model name\t: Some CPU\nflags\t\t: fpu avx2 fma\n\nflags\t\t: other\n")
    assert runtime_isa.cpu_flags(info) == {"fpu", "avx2", "fma"}
    info.write_text("Features: neon\n")
    assert runtime_isa.cpu_flags(info) == frozenset()
    monkeypatch.setattr(runtime_isa, "cpu_flags", lambda: None)
    assert runtime_isa.missing_flags("avx512_vnni") == []  # oneDNN's own word decides


def test_a_value_that_onednn_ignores_is_refused(monkeypatch):
    """At a cap below AVX2, since a CPU may have nothing above it that would be left on."""
    lower = runtime_isa.Cap("SSE41", "Intel SSE4.1", frozenset())
    monkeypatch.setitem(isa.CAPS, "avx2", lower)
    assert isa.verify_isa("avx2") == "Intel SSE4.1"
    monkeypatch.setitem(isa.CAPS, "avx2", dataclasses.replace(lower, variable="SSE-41"))
    with pytest.raises(LibraryError, match="not effective: oneDNN says"):
        isa.verify_isa("avx2")


@pytest.mark.parametrize("probe", ["raise SystemExit('no such library')", "print('silent')"])
def test_a_probe_that_says_nothing_is_refused(monkeypatch, probe):
    monkeypatch.setattr("alpr_edge.isa._PROBE", probe)
    with pytest.raises(LibraryError, match="no such library|silent"):
        isa.verify_isa("native")


def test_respawn_only_where_the_environment_differs(monkeypatch):
    calls = []

    class Child(contextlib.nullcontext):
        def __init__(self, command, env):
            super().__init__(self)
            calls.append((command, env.get("ONEDNN_MAX_CPU_ISA")))

        def wait(self):
            return 7

    monkeypatch.setattr(isa, "verify_isa", lambda name: name)
    monkeypatch.setattr(subprocess, "Popen", Child)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    assert isa.respawn("native", ["accuracy"]) is None
    assert isa.respawn("avx2", ["accuracy"]) == 7
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert isa.respawn("avx2", ["accuracy"]) is None
    assert isa.respawn("native", ["stages"]) == 7
    module = [sys.executable, "-m", "benchmarks"]
    assert calls == [([*module, "accuracy"], "AVX2"), ([*module, "stages"], None)]


def test_a_child_that_is_no_longer_waited_for_is_told_to_end():
    slow = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: exit(3))\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", slow]) as child:
        time.sleep(0.5)
        isa.end(child)
    assert child.returncode == 3
