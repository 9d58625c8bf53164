from __future__ import annotations

import contextlib
import sqlite3
import threading
import time

import pytest
from events import MEDIA, NO_MEDIA, ended, event, until

from alpr_edge.cli import main
from alpr_edge.errors import DataError, OutputError
from alpr_edge.watch.backoff import Backoff
from alpr_edge.watch.config import StoreConfig
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.outbox import Backlog, Courier, DeadLetter, DeliveryError
from alpr_edge.watch.store import Store


@pytest.fixture
def config(tmp_path):
    return StoreConfig(path=tmp_path / "events.db")


@pytest.fixture
def store(config):
    store = Store(config)
    yield store
    store.close()


class Receiver:
    """Takes everything, except while ``problem`` is set."""

    def __init__(self) -> None:
        self.problem: DeliveryError | None = None
        self.taken: list[str] = []
        self.attempts = 0
        self.media = []

    def __call__(self, event, media) -> None:
        self.attempts += 1
        if self.problem is not None:
            raise self.problem
        self.taken.append(event.key)
        self.media.append(media)


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def courier(store, receiver):
    courier = Courier(store, "a", receiver, backoff=Backoff(first=0.01, limit=0.05))
    courier.start()
    yield courier
    courier.close()


def test_backoff_doubles_to_its_limit_and_is_spread():
    low, high = (Backoff(first=1, limit=5, draw=lambda d=d: d) for d in (0.0, 1.0))
    assert [high.next() for _ in range(5)] == [1, 2, 4, 5, 5]
    assert [low.next() for _ in range(3)] == [0.5, 1, 2]
    high.reset()
    assert high.next() == 1


def test_what_was_waiting_and_what_comes_is_delivered_in_order(store, receiver):
    for number in range(3):
        store.add(event(number), MEDIA, ["a", "other"])
    courier = Courier(store, "a", receiver)
    courier.start()
    store.add(ended(event(0)), MEDIA, ["a"])
    store.add(event(9), NO_MEDIA, ["other"])
    until(lambda: len(receiver.taken) == 4)
    courier.close()
    assert receiver.taken == [event(0).key, event(1).key, event(2).key, ended(event(0)).key]
    assert receiver.media == [MEDIA] * 4
    assert store.outbox.backlogs() == {"other": Backlog(waiting=4, dead=0)}
    assert (courier.delivered, courier.failures, courier.problem) == (4, 0, None)


def test_each_announcement_is_delivered_as_it_was(store):
    store.add(event(0, text="A"), NO_MEDIA, ["a"])
    store.add(ended(event(0, text="B")), NO_MEDIA, ["a"])
    assert event_json(store.outbox.next("a")) == event_json(event(0, text="A"))


def test_nothing_is_lost_while_the_receiver_is_away(store, receiver, courier):
    receiver.problem = DeliveryError("away")
    for number in range(5):
        store.add(event(number), NO_MEDIA, ["a"])
    until(lambda: courier.failures > 3)
    assert courier.problem == "away" and not receiver.taken
    receiver.problem = None
    until(lambda: courier.delivered == 5)
    assert receiver.taken == [event(number).key for number in range(5)]
    until(lambda: courier.problem is None)


def test_new_events_do_not_shorten_the_wait(store, receiver):
    receiver.problem = DeliveryError("busy", retry_after=0.3)
    courier = Courier(store, "a", receiver, backoff=Backoff(first=0.001))
    courier.start()
    began = time.monotonic()
    while time.monotonic() - began < 0.2:
        store.add(event(receiver.attempts + 10 * int(time.monotonic() * 1000)), NO_MEDIA, ["a"])
    assert receiver.attempts == 1
    courier.close()


def test_what_is_refused_is_put_aside_seen_and_can_be_tried_again(store, receiver, courier):
    receiver.problem = DeliveryError("413 too large", permanent=True)
    store.add(event(1), NO_MEDIA, ["a"])
    until(lambda: store.outbox.dead())
    receiver.problem = None
    store.add(event(2), NO_MEDIA, ["a"])
    until(lambda: receiver.taken == [event(2).key])
    assert store.outbox.dead() == [
        DeadLetter(target="a", key=event(1).key, problem="413 too large")
    ]
    until(lambda: store.outbox.backlogs() == {"a": Backlog(waiting=0, dead=1)})
    assert store.outbox.revive("a") == 1
    until(lambda: receiver.taken == [event(2).key, event(1).key])
    until(lambda: store.outbox.backlogs() == {})


