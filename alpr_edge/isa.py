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

import os
import re
import subprocess
import sys
from collections.abc import Mapping

from alpr_edge.errors import LibraryError, UsageError

NATIVE = "native"
CAPS = {"avx2": ("AVX2", "Intel AVX2")}
"""Name of a cap → (value of the variable, what oneDNN then says, on AMD as well)."""
ISAS = (NATIVE, *CAPS)
"""What ``--isa`` takes."""

_CAP_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_ISA_LINE = re.compile(r"^onednn_verbose,.*\bcpu,isa:(.+)$", re.MULTILINE)
_PROBE = """
import numpy as np, openvino
from openvino import opset8 as ops
picture = ops.parameter([1, 8, 16, 16], np.float32)
kernel = ops.constant(np.ones((8, 8, 3, 3), np.float32))
convolution = ops.convolution(picture, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
model = openvino.Model([convolution], [picture], "probe")
hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
openvino.Core().compile_model(model, "CPU", hints)([np.ones((1, 8, 16, 16), np.float32)])
"""


def capped_environment(isa: str) -> dict[str, str]:
    """The environment of this process with oneDNN capped to ``isa``; ``native`` lifts any cap.

    Raises:
        UsageError: ``isa`` is none of :data:`ISAS`.
    """
    if isa not in ISAS:
        raise UsageError(f"instruction set {isa!r} is unknown; allowed are {', '.join(ISAS)}")
    environment = {k: v for k, v in os.environ.items() if k not in _CAP_VARIABLES}
    if isa in CAPS:
        environment[_CAP_VARIABLES[0]] = CAPS[isa][0]
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
        UsageError: ``isa`` is unknown.
        LibraryError: the cap is not effective on this machine, or that cannot be told.
    """
    found = onednn_isa(capped_environment(isa))
    if isa in CAPS and found != CAPS[isa][1]:
        raise LibraryError(
            f"--isa {isa} is not effective: oneDNN says {found!r} instead of {CAPS[isa][1]!r} with "
            f"{_CAP_VARIABLES[0]}={CAPS[isa][0]}; use --isa {NATIVE} or another OpenVINO build"
        )
    return found


def is_effective(isa: str) -> bool:
    """Whether this process already has the environment of :func:`capped_environment`."""
    environment = capped_environment(isa)
    return all(os.environ.get(name) == environment.get(name) for name in _CAP_VARIABLES)
