"""Which variant is best: the fastest that lost no more than is allowed, and the front."""

from __future__ import annotations

import dataclasses
from typing import Any

from optimize.report import Measured, Variant, lost, speed_up


def front(measured: Measured) -> list[Variant]:
    """The variants that no other one beats in accuracy, latency and size together (Pareto front);
    equal ones are all on it."""

    def costs(variant: Variant) -> tuple[float, ...]:
        return lost(measured.root, variant), variant.latency.p50, variant.bytes

    def beaten(variant: Variant) -> bool:
        mine = costs(variant)
        return any(
            costs(other) != mine
            and all(a <= b for a, b in zip(costs(other), mine, strict=True))
            for other in measured.deployable
        )

    return [variant for variant in measured.deployable if not beaten(variant)]


def fastest(measured: Measured, max_drop: float) -> Variant:
    """The fastest variant that lost at most ``max_drop`` points against the root, and of no set
    more than a picture or half a point (:func:`~optimize.report.weak_sets`); of equally fast ones
    the smallest, of equally small ones the more accurate. The root itself always qualifies."""
    allowed = [
        v for v in measured.deployable
        if lost(measured.root, v) <= max_drop and not measured.weak_sets(v)
    ]
    return min(
        allowed, key=lambda v: (v.latency.p50, v.bytes, lost(measured.root, v)),
        default=measured.root,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """The choice for one task and target. ``measured_at`` differs from ``target`` where this CPU
    cannot execute the target: then the pick is only ``predicted``. ``model`` is its fingerprint."""

    task: str
    target: str
    measured_at: str
    split: str
    variant: str
    model: str
    root: str
    max_drop: float
    drop: float
    speed_up: float
    front: tuple[str, ...]

    @property
    def predicted(self) -> bool:
        """Whether it was not measured at its target."""
        return self.target != self.measured_at

    @classmethod
    def of(
        cls, measured: Measured, chosen: Variant, target: str, max_drop: float, split: str
    ) -> Pick:
        """``chosen`` for ``target``, with its figures."""
        return cls(
            task=measured.task, target=target, measured_at=measured.target, split=split,
            variant=chosen.name, model=chosen.model, root=measured.root.name, max_drop=max_drop,
            drop=lost(measured.root, chosen), speed_up=speed_up(measured.root, chosen),
            front=tuple(variant.name for variant in front(measured)),
        )

    def to_json(self) -> dict[str, Any]:
        """All fields, and whether it is predicted."""
        return dataclasses.asdict(self) | {"predicted": self.predicted}
