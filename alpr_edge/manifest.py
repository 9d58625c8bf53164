"""What a model file says about itself: ``manifest.json`` beside ``model.xml`` and ``model.bin``.

Reading is strict: within schema 1 an unknown or missing key, a wrong type or a wrong hash is a
:class:`~alpr_edge.errors.ModelError`. A manifest embeds its ancestors, nearest first, so that one
file tells the whole way from the trained weights to the deployed model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import typing
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

from alpr_edge import strict
from alpr_edge.errors import ModelError, OutputError
from alpr_edge.files import replace_file

SCHEMA = 1
READABLE_FROM = "0.1.0"
"""The first alpr-edge that reads :data:`SCHEMA`; manifests of every schema say theirs."""
FILENAME, MODEL_XML, MODEL_BIN = "manifest.json", "model.xml", "model.bin"

Task = Literal["detector", "reader"]
"""A network that is a stage of the runtime."""
TASKS: tuple[Task, ...] = get_args(Task)
AnyTask = Literal[Task, "pipeline"]
"""A pipeline is both in one graph (docs/optimize.md, One graph): no stage, but a model folder."""
Precision = Literal["FP32", "FP16", "INT8"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputSpec:
    """The graph's one input; ``-1`` in ``shape`` is a free batch. ``resize`` says who fills it:
    ``letterbox`` (geometry.letterbox) or ``rectify`` (geometry.rectify)."""

    shape: tuple[int, ...]
    resize: Literal["letterbox", "rectify"]
    name: str = "image"
    dtype: Literal["uint8"] = "uint8"
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["BGR"] = "BGR"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """One output and what its axes are, e.g. ``("N", "P", "4")``."""

    name: str
    axes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorDecode:
    """How detector outputs become boxes: least score, IoU of suppression."""

    score_threshold: float
    nms_iou: float

    def __post_init__(self) -> None:
        _check_shares(score_threshold=self.score_threshold, nms_iou=self.nms_iou)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReaderDecode:
    """How reader logits become text; they are divided by ``temperature`` before the softmax.

    A text less certain than ``confidence_threshold`` is taken for none: what was found is then
    hardly a plate."""

    alphabet: str
    slots: int
    temperature: float = 1.0
    confidence_threshold: float = 0.0

    def __post_init__(self) -> None:
        _check_shares(confidence_threshold=self.confidence_threshold)
        if not 0 < self.temperature < math.inf:
            raise strict.SchemaError(f"temperature is {self.temperature}; allowed: above 0")


def _check_shares(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise strict.SchemaError(f"{name} is {value}; allowed: 0..1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineDecode:
    """The trained networks that one graph was made from. The reader's ``decode`` holds for the
    graph's logits; the detector's is inside the graph."""

    detector: Manifest
    reader: Manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """One measured figure: ``value``, as a share ``k`` of ``n``, on ``split``, by ``command``."""

    what: str
    value: float
    split: str
    command: str
    k: int | None = None
    n: int | None = None
    isa: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a model says about itself.

    ``step`` is what made it (train, export, convert, quantize), ``precision`` that of its weights,
    ``inference_precision`` the engine's hint. ``parent`` is :func:`digest` of ``ancestors[0]``;
    ancestors are stored without their own ancestors. ``files`` maps names to SHA-256.
    """

    name: str
    task: AnyTask
    version: str
    licence: str
    created: str
    step: str
    precision: Precision
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    decode: DetectorDecode | PipelineDecode | ReaderDecode
    files: dict[str, str]
    schema: int = SCHEMA
    readable_from: str = READABLE_FROM
    inference_precision: Literal["f32", "f16", "bf16"] = "f32"
    tools: dict[str, str] = dataclasses.field(default_factory=dict)
    parity: dict[str, float] = dataclasses.field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    trained_on: tuple[str, ...] = ()
    parent: str | None = None
    ancestors: tuple[Manifest, ...] = ()

    @property
    def detector_decode(self) -> DetectorDecode:
        """``decode`` of a detector.

        Raises:
            ModelError: the model is no detector.
        """
        if not isinstance(self.decode, DetectorDecode):
            raise ModelError(f"model {self.name!r} is a {self.task}; here a detector is needed")
        return self.decode

    @property
    def reader_decode(self) -> ReaderDecode:
        """``decode`` of a reader.

        Raises:
            ModelError: the model is no reader.
        """
        if not isinstance(self.decode, ReaderDecode):
            raise ModelError(f"model {self.name!r} is a {self.task}; here a reader is needed")
        return self.decode

    @property
    def pipeline_decode(self) -> PipelineDecode:
        """``decode`` of a pipeline.

        Raises:
            ModelError: the model is no pipeline.
        """
        if not isinstance(self.decode, PipelineDecode):
            raise ModelError(f"model {self.name!r} is a {self.task}; here a pipeline is needed")
        return self.decode


_DECODES: dict[AnyTask, type] = {
    "detector": DetectorDecode, "reader": ReaderDecode, "pipeline": PipelineDecode,
}


