"""What the steps share: their result, their failure, and how a finished step is recognised."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alpr_edge import manifest as manifests
from alpr_edge.errors import AlprEdgeError, ExitCode, ModelError, OutputError
from alpr_edge.manifest import Manifest

MODEL_ONNX = "model.onnx"
_ROOT = Path(__file__).parent.parent
_SOURCES = {
    "detector": ("training/detector/model.py", "training/detector/mobilenetv4.py"),
    "reader": ("training/reader/model.py",),
}


class StepFailedError(AlprEdgeError):
    """A step's result differs from its parent by more than is allowed."""

    exit_code = ExitCode.FAILED


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step made: a model folder, and whether it was there already (``kept``)."""

    folder: Path
    manifest: Manifest
    kept: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far a step may stray from its parent.

    ``raw``: greatest difference of any output number, as a fraction of the parent's greatest (or of
    1, where that is larger). ``agreement``: least share of equal decoded results of INT8 (detector:
    the parent's detections found again; reader: equal texts). ``corners``: greatest median distance
    of the detections' corners, as a fraction of the plate's width.
    """

    raw: float = 1e-3
    agreement: float = 0.95
    corners: float = 0.02


def run_step(
    step: str, task: str, out: Path, folder: Path, inputs: dict[str, Any],
    make: Callable[[Path], Manifest],
) -> StepResult:
    """Make ``folder`` by ``make``, unless the same step made it from the same ``inputs`` before.

    ``make`` fills an empty folder and returns the manifest to write; the folder appears only when
    it succeeded. ``out/steps`` remembers what each finished step was made from.

    Raises:
        OutputError: the folder cannot be written.
    """
    note = out / "steps" / f"{step}-{task}.json"
    recipe = {name: str(value) for name, value in (inputs | source_hash(task)).items()}
    if (found := _finished(note, folder, recipe)) is not None:
        return StepResult(folder=folder, manifest=found, kept=True)
    partial = folder.with_name(folder.name + ".partial")
    try:
        note.unlink(missing_ok=True)
        for stale in (partial, folder):
            shutil.rmtree(stale, ignore_errors=True)
        partial.mkdir(parents=True)
        manifest = make(partial)
        manifests.save(manifest, partial)
        partial.rename(folder)
        note.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"inputs": recipe, "made": manifests.digest(manifest)}, indent=1)
        note.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}; choose another --out") from error
    return StepResult(folder=folder, manifest=manifest, kept=False)


def _finished(note: Path, folder: Path, recipe: dict[str, str]) -> Manifest | None:
    """The manifest in ``folder``, if it is intact and was made by ``recipe``."""
    if not note.is_file():
        return None
    try:
        known = json.loads(note.read_text("utf-8"))
        found = manifests.load(folder)
    except (ValueError, ModelError):
        return None  # damaged or half written: it is made anew
    same = known == {"inputs": recipe, "made": manifests.digest(found)}
    return found if same else None


def source_hash(task: str) -> dict[str, str]:
    """SHA-256 of the code that decides what the steps make: our own, and the network's."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    files += [_ROOT / name for name in _SOURCES[task]]
    return {"code": hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()}
