"""Tiny networks of random weights, and what ``python -m optimize`` makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openvino
import pytest
from in_process import work_here
from openvino import opset13 as ops

torch = pytest.importorskip("torch", reason="needs the extra 'optimize'")
pytest.importorskip("nncf", reason="needs the extra 'optimize'")

from optimize.__main__ import main
from training.checkpoint import save_weights
from training.detector.model import Detector, DetectorConfig
from training.reader.model import reader_tiny

TASKS = ("detector", "reader")
PLAIN = ("--overflow-fix", "enable")
"""Options that make one INT8 setting only."""


def write_checkpoints(folder: Path) -> list[Path]:
    """Random weights; the detector is made bold, so that it finds something."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    detector = Detector(DetectorConfig(channels=16, bifpn_layers=1, head_layers=1, bins=5))
    for head in detector.heads:
        torch.nn.init.zeros_(head.predict.bias)
    paths = []
    for task, network in (("reader", reader_tiny()), ("detector", detector)):
        paths.append(folder / f"{task}.safetensors")
        save_weights(
            paths[-1], task=task, config=network.config, state=network.state_dict(),
            notes={"variant": "tiny", "dev": {"exact": 0.25}, "temperature": 1.5},
        )
    return paths


def all_of(checkpoints: list[Path], data: Path, out: Path) -> list[str]:
    """The arguments of ``all`` for tiny networks."""
    return ["all", *map(str, checkpoints), "--data", str(data), "--out", str(out),
            "--size", "64x96", "--target", "native", *PLAIN, "--runs", "5", "--threads", "1",
            "--min-agreement", "0", "--max-corner-shift", "1"]


def make_models(command: list[str]) -> Path:
    """Run :func:`all_of`'s arguments; the folder that was written."""
    with pytest.MonkeyPatch.context() as patch:
        work_here(patch)
        assert main(command) == 0
    return Path(command[command.index("--out") + 1])


def replaced(model: openvino.Model, choose: Callable, change: Callable) -> openvino.Model:
    """``model`` with the first constant that ``choose`` likes changed."""
    constant = next(op for op in model.get_ordered_ops() if op.get_type_name() == "Constant"
                    and op.get_element_type() == openvino.Type.f32 and choose(op.get_data()))
    wrong = ops.constant(change(constant.get_data()))
    for user in constant.output(0).get_target_inputs():
        user.replace_source_output(wrong.output(0))
    return model
