"""Learn from a teacher too: ``python -m training distill --start PRUNED --teacher PARENT ...``.

Beside its usual losses the student learns what the teacher answers (Hinton et al. 2015) and, where
widths agree, its features (Romero et al. 2015). A detector's score is learned on every cell by
quality focal loss, its box and corners on the cells where the teacher sees a plate (LD, Zheng et
al. 2022). Legend: as in the networks' modules.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alpr_edge.data.sample import Split
from alpr_edge.errors import ModelError
from training.checkpoint import Weights, data_hash, load_weights
from training.detector.data import DataConfig, FrameDataset
from training.detector.evaluate import evaluate as evaluate_detector
from training.detector.evaluate import frames_of
from training.detector.loss import quality_focal
from training.detector.model import Detector, parts
from training.detector.scenes import batches as frame_batches
from training.loop import Batch, Evaluate, LoopConfig, begin, train
from training.missed import read_missed
from training.networks import CHOOSE, build
from training.options import DEFAULTS, RunOptions
from training.reader.data import PlateStream, ReaderDataConfig, evaluation_plates, train_plates
from training.reader.data import batches as plate_batches
from training.reader.model import Reader
from training.reader.nothing import without_text
from training.reader.train import evaluator
from training.reader.uppers import with_uppers
from training.render import RenderMaterial
from training.selection import EVERYTHING, Selection, select, trained_on

Outputs = tuple[Tensor, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Weights of what the teacher says, and how its probabilities are softened."""

    answers: float = 1.0
    features: float = 1.0
    temperature: float = 2.0
    sure: float = 0.1
    """A detector's teacher sees a plate in a cell whose score is at least this."""


