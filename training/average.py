"""Average a run's weights with those it began with: often better than either.

Weights that were trained on from others mostly lie in one basin of the loss with them, and on the
line between the two is a network that keeps what each is good at (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models"). Which point of it is chosen on dev.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alpr_edge.data.sample import Split
from alpr_edge.errors import ModelError, UsageError
from training.checkpoint import BEST, LAST, Weights, data_hash, load_weights, save_weights
from training.detector import close_ups
from training.detector.closer import CLOSER
from training.detector.evaluate import evaluate, frames_of
from training.detector.model import Detector
from training.loop import Evaluate
from training.networks import CHOOSE, build
from training.reader.data import evaluation_plates
from training.reader.model import Reader
from training.reader.train import evaluator
from training.selection import Selection


@dataclasses.dataclass(frozen=True, kw_only=True)
class Averaged:
    """Dev figures by the share of the run's latest weights, and whether one of them became the
    run's best."""

    figures: dict[float, dict[str, float]]
    replaced: bool


def deployed(network: Detector | Reader) -> dict[str, Any]:
    """A network's sizes, without what only its training knows: the dropout."""
    config = dataclasses.asdict(network.config)
    return {name: value for name, value in config.items() if name != "dropout"}


def average(
    run_dir: Path, start: Path, data: Path, shares: Sequence[float], *, threads: int = 2,
    corrections: Path | None = None, frame_texts: Path | None = None, take: float | None = None,
    detector: Path | None = None,
) -> Averaged:
    """Judge, for each of ``shares``, that share of ``run_dir``'s latest weights with the rest from
    ``start``; the best mixture (of equal ones that with most of the run) replaces the run's best
    weights if it is better on dev. ``take``: this one does, whatever dev says. Lists and
    ``detector``: see :func:`judge_of`.

    Raises:
        UsageError: a share outside 0..1, ``take`` is none of them, or a closer look without a
            detector. ModelError: the two networks differ, a file is none of ours, or the detector
            is not intact. DataError: there is no dev picture.
    """
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise UsageError(f"shares {list(shares)}; allowed: one or more of 0..1")
    if take is not None and take not in shares:
        raise UsageError(f"take {take:g}; allowed: one of the shares {list(shares)}")
    torch.set_num_threads(threads)
    latest, began, best = (load_weights(p) for p in (run_dir / LAST, start, run_dir / BEST))
    network = build(latest)
    if latest.task != began.task or deployed(network) != deployed(build(began)):
        raise ModelError(f"{start} is another network than that of {run_dir}; give the weights "
                         "that the run began with")
    judge = judge_of(latest, data, corrections, frame_texts, detector)
    choose = CHOOSE[latest.task]
    figures: dict[float, dict[str, float]] = {}
    for share in shares:
        network.load_state_dict(mixed(began.state, latest.state, share))
        figures[share] = dict(judge(network))
        print(f"{share:g} of the run: {choose} {figures[share][choose]:.4f} on dev", flush=True)
    chosen = max(shares, key=lambda share: (figures[share][choose], share))
    if take is not None:
        chosen, replaced = take, True
    else:  # by the same judge: the run's own may have had other lists
        replaced = figures[chosen][choose] > judge(build(best))[choose]
    if replaced:
        judged_by = Selection(corrections=corrections, frame_texts=frame_texts).hashes()
        others = {name: known for name, known in latest.notes.get("lists", {}).items()
                  if name not in ("corrections", "frame_texts")}
        notes: dict[str, Any] = latest.notes | {
            "dev": figures[chosen], "data_hash": data_hash(data), "lists": others | judged_by,
            "averaged": {"share": chosen, "of": latest.sha256, "with": began.sha256},
        }
        save_weights(
            run_dir / BEST, task=latest.task, config=network.config,
            state=mixed(began.state, latest.state, chosen), notes=notes,
        )
    return Averaged(figures=figures, replaced=replaced)


def mixed(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """``share`` of the second's tensors and the rest of the first's; whole numbers (counters) are
    the second's."""
    return {
        name: torch.lerp(first[name], tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in second.items()
    }


def judge_of(
    weights: Weights, data: Path, corrections: Path | None = None,
    frame_texts: Path | None = None, detector: Path | None = None,
) -> Evaluate:
    """What measures networks like that of ``weights`` on dev; a reader by the right labels of
    ``corrections`` and by ``frame_texts`` besides, a closer look by what ``detector``, a model
    folder, finds.

    Raises:
        UsageError: a closer look without a detector. ModelError: the detector is not intact.
            DataError: there is no dev picture.
    """
    if weights.task == "reader":
        return evaluator(evaluation_plates(data, Split.DEV, corrections, frame_texts))
    if weights.notes.get("variant") == CLOSER:
        candidates = close_ups.dev_candidates(data, detector)
        return lambda network: close_ups.evaluate(network, candidates)
    frames = frames_of(data, Split.DEV)
    return lambda network: evaluate(network, frames)
