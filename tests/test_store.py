from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from events import EVENT, MEDIA, NO_MEDIA, ended, event

from alpr_edge.errors import DataError, OutputError, UsageError
from alpr_edge.watch.age import DAY, MAX_CLOSED
from alpr_edge.watch.config import StoreConfig
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.outbox import Backlog
from alpr_edge.watch.store import EventQuery, Store, pictures_folder
from alpr_edge.watch.types import Access, Known, Media


class Clocks:
    """A wall clock and a monotonic one that tests move."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1.7e9, 50.0

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def config(tmp_path):
    return StoreConfig(path=tmp_path / "store" / "events.db")


@pytest.fixture
def opened(config, clocks):
    stores = []

    def open_store(**changes) -> Store:
        while stores:
            stores.pop().close()
        stores.append(Store(dataclasses.replace(config, **changes), wall=lambda: clocks.wall,
                            monotonic=lambda: clocks.monotonic))
        return stores[0]

    yield open_store
    while stores:
        stores.pop().close()


def texts(store: Store, **query) -> list[str]:
    return [event.text for event in store.events(EventQuery(**query)).events]


def test_an_event_is_there_with_its_pictures_after_a_restart(opened):
    opened().add(EVENT, MEDIA)
    store = opened()
    assert event_json(store.event(EVENT.id)) == event_json(EVENT)
    assert store.picture(EVENT.id, "crop") == MEDIA.crop
    assert store.picture(EVENT.id, "scene") == MEDIA.scene
    assert store.event("no such id") is None and store.picture("../events", "crop") is None


def test_everything_is_synced_and_pictures_are_before_their_rows(opened, monkeypatch):
    store = opened()
    done: list[str] = []
    connection = store._database._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    connection.set_trace_callback(lambda sql: done.append(sql.split()[0]))
    real = os.fsync
    monkeypatch.setattr("os.fsync", lambda descriptor: (done.append("fsync"), real(descriptor)))
    store.add(EVENT, MEDIA, ["a"])
    connection.set_trace_callback(None)
    last_sync = len(done) - 1 - done[::-1].index("fsync")
    assert done.count("fsync") >= 4  # two files, and the folder after each
    assert last_sync < done.index("INSERT") < done.index("COMMIT") == len(done) - 1


def test_the_end_of_a_vehicle_replaces_its_begin_and_keeps_its_place(opened):
    store = opened()
    for number in (1, 2):
        store.add(event(number), MEDIA)
    store.add(ended(event(1), text="B"), Media(crop=b"better", scene=None))
    assert texts(store) == ["皖A12345", "B"]
    assert store.picture(event(1).id, "crop") == b"better"
    assert store.picture(event(1).id, "scene") == MEDIA.scene


def test_adding_again_or_in_the_wrong_order_doubles_nothing(opened):
    store = opened()
    store.add(event(1), MEDIA, ["a"])
    store.outbox.delivered("a", event(1).key)
    store.add(event(1), MEDIA, ["a"])
    store.add(ended(event(1), text="B"), MEDIA, ["a"])
    store.add(event(1), MEDIA, ["a"])
    assert texts(store) == ["B"]
    assert store.outbox.backlogs() == {"a": Backlog(waiting=1, dead=0)}


def test_queries(opened):
    store = opened()
    allowed = Known(text="X", access=Access.ALLOW, label="", distance=0)
    store.add(event(1, text="AB123", camera="gate", first_seen=10.0, last_seen=20.0), NO_MEDIA)
    store.add(event(2, text="B%1_3", camera="yard", first_seen=15.0, last_seen=30.0), NO_MEDIA)
    store.add(event(3, text="XY9", camera="gate", first_seen=40.0, last_seen=41.0, known=allowed),
              NO_MEDIA)
    assert texts(store) == ["XY9", "B%1_3", "AB123"]
    assert texts(store, text="b-1 2") == ["AB123"]
    assert texts(store, text="%1_") == ["B%1_3"]
    assert texts(store, camera="gate") == ["XY9", "AB123"]
    assert texts(store, since=20.0, until=39.0) == ["B%1_3", "AB123"]
    assert texts(store, access=Access.ALLOW) == ["XY9"]
    assert texts(store, access=Access.DENY, camera="yard") == ["B%1_3"]


def test_pages_have_everything_once_while_events_come(opened):
    store = opened()
    for number in range(7):
        store.add(event(number, text=f"T{number}"), NO_MEDIA)
    seen, before = [], None
    while True:
        page = store.events(EventQuery(limit=3, before=before))
        seen += [one.text for one in page.events]
        store.add(event(100 + len(seen), text="new"), NO_MEDIA)
        if page.next is None:
            break
        before = page.next
    assert seen == ["T6", "T5", "T4", "T3", "T2", "T1", "T0"]


def test_what_came_after_an_announcement(opened, clocks):
    store = opened()
    for one in (event(1), event(2), ended(event(1)), event(3)):
        clocks.sleep(1)
        store.add(one, NO_MEDIA)
    keys = [one.key for one in store.after(event(1).key, 10)]
    assert keys == [event(2).key, ended(event(1)).key, event(3).key]
    assert [one.key for one in store.after(event(2).key, 1)] == [ended(event(1)).key]
    assert [one.key for one in store.after(ended(event(1)).key, 10)] == [event(3).key]
    assert store.after(event(3).key, 10) == [] and store.after("unknown-first", 10) == []


def test_what_came_at_the_same_moment_comes_once_a_page_at_a_time(opened):
    store = opened()
    for number in range(5):
        store.add(event(number), NO_MEDIA)
    first, second = store.after(event(0).key, 2), store.after(event(2).key, 2)
    assert [one.key for one in first + second] == [event(number).key for number in range(1, 5)]
    assert store.after(event(4).key, 2) == []


def test_old_pictures_go_before_old_events(opened, clocks, config):
    store = opened(keep_pictures_days=1, keep_events_days=3)
    store.add(event(1), MEDIA, ["a"])
    clocks.sleep(1.5 * DAY)
    store.add(event(2), MEDIA)
    store.prune()
    assert store.picture(event(1).id, "crop") is None and store.event(event(1).id)
    assert store.picture(event(2).id, "crop")
    clocks.sleep(2 * DAY)
    store.prune()
    assert store.event(event(1).id) is None and store.event(event(2).id)
    assert store.outbox.backlogs() == {}
    assert not list(pictures_folder(config.path).glob("*/*"))


def test_the_oldest_pictures_go_where_there_are_too_many(opened, clocks):
    store = opened(max_pictures_mb=0.01)
    for number in range(4):
        clocks.sleep(1)
        store.add(event(number), Media(crop=b"c" * 3000, scene=b"s"))
    store.prune()
    kept = [bool(store.picture(event(number).id, "crop")) for number in range(4)]
    assert kept == [False, True, True, True]
    assert len(texts(store)) == 4


def test_a_picture_that_cannot_be_removed_keeps_nothing_else(opened, clocks, config, caplog):
    store = opened()
    for number in (1, 2):
        store.add(event(number), MEDIA)
    stuck = next(pictures_folder(config.path).glob(f"*/{event(1).id}-crop.jpg"))
    stuck.unlink()
    stuck.mkdir()
    clocks.sleep(400 * DAY)
    store.prune()
    assert f"{stuck}: cannot be removed" in caplog.text
    assert list(pictures_folder(config.path).glob("*/*")) == [stuck]
    assert store.event(event(1).id) is None and store.event(event(2).id) is None
    stuck.rmdir()
    stuck.write_bytes(b"left")
    opened().prune()  # the next start
    assert not stuck.exists()


@pytest.mark.parametrize("jump", [40 * 365 * DAY, -40 * 365 * DAY])
def test_a_jump_of_the_clock_removes_and_doubles_nothing(opened, clocks, jump):
    store = opened()
    store.add(event(1, text="before"), MEDIA)
    clocks.wall += jump
    store.prune()
    store.add(event(2, text="between"), MEDIA)
    clocks.wall -= jump
    store.add(event(3, text="after"), MEDIA)
    store.prune()
    assert texts(store) == ["after", "between", "before"]
    assert all(store.picture(event(number).id, "crop") for number in (1, 2, 3))
    clocks.sleep(91 * DAY)
    store.prune()
    assert texts(store) == []


def test_a_jump_while_the_store_was_closed_counts_a_week_at_most(opened, clocks):
    opened().add(event(1), MEDIA)
    clocks.wall += 40 * 365 * DAY
    store = opened(keep_pictures_days=MAX_CLOSED / DAY + 1)
    store.prune()
    assert store.picture(event(1).id, "crop")
    clocks.sleep(1.01 * DAY)
    store.prune()
    assert store.picture(event(1).id, "crop") is None
    clocks.wall = 0.0  # a box without a battery starts in 1970
    store = opened()
    store.prune()
    assert texts(store) == [EVENT.text]


def test_pictures_that_a_crash_left_without_an_event_are_removed(opened, config):
    store = opened()
    store.add(event(1), MEDIA)
    orphan = pictures_folder(config.path) / "ab" / "ab12-crop.jpg"
    orphan.parent.mkdir()
    orphan.write_bytes(b"x")
    partial = orphan.with_suffix(".partial")
    partial.write_bytes(b"x")
    store.prune()
    assert not orphan.exists() and not partial.exists() and store.picture(event(1).id, "crop")


def test_a_picture_that_cannot_be_read_keeps_no_event_back(opened, config, caplog):
    store = opened()
    store.add(EVENT, MEDIA)
    path = next(pictures_folder(config.path).glob("*/*-crop.jpg"))
    path.unlink()
    path.mkdir()
    assert store.media(EVENT.id) == Media(crop=None, scene=MEDIA.scene)
    assert "cannot be read: " in caplog.text


def test_threads_add_and_read_together(opened):
    store = opened()

    def add(first: int) -> None:
        for number in range(first, first + 10):
            store.add(event(number, text=f"T{number}"), MEDIA)
            store.events()

    threads = [threading.Thread(target=add, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(texts(store, limit=100))) == 40


def test_files_are_for_the_owner_only(opened, config):
    opened().add(EVENT, MEDIA)
    assert config.path.stat().st_mode & 0o077 == 0
    assert pictures_folder(config.path).stat().st_mode & 0o077 == 0


def test_what_cannot_be_opened_is_told(opened, config, tmp_path):
    with pytest.raises(UsageError, match="path"):
        Store(StoreConfig())
    opened()
    with pytest.raises(OutputError, match="in use by another alpr-edge"):
        Store(config)
    other = tmp_path / "notes.txt"
    other.write_text("no database" * 100)
    with pytest.raises(DataError, match="damaged or no database"):
        Store(StoreConfig(path=other))
    sqlite3.connect(tmp_path / "newer.db").execute("PRAGMA user_version = 9")
    with pytest.raises(DataError, match="schema 9.*reads 1"):
        Store(StoreConfig(path=tmp_path / "newer.db"))
    with pytest.raises(OutputError, match="check that it can"):
        Store(StoreConfig(path=other / "events.db"))


def test_a_store_never_touches_the_pictures_of_another(config):
    with contextlib.closing(Store(config)) as store:
        store.add(EVENT, MEDIA)
    beside = dataclasses.replace(config, path=config.path.with_suffix(".sqlite"))
    with pytest.raises(DataError, match="has the pictures of events.db, not of events.sqlite"):
        Store(beside)
    for _ in range(2):
        with contextlib.closing(Store(config)) as store:
            store.prune()
            assert store.media(EVENT.id) == MEDIA
        (pictures_folder(config.path) / "store").unlink()  # as of a version before


def test_a_store_that_cannot_be_read_is_not_kept_in_use(config):
    Store(config).close()
    with contextlib.closing(sqlite3.connect(config.path)) as database:
        database.execute("ALTER TABLE clock RENAME COLUMN wall TO gone")
    for _ in range(2):
        with pytest.raises(OutputError, match="no such column"):
            Store(config)


def test_after_closing_nothing_is_acknowledged(config):
    store = Store(config)
    store.close()
    with pytest.raises(OutputError):
        store.add(EVENT, NO_MEDIA)


# ---- a full disk -------------------------------------------------------------------------------


def fill(store: Store, media: Media) -> list[str]:
    """Add until it fails: the ids that were acknowledged."""
    acknowledged = []
    with pytest.raises(OutputError, match="make room there, or keep less"):
        for number in range(10_000):
            store.add(event(number), media, ["a"])
            acknowledged.append(event(number).id)
    return acknowledged


def check_all(store: Store, acknowledged: list[str], media: Media) -> None:
    stored = {one.id for one in store.events(EventQuery(limit=20_000)).events}
    assert stored == set(acknowledged)
    assert store.outbox.backlogs()["a"].waiting == len(acknowledged)
    assert all(store.picture(one, "crop") == media.crop for one in acknowledged)


def test_a_full_database_loses_nothing_and_works_again_with_room(opened):
    store = opened()
    connection = store._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 10}")
    acknowledged = fill(store, NO_MEDIA)
    check_all(store, acknowledged, NO_MEDIA)
    connection.execute("PRAGMA max_page_count = 100000")
    store.add(event(99_999), NO_MEDIA, ["a"])
    check_all(opened(), [*acknowledged, event(99_999).id], NO_MEDIA)


def test_a_picture_that_does_not_fit_leaves_nothing_behind(opened, config, monkeypatch):
    store = opened()
    store.add(event(1), MEDIA, ["a"])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OutputError, match="No space left.*make room there"):
            store.add(event(2), MEDIA, ["a"])
    check_all(store, [event(1).id], MEDIA)
    assert not list(pictures_folder(config.path).rglob("*.partial"))
    store.add(event(2), MEDIA, ["a"])
    check_all(store, [event(1).id, event(2).id], MEDIA)


FULL_DISK = """
import subprocess, sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
import test_store as this
from events import event
disk = Path({folder!r})
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
clocks = this.Clocks()
def opened():
    config = this.StoreConfig(path=disk / "events.db", keep_pictures_days=1)
    return this.Store(config, wall=lambda: clocks.wall, monotonic=lambda: clocks.monotonic)
