"""The CPU as far as the choice of models goes: its name, its cores, its class.

INT8 models are made for two classes of CPUs: ``vnni`` adds products of 8 bits exactly, ``avx2`` in
pairs that saturate (docs/optimize.md). Linux names the CPU's flags; what is not known is taken for
``avx2``, whose models are right on every CPU.
"""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from alpr_edge.isa import CAP_VARIABLES, CPU_INFO, cpu_fact, cpu_flags

CpuClass = Literal["avx2", "vnni"]
CPU_CLASSES: tuple[CpuClass, ...] = get_args(CpuClass)
"""From the lowest; a model picked for one is right on all above it."""
VNNI_FLAGS = ("avx_vnni", "avx512_vnni", "amx_int8")
"""Any of these flags makes a CPU one of class ``vnni``."""
BUSY = 0.5
"""Load average from which a machine is not idle."""
MOST_THREADS = 256
"""Threads or streams; OpenVINO aborts the process over too many."""
BESIDE = 1
"""Threads of a network that runs beside the detector: the reader, the closer look. Two networks of
several threads each in one process leave 30 kB behind with every frame while other work keeps all
cores busy (oneTBB keeps tasks for a thread that comes too late; tests/test_memory_energy.py), and
so small they gain little."""

_VNNI_FLAGS_LEFT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX512_CORE"), ()),
    **dict.fromkeys(("AVX2_VNNI", "AVX2_VNNI_2"), ("avx_vnni",)),
}
"""Caps of oneDNN → what they leave of :data:`VNNI_FLAGS`; all others leave all."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cpu:
    """``cores`` are those that this process may use, ``why`` says what the class was told by."""

    name: str
    cores: int
    kind: CpuClass
    why: str


def this_cpu() -> Cpu:
    """The CPU of this process, as far as oneDNN's cap variables leave it."""
    kind, why = classify(cpu_flags(), os.environ)
    return Cpu(name=cpu_name(), cores=usable_cores(), kind=kind, why=why)


def classify(
    flags: frozenset[str] | None, environment: Mapping[str, str]
) -> tuple[CpuClass, str]:
    """The class of a CPU with these ``flags`` (None: unknown) and how it was told."""
    if not flags:
        return "avx2", f"its flags are unknown on {platform.system()} {platform.machine()}"
    found = [flag for flag in VNNI_FLAGS if flag in flags]
    if not found:
        return "avx2", f"its flags have none of {', '.join(VNNI_FLAGS)}"
    told = f"its flags have {', '.join(found)}"
    variable = next((name for name in CAP_VARIABLES if environment.get(name)), None)
    if variable is not None:
        cap = environment[variable]
        if not set(found) & set(_VNNI_FLAGS_LEFT.get(cap.upper(), VNNI_FLAGS)):
            return "avx2", f"{told}, but {variable}={cap} forbids them"
    return "vnni", told


def cpu_name(info: Path = CPU_INFO) -> str:
    """The CPU's own name of itself, as Linux tells it."""
    return cpu_fact("model name", info) or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Logical cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float:
    """Processes that wanted a core in the last minute, on average."""
    return os.getloadavg()[0]
