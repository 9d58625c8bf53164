"""What the steps share: their result, their failure, and how a finished step is recognised."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import openvino

from alpr_edge import manifest as manifests
from alpr_edge.errors import AlprEdgeError, ExitCode, ModelError, OutputError
from alpr_edge.files import replace_file
from alpr_edge.manifest import MODEL_BIN, MODEL_XML, Manifest

MODEL_ONNX = "model.onnx"
TARGET = "zen2"
"""The CPU that models are judged and timed for, where none is named."""
_ROOT = Path(__file__).parent.parent
_SHARED = ("compare.py", "count.py", "pictures.py", "steps.py")
"""Our modules that every step depends on."""
_SOURCES: dict[str, tuple[str, ...]] = {
    "detector": (
        "training/detector/model.py", "training/detector/mobilenetv4.py", "alpr_edge/decode.py",
        "alpr_edge/geometry.py",
    ),
    "reader": ("training/reader/model.py", "alpr_edge/alphabet.py", "alpr_edge/geometry.py"),
}
_SOURCES["pipeline"] = (
    *_SOURCES["detector"], *_SOURCES["reader"], "optimize/frame_network.py",
    "optimize/two_routes.py", "training/detector/assign.py",
)


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
    recipe = {
        "inputs": {name: str(value) for name, value in inputs.items()},
        "code": source_hash(task, Path(make.__code__.co_filename)),
    }
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
        write_json(note, recipe | {"made": fingerprint(manifest)})
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}; choose another --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return StepResult(folder=folder, manifest=manifest, kept=False)


def _finished(note: Path, folder: Path, recipe: dict[str, Any]) -> Manifest | None:
    """The manifest in ``folder``, if it is intact and was made by ``recipe``."""
    try:
        found = manifests.load(folder)
    except ModelError:
        return None  # absent, damaged or half written: it is made anew
    same = read_json(note) == recipe | {"made": fingerprint(found)}
    return found if same else None


def remembered(note: Path, inputs: dict[str, Any], make: Callable[[], Any]) -> Any:
    """What ``make`` returns (JSON values), kept in the file ``note`` for the same ``inputs``.

    Raises:
        OutputError: the file cannot be written.
    """
    recipe = {name: str(value) for name, value in inputs.items()}
    known = read_json(note)
    if isinstance(known, dict) and known.get("inputs") == recipe:
        return known["result"]
    result = make()
    write_json(note, {"inputs": recipe, "result": result})
    return result


def read_json(path: Path) -> Any:
    """The file's JSON values; None where it is absent or damaged: it is made anew then."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, values: Any) -> None:
    """Write JSON; the file appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error}; choose another --out") from error


def save_ir(model: Any, folder: Path) -> None:
    """Write ``folder``'s model.xml and model.bin, nothing compressed.

    Raises:
        OutputError: they cannot be written.
    """
    try:
        openvino.save_model(model, folder / MODEL_XML, compress_to_fp16=False)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OutputError(
            f"{folder / MODEL_XML} cannot be written by OpenVINO ({reason}): is the disk full, or "
            "the folder read-only? Choose another --out"
        ) from error


def copy_model(source: Path, folder: Path) -> Manifest:
    """Copy a model folder's files into ``folder``; its manifest, which is to be written too."""
    manifest = manifests.load(source)
    for name in manifest.files:
        shutil.copyfile(source / name, folder / name)
    return manifest


def model_bytes(folder: Path) -> int:
    """Size of an IR: model.xml and model.bin."""
    return sum((folder / name).stat().st_size for name in (MODEL_XML, MODEL_BIN))


def fingerprint(manifest: Manifest) -> str:
    """The manifest's digest but for its metrics, which are measured after it was made."""
    return manifests.digest(dataclasses.replace(manifest, metrics=()))


def source_hash(task: str, step: Path) -> str:
    """SHA-256 of the code that decides what a step makes: the step's own file, what all steps share
    and the network's."""
    files = [step, *(Path(__file__).parent / name for name in _SHARED)]
    files += [_ROOT / name for name in _SOURCES[task]]
    return hash_of(files)


def hash_of(files: Iterable[Path]) -> str:
    """SHA-256 of files, one after the other."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
