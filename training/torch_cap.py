"""PyTorch capped to an instruction set, as oneDNN is by :mod:`alpr_edge.isa`."""

from __future__ import annotations

import os

from alpr_edge import isa
from alpr_edge.errors import LibraryError

ATEN_CAP = "ATEN_CPU_CAPABILITY"
"""The variable that caps PyTorch's own kernels."""
MKL_CAP = "MKL_ENABLE_INSTRUCTIONS"
"""The variable that caps MKL, which computes PyTorch's matrix products."""


def environment(target: str) -> dict[str, str]:
    """:func:`alpr_edge.isa.capped_environment`, with PyTorch's own kernels and its MKL capped as
    oneDNN is. ONNX Runtime has no such variable."""
    capped = {
        name: value for name, value in isa.capped_environment(target).items()
        if name not in (ATEN_CAP, MKL_CAP)
    }
    if target in isa.CAPS:
        capability = "avx512" if "avx512f" in isa.CAPS[target].flags else "avx2"
        capped |= {ATEN_CAP: capability, MKL_CAP: capability.upper()}
    return capped


def is_effective(target: str) -> bool:
    """Whether this process already has :func:`environment` of ``target``."""
    wanted = environment(target)
    return all(os.environ.get(name) == wanted.get(name) for name in (
        *isa.CAP_VARIABLES, ATEN_CAP, MKL_CAP))


def check_cap(capability: str) -> None:
    """
    Raises:
        LibraryError: the environment caps PyTorch to another instruction set than it says it uses.
    """
    wanted = os.environ.get(ATEN_CAP)
    if wanted and capability.lower() != wanted:
        raise LibraryError(
            f"PyTorch says it uses {capability} with {ATEN_CAP}={wanted}; needed: {wanted}. Use "
            "another PyTorch build, or measure without PyTorch (optimize: without the folder torch)"
        )
