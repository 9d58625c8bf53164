"""How far a model strays from its parent: raw outputs, or what they are decoded to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge import manifest as manifests
from alpr_edge import metrics
from alpr_edge.data import Sample
from alpr_edge.detector import PlateDetector
from alpr_edge.images import load_image
from alpr_edge.reader import PlateReader
from alpr_edge.types import Detection
from optimize.capped import run_capped, verified
from optimize.pictures import calibration_pictures, network_inputs
from optimize.steps import StepFailedError, Tolerances

SCORE_MARGIN = 0.1
"""A detection is found again also where its score fell below the threshold by no more than this:
what counts is that the plate is seen, not on which side of the threshold a doubtful one falls."""

Outputs = Mapping[str, NDArray[np.floating]]


CELLS = "cells"
"""The detector's output that numbers the cells its other outputs are of."""


def raw_differences(parent: Sequence[Outputs], child: Sequence[Outputs]) -> dict[str, float]:
    """For each output the greatest absolute difference over all pictures, as a fraction of the
    parent's greatest value (or of 1, where that is larger); see :func:`aligned` for a detector's.
    """
    differences = {}
    both = [aligned(a, b) if CELLS in a else (a, b) for a, b in zip(parent, child, strict=True)]
    for name in both[0][0]:
        pairs = [(a[name], b[name]) for a, b in both]
        scale = max(1.0, *(float(np.abs(a).max()) for a, _ in pairs))
        differences[name] = max(float(np.abs(a - b).max()) for a, b in pairs) / scale
    return differences


def aligned(parent: Outputs, child: Outputs) -> tuple[Outputs, Outputs]:
    """A detector's outputs of the cells that both have, in the order of their numbers: of two
    scores that are nearly equal, one model has this first, the other one that. :data:`CELLS` is 0
    in the parent and :func:`beyond` in the child.

    Raises:
        StepFailedError: they have none in common.
    """
    _, mine, theirs = np.intersect1d(parent[CELLS][0], child[CELLS][0], return_indices=True)
    if not len(mine):
        raise StepFailedError(
            f"none of the {child[CELLS].size} best cells is among the parent's; allowed: at least "
            "1 in common. The step lost accuracy: look for an operator that was converted wrongly"
        )
    names = [name for name in parent if name != CELLS]
    lost = max(beyond(parent, child), beyond(child, parent))
    return (
        {name: parent[name][0][mine] for name in names} | {CELLS: np.zeros(1)},
        {name: child[name][0][theirs] for name in names} | {CELLS: np.full(1, lost)},
    )


def beyond(one: Outputs, other: Outputs) -> float:
    """How far the score of a cell that ``other`` lacks lies above the least that ``other`` has; 0
    if it lacks none."""
    lacking = ~np.isin(one[CELLS][0], other[CELLS][0])
    above: NDArray[np.floating] = one["scores"][0][lacking] - other["scores"].min()
    return float(above.max(initial=0.0))


