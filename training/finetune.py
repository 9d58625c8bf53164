"""Teach a trained reader your own plates: ``python -m training finetune --data my.csv --run DIR``.

A short run from the shipped weights at a low rate. Rendered plates of all kinds are mixed in, so
that what the reader knew is not forgotten. Where the data has no split dev, the plates whose text's
hash says so are kept apart to measure on: all pictures of a plate are on the same side.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings
from pathlib import Path

from alpr_edge.data import read
from alpr_edge.data.sample import Sample, Split
from alpr_edge.errors import DataError, UsageError
from alpr_edge.rates import Rate
from training.checkpoint import BEST, data_hash, save_weights
from training.log import CONFIG
from training.loop import LoopConfig, begin, train
from training.networks import load
from training.options import DEFAULTS, RunOptions
from training.publish import refitted
from training.reader.data import Plate, PlateStream, ReaderDataConfig, batches, load_plates
from training.reader.model import Reader
from training.reader.train import ReaderRecipe, evaluator
from training.reader.uppers import with_uppers
from training.render import RenderMaterial
from training.selection import trained_on

SHIPPED = Path(__file__).parent / "weights" / "reader_edge.safetensors"
TUNED, REPORT = "reader.safetensors", "finetune.json"
_CALLED = {"start": "weights", "data_hash": "data"}
DEV_PERCENT = 15
"""Share of the distinct texts that are kept apart where the data has no split dev."""


def finetune_recipe(minutes: float) -> ReaderRecipe:
    """A seventh of the shipped recipe's rate, a longer warm-up, and half rendered plates."""
    return ReaderRecipe(
        data=ReaderDataConfig(rendered=0.5),
        loop=LoopConfig(
            steps=20_000, minutes=minutes, lr=1e-4, warmup=0.1, ema=0.99, choose="exact",
            evaluate_minutes=max(0.5, minutes / 5),
        ),
        batch_size=32,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetuned:
    """What the run brought: dev plates read exactly by the reader it began with, and by its own,
    the best of the run's evaluations on the same plates: a little too good."""

    learned: int
    before: Rate
    after: Rate
    weights: Path | None
    """The tuned reader; None where it reads no better and the one before should be kept."""

    def __str__(self) -> str:
        lines = [f"learned from {self.learned} plates; read exactly on dev"]
        for name, rate in (("before", self.before), ("best", self.after)):
            low, high = rate.interval()
            share = f"{rate.k}/{rate.n} = {rate.value:.1%}"
            lines.append(f"  {name:7}{share} ({low:.1%} to {high:.1%})")
        lines.append(str(self.weights) if self.weights else
                     "no better than before: keep the weights it began with")
        return "\n".join(lines)


def is_dev(text: str) -> bool:
    """Whether the plate of this text is kept apart: about :data:`DEV_PERCENT` % of texts are."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 100 < DEV_PERCENT


def divide(samples: list[Sample]) -> list[Sample]:
    """``samples`` with a split dev: as they are where they have one, else parted by text, a picture
    on one side; what else is on a picture of dev, and may be in others, has no text there."""
    if any(sample.split is Split.DEV for sample in samples):
        return samples
    apart = {
        sample.path for sample in samples
        if sample.split is Split.TRAIN and any(is_dev(p.text) for p in sample.plates if p.text)
    }
    return [_dev(sample) if sample.path in apart else sample for sample in samples]


def _dev(sample: Sample) -> Sample:
    plates = (
        plate if plate.text and is_dev(plate.text) else dataclasses.replace(plate, text=None)
        for plate in sample.plates
    )
    return dataclasses.replace(sample, split=Split.DEV, plates=tuple(plates))


def own_plates(data: Path) -> tuple[list[Plate], list[Plate]]:
    """The labelled plates to learn from and those of dev.

    Raises:
        DataError: either is empty.
    """
    samples = divide(list(read(data)))
    parts = []
    for split in (Split.TRAIN, Split.DEV):
        items, dropped = load_plates(samples, split)
        for reason, count in dropped.items():
            warnings.warn(f"{count} plates left out: {reason}", stacklevel=2)
        if not items:
            raise DataError(f"{data} has no usable plate with a text in split {split}; give some "
                            "200 plates, the same ones in one split only, or no split at all")
        parts.append(items)
    return parts[0], parts[1]


def refuse_another(run_dir: Path, origin: dict[str, str]) -> None:
    """For a run that goes on.

    Raises:
        UsageError: it began with other weights or data than ``origin`` tells.
    """
    config = run_dir / CONFIG
    before = json.loads(config.read_text()) if config.exists() else {}
    if changed := [name for name, value in origin.items() if before.get(name, value) != value]:
        raise UsageError(
            f"{run_dir} began with other {' and '.join(_CALLED[name] for name in changed)}: its "
            "figures would be of two things; add --fresh, or name another --run"
        )


def finetune(
    data: Path, run_dir: Path, *, start: Path = SHIPPED, minutes: float = 5.0,
    options: RunOptions = DEFAULTS,
) -> Finetuned:
    """Fine-tune the reader of ``start`` on the plates in ``data``; resumes where it stopped.

    Writes a run's usual files into ``run_dir``, finetune.json, and where more is read on dev than
    before reader.safetensors, with the confidence fitted on dev if that has enough plates
    (:func:`training.publish.refitted`): what ``python -m optimize`` takes.

    Raises:
        UsageError: no time, or the run began with other data or weights. ModelError: ``start`` is
            no reader. DataError: the data cannot be read or is too little.
    """
    if not minutes > 0:
        raise UsageError(f"{minutes} minutes; give more than 0")
    recipe = finetune_recipe(minutes)
    seed = begin(run_dir, recipe.loop.seed, options)
    began, model = load(start, Reader)
    items, dev = own_plates(data)
    items = with_uppers(model, items)
    origin = {"start": began.sha256, "data_hash": data_hash(data)}
    if options.resume:
        refuse_another(run_dir, origin)
    before = evaluator(dev)(model)["exact"]
    stream = PlateStream(items, RenderMaterial.load(data), recipe.data, seed)
    notes = {
        "plates": len(items), "dev_plates": len(dev), **origin,
        "two_rows_apart": sum(item.upper > 0 for item in items),
        "data_recipe": dataclasses.asdict(recipe.data),
        "trained_on": trained_on(
            {item.dataset for item in items}, rendered=True, earlier=(start,)
        ),
    }
    train(
        model, batches(stream, recipe.batch_size, options.workers), recipe.loop, run_dir,
        evaluator(dev, run_dir), task="reader", options=options, notes=notes,
    )
    best, network = load(run_dir / BEST, Reader)
    after = best.notes["dev"]["exact"]
    if after > before:
        save_weights(run_dir / TUNED, task="reader", config=network.config, state=best.state,
                     notes=best.notes | refitted(network, dev, began.notes))
    else:
        (run_dir / TUNED).unlink(missing_ok=True)
    result = Finetuned(
        learned=len(items), before=Rate(round(before * len(dev)), len(dev)),
        after=Rate(round(after * len(dev)), len(dev)),
        weights=run_dir / TUNED if after > before else None,
    )
    (run_dir / REPORT).write_text(json.dumps(dataclasses.asdict(result), indent=1, default=str))
    return result
