"""Turn a run's best weights into the project's: fit on dev what the runtime needs to know.

The reader's temperature (its confidence should mean something; Guo et al. 2017), the detector's
score threshold; both travel with the weights into every exported model's manifest.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from alpr_edge.alphabet import encode
from alpr_edge.data import read
from alpr_edge.data.sample import Split
from alpr_edge.errors import OutputError
from alpr_edge.metrics import FALSE_BEYOND_LIST, less_listed, sure_threshold
from training.checkpoint import BEST, load_weights, save_weights
from training.detector import close_ups
from training.detector.closer import CLOSER
from training.detector.evaluate import frames_of, results
from training.detector.model import Detector
from training.missed import read_missed
from training.networks import build
from training.plots import EVAL, LOG
from training.reader.answers import outputs_of, reread
from training.reader.data import Plate, evaluation_plates, plain
from training.reader.model import slots_loss
from training.selection import trained_on

TEMPERATURES = np.round(np.geomspace(0.5, 4.0, 43), 3)
LOST = 0.01
"""Share of the right reads that may fall below the confidence threshold."""
FEWEST = 100
"""Dev plates that confidence is fitted on, at least: fewer may all be read right, and then no
confidence seems too high."""
MOST_CONFIDENT = 0.9
"""Highest threshold: what a reader is so sure of is shown, whatever few plates say."""
FITTED = ("temperature", "confidence_threshold")

def publish(
    run_dir: Path, target: Path, data: Path, detector: Path | None = None,
    corrections: Path | None = None, frame_texts: Path | None = None,
    unannotated: Path | None = None,
) -> dict[str, Any]:
    """Write ``run_dir``'s best weights to ``target`` with the facts fitted on dev; those of a
    closer look on what ``detector``, a model folder, finds there, less the plates of
    ``unannotated`` that nobody annotated, those of a reader by the right labels of ``corrections``
    and by ``frame_texts`` besides.

    Returns those facts.

    Raises:
        ModelError: the run has no weights yet, or there is no intact detector.
        UsageError: a closer look without a detector. OutputError: ``target`` cannot be written.
    """
    weights = load_weights(run_dir / BEST)
    network = build(weights)
    if isinstance(network, Detector):
        facts: dict[str, Any] = {"score_threshold": (
            closer_threshold(network, data, detector, unannotated)
            if weights.notes.get("variant") == CLOSER else choose_threshold(network, data)
        )}
    else:
        dev = evaluation_plates(data, Split.DEV, corrections, frame_texts)
        facts = fit_confidence(network, dev)
    facts["trained_on"] = weights.notes.get("trained_on") or training_sets(weights.task, data)
    config = network.config
    try:
        save_weights(
            target, task=weights.task, config=config, state=weights.state,
            notes=weights.notes | facts,
        )
        for name in (LOG, EVAL):
            if (run_dir / name).exists():  # of the shortest runs there is no log
                shutil.copy(run_dir / name, target.with_name(f"{target.stem}.{name}"))
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error}") from error
    return facts


def training_sets(task: str, data: Path) -> list[str]:
    """Sets that a run that did not note it learned from: plates with a text, or frames."""
    learned = {
        s.dataset for s in read(data)
        if s.split is Split.TRAIN
        and (any(p.text for p in s.plates) if task == "reader" else not s.crop)
    }
    return trained_on(learned, rendered=True)


def fit_confidence(model: nn.Module, items: list[Plate]) -> dict[str, float]:
    """What makes the reader's confidence mean something, from dev plates: the temperature with the
    least negative log-likelihood, and the confidence that all but :data:`LOST` of the right
    reads reach, the uncertain ones read again; :data:`MOST_CONFIDENT` at most."""
    outputs = outputs_of(model, np.stack([plain(item) for item in items]))
    texts = torch.from_numpy(np.stack([encode(item.text) for item in items]))
    slots = torch.from_numpy(outputs[0])
    losses = [float(slots_loss(slots / t, texts)) for t in TEMPERATURES]
    temperature = float(TEMPERATURES[int(np.argmin(losses))])
    readings = reread(model, items, outputs, temperature)
    right = [r.confidence for r, item in zip(readings, items, strict=True) if r.text == item.text]
    threshold = float(np.quantile(right, LOST)) if right else 0.0
    return dict(zip(FITTED, (temperature, min(round(threshold, 3), MOST_CONFIDENT)), strict=True))


def refitted(model: nn.Module, items: list[Plate], earlier: Mapping[str, Any]) -> dict[str, float]:
    """:func:`fit_confidence`; where there are fewer than :data:`FEWEST` plates what the notes
    ``earlier`` of the weights before have, if they have it."""
    kept = {name: float(earlier[name]) for name in FITTED if name in earlier}
    return kept if len(items) < FEWEST and kept else fit_confidence(model, items)


def choose_threshold(model: nn.Module, data: Path) -> float:
    """:func:`alpr_edge.metrics.sure_threshold` on the dev frames."""
    return sure_threshold(results(model, frames_of(data, Split.DEV)))


def closer_threshold(
    model: nn.Module, data: Path, detector: Path | None, unannotated: Path | None = None
) -> float:
    """The same after the closer look at what the detector finds; with a list of plates that nobody
    annotated by :data:`alpr_edge.metrics.FALSE_BEYOND_LIST`.

    Raises:
        UsageError: there is no detector. ModelError: it is not intact. DataError: see
            :func:`alpr_edge.data.unannotated.read_unannotated`.
    """
    listed = read_missed(data, unannotated)
    found = close_ups.results(model, close_ups.dev_candidates(data, detector))
    if unannotated is None:
        return sure_threshold(found)
    return sure_threshold(less_listed(found, listed), FALSE_BEYOND_LIST)
