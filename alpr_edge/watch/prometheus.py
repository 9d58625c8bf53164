"""Everything that is counted, in Prometheus's text format, for ``/metrics``.

Counters count from the start of the process. Labels are names of cameras, outputs and receivers
only: nothing that grows with the traffic, and no plates.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from alpr_edge import __version__
from alpr_edge.watch.extras import require
from alpr_edge.watch.metrics import BUCKETS, Histogram, Metrics
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import CameraStatus, State

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Labels = Mapping[tuple[str, ...], float]


class Measured(Protocol):
    """The part of :class:`~alpr_edge.watch.watch.Watch` that is told."""

    @property
    def metrics(self) -> Metrics:
        """What was counted."""

    @property
    def store(self) -> Store | None:
        """The store, with the outbox, where there is one."""

    def statuses(self) -> list[CameraStatus]:
        """How each camera is."""


def exposition(watch: Measured) -> str:
    """All metrics as text (format 0.0.4).

    Raises:
        LibraryError: prometheus-client is not installed.
        OutputError: the store cannot be read.
    """
    library = require("prometheus_client", "watch")
    registry = library.CollectorRegistry()
    registry.register(_Collector(watch))
    text: bytes = library.generate_latest(registry)
    return text.decode()


class _Collector:
    """Makes the metrics from the facts at the moment they are asked for."""

    def __init__(self, watch: Measured) -> None:
        self._watch = watch
        self._core = require("prometheus_client.core", "watch")

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield self._gauge("info", "The version that runs.", ("version",), {(__version__,): 1})
        yield from self._of_statuses(self._watch.statuses())
        yield from self._of_metrics(self._watch.metrics)
        if self._watch.store is not None:
            yield from self._of_store(self._watch.store)

    def _of_statuses(self, statuses: Sequence[CameraStatus]) -> Iterator[Metric]:
        running: Labels = {(one.camera,): float(one.state == State.RUNNING) for one in statuses}
        yield self._gauge("camera_up", "1 where pictures come from the camera.", ("camera",),
                          running)
        yield self._counter("frames_dropped", "Frames that a newer one replaced.", ("camera",),
                            {(one.camera,): one.dropped for one in statuses})

    def _of_metrics(self, metrics: Metrics) -> Iterator[Metric]:
        cameras = dict(metrics.cameras)
        counted: tuple[tuple[str, str, Labels], ...] = (
            ("frames", "Frames processed, the idle ones too.",
             {(name,): one.frames for name, one in cameras.items()}),
            ("frames_idle", "Frames in which nothing moved.",
             {(name,): one.idle for name, one in cameras.items()}),
            ("plates", "Plates read.", {(name,): one.plates for name, one in cameras.items()}),
            ("events", "Vehicles.", {(name,): one.events for name, one in cameras.items()}),
        )
        for name, documentation, counts in counted:
            yield self._counter(name, documentation, ("camera",), counts)
        yield self._histogram("frame_latency_seconds", "From a frame's arrival to its result.",
                              ("camera",), {(k,): one.frame_latency for k, one in cameras.items()})
        yield self._histogram("event_latency_seconds", "From the deciding frame to the event.",
                              ("camera",), {(k,): one.event_latency for k, one in cameras.items()})
        yield self._histogram("stage_seconds", "Time of each stage of a frame.",
                              ("camera", "stage"), {
            (name, str(stage)): histogram
            for name, one in cameras.items() for stage, histogram in one.stages.items()
        })
        yield self._counter("output_failures", "What an output could not take.", ("output",),
                            {(name,): count for name, count in dict(metrics.failures).items()})
        yield self._counter("views_dropped", "Views that no output got.", (),
                            {(): metrics.views_dropped})
        yield self._counter("requests", "Pictures read over HTTP.", (), {(): metrics.requests})

    def _of_store(self, store: Store) -> Iterator[Metric]:
        couriers = dict(store.outbox.couriers)
        backlogs = store.outbox.backlogs()
        yield self._counter("delivered", "Announcements that a receiver took.", ("target",),
                            {(name,): one.delivered for name, one in couriers.items()})
        yield self._counter("delivery_failures", "Attempts to deliver that failed.", ("target",),
                            {(name,): one.failures for name, one in couriers.items()})
        for name, text, field in (
            ("outbox", "Announcements that wait for a receiver.", "waiting"),
            ("dead_letters", "Announcements that a receiver refused.", "dead"),
        ):
            yield self._gauge(name, text, ("target",), {
                (target,): getattr(backlogs[target], field) if target in backlogs else 0
                for target in sorted(couriers.keys() | backlogs.keys())
            })

    def _counter(self, name: str, text: str, labels: Sequence[str], values: Labels) -> Metric:
        return _filled(self._core.CounterMetricFamily(f"alpr_edge_{name}", text, labels=labels),
                       values)

    def _gauge(self, name: str, text: str, labels: Sequence[str], values: Labels) -> Metric:
        return _filled(self._core.GaugeMetricFamily(f"alpr_edge_{name}", text, labels=labels),
                       values)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str],
        values: Mapping[tuple[str, ...], Histogram],
    ) -> Metric:
        family = self._core.HistogramMetricFamily(f"alpr_edge_{name}", text, labels=labels)
        for key, histogram in values.items():
            ends = [*map(str, BUCKETS), "+Inf"]
            summed = itertools.accumulate(histogram.counts)
            family.add_metric(key, list(zip(ends, summed, strict=True)), histogram.total)
        metric: Metric = family
        return metric


def _filled(family: Metric, values: Labels) -> Metric:
    for key, value in values.items():
        family.add_metric(key, value)  # type: ignore[attr-defined]  # of its families only
    return family
