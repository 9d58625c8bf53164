"""Turns of cameras and requests, the delivery's thread, and what happens when something breaks."""

import collections
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import ROOT
from events import EVENT, MEDIA, ended, event, until

from alpr_edge.errors import AlprEdgeError, DataError, ImageError, ModelError, OutputError
from alpr_edge.watch import delivery as deliveries
from alpr_edge.watch.delivery import MAX_EVENTS, MAX_VIEWS, SUBSCRIBED, Delivery
from alpr_edge.watch.hub import Hub, Requests
from alpr_edge.watch.metrics import Histogram, Metrics
from alpr_edge.watch.types import CameraStatus, State

STATUS = CameraStatus(
    camera="gate", state=State.RUNNING, since=1.0, problem=None, fps=0.0, frames=0, dropped=0,
    idle=0,
)


class Desk:
    """Reads a picture in no time; a 1 x 1 picture is bad, a 2 x 2 one breaks the model."""

    def read(self, image):
        if image.shape[0] == 1:
            raise ImageError("bad picture")
        if image.shape[0] == 2:
            raise ModelError("outputs are not finite")
        return image.shape


class Caller:
    """Has ``count`` jobs, one at a time; ``served`` collects the names in order."""

    def __init__(self, name, count, served, seconds=0.0):
        self.name, self.left, self.served, self.seconds = name, count, served, seconds
        self.busy = False
        self.most = 0

    def take(self):
        if self.busy or not self.left:
            return None
        self.left -= 1
        self.busy = True
        return self.work

    def work(self, _desk):
        time.sleep(self.seconds)
        self.served.append(self.name)
        self.busy = False


def hub_of(count=1):
    ended = threading.Event()
    return Hub([Desk() for _ in range(count)], ended.set), ended


def image(side=8):
    return np.zeros((side, side, 3), np.uint8)


def test_callers_take_turns_however_much_each_has_to_do():
    served = []
    hub, _ = hub_of()
    for name, count in (("a", 30), ("b", 30), ("c", 5)):
        hub.add(Caller(name, count, served))
    hub.start()
    until(lambda: len(served) == 65)
    assert hub.stop(1)
    assert collections.Counter(served[:15]) == {"a": 5, "b": 5, "c": 5}
    assert collections.Counter(served[15:65]) == {"a": 25, "b": 25}
    assert all(one != other for one, other in zip(served[15:], served[16:], strict=False))


def test_workers_work_at_the_same_time_each_at_another_caller():
    served = []
    hub, _ = hub_of(3)
    for name in "abc":
        hub.add(Caller(name, 4, served, seconds=0.05))
    begin = time.monotonic()
    hub.start()
    until(lambda: len(served) == 12)
    assert time.monotonic() - begin < 0.5  # one worker would need 0.6 s
    assert hub.stop(1)


def test_a_removed_caller_is_asked_no_more():
    served = []
    hub, _ = hub_of()
    stays, goes = Caller("stays", 0, served), Caller("goes", 0, served)
    hub.add(stays)
    hub.add(goes)
    hub.start()
    hub.remove(goes)
    stays.left = goes.left = 3
    hub.wake()
    until(lambda: len(served) == 3)
    assert hub.stop(1) and served == ["stays"] * 3


def test_a_request_takes_its_turn_among_cameras():
    served = []
    hub, _ = hub_of()
    metrics = Metrics()
    requests = Requests(hub.wake, metrics)
    camera = Caller("camera", 10_000, served, seconds=0.002)
    hub.add(camera)
    hub.add(requests)
    hub.start()
    begin = time.monotonic()
    assert requests.read(image(), 5.0) == (8, 8, 3)
    assert time.monotonic() - begin < 0.5 and metrics.requests == 1
    camera.left = 0
    assert hub.stop(1)


def test_a_request_that_nobody_serves_times_out_and_is_forgotten():
    hub, _ = hub_of()
    metrics = Metrics()
    requests = Requests(hub.wake, metrics)
    hub.add(requests)
    with pytest.raises(TimeoutError):
        requests.read(image(), 0.05)
    hub.start()
    assert requests.read(image(), 5.0) == (8, 8, 3)
    assert hub.stop(1) and metrics.requests == 1


def test_a_bad_picture_is_the_requests_own_failure():
    hub, ended_ = hub_of()
    requests = Requests(hub.wake, Metrics())
    hub.add(requests)
    hub.start()
    with pytest.raises(ImageError, match="bad picture"):
        requests.read(image(1), 5.0)
    assert requests.read(image(), 5.0) == (8, 8, 3)
    assert hub.stop(1) and not ended_.is_set() and hub.failure is None


def test_a_broken_model_ends_everything():
    hub, ended_ = hub_of(2)
    requests = Requests(hub.wake, Metrics())
    hub.add(requests)
    hub.start()
    with pytest.raises(ModelError, match="not finite"):
        requests.read(image(2), 5.0)
    assert ended_.wait(5) and isinstance(hub.failure, ModelError)
    assert hub.stop(1)
    requests.close()
    with pytest.raises(AlprEdgeError, match="has ended"):
        requests.read(image(), 5.0)