media = this.Media(crop=b"c" * 40_000, scene=None)
store = opened()
acknowledged = this.fill(store, media)
this.check_all(store, acknowledged, media)
store.close()
store = opened()
this.check_all(store, acknowledged, media)
clocks.sleep(2 * this.DAY)
store.prune()
store.add(event(99_999), media, ["a"])
assert store.picture(event(99_999).id, "crop") == media.crop
assert len(this.texts(store, limit=20_000)) == len(acknowledged) + 1 > 10
store.close()
"""


def test_a_full_disk_loses_nothing_opens_again_and_pruning_makes_room(tmp_path):
    alone = ["unshare", "--map-root-user", "--mount"]  # a mount that nobody else sees
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("this user may not mount a small disk (unshare --map-root-user --mount)")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = FULL_DISK.format(tests=str(Path(__file__).parent), folder=str(disk))
    subprocess.run([*alone, sys.executable, "-c", script], check=True)


# ---- kill -9 -----------------------------------------------------------------------------------

WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from events import MEDIA, ended, event
from alpr_edge.watch.config import StoreConfig
from alpr_edge.watch.store import Store
store = Store(StoreConfig(path=Path({path!r})))
for number in range({first}, {first} + 100_000):
    for one in (event(number), ended(event(number))):
        store.add(one, MEDIA, ["a", "b"])
        print(one.key, flush=True)
"""