def check_raw(step: str, differences: Mapping[str, float], tolerances: Tolerances) -> None:
    """
    Raises:
        StepFailedError: an output differs by more than is allowed, or by no number.
    """
    for name, difference in differences.items():
        if not difference <= tolerances.raw:
            raise StepFailedError(
                f"{step}: output {name!r} differs from its parent's by {difference:.2e} of its "
                f"range; allowed: {tolerances.raw:.0e}. The step lost accuracy: look for an "
                "operator that was converted wrongly"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """Decoded results of a child that are its parent's.

    ``k`` of ``n``: the parent's detections found again at IoU 0.5, or texts that are equal.
    ``extra``: detections the parent has not. ``corners``: median distance of matched detections'
    corners as a fraction of the plate's width, NaN for a reader or without a match. ``int8_layers``
    of ``layers`` of the child are executed in 8 bits.
    """

    task: str
    pictures: int
    k: int
    n: int
    extra: int = 0
    corners: float = math.nan
    int8_layers: int
    int8_layers_of_parent: int = 0
    layers: int
    isa: str

    @property
    def share(self) -> float:
        """``k / n``; 0 where there was nothing to compare."""
        return self.k / self.n if self.n else 0.0

    def figures(self) -> dict[str, float]:
        """All numbers, for a manifest."""
        numbers = dataclasses.asdict(self) | {"agreement": self.share}
        return {
            name: float(value) for name, value in numbers.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }


def check_agreement(step: str, agreement: Agreement, tolerances: Tolerances) -> None:
    """
    Raises:
        StepFailedError: too few results agree, or corners moved too far.
    """
    what = "detections found again" if agreement.task == "detector" else "texts equal"
    if agreement.share < tolerances.agreement:
        nothing = "" if agreement.n else " (the parent finds nothing, so nothing can be judged)"
        raise StepFailedError(
            f"{step}: {agreement.k} of {agreement.n} {what} at {agreement.isa}; allowed: at "
            f"least {tolerances.agreement:.0%}{nothing}. Try other options, or ship the parent"
        )
    if agreement.corners > tolerances.corners:
        raise StepFailedError(
            f"{step}: corners moved by {agreement.corners:.1%} of the plate's width (median); "
            f"allowed: {tolerances.corners:.1%}. Try other options, or ship the parent"
        )


def check_executed(step: str, agreement: Agreement) -> None:
    """
    Raises:
        StepFailedError: no more layers than the parent's run in 8 bits (those that take the
            picture always do).
    """
    if agreement.int8_layers <= agreement.int8_layers_of_parent:
        raise StepFailedError(
            f"{step}: {agreement.int8_layers} of {agreement.layers} executed layers run in 8 bits, "
            f"of the parent {agreement.int8_layers_of_parent}; allowed: more than the parent, else "
            "the model is no faster. Check the versions of openvino and nncf"
        )


def compare_decoded(
    parent: Path, child: Path, data: Path, *, instruction_set: str, limit: int | None = None
) -> Agreement:
    """Compare two model folders of one task on the held out pictures, in this process."""
    if manifests.load(parent).task == "detector":
        original = PlateDetector(parent, second_look=False)
        lowest = max(0.0, original.min_score - SCORE_MARGIN)
        return _compare_detectors(
            original, PlateDetector(child, min_score=lowest, second_look=False),
            calibration_pictures(data, crops=False, limit=limit).held_out, instruction_set,
        )
    return _compare_readers(
        PlateReader(parent), PlateReader(child),
        calibration_pictures(data, crops=True, limit=limit).held_out, instruction_set,
    )


def compare_at(
    parent: Path, child: Path, data: Path, *, target: str, limit: int | None = None
) -> Agreement:
    """:func:`compare_decoded` in a child process capped to ``target``, proven first.

    Raises:
        UsageError: this CPU cannot execute the target.
        LibraryError: the cap is not effective.
        AlprEdgeError: see :func:`optimize.capped.run_capped`.
    """
    found = run_capped(
        "compare", target, parent=parent, child=child, data=data,
        instruction_set=verified(target), limit=limit,
    )
    return Agreement(**found)


def compare_work(*, parent: str, child: str, data: str, **options: Any) -> dict[str, Any]:
    """:func:`compare_decoded` with JSON values."""
    return dataclasses.asdict(compare_decoded(Path(parent), Path(child), Path(data), **options))


def _compare_readers(
    parent: PlateReader, child: PlateReader, crops: Sequence[Sample], name: str
) -> Agreement:
    inputs = list(network_inputs(parent.engine.manifest, crops))
    pairs = [(parent.predict(x)[0].text, child.predict(x)[0].text) for x in inputs]
    return Agreement(
        task="reader", pictures=len(crops), k=sum(a == b for a, b in pairs), n=len(pairs), isa=name,
        **_executed(parent, child),
    )


def _compare_detectors(
    parent: PlateDetector, child: PlateDetector, frames: Sequence[Sample], name: str
) -> Agreement:
    """``child`` must give all its detections down to :data:`SCORE_MARGIN` below the threshold."""
    errors: list[float] = []
    wanted = extra = 0
    for frame in frames:
        image = load_image(frame.path)
        mine, theirs = parent.predict(image), child.predict(image)
        found = find_again(mine, theirs)
        wanted += len(mine)
        errors += [error for error in found if not math.isnan(error)]
        extra += sum(
            math.isnan(error) and detection.confidence >= parent.min_score
            for error, detection in zip(found, theirs, strict=True)
        )
    return Agreement(
        task="detector", pictures=len(frames), k=len(errors), n=wanted, extra=extra,
        corners=float(np.median(errors)) if errors else math.nan, isa=name,
        **_executed(parent, child),
    )


def find_again(parent: Sequence[Detection], child: Sequence[Detection]) -> list[float]:
    """For each of the child's detections its corners' distance, in widths of the plate, from the
    parent's detection that it overlaps; NaN where there is none."""
    found = metrics.match(
        np.array([d.box for d in child], np.float64).reshape(-1, 4),
        np.array([d.confidence for d in child], np.float64),
        np.array([d.box for d in parent], np.float64).reshape(-1, 4),
        metrics.IOU_FOUND,
    )
    return [
        metrics.corner_error(detection.corners, parent[index].corners) if index >= 0 else math.nan
        for detection, index in zip(child, found.tolist(), strict=True)
    ]


def _executed(
    parent: PlateDetector | PlateReader, child: PlateDetector | PlateReader
) -> dict[str, int]:
    before, after = (model.engine.executed_precisions() for model in (parent, child))
    return {
        "int8_layers": _in_8_bits(after), "int8_layers_of_parent": _in_8_bits(before),
        "layers": sum(after.values()),
    }


def _in_8_bits(counts: Mapping[str, int]) -> int:
    return counts.get("u8", 0) + counts.get("i8", 0)
