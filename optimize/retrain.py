"""The steps that train on: pruning and hardening with recovery, masks of zeros, simulated 8 bits.

Each makes checkpoints in ``OUT/NAME/weights`` (ordinary ones, but for 8 bits) and variants of them
in ``OUT/NAME``; runs are in ``OUT/runs`` and go on where they were interrupted.
"""

from __future__ import annotations

import argparse
import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alpr_edge.errors import OutputError
from optimize import options as groups
from optimize.steps import StepResult, Tolerances, hash_of, read_json, write_json

Figures = Callable[[Path], dict[str, float]]


def prune_step(options: argparse.Namespace, checkpoint: Path) -> list[StepResult]:
    """Structured pruning: each ratio cut from the one before, recovered with the root as teacher,
    and converted: OUT/pruned-PERCENT/fp32."""
    from optimize.export import deployable
    from optimize.prune import prune

    task = deployable(checkpoint).task
    results, current = [], checkpoint
    for ratio, layers in zip(sorted(options.ratio), [options.layers] + [0] * len(options.ratio),
                             strict=False):
        out = options.out / f"pruned-{100 * ratio:g}"
        inputs = _inputs(options, root=checkpoint, start=current, ratio=ratio, layers=layers)
        cut = kept(
            out / "weights" / f"{task}-cut.safetensors", inputs,
            functools.partial(prune, current, ratio, options.data, layers=layers),
        )
        current = _recovered(options, out, task, start=cut, teacher=checkpoint, inputs=inputs)
        results += deploy(current, out, options)
    return results


def harden_step(options: argparse.Namespace, checkpoint: Path) -> list[StepResult]:
    """A reader's GELUs replaced by hard-swish, recovered with the checkpoint as its teacher (unless
    it has 0 minutes), and converted: OUT/hardened/fp32."""
    from optimize.harden import harden

    out = options.out / "hardened"
    inputs = _inputs(options, root=checkpoint)
    start = kept(
        out / "weights" / "reader-start.safetensors", inputs, functools.partial(harden, checkpoint)
    )
    if not options.minutes:
        return deploy(start, out, options)
    made = _recovered(options, out, "reader", start=start, teacher=checkpoint, inputs=inputs)
    return deploy(made, out, options)


def sparsify_step(options: argparse.Namespace, checkpoint: Path) -> list[StepResult]:
    """Magnitude pruning by NNCF with recovery: OUT/sparse-PERCENT/fp32."""
    from optimize.export import deployable
    from optimize.sparse import check_zeros, sparsify

    task = deployable(checkpoint).task
    results = []
    for ratio in options.zeros:
        out = options.out / f"sparse-{100 * ratio:g}"
        inputs = _inputs(options, root=checkpoint, ratio=ratio)
        made = kept(
            out / "weights" / f"{task}.safetensors", inputs,
            functools.partial(
                sparsify, checkpoint, ratio, options.data, minutes=options.minutes,
                run_dir=_run_folder(options, out.name, task, inputs),
                options=_run_options(options), selection=_selection(options),
            ),
        )
        results += deploy(made, out, options, check=functools.partial(check_zeros, ratio=ratio))
    return results


def qat_step(options: argparse.Namespace, checkpoint: Path) -> list[StepResult]:
    """Quantization-aware training of the checkpoint that OUT/fp32 was made of: OUT/qat."""
    from optimize.export import deployable
    from optimize.qat import quantize_aware

    config = groups.quantize_config(options, deployable(checkpoint).task, "qat")
    return [quantize_aware(
        checkpoint, options.out, options.data, config, minutes=options.minutes,
        options=_run_options(options), selection=_selection(options),
        tolerances=groups.tolerances(options),
    )]


def deploy(
    checkpoint: Path, out: Path, options: argparse.Namespace, *, check: Figures | None = None
) -> list[StepResult]:
    """Export and convert a checkpoint: ``out/onnx`` and ``out/fp32``."""
    from optimize.convert import convert
    from optimize.export import DETECTOR_SIZE, deployable, export
    from optimize.pictures import calibration_pictures

    crops = deployable(checkpoint).task == "reader"
    pictures = calibration_pictures(options.data, crops=crops, limit=options.limit)
    exported = export(
        checkpoint, out, pictures, size=options.size or DETECTOR_SIZE, tolerances=Tolerances()
    )
    converted = convert(
        exported.folder, out, pictures, tolerances=Tolerances(), check=check
    )
    return [exported, converted]


def kept(path: Path, inputs: dict[str, Any], make: Callable[[Path], Any]) -> Path:
    """The checkpoint ``path``, made by ``make`` unless it was made from the same ``inputs`` before;
    a note beside it tells which.

    Raises:
        OutputError: it cannot be written.
    """
    from training.checkpoint import load_weights

    note = path.with_suffix(".json")
    recipe = {name: str(value) for name, value in inputs.items()}
    known = read_json(note)
    if path.is_file() and known == {"inputs": recipe, "made": load_weights(path).sha256}:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error}; choose another --out") from error
    write_json(note, {"inputs": recipe, "made": load_weights(path).sha256})
    return path


def _recovered(
    options: argparse.Namespace, out: Path, task: str, *, start: Path, teacher: Path,
    inputs: dict[str, Any],
) -> Path:
    """``out/weights/TASK.safetensors``: ``start`` trained on with ``teacher``."""
    from training.checkpoint import BEST
    from training.distill import run

    folder = _run_folder(options, out.name, task, inputs)

    def recover(target: Path) -> None:
        run(options.data, folder, start=start, teacher=teacher, minutes=options.minutes,
            selection=_selection(options), options=_run_options(options))
        shutil.copyfile(folder / BEST, target)

    return kept(out / "weights" / f"{task}.safetensors", inputs, recover)


def _inputs(options: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """What a checkpoint depends on; checkpoints among ``more`` are named by their hash."""
    from training.checkpoint import data_hash, load_weights

    facts = {
        name: load_weights(value).sha256 if isinstance(value, Path) else value
        for name, value in more.items()
    }
    return facts | _selection(options).hashes() | {
        "data": data_hash(options.data), "minutes": options.minutes, "limit": options.limit,
        "code": _code(),
    }


def _code() -> str:
    """SHA-256 of the modules that make checkpoints."""
    here = Path(__file__)
    names = ("prune", "prune_groups", "hooked", "harden", "sparse")
    return hash_of((here, *(here.with_name(f"{name}.py") for name in names)))


def _selection(options: argparse.Namespace) -> Any:
    from training.selection import Selection

    return Selection(
        pseudo=options.pseudo, frame_texts=options.frame_texts, corrections=options.corrections,
        missed=options.missed, limit=options.limit,
    )


def _run_folder(
    options: argparse.Namespace, name: str, task: str, inputs: dict[str, Any]
) -> Path:
    from optimize.qat import run_folder

    return run_folder(options.out, name, task, inputs)


def _run_options(options: argparse.Namespace) -> Any:
    from training.options import RunOptions

    return RunOptions(threads=options.train_threads, workers=options.workers)
