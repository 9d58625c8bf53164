"""The models folder to ship: the picked variants, and ``picks.json`` for the runtime."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from alpr_edge import isa, picks
from alpr_edge import manifest as manifests
from alpr_edge.cpu import CPU_CLASSES, CpuClass, classify
from alpr_edge.errors import OutputError, UsageError
from alpr_edge.manifest import TASKS, Task
from optimize.picking import Pick
from optimize.report import PICK, Measured
from optimize.steps import copy_model, fingerprint, write_json

ByClass = Mapping[CpuClass, Pick]
"""One stage's pick for each class of CPU."""


def class_of(target: str) -> CpuClass:
    """The class of CPU that a target is of; ``native`` is of this CPU's."""
    flags = isa.CAPS[target].flags if target in isa.CAPS else isa.cpu_flags()
    return classify(flags, {})[0]


def by_class(found: Sequence[Pick], measured: Measured) -> ByClass:
    """One stage's picks: of each class the first target named; where none of a class is, what
    cannot be wrong there: for ``vnni`` the pick of ``avx2``, for ``avx2`` the root."""
    first: dict[CpuClass, Pick] = {}
    for pick in found:
        first.setdefault(class_of(pick.target), pick)
    avx2 = first.get("avx2") or Pick.of(
        measured, measured.root, "avx2", found[0].max_drop, found[0].split
    )
    return {"avx2": avx2, "vnni": first.get("vnni") or dataclasses.replace(avx2, target="vnni")}


def why(pick: Pick) -> str:
    """The reason in one line, from the figures."""
    predicted = f"; predicted: not measured at {pick.target}" * pick.predicted
    return (
        f"{pick.variant}: {pick.speed_up:.2f} times as fast as {pick.root} at {pick.measured_at}, "
        f"{pick.drop:+.2f} points lost on {pick.split} (at most {pick.max_drop:g}){predicted}"
    )


def ship(out: Path, stages: Mapping[Task, ByClass]) -> Path:
    """Write ``out/pick`` anew, whole or not at all: a folder TASK with the variant picked for
    ``avx2``, TASK-vnni where that of ``vnni`` is another one, and, if both stages were picked,
    picks.json. ``out/pick`` is then a models folder of the runtime.

    Raises:
        UsageError: a picked model is not the one that was measured. ModelError: it is not intact.
        OutputError: the folder cannot be written.
    """
    folder, partial = out / PICK, out / f"{PICK}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        told = {task: _stage(out, partial, task, stages[task]) for task in stages}
        if set(told) == set(TASKS):
            whole = picks.Picks(schema=1, detector=told["detector"], reader=told["reader"])
            write_json(partial / picks.FILENAME, dataclasses.asdict(whole))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}; choose another --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _stage(out: Path, models: Path, task: Task, chosen: ByClass) -> picks.StagePicks:
    """Copy one stage's variants, each once."""
    folders: dict[str, str] = {}
    told: dict[CpuClass, picks.Pick] = {}
    for kind in CPU_CLASSES:
        pick = chosen[kind]
        if pick.variant not in folders:
            folders[pick.variant] = f"{task}-{kind}" if folders else task
            _copy(out / pick.variant / task, models / folders[pick.variant], pick)
        told[kind] = picks.Pick(folder=folders[pick.variant], why=why(pick))
    return picks.StagePicks(**told)


def _copy(source: Path, folder: Path, pick: Pick) -> None:
    folder.mkdir()
    manifest = copy_model(source, folder)
    if fingerprint(manifest) != pick.model:
        raise UsageError(f"{source} was made anew after it was measured; measure it again")
    manifests.save(manifest, folder)
