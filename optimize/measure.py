"""Every variant measured the same way: size, accuracy on dev, latency, and the drop against a root.

A *variant* is a model folder ``OUT/NAME/TASK`` made by a chain of steps: an IR, or what the root
was made from, the checkpoint and the ONNX file. Accuracy and latency are measured in processes
capped to the target. Accuracies are kept for the same model, target and pictures; latencies are
taken anew when any variant changed, because only those of one run, where the models take turns,
compare, or when the machine was busy.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpr_edge import manifest as manifests
from alpr_edge.cpu import BESIDE, BUSY, cpu_name, usable_cores
from alpr_edge.data import Sample
from alpr_edge.engine import runtime_version
from alpr_edge.errors import UsageError
from alpr_edge.manifest import MODEL_XML, Manifest, Metric
from optimize.capped import run_capped, settle, verified
from optimize.count import Counts, count
from optimize.evaluate import Accuracy, Judging, Latency, code_hash, evaluate_at
from optimize.networks import Kind, kind_of
from optimize.options import timing
from optimize.report import (
    ONNX,
    PICK,
    REPORT,
    TORCH,
    UNTRAINED,
    Measured,
    Variant,
    drop,
    load_report,
    with_entry,
)
from optimize.steps import fingerprint, remembered, write_json

Made = dict[str, tuple[Path, Manifest]]
"""Variants by name, the root first."""
_PACKAGES = {Kind.PYTORCH: "torch", Kind.ONNX: "onnxruntime", Kind.OPENVINO: "openvino"}
"""What a variant's latency depends on the version of."""


def find_variants(out: Path, task: str) -> list[Path]:
    """All variants of one task under ``out``: the root's checkpoint and ONNX, then the IRs by name,
    but for picks and half-made ones, and those of another checkpoint, which standard error tells.
    """
    above = [out / name / task for name in (TORCH, ONNX)]
    irs = [
        path.parent for path in sorted(out.rglob(f"{task}/{MODEL_XML}"))
        if not _is_of_another(path.parent, out)
    ]
    if (above[0] / manifests.FILENAME).is_file():
        irs = [folder for folder in irs if _descends(folder, manifests.load(above[0]))]
    return [
        *(folder for folder in above if (folder / manifests.FILENAME).is_file()),
        *(folder for folder in irs if variant_name(folder, out).split("/")[-1] != PICK),
    ]


def _is_of_another(folder: Path, out: Path) -> bool:
    """Whether a model below ``out`` lies in a folder that was an OUT itself: with other pictures,
    as a closer look's."""
    between = folder.relative_to(out).parents
    return any((out / part / REPORT).is_file() for part in between if part != Path())


def _descends(folder: Path, checkpoint: Manifest) -> bool:
    """Whether an IR was made from a checkpoint, or is untrained; tells where it was not."""
    made = manifests.load(folder)
    found = _first_step(made) == UNTRAINED or checkpoint.files in [
        manifest.files for manifest in (made, *made.ancestors)
    ]
    if not found:
        _tell(f"{folder} is of another checkpoint than {', '.join(checkpoint.files)}: left out")
    return found


def variant_name(folder: Path, out: Path) -> str:
    """``NAME`` of ``OUT/NAME/TASK``; it may have several parts, as ``320x320/int8``.

    Raises:
        UsageError: the folder lies elsewhere.
    """
    try:
        return folder.resolve().parent.relative_to(out.resolve()).as_posix()
    except ValueError:
        raise UsageError(f"{folder} is not in {out}; a variant is a folder OUT/NAME/TASK") from None