def test_a_restart_goes_on_where_it_was(config, receiver):
    store = Store(config)
    receiver.problem = DeliveryError("away")
    courier = Courier(store, "a", receiver)
    courier.start()
    store.add(event(1), NO_MEDIA, ["a"])
    until(lambda: receiver.attempts)
    courier.close()
    store.close()
    receiver.problem = None
    store = Store(config)
    courier = Courier(store, "a", receiver)
    courier.start()
    until(lambda: receiver.taken == [event(1).key])
    courier.close()
    store.close()


def test_what_cannot_be_noted_is_not_delivered_twice(store, receiver, courier, monkeypatch):
    real, failing = store.outbox.delivered, [True] * 3

    def delivered(target: str, key: str) -> None:
        if failing:
            failing.pop()
            raise OutputError("disk full")
        real(target, key)

    monkeypatch.setattr(store.outbox, "delivered", delivered)
    store.add(event(1), NO_MEDIA, ["a"])
    store.add(event(2), NO_MEDIA, ["a"])
    until(lambda: courier.delivered == 2)
    assert receiver.taken == [event(1).key, event(2).key] and courier.failures == 3


def test_closing_does_not_wait_for_backoff_nor_idle(store, receiver):
    receiver.problem = DeliveryError("away")
    waiting = Courier(store, "a", receiver, backoff=Backoff(first=60))
    idle = Courier(store, "b", receiver)
    waiting.start()
    idle.start()
    store.add(event(1), NO_MEDIA, ["a"])
    until(lambda: receiver.attempts)
    began = time.monotonic()
    waiting.close()
    idle.close()
    assert time.monotonic() - began < 1
    assert not [t for t in threading.enumerate() if t.name.startswith("courier")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_is_not_taken_for_a_receiver_that_is_away(store):
    def broken(event, media) -> None:
        raise KeyError("a mistake")

    courier = Courier(store, "a", broken)
    courier.start()
    assert courier.alive
    store.add(event(1), NO_MEDIA, ["a"])
    until(lambda: not courier.alive)
    assert store.outbox.backlogs() == {"a": Backlog(waiting=1, dead=0)}


def test_a_courier_that_was_not_started_can_be_closed(store, receiver):
    Courier(store, "a", receiver).close()


def test_the_command_shows_what_waits_and_revives_beside_the_service(
    config, store, receiver, courier, capsys
):
    receiver.problem = DeliveryError("413 too large", permanent=True)
    store.add(event(1), NO_MEDIA, ["a"])
    store.add(event(2), NO_MEDIA, ["b"])
    until(lambda: store.outbox.dead())
    assert main(["outbox", str(config.path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a: 0 waiting, 1 refused", "b: 1 waiting, 0 refused", f"a\t{event(1).key}\t413 too large",
    ]
    receiver.problem = None
    assert main(["outbox", str(config.path), "--retry", "a"]) == 0
    assert capsys.readouterr().out == "1 announcements for a are tried again\n"
    courier.wake()
    until(lambda: receiver.taken == [event(1).key])


def test_the_command_tells_of_an_empty_outbox_and_of_receivers_it_does_not_know(
    config, store, capsys
):
    assert main(["outbox", str(config.path)]) == 0
    assert capsys.readouterr().out == "nothing waits, and nothing was refused\n"
    assert main(["outbox", str(config.path), "--retry", "x"]) == 2
    assert "nothing for 'x'; it has something for nobody" in capsys.readouterr().err
    store.add(event(1), NO_MEDIA, ["webhook a", "mqtt"])
    assert main(["outbox", str(config.path), "--retry", "x"]) == 2
    assert "it has something for 'mqtt', 'webhook a'" in capsys.readouterr().err


@pytest.mark.parametrize("schema", [
    "", "CREATE TABLE notes (text)", "CREATE TABLE notes (text); PRAGMA user_version = 1",
    "PRAGMA journal_mode = WAL; CREATE TABLE notes (text)",
])
def test_the_command_leaves_other_files_as_they_are(tmp_path, capsys, schema):
    path = tmp_path / "notes.db"
    path.touch()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.executescript(schema)
    before = path.read_bytes()
    assert main(["outbox", str(path)]) == 2
    assert f"{path} is no store of alpr-edge" in capsys.readouterr().err
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    if schema:
        with pytest.raises(DataError, match="no store of alpr-edge"):
            Store(StoreConfig(path=path))
        assert path.read_bytes() == before


def test_the_command_makes_no_store(tmp_path, capsys):
    assert main(["outbox", str(tmp_path / "events.db")]) == 2
    assert "name what [store] path names" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
