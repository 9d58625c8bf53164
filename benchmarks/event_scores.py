"""Events of a video against the vehicles that its truth has: what was found, missed, told twice."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpr_edge.edits import edit_distance
from alpr_edge.errors import DataError
from alpr_edge.rates import Rate

SCHEMA = 1
"""Of the truth file (``python -m training.render driveby``)."""
MOST_EDITS = 2
"""An event is a vehicle's if its text differs by so many characters at most."""
MIN_FRAMES, MIN_VISIBLE, MIN_WIDTH = 8, 0.99, 60.0
"""A vehicle counts if its plate is seen so completely and so wide, in pixels, in so many frames."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Vehicle:
    """A vehicle of the truth; ``counts`` is false where nobody could read it."""

    text: str
    style: str
    night: bool
    parked: bool
    counts: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """``recall``: vehicles that have an event; ``precision``: events that are a vehicle's;
    ``exact``: found vehicles whose (first) event spells their text; ``duplicates``: events of a
    vehicle that had one already, of the vehicles found. ``wrong`` lists what was not right."""

    recall: Rate
    precision: Rate
    exact: Rate
    duplicates: Rate
    wrong: tuple[str, ...]


def load_truth(path: Path) -> tuple[list[Vehicle], dict[str, Any]]:
    """The vehicles of a truth file, and the file itself.

    Raises:
        DataError: it cannot be read or has another schema.
    """
    try:
        truth = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a truth file: {error}") from error
    if not isinstance(truth, dict) or truth.get("schema") != SCHEMA:
        raise DataError(f"{path} is no truth of schema {SCHEMA}; render the video again")
    return [_vehicle(row, truth) for row in truth["vehicles"]], truth


def _vehicle(row: Mapping[str, Any], truth: Mapping[str, Any]) -> Vehicle:
    seen = sum(share >= MIN_VISIBLE and math.dist(quad[:2], quad[2:4]) >= MIN_WIDTH
               for share, quad in zip(row["visible"], row["quads"], strict=True))
    return Vehicle(
        text=row["text"], style=row["style"], night=row["first"] >= truth["night"],
        parked=row["parked"], counts=seen >= MIN_FRAMES,
    )


def score(vehicles: Sequence[Vehicle], texts: Sequence[str]) -> Scores:
    """The scores of the events' texts, one a vehicle that an event was told of, in order."""
    owners = [_owner(vehicles, text) for text in texts]
    first = {owner: text for owner, text in reversed(list(zip(owners, texts, strict=True)))}
    counting = [n for n, vehicle in enumerate(vehicles) if vehicle.counts]
    found = [n for n in counting if n in first]
    again = Counter(owner for owner in owners if owner is not None)
    extra = sum(again[n] - 1 for n in found)
    wrong = [f"missed {_name(vehicles[n])}" for n in counting if n not in first]
    wrong += [f"read {first[n]} on {_name(vehicles[n])}" for n in found
              if first[n] != vehicles[n].text]
    wrong += [f"told {again[n]} times {_name(vehicles[n])}" for n in found if again[n] > 1]
    wrong += [f"nobody's {text}" for owner, text in zip(owners, texts, strict=True)
              if owner is None]
    return Scores(
        recall=Rate(len(found), len(counting)),
        precision=Rate.of(owner is not None for owner in owners),
        exact=Rate.of(first[n] == vehicles[n].text for n in found),
        duplicates=Rate(min(extra, len(found)), len(found)), wrong=tuple(wrong),
    )


def _owner(vehicles: Sequence[Vehicle], text: str) -> int | None:
    """The number of the vehicle that a text is nearest to."""
    edits = [edit_distance(text, vehicle.text) for vehicle in vehicles]
    nearest = min(range(len(edits)), key=edits.__getitem__, default=None)
    return nearest if nearest is not None and edits[nearest] <= MOST_EDITS else None


def _name(vehicle: Vehicle) -> str:
    marks = [vehicle.style, *["night"] * vehicle.night, *["parked"] * vehicle.parked]
    return f"{vehicle.text} ({', '.join(marks)})"