def measure(
    folders: Sequence[Path], out: Path, judging: Judging, *, threads: int = 2, runs: int = 200,
    report: Path | None = None, latency_only: bool = False,
) -> Measured:
    """Measure variants of one task, the root first; write ``out/report.json`` and the figures into
    each variant's manifest, or, where another ``report`` is named, that file alone. ``threads`` are
    a detector's; a reader has :data:`~alpr_edge.cpu.BESIDE`, as in the runtime. With
    ``latency_only``, and of what was never trained, no accuracy is measured; what the report has of
    the same models stays.

    Raises:
        UsageError: folders of several tasks or of one name, a root that is no trained IR, a report
            of another split, or a target that this CPU cannot execute.
        DataError: there is nothing to judge on. ModelError: a folder is no intact model.
        ChildError: a child process was killed or broke down.
        OutputError: the report or a manifest cannot be written.
    """
    made = _loaded(folders, out)
    task = _root(made)[1].task
    threads = threads if task == "detector" else BESIDE
    path = report or out / REPORT
    told = load_report(path, judging.split)
    onednn = verified(judging.target)
    accuracies = (
        _told_before(made, told, judging) if latency_only else
        [None if _first_step(manifest) == UNTRAINED else _accuracy(name, made, out, judging)
         for name, (_, manifest) in made.items()]
    )
    _tell(f"latency of {len(made)} {task} variants at {judging.target} ...")
    times = _latencies(made, out, judging, threads, runs)
    latencies = [Latency(**latency) for latency in times.pop("latencies")]
    measured = Measured(
        target=judging.target, task=task, onednn=onednn, cpu=cpu_name(),
        openvino=runtime_version(), threads=threads, runs=runs,
        pictures=judging.digest(task), sets=_sets(judging.pictures(task), task), **times,
        variants=tuple(
            _variant(name, made, accuracy, latency)
            for name, accuracy, latency in zip(made, accuracies, latencies, strict=True)
        ),
    )
    write_json(path, with_entry(told, measured))
    if report is None:
        for variant in measured.variants:
            _write_metrics(made[variant.name][0], variant, measured, judging)
    return measured


def _sets(pictures: Sequence[Sample], task: str) -> tuple[tuple[str, int], ...]:
    """Of each hit its set, run by run: a reader has one hit a cut-out, a detector one a plate."""
    names = (
        sample.dataset for sample in pictures
        for _ in (sample.plates if task == "detector" else (sample,))
    )
    return tuple((name, len(list(run))) for name, run in itertools.groupby(names))


def _accuracy(name: str, made: Made, out: Path, judging: Judging) -> Accuracy:
    folder, manifest = made[name]
    number = list(made).index(name) + 1
    _tell(f"accuracy of {name} {manifest.task} at {judging.target} ({number}/{len(made)}) ...")
    return evaluate_at(folder, out, judging)


def _told_before(made: Made, told: Mapping[str, Any], judging: Judging) -> list[Accuracy | None]:
    """The accuracies that the report has of the same models, on the same pictures."""
    task = _root(made)[1].task
    conditions = judging.target, task, judging.digest(task)
    known = {
        variant["model"]: variant["accuracy"] for entry in told["measured"]
        if (entry["target"], entry["task"], entry["pictures"]) == conditions
        for variant in entry["variants"] if variant["accuracy"] is not None
    }
    models = [fingerprint(manifest) for _, manifest in made.values()]
    return [Accuracy(**known[model]) if model in known else None for model in models]


def _first_step(manifest: Manifest) -> str:
    return (manifest, *manifest.ancestors)[-1].step


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


def _loaded(folders: Sequence[Path], out: Path) -> Made:
    made = {variant_name(folder, out): (folder, manifests.load(folder)) for folder in folders}
    tasks = {manifest.task for _, manifest in made.values()}
    if len(made) < len(folders) or len(tasks) != 1:
        raise UsageError(
            f"{len(folders)} folders of tasks {sorted(tasks)} named {', '.join(made) or 'none'}; "
            "allowed: one task, names that differ"
        )
    folder, root = _root(made)
    if kind_of(root) != Kind.OPENVINO or _first_step(root) == UNTRAINED:
        raise UsageError(
            f"{folder} is named first, so that drops are told against it; allowed: a trained IR"
        )
    return made


def _root(made: Made) -> tuple[Path, Manifest]:
    return next(iter(made.values()))


def _latencies(
    made: Made, out: Path, judging: Judging, threads: int, runs: int
) -> dict[str, Any]:
    """The last latencies where they are of the same variants and conditions, and the machine was
    not busy."""
    models = [fingerprint(manifest) for _, manifest in made.values()]
    task = _root(made)[1].task
    inputs = {"models": models, "target": judging.target, "threads": threads, "runs": runs,
              "pictures": judging.digest(task), "cpu": cpu_name(), "cores": usable_cores(),
              "code": code_hash(), "tools": manifests.tool_versions(
                  *sorted({_PACKAGES[kind_of(manifest)] for _, manifest in made.values()}))}
    note = out / "steps" / f"latency-{judging.target}-{judging.split}-{task}.json"
    found: dict[str, Any] = remembered(
        note, inputs, lambda: _take_times(made, judging, threads, runs)
    )
    if found["load_before"] > BUSY:
        note.unlink(missing_ok=True)
    return found


