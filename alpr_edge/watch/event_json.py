"""An event as a JSON object and back: the one form that files, store, MQTT, webhook and page have.

The object has the fields of :class:`~alpr_edge.watch.types.Event` by their names, ``schema`` and
``key``. Probabilities are rounded to 1/1,000,000, seconds to 1/1000, pixels to 1/100.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from alpr_edge.errors import DataError
from alpr_edge.types import Quad
from alpr_edge.watch.types import Access, Correction, Direction, Event, Known

SCHEMA = 1

Record = dict[str, Any]


def event_json(event: Event) -> Record:
    """The object of an event: only what JSON has (str, float, int, bool, None, list, dict)."""
    record = dataclasses.asdict(event)
    for name in ("first_seen", "last_seen", "best_time", "latency_ms"):
        record[name] = round(record[name], 3)
    record["confidence"] = round(event.confidence, 6)
    record["char_confidences"] = [round(c, 6) for c in event.char_confidences]
    record["direction"] = str(event.direction)
    record["quad"] = [[round(x, 2), round(y, 2)] for x, y in event.quad]
    if event.known is not None:
        record["known"]["access"] = str(event.known.access)
    return {"schema": SCHEMA, "key": event.key} | record


def event_of(record: Record) -> Event:
    """The event of an object that :func:`event_json` made.

    Raises:
        DataError: another schema, or a field is missing or of another type.
    """
    if record.get("schema") != SCHEMA:
        raise DataError(f"event of schema {record.get('schema')!r}; this version reads {SCHEMA}: "
                        "use the version of alpr-edge that wrote it")
    try:
        full: Record = {"file": None, **record}  # events that were stored before have no file
        fields = {field.name: full[field.name] for field in dataclasses.fields(Event)}
        correction, known = fields["correction"], fields["known"]
        return Event(**fields | {
            "char_confidences": tuple(fields["char_confidences"]),
            "direction": Direction(fields["direction"]),
            "quad": _quad(fields["quad"]),
            "correction": correction and Correction(**correction),
            "known": known and Known(**known | {"access": Access(known["access"])}),
        })
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"an event's object is damaged ({error!r}); its fields are those of "
                        "alpr_edge.watch.types.Event") from error


def _quad(corners: list[list[float]]) -> Quad:
    top_left, top_right, bottom_right, bottom_left = ((x, y) for x, y in corners)
    return top_left, top_right, bottom_right, bottom_left
