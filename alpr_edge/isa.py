"""Run at a chosen instruction set: cap oneDNN (the library OpenVINO computes with), and prove it.

oneDNN reads ``ONEDNN_MAX_CPU_ISA`` once, when it is loaded, so a cap needs a new process; a value
it does not know it ignores silently, so the cap is read back from the ``isa:`` line that
``ONEDNN_VERBOSE=1`` makes it print at its first primitive. A graph must be compiled in f32 at
``avx2`` (`INFERENCE_PRECISION_HINT`): OpenVINO would else choose bf16 by the real CPU and fail.

Not everything obeys the cap. Seen in OpenVINO 2026.4 at ``avx2``: convolutions of FP32 and INT8,
element-wise subgraphs and softmax run as avx2; MVN, Interpolate and Reduce still as
``jit_avx512``; FP32 FullyConnected goes through MLAS and INT8 FullyConnected through oneDNN's gemm,
whose names do not say. So a time at ``avx2`` can be better than such a CPU's.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from alpr_edge.errors import LibraryError, UsageError


@dataclasses.dataclass(frozen=True, slots=True)
class Cap:
    """A target: the value of oneDNN's variable, what oneDNN then says (on AMD as well), and the
    flags of /proc/cpuinfo that a CPU must have to execute it."""

    variable: str
    onednn: str
    flags: frozenset[str]


NATIVE = "native"
_AVX2 = Cap("AVX2", "Intel AVX2", frozenset({"avx2", "fma"}))
_AVX512_FLAGS = _AVX2.flags | {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
CAPS = {
    "zen2": _AVX2,
    "avx2": _AVX2,
    "n100": Cap("AVX2_VNNI", "Intel AVX2 with Intel DL Boost", _AVX2.flags | {"avx_vnni"}),
    "avx512": Cap(
        "AVX512_CORE", "Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions",
        _AVX512_FLAGS,
    ),
    "avx512_vnni": Cap(
        "AVX512_CORE_VNNI", "Intel AVX-512 with Intel DL Boost", _AVX512_FLAGS | {"avx512_vnni"}
    ),
}
"""The one table of targets; ``zen2`` (Ryzen 4000U, 5700U) and ``avx2`` are the same cap."""
ISAS = (NATIVE, *CAPS)
"""What ``--isa`` and ``--target`` take; ``native`` is this CPU without a cap."""

CAP_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""oneDNN obeys the first that is not empty, in upper or lower case."""
_ISA_LINE = re.compile(r"^onednn_verbose,.*\bcpu,isa:(.+)$", re.MULTILINE)
CPU_INFO = Path("/proc/cpuinfo")
_PROBE = """
import sys
sys.modules["openvino_telemetry"] = None  # as in alpr_edge/__init__.py
import numpy as np, openvino
from openvino import opset8 as ops
picture = ops.parameter([1, 8, 16, 16], np.float32)
kernel = ops.constant(np.ones((8, 8, 3, 3), np.float32))
convolution = ops.convolution(picture, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
model = openvino.Model([convolution], [picture], "probe")
hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
openvino.Core().compile_model(model, "CPU", hints)([np.ones((1, 8, 16, 16), np.float32)])
"""


def cpu_fact(key: str, info: Path = CPU_INFO) -> str | None:
    """What Linux tells of the first CPU under ``key``, empty where it says nothing of it; None
    where there is no /proc/cpuinfo."""
    if not info.exists():
        return None
    lines = info.read_text("utf-8", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")


def cpu_flags(info: Path = CPU_INFO) -> frozenset[str] | None:
    """What this CPU can execute, as Linux tells it; None where there is no /proc/cpuinfo."""
    flags = cpu_fact("flags", info)
    return None if flags is None else frozenset(flags.split())


def missing_flags(isa: str) -> list[str]:
    """The flags that ``isa`` needs and this CPU lacks; none for ``native`` or where the CPU's flags
    cannot be told (then oneDNN's own word decides, :func:`verify_isa`).

    Raises:
        UsageError: ``isa`` is none of :data:`ISAS`.
    """
    check_known(isa)
    flags = cpu_flags()
    return [] if isa == NATIVE or flags is None else sorted(CAPS[isa].flags - flags)


def check_known(isa: str) -> None:
    """
    Raises:
        UsageError: ``isa`` is none of :data:`ISAS`.
    """
    if isa not in ISAS:
        raise UsageError(f"instruction set {isa!r} is unknown; allowed are {', '.join(ISAS)}")


def capped_environment(isa: str) -> dict[str, str]:
    """The environment of this process with oneDNN capped to ``isa``; ``native`` lifts any cap.

    Raises:
        UsageError: ``isa`` is none of :data:`ISAS`.
    """
    check_known(isa)
    environment = {k: v for k, v in os.environ.items() if k not in CAP_VARIABLES}
    if isa in CAPS:
        environment[CAP_VARIABLES[0]] = CAPS[isa].variable
    return environment


def onednn_isa(environment: Mapping[str, str]) -> str:
    """The instruction set that oneDNN says it uses in a process of ``environment``.

    Raises:
        LibraryError: the probe did not run, or oneDNN printed no ``isa:`` line.
    """
    probe = subprocess.run(
        [sys.executable, "-c", _PROBE], env={**environment, "ONEDNN_VERBOSE": "1"},
        capture_output=True, text=True, check=False,
    )
    line = _ISA_LINE.search(probe.stdout)
    if probe.returncode or line is None:
        reason = (probe.stderr.strip() or probe.stdout.strip() or "no output").splitlines()[-1]
        raise LibraryError(
            f"cannot tell the instruction set: a one-convolution OpenVINO run ended with exit code "
            f"{probe.returncode} and printed no oneDNN isa line ({reason}); check the openvino "
            "installation"
        )
    return line.group(1).strip()


def verify_isa(isa: str) -> str:
    """Prove in a child process that ``isa`` takes effect; returns oneDNN's own name of it.

    Raises:
        UsageError: ``isa`` is unknown, or this CPU cannot execute it.
        LibraryError: the cap is not effective on this machine, or that cannot be told.
    """
    if missing := missing_flags(isa):
        raise UsageError(
            f"this CPU cannot execute {isa}: it lacks {', '.join(missing)}; use {NATIVE} or a "
            "target that it has, or a machine that has these"
        )
    found = onednn_isa(capped_environment(isa))
    if isa in CAPS and found != CAPS[isa].onednn:
        raise LibraryError(
            f"{isa} is not effective: oneDNN says {found!r} instead of {CAPS[isa].onednn!r} with "
            f"{CAP_VARIABLES[0]}={CAPS[isa].variable}; use {NATIVE} or another OpenVINO build"
        )
    return found


def is_effective(isa: str) -> bool:
    """Whether this process already has the environment of :func:`capped_environment`."""
    environment = capped_environment(isa)
    return all(os.environ.get(name) == environment.get(name) for name in CAP_VARIABLES)
