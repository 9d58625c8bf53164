"""Every variant measured the same way: size, accuracy on dev, latency, and the drop against a root.

A *variant* is a model folder ``OUT/NAME/TASK`` made by a chain of steps. Accuracy and latency are
measured in processes capped to the target. Accuracies are kept for the same model, target and
pictures; latencies are taken anew when any variant changed, because only those of one run, where
the models take turns, compare.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alpr_edge import manifest as manifests
from alpr_edge.cpu import cpu_name
from alpr_edge.engine import runtime_version
from alpr_edge.errors import UsageError
from alpr_edge.manifest import MODEL_XML, Manifest, Metric
from optimize.capped import run_capped, verified
from optimize.count import count
from optimize.evaluate import Accuracy, Judging, Latency, code_hash, evaluate_at
from optimize.report import PICK, REPORT, Drop, Measured, Variant, drop, load_report
from optimize.steps import fingerprint, model_bytes, remembered, write_json


def find_variants(out: Path, task: str) -> list[Path]:
    """All variants of one task under ``out``, by name, but for picks and half-made ones."""
    folders = [path.parent for path in sorted(out.rglob(f"{task}/{MODEL_XML}"))]
    return [folder for folder in folders if variant_name(folder, out).split("/")[-1] != PICK]


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
    report: Path | None = None,
) -> Measured:
    """Measure variants of one task, the root first; write ``out/report.json`` and the figures into
    each variant's manifest, or, where another ``report`` is named, that file alone.

    Raises:
        UsageError: folders of several tasks or of one name, a report of another split, or a target
            that this CPU cannot execute.
        DataError: there is nothing to judge on. ModelError: a folder is no intact model.
        StepFailedError: a child process failed. OutputError: the report cannot be written.
    """
    made = _loaded(folders, out)
    task = next(iter(made.values()))[1].task
    path = report or out / REPORT
    told = load_report(path, judging.split)
    onednn = verified(judging.target)
    accuracies = []
    for number, (name, (folder, _)) in enumerate(made.items(), 1):
        _tell(f"accuracy of {name} {task} ({number}/{len(made)})")
        accuracies.append(evaluate_at(folder, out, judging))
    _tell(f"latency of {len(made)} {task} variants")
    times = _latencies(made, out, judging, threads, runs)
    latencies = [Latency(**latency) for latency in times.pop("latencies")]
    measured = Measured(
        target=judging.target, task=task, onednn=onednn, cpu=cpu_name(),
        openvino=runtime_version(), threads=threads, runs=runs,
        pictures=judging.digest(task), **times,
        variants=tuple(
            _variant(name, made, accuracy, latency)
            for name, accuracy, latency in zip(made, accuracies, latencies, strict=True)
        ),
    )
    told["measured"] = [
        entry for entry in told["measured"]
        if (entry["target"], entry["task"]) != (measured.target, task)
    ] + [measured.to_json()]
    write_json(path, told)
    if report is None:
        for variant in measured.variants:
            _write_metrics(made[variant.name][0], variant, measured, judging.split)
    return measured


def _tell(work: str) -> None:
    print(f"  {work} ...", file=sys.stderr, flush=True)


Made = dict[str, tuple[Path, Manifest]]


def _loaded(folders: Sequence[Path], out: Path) -> Made:
    made = {variant_name(folder, out): (folder, manifests.load(folder)) for folder in folders}
    tasks = {manifest.task for _, manifest in made.values()}
    if len(made) < len(folders) or len(tasks) != 1:
        raise UsageError(
            f"{len(folders)} folders of tasks {sorted(tasks)} named {', '.join(made) or 'none'}; "
            "allowed: one task, names that differ"
        )
    return made


def _latencies(
    made: Made, out: Path, judging: Judging, threads: int, runs: int
) -> dict[str, Any]:
    """The last latencies where they are of the same variants and conditions."""
    models = [fingerprint(manifest) for _, manifest in made.values()]
    task = next(iter(made.values()))[1].task
    inputs = {"models": models, "target": judging.target, "threads": threads, "runs": runs,
              "pictures": judging.digest(task), "cpu": cpu_name(), "code": code_hash(),
              "openvino": runtime_version()}
    note = out / "steps" / f"latency-{judging.target}-{judging.split}-{task}.json"
    found: dict[str, Any] = remembered(note, inputs, lambda: run_capped(
        "time", judging.target, folders=[str(folder.resolve()) for folder, _ in made.values()],
        data=judging.data, split=judging.split, threads=threads, runs=runs,
    ))
    return found


def _variant(name: str, made: Made, accuracy: Accuracy, latency: Latency) -> Variant:
    folder, manifest = made[name]
    counts = count(folder)
    _, height, width, _ = manifest.input.shape
    above = manifest.ancestors[0].files if manifest.ancestors else None
    return Variant(
        name=name, task=manifest.task, model=fingerprint(manifest),
        steps=tuple(m.step for m in (*reversed(manifest.ancestors), manifest)),
        precision=manifest.precision, height=height, width=width, **dataclasses.asdict(counts),
        bytes=model_bytes(folder),
        parent=next((other for other, (_, m) in made.items() if m.files == above), None),
        accuracy=accuracy, latency=latency,
    )


def _write_metrics(folder: Path, variant: Variant, measured: Measured, split: str) -> None:
    """Replace the manifest's metrics of this target and split; its ancestors stay as they are."""
    manifest = manifests.load(folder)
    others = [m for m in manifest.metrics if (m.isa, m.split) != (measured.target, split)]
    mine = _metrics(variant, drop(measured.root, variant), measured.target, split)
    manifests.save(dataclasses.replace(manifest, metrics=(*others, *mine)), folder)


def _metrics(variant: Variant, lost: Drop, target: str, split: str) -> list[Metric]:
    rate = variant.rate
    what = "recall, IoU 0.5" if variant.task == "detector" else "read exactly"
    values = {
        "drop in points": lost.hits, "average precision": variant.accuracy.average_precision,
        "false detections per picture": variant.accuracy.false_per_picture,
        "p50 ms": variant.latency.p50, "p90 ms": variant.latency.p90,
        "parameters": variant.parameters, "GMAC": variant.macs / 1e9,
    }
    command = f"python -m optimize measure --target {target} --split {split}"
    common: dict[str, Any] = {"split": split, "command": command, "isa": target}
    return [
        Metric(what=what, value=rate.value, k=rate.k, n=rate.n, **common),
        *(Metric(what=name, value=float(value), **common)
          for name, value in values.items() if value is not None),
    ]
