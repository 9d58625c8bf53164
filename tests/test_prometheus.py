from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from events import NO_MEDIA, event
from prometheus_client.parser import text_string_to_metric_families

from alpr_edge.stages import Stage
from alpr_edge.watch.config import StoreConfig
from alpr_edge.watch.metrics import CameraMetrics, Metrics
from alpr_edge.watch.outbox import Courier
from alpr_edge.watch.prometheus import exposition
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import CameraStatus, State

DOCS = Path(__file__).parent.parent / "docs" / "events.md"


@dataclasses.dataclass
class FakeWatch:
    metrics: Metrics
    store: Store | None = None

    def statuses(self) -> list[CameraStatus]:
        return [CameraStatus(camera=name, state=state, since=0.0, problem=None, fps=9.5, frames=20,
                             dropped=dropped, idle=4)
                for name, state, dropped in (("gate", State.RUNNING, 3),
                                             ("yard", State.RECONNECTING, 0))]


@pytest.fixture
def watch():
    gate = CameraMetrics(frames=20, idle=4, plates=30, events=2)
    for seconds in (0.03, 0.03, 0.2, 7.0):
        gate.event_latency.add(seconds)
    gate.stages[Stage.READ].add(0.004)
    return FakeWatch(Metrics(cameras={"gate": gate}, failures={"store": 5}, requests=6))


def samples(watch: FakeWatch) -> dict[tuple[str, ...], float]:
    """Value by name and the values of the labels, of the text as Prometheus's parser reads it."""
    return {
        (sample.name.removeprefix("alpr_edge_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition(watch)) for sample in family.samples
    }


def test_every_fact_is_told(watch):
    told = samples(watch)
    assert told["frames_total", "gate"] == 20
    assert told["frames_idle_total", "gate"] == 4
    assert told["frames_dropped_total", "gate"] == 3
    assert told["plates_total", "gate"] == 30
    assert told["events_total", "gate"] == 2
    assert told["camera_up", "gate"] == 1 and told["camera_up", "yard"] == 0
    assert told["output_failures_total", "store"] == 5
    assert told["requests_total",] == 6
    assert not any(name[0].startswith("outbox") for name in told)


def test_the_documented_names_are_those_that_are_told(watch, tmp_path):
    watch.store = Store(StoreConfig(path=tmp_path / "events.db"))
    families = text_string_to_metric_families(exposition(watch))
    told = {family.name.removeprefix("alpr_edge_") + ("_total" * (family.type == "counter"))
            for family in families}
    watch.store.close()
    rows = re.findall(r"^\| (`[a-z_`, ]+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall("[a-z_]+", row)} == told


def test_histograms_are_summed_up_as_prometheus_wants_them(watch):
    told = samples(watch)
    buckets = {key[-1]: value for key, value in told.items()
               if key[0] == "event_latency_seconds_bucket"}
    assert buckets["0.025"] == 0 and buckets["0.05"] == 2 and buckets["0.25"] == 3
    assert buckets["5.0"] == 3 and buckets["+Inf"] == 4
    assert told["event_latency_seconds_count", "gate"] == 4
    assert told["event_latency_seconds_sum", "gate"] == pytest.approx(7.26)
    assert told["stage_seconds_count", "gate", "read"] == 1
    assert told["stage_seconds_count", "gate", "detect"] == 0


def test_the_outbox_is_told(watch, tmp_path):
    watch.store = Store(StoreConfig(path=tmp_path / "events.db"))
    courier = Courier(watch.store, "webhook a", lambda event, media: None)
    courier.delivered, courier.failures = 8, 9
    for number in range(3):
        watch.store.add(event(number), NO_MEDIA, ["mqtt"])
    watch.store.outbox.bury("mqtt", event(1).key, "413 too large")
    told = samples(watch)
    assert told["outbox", "mqtt"] == 2 and told["dead_letters", "mqtt"] == 1
    assert told["outbox", "webhook a"] == 0 and told["dead_letters", "webhook a"] == 0
    assert told["delivered_total", "webhook a"] == 8
    assert told["delivery_failures_total", "webhook a"] == 9
    watch.store.close()