def derive(parent: Manifest, **changes: Any) -> Manifest:
    """The manifest of a model made from ``parent``: its facts, ``changes`` on top.

    ``step`` and ``files`` must be among the changes; parity, metrics, tools and creation time
    start anew, because they are facts of one step.
    """
    ancestor = dataclasses.replace(parent, ancestors=())
    fresh: dict[str, Any] = {"parity": {}, "metrics": (), "tools": {}, "created": now()}
    if missing := {"step", "files"} - changes.keys():
        raise TypeError(f"derive() needs {sorted(missing)}: they are never those of the parent")
    return dataclasses.replace(
        parent, **(fresh | changes), parent=digest(parent), ancestors=(ancestor, *parent.ancestors)
    )


def digest(manifest: Manifest) -> str:
    """SHA-256 of the manifest without its ancestors (which ``parent`` already fixes)."""
    text = json.dumps(to_dict(dataclasses.replace(manifest, ancestors=())), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder: Path, names: Iterable[str] = (MODEL_XML, MODEL_BIN)) -> dict[str, str]:
    """The ``files`` field for the named files of ``folder``."""
    return {name: hash_file(folder / name) for name in names}


def tool_versions(*packages: str) -> dict[str, str]:
    """The ``tools`` field: installed versions of the named packages."""
    return {package: metadata.version(package) for package in packages}


def now() -> str:
    """The ``created`` field: this moment in UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def to_dict(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain JSON values."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(manifest))))


def save(manifest: Manifest, folder: Path) -> Path:
    """Write ``folder/manifest.json``, whole or not at all; the model files must already be there.

    Raises:
        ModelError: a file of ``files`` is absent or has another hash.
        OutputError: it cannot be written; the one that was there stays.
    """
    path = folder / FILENAME
    verify_files(manifest, path)
    text = json.dumps(to_dict(manifest), indent=2, ensure_ascii=False)
    try:
        replace_file(path, f"{text}\n".encode())
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; free the disk or choose another folder"
        ) from error
    return path


def load(path: Path | str, *, verify: bool = True) -> Manifest:
    """Read a model folder's manifest (or the manifest file itself).

    Raises:
        ModelError: it is missing, unreadable, of an unknown schema or key, its chain of ancestors
            is broken, or (with ``verify``) a file beside it is missing or has another hash.
    """
    path = Path(path)
    path = path / FILENAME if os.path.isdir(path) else path
    try:
        data = strict.read_json(path)
    except FileNotFoundError:
        raise ModelError(
            f"no manifest at {path}; a model folder holds {MODEL_XML}, {MODEL_BIN}, {FILENAME}"
        ) from None
    except strict.SchemaError as error:
        raise ModelError(f"{error}; get the model anew") from error
    manifest = from_dict(data, path)
    if verify:
        verify_files(manifest, path)
    return manifest


def from_dict(data: Any, path: Path) -> Manifest:
    """A manifest from its JSON values; ``path`` is named in errors.

    Raises:
        ModelError: see :func:`load`.
    """
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise ModelError(f"{path}: no whole number under the key 'schema'; this is no manifest")
    if schema > SCHEMA:
        version = data.get("readable_from", "the newest version")
        raise ModelError(
            f"{path}: manifest schema {schema}, this alpr-edge knows up to {SCHEMA}; it needs "
            f"alpr-edge {version} or newer: pip install --upgrade alpr-edge"
        )
    if schema < 1:
        raise ModelError(f"{path}: manifest schema {schema}; schemas begin at 1")
    try:
        manifest: Manifest = strict.build(Manifest, data, f"{path}: ")
    except strict.SchemaError as error:
        raise ModelError(str(error)) from error
    if not isinstance(manifest.decode, _DECODES[manifest.task]):
        raise ModelError(f"{path}: key 'decode' does not fit task {manifest.task!r}")
    _verify_chain(manifest, path)
    return manifest


def verify_files(manifest: Manifest, path: Path) -> None:
    """Compare the files beside the manifest at ``path`` with their hashes.

    Raises:
        ModelError: a file is missing, lies outside the folder or has another hash.
    """
    for name, expected in manifest.files.items():
        if Path(name).name != name:
            raise ModelError(f"{path}: key 'files' holds {name!r}; only plain file names allowed")
        file = path.parent / name
        if not file.is_file():
            raise ModelError(f"{file} is missing; {path} lists it, get the model anew")
        if (got := hash_file(file)) != expected:
            raise ModelError(
                f"{file} has SHA-256 {got[:12]}…, its manifest says {expected[:12]}…: the file is "
                "corrupt or was replaced; get the model anew"
            )


def _verify_chain(manifest: Manifest, path: Path) -> None:
    chain = (manifest, *manifest.ancestors)
    for child, parent in zip(chain, (*chain[1:], None), strict=True):
        expected = digest(parent) if parent is not None else None
        if child.parent != expected:
            raise ModelError(
                f"{path}: step {child.step!r} says parent {child.parent}, its ancestor is "
                f"{expected}; the manifest was edited or a step is missing"
            )