@pytest.mark.parametrize("kills", [
    3, pytest.param(25, marks=pytest.mark.slow),
])
def test_kill_9_in_the_middle_of_writing_loses_no_acknowledged_event(config, kills):
    draw = random.Random(kills)
    acknowledged: list[str] = []
    for run in range(kills):
        script = WRITER.format(tests=str(Path(__file__).parent), path=str(config.path),
                               first=run * 100_000)
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE,
                              text=True) as writer:
            acknowledged.append(writer.stdout.readline().strip())
            time.sleep(draw.uniform(0, 0.2))
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.read().split()
    store = Store(config)
    assert store._database.rows("PRAGMA integrity_check") == [("ok",)]
    for target in ("a", "b"):
        waiting = [key for key, in store._database.rows(
            "SELECT key FROM outbox WHERE target = ? ORDER BY number", (target,))]
        assert set(acknowledged) <= set(waiting)
        assert len(waiting) == len(set(waiting)) <= len(acknowledged) + kills
    ids = {key.rpartition("-")[0] for key in acknowledged}
    assert ids <= {one.id for one in store.events(EventQuery(limit=10**6)).events}
    assert all(store.picture(one, "scene") == MEDIA.scene for one in ids)
    store.prune()  # what a kill left of pictures goes
    on_disk = {path.stem for path in pictures_folder(config.path).rglob("*.jpg")}
    assert on_disk == {f"{one.id}-{kind}" for one in store.events(EventQuery(limit=10**6)).events
                       for kind in ("crop", "scene")}
    store.close()
    shutil.rmtree(config.path.parent)