def _take_times(made: Made, judging: Judging, threads: int, runs: int) -> dict[str, Any]:
    """One process for all IRs, which take turns, and one for each other variant: the threads of
    PyTorch and ONNX Runtime wait for work by spinning, which would slow whoever is next."""
    together = [name for name, (_, m) in made.items() if kind_of(m) == Kind.OPENVINO]
    groups = [together, *([name] for name in made if name not in together)]
    settle()
    parts = [
        run_capped(
            "time", judging.target, folders=[str(made[name][0].resolve()) for name in group],
            data=judging.data, split=judging.split, threads=threads, runs=runs,
        ) for group in groups
    ]
    taken = {
        name: latency for group, part in zip(groups, parts, strict=True)
        for name, latency in zip(group, part["latencies"], strict=True)
    }
    return {
        "latencies": [taken[name] for name in made],
        "load_before": parts[0]["load_before"], "load_after": parts[0]["load_after"],
    }


def _variant(
    name: str, made: Made, accuracy: Accuracy | None, latency: Latency
) -> Variant:
    folder, manifest = made[name]
    counts = _counts(folder, manifest, made)
    _, height, width, _ = manifest.input.shape
    above = manifest.ancestors[0].files if manifest.ancestors else None
    return Variant(
        name=name, task=manifest.task, kind=kind_of(manifest), model=fingerprint(manifest),
        steps=tuple(m.step for m in (*reversed(manifest.ancestors), manifest)),
        precision=manifest.precision, height=height, width=width, **dataclasses.asdict(counts),
        bytes=sum((folder / file).stat().st_size for file in manifest.files),
        parent=next((other for other, (_, m) in made.items() if m.files == above), None),
        accuracy=accuracy, latency=latency,
    )


def _counts(folder: Path, manifest: Manifest, made: Made) -> Counts:
    """An IR's own counts; for what the root was made from, the root's.

    Raises:
        UsageError: the root was made from something else.
    """
    if kind_of(manifest) == Kind.OPENVINO:
        return count(folder)
    root, made_from = _root(made)
    if manifest.files not in [ancestor.files for ancestor in made_from.ancestors]:
        raise UsageError(
            f"{folder} holds another network than the one {root} was made from; run the steps "
            "again, or remove the older folder"
        )
    return count(root)


def _write_metrics(folder: Path, variant: Variant, measured: Measured, judging: Judging) -> None:
    """Replace the manifest's metrics of this target and split; its ancestors stay as they are."""
    manifest = manifests.load(folder)
    others = [m for m in manifest.metrics if (m.isa, m.split) != (measured.target, judging.split)]
    mine = _metrics(variant, measured, judging)
    manifests.save(dataclasses.replace(manifest, metrics=(*others, *mine)), folder)


def _metrics(variant: Variant, measured: Measured, judging: Judging) -> list[Metric]:
    command = (
        f"python -m optimize measure --target {measured.target} --split {judging.split} "
        f"{timing(measured.threads, measured.runs, judging.limit)}"
    )
    common: dict[str, Any] = {"split": judging.split, "command": command, "isa": measured.target}
    values: dict[str, float | None] = {
        "p50 ms": variant.latency.p50, "p90 ms": variant.latency.p90,
        "load average before": measured.load_before,
        "parameters": variant.parameters, "GMAC": variant.macs / 1e9,
    }
    metrics = []
    if (rate := variant.rate) is not None and variant.accuracy is not None:
        what = "recall, IoU 0.5" if variant.task == "detector" else "read exactly"
        metrics.append(Metric(what=what, value=rate.value, k=rate.k, n=rate.n, **common))
        values |= {
            "average precision": variant.accuracy.average_precision,
            "false detections per picture": variant.accuracy.false_per_picture,
        }
    if (lost := drop(measured.root, variant)) is not None:
        values["drop in points"] = lost.hits
    return metrics + [
        Metric(what=name, value=float(value), **common)
        for name, value in values.items() if value is not None
    ]
