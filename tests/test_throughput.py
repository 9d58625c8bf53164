"""Throughput: the knee, cameras that share the machine, the grid of a network's requests."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from alpr_edge.cpu import usable_cores
from alpr_edge.errors import ModelError
from alpr_edge.manifest import MODEL_XML
from benchmarks import conditions, isa, throughput
from benchmarks.__main__ import main
from benchmarks.requests import Load


def row(streams: int, threads: int, fps: float) -> dict[str, float]:
    return {"streams": streams, "threads": threads, "fps": fps}


def test_the_knee_is_the_smallest_setting_near_the_best():
    grid = [row(1, 1, 50), row(2, 1, 96), row(4, 1, 99), row(1, 2, 80), row(4, 2, 100)]
    assert throughput.knee(grid) == 1
    grid[3]["fps"] = 97  # as many threads in all, fewer streams
    assert throughput.knee(grid) == 3
    grid[4]["fps"] = 200
    assert throughput.knee(grid) == 4


def test_a_load_tells_rate_and_busy_cores():
    load = Load(seconds=2.0, cpu_seconds=2.0 * usable_cores(), latencies=[100.0] * 10, batch=3)
    told = load.to_json()
    assert told["fps"] == 15 and told["cpu"] == 1 and told["latency"]["p90"] == 100


class Camera:
    """In place of a pipeline: waits, and notes which frames it saw."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        self.seen: list[int] = []

    def predict(self, frame: np.ndarray) -> None:
        self.seen.append(int(frame))
        time.sleep(self.wait)


def test_cameras_work_side_by_side_each_on_frames_of_its_own():
    """Two that wait 10 ms a frame serve nearly 200 frames a second, and hardly use the CPU."""
    one, two = Camera(0.01), Camera(0.01)
    load = throughput.cameras([one, two], np.arange(8), seconds=0.4)
    assert one.seen[:4] == [0, 0, 1, 2] and two.seen[:4] == [0, 4, 5, 6]  # the first warms up
    assert len(load.latencies) == len(one.seen) + len(two.seen) - 2
    assert 100 < load.fps <= 200 and min(load.latencies) >= 10
    assert load.seconds >= 0.4 and load.to_json()["cpu"] < 0.5


def test_a_camera_that_fails_fails_the_run():
    class Broken(Camera):
        def predict(self, frame: np.ndarray) -> None:
            if frame:
                raise ModelError("broken")

    with pytest.raises(ModelError, match="broken"):
        throughput.cameras([Broken(0.0)], np.arange(2), seconds=0.1)


def test_settings_beyond_the_cores_are_one_setting(tiny_models, frame):
    many = 2 * usable_cores()
    grid = throughput.network_grid(
        tiny_models / "detector" / MODEL_XML, [frame], [1, many], [many, 2 * many], seconds=0.02
    )
    settings = [(row["streams"], row["threads"]) for row in grid]
    assert settings == sorted(set(settings)) and len(grid) <= 2
    assert all(row["streams"] * row["threads"] <= usable_cores() for row in grid)


def test_throughput_command_writes_report_and_plot(tmp_path, tiny_models, monkeypatch, capsys):
    monkeypatch.setattr(isa, "verify_isa", lambda name: f"{name}, not proven")
    monkeypatch.setattr(conditions, "_WATCH_SECONDS", 0.01)
    out, picture = tmp_path / "t.json", tmp_path / "t.png"
    command = ["throughput", "--models", str(tiny_models), "--seconds", "0.05", "--threads", "1"]
    streams = ["--streams", "1", "2"]
    assert main([*command, *streams, "--out", str(out), "--plot", str(picture)]) == 0
    assert "| pipeline | 2 | 1 |" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["kind"] == "throughput" and report["knee"] in (0, 1)
    assert [(row["streams"], row["requests"]) for row in report["grid"]] == [(1, 1), (2, 2)]
    assert set(report["networks"]) == {"detector", "reader"}
    for part in (report, *report["networks"].values()):
        for row in part["grid"]:
            assert row["fps"] > 0 and row["latency"]["p50"] > 0 and row["cpu"] >= 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("options", [
    ["--streams", "0"], ["--threads", "1", "0"], ["--seconds", "0"],
])
def test_wrong_options_are_told(options):
    assert main(["throughput", *options]) == 2


def test_a_plot_that_cannot_be_written_is_told(tmp_path, capsys):
    report = {"grid": [{**row(1, 1, 9.0), "latency": {"p90": 1.0}}], "knee": 0}
    with pytest.raises(Exception, match="cannot be written") as caught:
        throughput.plot(report, tmp_path / "absent" / "t.png")
    assert caught.value.exit_code == 4
