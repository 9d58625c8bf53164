"""The instruction set is capped in a child process and proven, or refused."""

import subprocess
import sys

import pytest

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
    with pytest.raises(UsageError, match="native, avx2"):
        isa.capped_environment("avx9")


def test_onednn_names_its_isa():
    assert isa.verify_isa("native")


def test_avx2_takes_effect():
    if "AVX" not in isa.verify_isa("native"):
        pytest.skip("this CPU has no AVX2")
    assert isa.verify_isa("avx2") == "Intel AVX2"


def test_a_value_that_onednn_ignores_is_refused(monkeypatch):
    if isa.verify_isa("native") == "Intel AVX2":
        pytest.skip("this CPU has nothing above AVX2 that an ignored cap would leave on")
    monkeypatch.setitem(isa.CAPS, "avx2", ("AVX-2", "Intel AVX2"))
    with pytest.raises(LibraryError, match="not effective: oneDNN says"):
        isa.verify_isa("avx2")


@pytest.mark.parametrize("probe", ["raise SystemExit('no such library')", "print('silent')"])
def test_a_probe_that_says_nothing_is_refused(monkeypatch, probe):
    monkeypatch.setattr("alpr_edge.isa._PROBE", probe)
    with pytest.raises(LibraryError, match="no such library|silent"):
        isa.verify_isa("native")


def test_respawn_only_where_the_environment_differs(monkeypatch):
    calls = []

    def call(command, env):
        calls.append((command, env.get("ONEDNN_MAX_CPU_ISA")))
        return 7

    monkeypatch.setattr(isa, "verify_isa", lambda name: name)
    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    assert isa.respawn("native", ["accuracy"]) is None
    assert isa.respawn("avx2", ["accuracy"]) == 7
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert isa.respawn("avx2", ["accuracy"]) is None
    assert isa.respawn("native", ["stages"]) == 7
    module = [sys.executable, "-m", "benchmarks"]
    assert calls == [([*module, "accuracy"], "AVX2"), ([*module, "stages"], None)]
