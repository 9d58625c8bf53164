"""Benchmarks of several cameras: their scenes, the server that sends them, the verdict."""

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys

import av
import numpy as np
import pytest
import tiny
from conftest import ROOT

from alpr_edge.errors import UsageError
from alpr_edge.picks import MODELS
from benchmarks import camera_server, cameras
from benchmarks.__main__ import main
from benchmarks.footprint import Footprint

GROWTH_MB = 25
"""That the resident memory of a watch may grow from the first five minutes to the second."""

DEPLOY = ROOT / "docs" / "deploy"
MEMORY = dict(
    line.removeprefix("Environment=").split("=")
    for line in (DEPLOY / "alpr-edge.service").read_text("utf-8").splitlines()
    if line.startswith(("Environment=NUMPY_", "Environment=MALLOC_"))
)
"""What the unit sets so that the memory stays flat."""

LATE = {"p50": 100.0, "p95": 480.0, "max": 700.0}
FOUND = {"frames": 100, "idle": 90, "dropped": 0, "cpu": 0.18, "events": 5, "latency": LATE,
         "seconds": 10.0,
         "footprint": [{"mb": 200.0, "threads": 9}, {"mb": 201.5, "threads": 9}]}


@pytest.fixture
def small(monkeypatch):
    """Scenes as small as the tiny networks, and no time to warm up."""
    monkeypatch.setattr(cameras, "WIDTH", 192)
    monkeypatch.setattr(cameras, "HEIGHT", 128)
    monkeypatch.setattr(cameras, "_WARM_SECONDS", 0.0)


def test_scenes_move_or_do_not(small):
    moving = list(itertools.islice(cameras.traffic(), 31))
    assert np.array_equal(np.roll(moving[0], cameras._STEP, axis=1), moving[1])
    assert not np.array_equal(moving[29], moving[30]) and moving[0].shape == (128, 192, 3)
    first, second, *rest = cameras.still()
    assert len(rest) == 28 and 0 < abs(first.astype(int) - second).max() < 30


def test_a_video_is_sent_in_its_own_time_without_an_end(small, tmp_path, monkeypatch):
    path = tmp_path / "camera.mp4"
    cameras.write_video(path, itertools.islice(cameras.still(), 10))
    waited = []
    monkeypatch.setattr(camera_server.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(camera_server.time, "sleep", waited.append)
    with av.open(str(path)) as video:
        packets = itertools.islice(camera_server.in_time(video), 25)
        stamps = [float(packet.dts * packet.time_base) for packet in packets]
    assert stamps == pytest.approx(np.arange(25) / 10)
    assert waited == pytest.approx(stamps)


@pytest.mark.parametrize(("scene", "changes", "met"), [
    ("traffic", {}, True), ("traffic", {"latency": LATE | {"p95": 501.0}}, False),
    ("traffic", {"latency": {}}, False),
    ("still", {}, True), ("still", {"cpu": 0.21}, False), ("still", {"frames": 0}, False),
])
def test_the_verdict(scene, changes, met):
    assert cameras.met(scene, 2, FOUND | changes) is met


def test_the_report(monkeypatch):
    monkeypatch.setattr(cameras, "told_noise", lambda report: [])
    report = FOUND | {"folder": "shipped", "scene": "traffic", "cameras": 2, "met": True}
    assert cameras.text(report).splitlines() == [
        "shipped, 2 cameras (traffic, 1920 x 1080, H.264), 10 s: 5.0 frames a second each, 90 of "
        "100 idle, 0 dropped",
        "0.180 cores, 9.0% of one a camera",
        "mb 200, in the second half 201.5; threads 9, in the second half 9",
        "5 events, frame to event p50 100 ms, p95 480 ms, max 700 ms",
        "met: at most p95 500 ms",
    ]


def test_the_usual_footprint_is_the_median_of_each_figure():
    moments = [Footprint(mb=mb, threads=threads, descriptors=5)
               for mb, threads in ((100.0, 9), (900.0, 8), (101.0, 9), (99.0, 12))]
    assert Footprint.usual(moments) == Footprint(mb=100.5, threads=9, descriptors=5)


def test_two_cameras_are_watched(small, tmp_path, tiny_models):
    path = tmp_path / "camera.mp4"
    cameras.write_video(path, itertools.islice(cameras.traffic(), 20))
    options = argparse.Namespace(cameras=2, seconds=2.5, models=tiny_models, threads=1)
    with cameras.sent(path) as address:
        found = cameras.watched(address, options)
    assert found["frames"] > 10 and found["cpu"] > 0 and found["seconds"] >= 2.5
    assert found["events"] >= 2 and found["latency"]["p50"] > 0, tiny.TEXT


def test_the_container_keeps_its_memory_flat_as_the_unit_does():
    container = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert len(MEMORY) == 2 and all(f"{k}={v}" in container for k, v in MEMORY.items())


@pytest.mark.slow
def test_nothing_grows_in_ten_minutes(tmp_path):
    """In a process of its own, started as the service is: huge pages that the kernel puts together
    bit by bit would look like a leak, and so would heaps of many threads that fill one by one."""
    path = tmp_path / "report.json"
    options = ["--cameras", "2", "--seconds", "600", "--threads", "1", "--out", str(path)]
    subprocess.run(
        [sys.executable, "-m", "benchmarks", "cameras", *options], cwd=ROOT, check=False,
        env=os.environ | MEMORY,
    )
    first, last = (Footprint(**one) for one in json.loads(path.read_text())["footprint"])
    assert last.mb - first.mb < GROWTH_MB
    assert last.threads <= first.threads and last.descriptors <= first.descriptors


@pytest.mark.slow
def test_five_watches_one_after_the_other_leave_what_the_first_left(tmp_path):
    path = tmp_path / "camera.mp4"
    cameras.write_video(path, cameras.traffic())
    options = argparse.Namespace(cameras=2, seconds=5, models=MODELS, threads=1)
    left = []
    for _ in range(5):
        with cameras.sent(path) as address:
            cameras.watched(address, options)
        gc.collect()
        left.append(Footprint.now())
    assert [one.threads for one in left[1:]] == [left[0].threads] * 4
    assert [one.descriptors for one in left[1:]] == [left[0].descriptors] * 4
    assert left[-1].mb - left[1].mb < GROWTH_MB


def test_wrong_options():
    with pytest.raises(UsageError, match="--cameras is 0"):
        cameras.main(argparse.Namespace(cameras=0, seconds=1.0), [])
    assert main(["cameras", "--seconds", "-1"]) == 2
