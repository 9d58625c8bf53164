from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from events import EVENT, ended, event

from alpr_edge.errors import DataError, UsageError
from alpr_edge.watch.event_json import event_json, event_of
from alpr_edge.watch.hashing import PlateHasher

DOCS = Path(__file__).parent.parent / "docs" / "events.md"
KEY = b"k" * 32


def test_the_object_is_exactly_the_documented_one():
    assert event_json(EVENT) == {
        "schema": 1,
        "key": "3f0c1de2-0000-4000-8000-000000000000-first",
        "id": "3f0c1de2-0000-4000-8000-000000000000",
        "final": False,
        "camera": "gate",
        "text": "皖A12345",
        "confidence": 0.987654,
        "char_confidences": [0.99] * 7,
        "reads": 5,
        "agreeing": 4,
        "rows": 1,
        "region": "CN",
        "kind": "blue",
        "first_seen": 1000.123,
        "last_seen": 1002.0,
        "best_time": 1001.5,
        "direction": "approaching",
        "quad": [[1.24, 2.0], [30.0, 2.0], [30.0, 12.0], [1.0, 12.0]],
        "width": 1920,
        "height": 1080,
        "correction": {"read": "皖A12B45", "grammar": "cn"},
        "known": {"text": "皖A12345", "access": "deny", "label": "the van", "distance": 0},
        "latency_ms": 123.457,
        "file": None,
    }


def test_the_documented_example_is_one():
    example = re.search(r"```json\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)[1]
    assert json.loads(example) == event_json(EVENT)


@pytest.mark.parametrize("one", [EVENT, ended(EVENT), event(correction=None, known=None),
                                 event(rows=None, region=None, kind=None), event(file="a.jpg")])
def test_through_json_and_back_nothing_but_rounding_is_lost(one):
    record = json.loads(json.dumps(event_json(one)))
    again = event_of(record)
    assert event_json(again) == record
    assert dataclasses.replace(
        again, confidence=one.confidence, first_seen=one.first_seen, quad=one.quad,
        latency_ms=one.latency_ms,
    ) == one


@pytest.mark.parametrize("change", [
    {"schema": 2}, {"direction": "up"}, {"quad": [[1, 2]]}, {"known": {"text": "A"}},
])
def test_damaged_objects_are_told(change):
    with pytest.raises(DataError, match="schema|damaged"):
        event_of(event_json(EVENT) | change)


def test_a_missing_field_is_told():
    record = event_json(EVENT)
    del record["camera"]
    with pytest.raises(DataError, match="camera"):
        event_of(record)


def test_an_event_of_before_there_were_file_names_is_read():
    record = event_json(EVENT)
    del record["file"]
    assert event_of(record).file is None


def test_hash_is_hmac_sha256():  # RFC 4231, test case 1
    hasher = PlateHasher(b"\x0b" * 20)
    assert hasher.text("Hi There") == (
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )


def test_a_hashed_event_tells_no_plate_anywhere():
    hashed = PlateHasher(KEY).event(dataclasses.replace(EVENT, file="皖A12345.jpg"))
    text = json.dumps(event_json(hashed), ensure_ascii=False)
    assert "A12" not in text and "皖" not in text and hashed.char_confidences == ()
    assert hashed.text == hashed.known.text != hashed.correction.read
    assert hashed.id == EVENT.id and hashed.known.label == "the van"
    assert PlateHasher(b"other key, other hash").text("皖A12345") != hashed.text
    assert PlateHasher(KEY).text("") == ""


def test_an_event_of_no_known_plate_is_hashed_too():
    assert PlateHasher(KEY).event(event(correction=None, known=None)).known is None


def test_the_key_comes_from_a_file(tmp_path):
    path = tmp_path / "key"
    path.write_text("k" * 32 + "\n")
    assert PlateHasher.from_file(path).text("A1") == PlateHasher(KEY).text("A1")
    path.write_text("short")
    with pytest.raises(UsageError, match="5 characters.*openssl rand"):
        PlateHasher.from_file(path)
