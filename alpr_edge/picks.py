"""Which model each stage takes on which class of CPU: ``picks.json`` beside the model folders.

    {"schema": 1,
     "detector": {"avx2": {"folder": "detector", "why": "..."}, "vnni": {...}},
     "reader": {"avx2": {...}, "vnni": {...}}}

A models folder holds one folder a variant (model.xml, model.bin, manifest.json); the pick is one of
them. A models folder without picks.json has ``detector`` and ``reader`` for every CPU.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, get_args

from alpr_edge import manifest as manifests
from alpr_edge import strict
from alpr_edge.cpu import CPU_CLASSES, Cpu, CpuClass
from alpr_edge.errors import ModelError, UsageError
from alpr_edge.manifest import Manifest, Task

MODELS = Path(__file__).parent / "models"
"""The models that the package ships."""
FILENAME = "picks.json"

Precision = Literal["auto", "fp32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""What ``precision`` takes: the CPU's pick, a model that is not quantized, a quantized one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """A folder within the models folder, and the reason."""

    folder: str
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StagePicks:
    """One stage's pick for each :data:`~alpr_edge.cpu.CPU_CLASSES`."""

    avx2: Pick
    vnni: Pick

    def of(self, kind: CpuClass) -> Pick:
        """The pick for CPUs of class ``kind``."""
        return self.vnni if kind == "vnni" else self.avx2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Picks:
    """The content of picks.json."""

    schema: Literal[1]
    detector: StagePicks
    reader: StagePicks

    def of(self, task: Task) -> StagePicks:
        """The picks of one stage."""
        return self.detector if task == "detector" else self.reader


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One model of a models folder; ``picked_for`` are the CPU classes that take it."""

    folder: Path
    manifest: Manifest
    picked_for: tuple[CpuClass, ...]

    @property
    def quantized(self) -> bool:
        """Whether its weights are INT8."""
        return self.manifest.precision == "INT8"

    def right_on(self, kind: CpuClass) -> bool:
        """Whether its answers were accepted on CPUs of class ``kind``: it is not quantized, or
        picked for that class or a lower one. (INT8 for ``vnni`` may saturate on ``avx2``.)"""
        classes = CPU_CLASSES[: CPU_CLASSES.index(kind) + 1]
        return not self.quantized or any(lower in self.picked_for for lower in classes)


def load(models: Path) -> Picks:
    """The picks of a models folder.

    Raises:
        ModelError: picks.json cannot be read, has an unknown or missing key or a wrong value, or
            names a folder without a model.
    """
    path = models / FILENAME
    try:
        picks: Picks = strict.load(Picks, path)
    except FileNotFoundError:
        return Picks(
            schema=1, detector=_same_for_all("detector"), reader=_same_for_all("reader")
        )
    except strict.SchemaError as error:
        raise ModelError(f"{error}; get the models anew") from error
    for stage in (picks.detector, picks.reader):
        for pick in (stage.avx2, stage.vnni):
            inside = Path(pick.folder).name == pick.folder
            if not (inside and (models / pick.folder / manifests.FILENAME).is_file()):
                raise ModelError(
                    f"{path}: folder is {pick.folder!r}; allowed: the name of a model folder "
                    "beside it; get the models anew"
                )
    return picks


def variants(models: Path, task: Task) -> list[Variant]:
    """All models of one stage that a models folder holds, by folder name; files are not hashed.

    Raises:
        ModelError: picks.json or a manifest is wrong.
    """
    stage = load(models).of(task)
    found = []
    for path in sorted(models.glob(f"*/{manifests.FILENAME}")):
        manifest = manifests.load(path, verify=False)
        if manifest.task == task:
            classes = tuple(c for c in CPU_CLASSES if stage.of(c).folder == path.parent.name)
            found.append(Variant(folder=path.parent, manifest=manifest, picked_for=classes))
    return found


def choose(models: Path, task: Task, cpu: Cpu, precision: Precision = "auto") -> Pick:
    """The model that ``task`` takes on ``cpu``, and why.

    With a ``precision`` the variant that comes nearest to the pick: the pick itself, else one of
    the same input size, else one that is right on this CPU, else the first by name.

    Raises:
        ModelError: picks.json or a manifest is wrong.
        UsageError: there is no variant of that precision.
    """
    pick = load(models).of(task).of(cpu.kind)
    if precision == "auto":
        return pick
    found = variants(models, task)
    wanted = [variant for variant in found if variant.quantized == (precision == "int8")]
    if not wanted:
        has = ", ".join(f"{v.folder.name} ({v.manifest.precision})" for v in found) or "none"
        raise UsageError(
            f"{models} has no {task} for precision {precision}; it has: {has}; choose another "
            "precision or another models folder"
        )
    sizes = [v.manifest.input.shape for v in found if v.folder.name == pick.folder]
    best = min(wanted, key=lambda v: (
        v.folder.name != pick.folder, v.manifest.input.shape not in sizes, not v.right_on(cpu.kind)
    ))
    return Pick(folder=best.folder.name, why=f"precision {precision} was asked for")


def _same_for_all(task: Task) -> StagePicks:
    pick = Pick(folder=task, why=f"the models folder has no {FILENAME}")
    return StagePicks(avx2=pick, vnni=pick)
