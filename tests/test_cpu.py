"""The class of a CPU from its flags, lowered by oneDNN's cap variables."""

from __future__ import annotations

import pytest

from alpr_edge import cpu

ZEN2 = "fpu sse4_2 avx avx2 fma bmi2 clzero"
N100 = "fpu sse4_2 avx avx2 fma avx_vnni gfni"
ICE_LAKE = "avx avx2 fma avx512f avx512bw avx512vl avx512_vnni"
SAPPHIRE = "avx avx2 fma avx_vnni avx512f avx512_vnni amx_int8"


def kind(flags: str, **environment: str) -> str:
    return cpu.classify(frozenset(flags.split()), environment)[0]


def test_flags_make_the_class_and_are_named():
    assert cpu.classify(frozenset(ZEN2.split()), {}) == (
        "avx2", "its flags have none of avx_vnni, avx512_vnni, amx_int8"
    )
    assert cpu.classify(frozenset(SAPPHIRE.split()), {}) == (
        "vnni", "its flags have avx_vnni, avx512_vnni, amx_int8"
    )
    assert kind(N100) == kind(ICE_LAKE) == kind("avx2 amx_int8") == "vnni"
    assert kind("avx2 not_avx_vnni") == "avx2"


@pytest.mark.parametrize("flags", [None, frozenset()])
def test_unknown_flags_are_avx2_with_a_reason(flags):
    found, why = cpu.classify(flags, {})
    assert found == "avx2" and "unknown on" in why


@pytest.mark.parametrize("flags, cap, wanted", [
    (SAPPHIRE, "AVX2", "avx2"), (SAPPHIRE, "avx2", "avx2"), (SAPPHIRE, "AVX512_CORE", "avx2"),
    (SAPPHIRE, "SSE41", "avx2"), (SAPPHIRE, "AVX2_VNNI", "vnni"), (ICE_LAKE, "AVX2_VNNI", "avx2"),
    (ICE_LAKE, "AVX512_CORE_VNNI", "vnni"), (SAPPHIRE, "AVX512_CORE_BF16", "vnni"),
    (SAPPHIRE, "no such cap", "vnni"), (ZEN2, "AVX512_CORE_VNNI", "avx2"),
])
def test_caps_lower_the_class_as_onednn_obeys_them(flags, cap, wanted):
    assert kind(flags, ONEDNN_MAX_CPU_ISA=cap) == wanted
    assert kind(flags, DNNL_MAX_CPU_ISA=cap) == wanted


def test_the_first_cap_that_is_not_empty_counts():
    assert kind(N100, ONEDNN_MAX_CPU_ISA="", DNNL_MAX_CPU_ISA="AVX2") == "avx2"
    assert kind(N100, ONEDNN_MAX_CPU_ISA="AVX2_VNNI", DNNL_MAX_CPU_ISA="AVX2") == "vnni"
    _, why = cpu.classify(frozenset(N100.split()), {"DNNL_MAX_CPU_ISA": "AVX2"})
    assert why == "its flags have avx_vnni, but DNNL_MAX_CPU_ISA=AVX2 forbids them"


def test_the_cpu_of_this_process(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    found = cpu.this_cpu()
    assert found.kind == "avx2" and found.cores >= 1 and found.name and found.why


def test_the_cpu_names_itself(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: AMD Ryzen 7 5700U\n")
    assert cpu.cpu_name(info) == "AMD Ryzen 7 5700U"
    assert cpu.cpu_name(tmp_path / "absent")