def test_a_stuck_worker_shows():
    served = []
    hub, _ = hub_of()
    caller = Caller("slow", 1, served, seconds=0.3)
    hub.add(caller)
    hub.start()
    until(lambda: caller.busy)
    time.sleep(0.1)
    assert hub.is_stuck(0.05) and not hub.is_stuck(10)
    until(lambda: served)
    assert hub.stop(1) and not hub.is_stuck(0.0)


HANGING = """
import threading
from alpr_edge.watch.delivery import Delivery
from alpr_edge.watch.hub import Hub
from alpr_edge.watch.metrics import Metrics
class Hanging:
    def take(self):
        return lambda desk: threading.Event().wait()
hub = Hub([object()], print)
hub.add(Hanging())
hub.start()
delivery = Delivery([], None, [], Metrics(), tick=print, failed=print)
delivery.start()
delivery.event(None, lambda: threading.Event().wait())
print(hub.stop(0.5), delivery.close(0.5))
"""


def test_what_hangs_does_not_hold_up_the_end_of_the_process():
    done = subprocess.run(
        [sys.executable, "-c", HANGING], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "False False\n"), done.stderr


def test_workers_that_hang_are_waited_for_together():
    hub, _ = hub_of(3)
    for name in "abc":
        hub.add(Caller(name, 1, [], seconds=1.5))
    hub.start()
    time.sleep(0.1)
    begun = time.monotonic()
    assert not hub.stop(0.3)
    assert time.monotonic() - begun < 0.8


class Output:
    """Collects; ``fail`` names the calls that fail, ``hold`` holds all of them up."""

    def __init__(self):
        self.got = []
        self.fail = set()
        self.hold = threading.Event()
        self.hold.set()

    def _take(self, kind, what):
        self.hold.wait(10)
        if kind in self.fail:
            raise OutputError(f"{kind} {len(self.got)}: disk full")
        self.got.append((kind, what))

    def event(self, event, media):
        self._take("event", event)

    def status(self, status):
        self._take("status", status)

    def view(self, view):
        self._take("view", view)

    def close(self):
        self._take("close", None)

    def of(self, kind):
        return [what for one, what in self.got if one == kind]


class FakeStore:
    def __init__(self):
        self.events = []
        self.full = False

    def add(self, event, media, targets):
        if self.full:
            raise OutputError(f"event {event.id}: disk full")
        self.events.append((event, tuple(targets)))


class Delivered:
    """A delivery with two outputs and a store."""

    def __init__(self, monkeypatch, **changes):
        monkeypatch.setattr(deliveries, "_TICK", 0.02)
        self.first, self.second, self.store = Output(), Output(), FakeStore()
        self.metrics = Metrics()
        self.ended = threading.Event()
        self.ticks = []
        self.delivery = Delivery(
            [self.first, self.second], changes.get("store", self.store), ["hook"], self.metrics,
            tick=lambda: self.ticks.append(time.monotonic()), failed=self.ended.set,
        )
        self.delivery.start()

    def tell(self, *numbers):
        for number in numbers:
            self.delivery.event(event(number), lambda: MEDIA)


@pytest.fixture
def delivered(monkeypatch):
    made = Delivered(monkeypatch)
    yield made
    for output in (made.first, made.second):
        output.hold.set()
        output.fail.clear()
    made.delivery.close(5)


def ids(events):
    return [int(one.id[-12:], 16) for one in events]


def test_events_go_to_the_store_before_all_others(delivered):
    delivered.store.add = lambda *args: (
        delivered.store.events.append(args[0]), delivered.first.got.append(("stored", args[0]))
    )
    delivered.tell(1, 2)
    assert delivered.delivery.close(5)
    kinds = [kind for kind, _ in delivered.first.got]
    assert kinds == ["stored", "event", "stored", "event", "close"]
    assert ids(delivered.second.of("event")) == [1, 2]


def test_pictures_are_made_on_the_deliverys_thread(delivered):
    names = []
    delivered.delivery.event(
        EVENT, lambda: names.append(threading.current_thread().name) or MEDIA
    )
    until(lambda: names == ["delivery"])


def test_slow_outputs_drop_views_of_cameras_but_no_event(delivered):
    delivered.second.hold.clear()
    begin = time.monotonic()
    for number in range(20):
        delivered.delivery.view(number, wait=False)
        delivered.tell(number)
        delivered.delivery.status(STATUS)
    assert time.monotonic() - begin < 1.0  # nobody waited for them
    delivered.second.hold.set()
    assert delivered.delivery.close(5)
    assert ids(delivered.second.of("event")) == list(range(20))
    assert len(delivered.second.of("status")) == 20
    shown = delivered.second.of("view")
    assert len(shown) in (MAX_VIEWS, MAX_VIEWS + 1)
    assert delivered.metrics.views_dropped == 20 - len(shown)


def test_views_of_files_wait_and_all_are_shown(delivered):
    thread = threading.Thread(
        target=lambda: [delivered.delivery.view(number, wait=True) for number in range(30)]
    )
    delivered.first.hold.clear()
    thread.start()
    time.sleep(0.05)
    assert thread.is_alive()
    delivered.first.hold.set()
    thread.join(5)
    assert delivered.delivery.close(5)
    assert delivered.first.of("view") == list(range(30)) and not delivered.metrics.views_dropped


