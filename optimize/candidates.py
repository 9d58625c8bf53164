"""Several ways to quantize, each made and judged on dev at the target; the most accurate stays."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from alpr_edge import manifest as manifests
from alpr_edge.manifest import Manifest
from optimize.evaluate import Accuracy, Judging, evaluate_at
from optimize.quantize import QuantizeConfig, quantize
from optimize.steps import (
    StepFailedError,
    StepResult,
    Tolerances,
    copy_model,
    fingerprint,
    run_step,
)


def candidates(base: QuantizeConfig, task: str) -> tuple[QuantizeConfig, ...]:
    """The named settings that are tried; where two are equally right, the earlier is kept. Only a
    reader has matrix products."""

    def one(name: str, **changes: str) -> QuantizeConfig:
        return dataclasses.replace(base, name=f"{base.name}-{name}", **changes)

    common = (
        one("plain"),
        one("mixed", preset="mixed"),
        one("full-bias", bias_correction="full"),
        one("no-bias", bias_correction="none"),
        one("first-layer", overflow_fix="first_layer_only"),
        one("no-fix", overflow_fix="disable"),
    )
    if task != "reader":
        return common
    return (
        *common,
        one("matmuls", matmuls="int8"),
        one("convolutions", matmuls="convolutions"),
        one("convolutions-no-bias", matmuls="convolutions", bias_correction="none"),
    )


def quantize_best(
    source: Path, out: Path, configs: Sequence[QuantizeConfig], judging: Judging, *,
    name: str, tolerances: Tolerances,
) -> list[StepResult]:
    """Make every candidate in ``out/CANDIDATE/TASK`` and copy the most accurate to
    ``out/NAME/TASK``, the last of the results. A candidate beyond the tolerances is left out.

    Raises:
        StepFailedError: all are beyond the tolerances. DataError: there is nothing to judge on.
        ChildError: a child process was killed or broke down, which tells nothing of its candidate.
    """
    judging.pictures(manifests.load(source).task)  # else it would fail when all are made
    made: list[StepResult] = []
    failures: list[StepFailedError] = []
    for config in configs:
        try:
            made.append(quantize(source, out, judging.data, config, tolerances=tolerances))
        except StepFailedError as error:
            failures.append(error)
            print(f"{config.name} is left out: {error}", file=sys.stderr, flush=True)
    if not made:
        raise failures[0]
    scores = [score(evaluate_at(result.folder, out, judging)) for result in made]
    best = made[scores.index(max(scores))].folder

    def make(folder: Path) -> Manifest:
        chosen = copy_model(best, folder)
        of = f"the most accurate of {len(made)} at {judging.target}: {best.parent.name}"
        return dataclasses.replace(chosen, tools=chosen.tools | {"chosen": of})

    parent = manifests.load(best)
    inputs = {"best": fingerprint(parent), "of": [fingerprint(r.manifest) for r in made]}
    task = parent.task
    return [*made, run_step(f"quantize-{name}", task, out, out / name / task, inputs, make)]


def score(accuracy: Accuracy) -> tuple[float, float]:
    """What is compared: a detector's average precision (hits alone would reward a detector that
    sees plates everywhere), then the hits."""
    hits = accuracy.hits.count("1")
    return (accuracy.average_precision or 0.0, hits)
