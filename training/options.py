"""How a run is carried out. Nothing here changes the recipe; but workers draw other samples, and
bfloat16 rounds otherwise."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec

import torch
from torch import nn

from alpr_edge.errors import UsageError

DEVICES = ("cpu", "cuda")
JUDGED = 2000
"""Pictures of split dev by which networks are judged while they learn, at most: of all 100 000 of
CCPD's it takes longer than to learn."""
MEMORY = 4 * 2**30
"""Bytes of decoded pictures that a run keeps; of more, each is decoded when it is drawn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Threads and loader processes, whether to go on where the run stopped, the device (one of
    :data:`DEVICES`), and the Weights & Biases project to log to, if any.

    Raises:
        UsageError: the device is unknown or not on this machine, or wandb is not installed.
    """

    threads: int = 2
    workers: int = 1
    resume: bool = True
    device: str = "cpu"
    wandb: str | None = None

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise UsageError(f"device {self.device!r}; allowed: {', '.join(DEVICES)}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                f"device cuda: PyTorch {torch.__version__} finds no GPU here; install the build "
                "of PyTorch for it and its driver, or leave --device out to train on the CPU"
            )
        if self.wandb and find_spec("wandb") is None:
            raise UsageError(
                f"--wandb {self.wandb}: the library is not installed; pip install "
                "'alpr-edge[wandb]', or leave --wandb out"
            )


DEFAULTS = RunOptions()


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware. A CPU without AVX-512 BF16 or AMX, as
    every Zen 2 is, emulates it: a training step of the reader then takes many times as long as
    in FP32. So do GPUs before Ampere."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def device_of(model: nn.Module) -> torch.device:
    """Where the weights of ``model`` are; the CPU for one without any."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))