def test_so_many_events_that_they_wait_rather_than_fill_the_memory(delivered):
    delivered.first.hold.clear()
    thread = threading.Thread(target=lambda: delivered.tell(*range(MAX_EVENTS + 20)))
    thread.start()
    time.sleep(0.1)
    assert thread.is_alive()
    delivered.first.hold.set()
    thread.join(5)
    assert delivered.delivery.close(5)
    assert ids(delivered.second.of("event")) == list(range(MAX_EVENTS + 20))


def test_an_output_that_fails_is_said_once_counted_and_the_others_go_on(delivered, caplog):
    caplog.set_level("INFO")
    delivered.first.fail = {"event"}
    delivered.tell(1, 2, 3)
    until(lambda: len(delivered.second.of("event")) == 3)
    delivered.first.fail = set()
    delivered.tell(4)
    assert delivered.delivery.close(5)
    assert delivered.metrics.failures == {"Output": 3}  # the first of the two
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "disk full" in told[0] and "works again" in told[1]
    assert ids(delivered.first.of("event")) == [4] and ids(delivered.second.of("event"))[-1] == 4


def test_what_the_store_cannot_take_is_tried_again_in_order(delivered):
    delivered.store.full = True
    delivered.tell(1, 2)
    until(lambda: len(delivered.first.of("event")) == 2)  # the outputs have them all the same
    assert delivered.store.events == [] and delivered.metrics.failures["store"] >= 2
    delivered.store.full = False
    until(lambda: len(delivered.store.events) == 2)  # without any other event
    delivered.tell(3)
    assert delivered.delivery.close(5)
    assert ids(one for one, _ in delivered.store.events) == [1, 2, 3]
    assert delivered.store.events[0][1] == ("hook",)


def test_a_damaged_store_ends_nothing(delivered):
    def damaged(*_):
        raise DataError("the store is damaged")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivered.store, "add", damaged)
        patch.setattr(delivered.delivery, "_tick", damaged)
        delivered.tell(1, 2)
        until(lambda: len(delivered.first.of("event")) == 2)
        until(lambda: delivered.metrics.failures["store"] >= 6)  # the tick's too
        assert delivered.delivery.failure is None
    until(lambda: ids(one for one, _ in delivered.store.events) == [1, 2])


def test_what_is_not_stored_is_bounded(delivered, monkeypatch, caplog):
    monkeypatch.setattr(deliveries, "MAX_UNSAVED", 2)
    delivered.store.full = True
    delivered.tell(1, 2, 3)
    until(lambda: len(delivered.first.of("event")) == 3)
    assert f"event {event(1).id} is lost" in caplog.text
    delivered.store.full = False
    assert delivered.delivery.close(5)
    assert ids(one for one, _ in delivered.store.events) == [2, 3]


def test_what_the_store_never_took_is_named_at_the_end(delivered, caplog):
    delivered.store.full = True
    delivered.tell(1)
    assert delivered.delivery.close(5)
    assert f"event {event(1).id} is lost: the store takes nothing" in caplog.text


def test_a_bug_in_an_output_ends_everything_with_its_error(delivered):
    delivered.first.event = lambda event, media: 1 / 0
    delivered.tell(1)
    assert delivered.ended.wait(5)
    assert isinstance(delivered.delivery.failure, ZeroDivisionError)
    delivered.tell(*range(2 * MAX_EVENTS))  # nobody waits for ever
    delivered.delivery.view(0, wait=True)


def test_it_looks_after_things_also_when_nothing_happens(delivered):
    until(lambda: len(delivered.ticks) >= 3)


def test_subscribers_get_events_and_slow_ones_lose_the_oldest(delivered):
    quick, slow = delivered.delivery.subscribe(), delivered.delivery.subscribe()
    delivered.tell(0)
    assert quick.get(5) == event(0)
    assert quick.get(0.01) is None
    delivered.tell(*range(1, SUBSCRIBED + 10))
    until(lambda: len(delivered.first.of("event")) == SUBSCRIBED + 10)
    got = []
    while (one := slow.get(0.2)) is not None:
        got.append(one)
    assert ids(got) == list(range(10, SUBSCRIBED + 10))
    assert (quick.lost, slow.lost) == (9, 10)
    quick.close()
    delivered.tell(0)
    assert slow.get(5) == event(0)
    thread = threading.Thread(target=slow.get, args=(60,))
    thread.start()
    delivered.delivery.close(5)  # wakes who waits
    thread.join(5)
    assert not thread.is_alive()


def test_a_histogram_counts_by_bucket():
    histogram = Histogram()
    for seconds in (0.0, 0.025, 0.03, 0.4, 99.0):
        histogram.add(seconds)
    assert histogram.counts == [2, 1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert histogram.count == 5 and histogram.total == pytest.approx(99.455)
    assert histogram.mean == pytest.approx(19.891) and Histogram().mean == 0
    assert ended(EVENT).key.endswith("final")
