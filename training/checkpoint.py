"""Weights as safetensors with their configuration inside, and resumable training state."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn

from alpr_edge.alphabet import CHARACTERS
from alpr_edge.errors import ModelError
from alpr_edge.files import replace_file

SCHEMA = "1"
STATE, BEST, LAST = "state.pt", "best.safetensors", "last.safetensors"
BEFORE = "best-before.safetensors"
"""Names in a run's folder: the resumable state, the averaged weights best on dev, the latest, and
what was the best of other data."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """A weights file: which task and configuration, and the state dict."""

    task: str
    config: dict[str, Any]
    notes: dict[str, Any]
    state: dict[str, torch.Tensor]
    sha256: str

    @property
    def arguments(self) -> dict[str, Any]:
        """:attr:`config` as its class has it: JSON makes lists of tuples."""
        return {k: tuple(v) if isinstance(v, list) else v for k, v in self.config.items()}


def commit() -> str:
    """The checkout's commit, with ``+`` where it has uncommitted changes; "unknown" outside git."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude", "*"],
            cwd=here, capture_output=True, text=True, check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip()


EVENTS = "events.out.tfevents."
"""What the names of TensorBoard's files in a run's folder begin with."""
ANNOTATIONS = (".jsonl", ".json", ".csv", ".txt", ".yaml")
"""Files whose content is part of the data's hash; of all others it is the name."""


def data_hash(data: Path) -> str:
    """SHA-256 of a data folder's (or file's) annotations and of the names of all its files, which
    hold CCPD's annotations: it changes with what is learned, not with where the folder lies, nor
    with the folders of runs in it."""
    files = sorted(p for p in data.rglob("*") if p.is_file()) if data.is_dir() else [data]
    runs = {file.parent for file in files if file.name.startswith(EVENTS)}
    digest = hashlib.sha256()
    for file in files:
        if not runs.isdisjoint(file.parents):
            continue
        digest.update(f"{file.relative_to(data).as_posix()}\n".encode())
        if file.suffix.lower() in ANNOTATIONS:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def save_weights(
    path: Path, *, task: str, config: Any, state: dict[str, torch.Tensor], notes: dict[str, Any]
) -> None:
    """Write ``state`` in FP32 with its configuration; the file appears whole or not at all (the
    library's own writing hides what the system says)."""
    tensors = {
        name: tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else None)
        .contiguous().clone()
        for name, tensor in state.items()
    }
    metadata = {
        "schema": SCHEMA,
        "task": task,
        "config": json.dumps(dataclasses.asdict(config)),
        "alphabet": CHARACTERS,
        "notes": json.dumps(notes),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, safetensors.torch.save(tensors, metadata))


def load_weights(path: Path) -> Weights:
    """Read a weights file.

    Raises:
        ModelError: no such file, not a safetensors file of ours, or another alphabet.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give a .safetensors written by training")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    if metadata.get("schema") != SCHEMA:
        raise ModelError(f"{path}: schema {metadata.get('schema')!r}, this version reads {SCHEMA}")
    if metadata["alphabet"] != CHARACTERS:
        raise ModelError(f"{path}: trained with another alphabet: {metadata['alphabet']}")
    return Weights(
        task=metadata["task"],
        config=json.loads(metadata["config"]),
        notes=json.loads(metadata["notes"]),
        state=state,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def begin_with(network: nn.Module, path: Path) -> None:
    """Give ``network`` the weights of a file.

    Raises:
        ModelError: it is none of ours, or of another network.
    """
    weights = load_weights(path)
    try:
        network.load_state_dict(weights.state)
    except RuntimeError as error:
        own = dataclasses.asdict(network.config)  # type: ignore[call-overload]
        told = weights.arguments
        differ = ", ".join(
            f"{name} {told.get(name)} instead of {own.get(name)}"
            for name in {**own, **told} if told.get(name) != own.get(name)
        )
        raise ModelError(
            f"{path} holds the weights of another {weights.task} ({differ or 'other layers'}) than "
            "what is trained; give weights of the same task and --variant"
        ) from error


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write resumable training state; the file appears whole or not at all."""
    data = io.BytesIO()
    torch.save(state, data)
    replace_file(path, data.getbuffer())


def resumed_step(run_dir: Path) -> int:
    """The step a run in ``run_dir`` goes on from, 0 for a new one: part of the data's seed, so
    that a resumed run does not see its first pictures again."""
    path = run_dir / STATE
    if not path.exists():
        return 0
    return int(torch.load(path, weights_only=True, mmap=True, map_location="cpu")["step"])


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float, backbone: str, backbone_ratio: float
) -> list[dict[str, Any]]:
    """AdamW groups: vectors (norms, biases) without decay, and the
    parameters whose names begin with ``backbone`` at ``lr * backbone_ratio``."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = (bool(backbone) and name.startswith(backbone), parameter.ndim < 2)
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "base_lr": lr * (backbone_ratio if in_backbone else 1.0),
            "lr": lr,
            "weight_decay": 0.0 if vector else weight_decay,
        }
        for (in_backbone, vector), parameters in groups.items()
    ]