def softened(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence (...) of softened distributions over the last axis, times
    ``temperature`` squared so that its gradient keeps its size (Hinton et al. section 2)."""
    wanted = (teacher.float() / temperature).softmax(-1)
    given = (student.float() / temperature).log_softmax(-1)
    return functional.kl_div(given, wanted, reduction="none").sum(-1) * temperature**2


def reader_terms(student: Outputs, teacher: Outputs, config: DistillConfig) -> dict[str, Tensor]:
    """Slots, CTC tokens and rows: mean divergence of each from the teacher's; not of the tokens
    where the two have different numbers of them."""
    return {
        f"teacher_{name}": softened(mine, theirs, config.temperature).mean()
        for name, mine, theirs in zip(("slots", "ctc", "rows"), student, teacher, strict=True)
        if mine.shape == theirs.shape
    }


def detector_terms(student: Outputs, teacher: Outputs, config: DistillConfig) -> dict[str, Tensor]:
    """Scores on all cells; bins and offsets (in strides) on the cells where the teacher sees a
    plate, weighted by its score."""
    logits, bins, offsets = parts(student[0].float())
    their_logits, their_bins, their_offsets = parts(teacher[0].float())
    scores = their_logits.sigmoid()
    weight = scores * (scores >= config.sure)
    total = weight.sum().clamp(min=1.0)
    divergence = softened(bins, their_bins, config.temperature).mean(-1)
    moved = (offsets - their_offsets).abs().mean(-1)
    return {
        "teacher_score": quality_focal(logits, scores).sum() / total,
        "teacher_bins": (divergence * weight).sum() / total,
        "teacher_offsets": (moved * weight).sum() / total,
    }


TERMS = {"reader": reader_terms, "detector": detector_terms}
IMAGES = {"reader": "image", "detector": "images"}
"""What a task's batch calls its pictures."""


def feature_term(student: Outputs, teacher: Outputs) -> Tensor | None:
    """Mean squared difference of the features of equal shape, as a fraction of the teacher's mean
    square; None where no shapes agree."""
    pairs = [(a.float(), b.float()) for a, b in zip(student, teacher, strict=False)
             if a.shape == b.shape]
    parts = [functional.mse_loss(a, b) / b.square().mean().clamp(min=1e-6) for a, b in pairs]
    return torch.stack(parts).mean() if parts else None


class Distilled(nn.Module):
    """A student for :func:`training.loop.train` whose loss holds its teacher's answers too.

    Its parameters, buffers and state are the student's own: a checkpoint of it is one of the
    student. The teacher stays in evaluation mode, without gradient. The student drops nothing out:
    it is to answer as its teacher does, who does not either.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, task: str, config: DistillConfig
    ) -> None:
        super().__init__()
        self.student, self.task, self.distill = student, task, config
        self.config = student.config
        for module in student.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        self.hidden = (teacher.eval().requires_grad_(False),)  # a tuple: no part of this module

    def forward(self, images: Tensor) -> Any:
        return self.student(images)

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The student's losses and the teacher's terms; ``loss`` is their weighted sum."""
        student: Any = self.student
        teacher: Any = self.hidden[0]
        image = batch[IMAGES[self.task]]
        features, outputs = student.inside(image)
        with torch.no_grad():
            their_features, theirs = teacher.inside(image)
        losses: dict[str, Tensor] = student.losses(outputs, batch)
        terms = TERMS[self.task](outputs, theirs, self.distill)
        total = losses["loss"] + self.distill.answers * torch.stack(list(terms.values())).sum()
        feature = feature_term(features, their_features)
        if feature is not None:
            total = total + self.distill.features * feature
            terms["teacher_features"] = feature
        return losses | {name: term.detach() for name, term in terms.items()} | {"loss": total}

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """The student's."""
        return self.student.state_dict(*args, **options)

    def load_state_dict(self, *args: Any, **options: Any) -> Any:
        """The student's."""
        return self.student.load_state_dict(*args, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lessons:
    """What a network is trained on: endless batches, the judge on dev, facts for the notes."""

    batches: Iterator[Batch]
    evaluate: Evaluate
    notes: dict[str, Any]


def lessons(
    task: str, data: Path, *, seed: int, workers: int, earlier: tuple[Path, ...] = (),
    selection: Selection = EVERYTHING, knows: Detector | Reader | None = None,
) -> Lessons:
    """The training pictures of a task and its judge. ``knows``: a network of the task; a reader
    tells which row of real plates has what (:mod:`training.reader.uppers`).

    Raises:
        DataError: the data cannot be read, or has no picture to learn from or to judge on.
    """
    notes: dict[str, Any] = {
        "data_hash": data_hash(data), "limit": selection.limit, "lists": selection.hashes(),
    }
    if task == "detector":
        config = DataConfig()
        frames = FrameDataset(
            data, config, seed=seed, limit=selection.limit, leave_out=selection.leave_out,
            missed=read_missed(data, selection.missed),
        )
        sets, pseudo_sets = {sample.dataset for sample in frames.samples}, ()
        batches: Iterator[Batch] = frame_batches(frames, workers)
        judge: Evaluate = functools.partial(evaluate_detector, frames=frames_of(data, Split.DEV))
        notes["data_recipe"] = dataclasses.asdict(config)
    else:
        recipe = ReaderDataConfig()
        selected = select(data, selection)
        items, _ = train_plates(data, selected.samples)
        if isinstance(knows, Reader):
            items = with_uppers(knows, items)
        if selection.places is not None:
            items += without_text(
                data, selection.places, selection.missed, seed, leave_out=selection.leave_out
            )
        notes |= selected.notes
        sets, pseudo_sets = {item.dataset for item in items}, selected.pseudo_sets
        stream = PlateStream(items, RenderMaterial.load(data), recipe, seed)
        batches = plate_batches(stream, BATCH, workers)
        judge = evaluator(evaluation_plates(
            data, Split.DEV, selection.corrections, selection.frame_texts
        ))
        notes["data_recipe"] = dataclasses.asdict(recipe)
    notes["trained_on"] = trained_on(
        sets, pseudo_sets=pseudo_sets, rendered=True, earlier=earlier
    )
    return Lessons(batches=batches, evaluate=judge, notes=notes)


BATCH = 32
"""Plates a step, as in the reader's own recipe."""


def distill_loop(task: str, minutes: float) -> LoopConfig:
    """A third of the usual rates: the student begins with what it knows."""
    return LoopConfig(
        steps=1_000_000, minutes=minutes, warmup=0.05, ema=0.99,
        lr=2e-4 if task == "reader" else 3e-4,
        choose=CHOOSE[task],
        evaluate_minutes=max(1.0, minutes / 4),
    )


def distill(
    student: nn.Module, teacher: Path, task: str, data: Path, run_dir: Path, loop: LoopConfig, *,
    start: Path, config: DistillConfig | None = None,
    selection: Selection = EVERYTHING,
    options: RunOptions = DEFAULTS,
) -> dict[str, float]:
    """Train ``student``, which began with the weights ``start``; returns the last dev figures.

    Raises:
        ModelError: the teacher is of another task. DataError: see :func:`lessons`.
        NonFiniteLossError: the loss became NaN or infinite.
    """
    parent, began = load_weights(teacher), load_weights(start)
    if parent.task != task:
        raise ModelError(f"{teacher} is a {parent.task}, the student a {task}; give a teacher of "
                         "the same task")
    knows = build(parent)
    seen = int(began.notes.get("step", 0))  # what comes after it is not the same again
    seed = begin(run_dir, loop.seed + seen, options)
    learned = lessons(
        task, data, seed=seed, workers=options.workers, earlier=(start, teacher),
        selection=selection, knows=knows,
    )
    pair = Distilled(student, knows.to(options.device), task, config or DistillConfig())
    return train(
        pair, learned.batches, loop, run_dir, learned.evaluate, task=task, options=options,
        notes=kept_notes(began) | learned.notes | {
            "made_by": "distill", "lineage": lineage(start, began), "teacher": parent.sha256,
        },
    )


KEPT_NOTES = ("variant", "temperature", "confidence_threshold", "score_threshold",
              "trained_on", "root_macs", "ratio")


def kept_notes(weights: Weights) -> dict[str, Any]:
    """What a checkpoint that begins with ``weights`` takes over of their notes."""
    return {name: weights.notes[name] for name in KEPT_NOTES if name in weights.notes}


def lineage(path: Path, weights: Weights) -> list[dict[str, str]]:
    """The checkpoints that one which begins with ``weights`` comes from, the oldest first."""
    own = {"step": weights.notes.get("made_by", "train"), "file": path.name,
           "sha256": weights.sha256}
    return [*weights.notes.get("lineage", []), own]


def run(
    data: Path, run_dir: Path, *, start: Path, teacher: Path, minutes: float,
    selection: Selection = EVERYTHING, options: RunOptions = DEFAULTS,
) -> dict[str, float]:
    """Train the network of ``start``; see :func:`distill`."""
    weights = load_weights(start)
    return distill(
        build(weights), teacher, weights.task, data, run_dir, distill_loop(weights.task, minutes),
        start=start, selection=selection, options=options,
    )
