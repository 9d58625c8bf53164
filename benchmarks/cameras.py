"""How late events of several cameras are, and what a scene costs in which nothing happens.

    python -m benchmarks cameras --cameras 4 --isa avx2 --threads 1
    python -m benchmarks cameras --cameras 1 --scene still --isa avx2

The whole ``alpr-edge watch`` runs on streams of 1080p at 10 frames a second that another process
sends as cameras do: H.264, in its own time. ``traffic`` shows the demo pictures, each moving for
three seconds; ``still`` one of them with a camera's noise.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.errors import ExitCode, UsageError
from alpr_edge.picks import MODELS
from alpr_edge.types import Image
from alpr_edge.watch.extras import require
from benchmarks import isa, record
from benchmarks.conditions import Conditions
from benchmarks.events import Notes
from benchmarks.footprint import Footprint
from benchmarks.models import folder_name
from benchmarks.pictures import DEMO
from benchmarks.report_facts import told_noise
from benchmarks.statistics import summary

SCENES = ("traffic", "still")
FPS, WIDTH, HEIGHT = 10, 1920, 1080
MOST_LATE_MS = 500.0
"""The 95th percentile of the time from a frame's arrival to its event must not exceed this."""
MOST_IDLE = 0.1
"""Cores that a camera may cost in whose picture nothing moves."""
_SHOWN_SECONDS, _STEP = 3, 12
_NOISE = 2.0
_WARM_SECONDS = 5.0


def traffic() -> Iterator[Image]:
    """Each demo picture with plates, moving to the right by 12 pixels a frame."""
    for path in sorted(DEMO.glob("*.jpg")):
        picture = cv2.resize(cv2.imread(str(path)), (WIDTH, HEIGHT))
        for number in range(_SHOWN_SECONDS * FPS):
            yield np.roll(picture, _STEP * number, axis=1)


def still() -> Iterator[Image]:
    """The demo picture without a plate, each frame with noise of its own."""
    picture = cv2.resize(cv2.imread(str(DEMO / "none.jpg")), (WIDTH, HEIGHT))
    random = np.random.default_rng(0)
    for _ in range(_SHOWN_SECONDS * FPS):
        noise = random.normal(0, _NOISE, picture.shape)
        yield np.clip(picture + noise, 0, 255).astype(np.uint8)


def write_video(path: Path, pictures: Iterator[Image]) -> None:
    """H.264 as cameras send it: no B-frames, a key frame each second.

    Raises:
        LibraryError: PyAV is missing.
    """
    av = require("av", "watch")
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=FPS, options={
            "preset": "veryfast", "tune": "zerolatency", "crf": "23",
        })
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = FPS
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))


@contextlib.contextmanager
def sent(video: Path) -> Iterator[str]:
    """The address of a process that sends ``video`` as cameras would."""
    command = [sys.executable, "-m", "benchmarks.camera_server", str(video)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def watched(address: str, options: argparse.Namespace) -> dict[str, Any]:
    """Watch the cameras at ``address``: the content of a report."""
    from alpr_edge.watch.config import CameraConfig, Config, ModelConfig, TrackingConfig
    from alpr_edge.watch.watch import Watch

    config = Config(
        cameras=tuple(
            CameraConfig(name=f"camera{number}", source=f"{address}/{number}")
            for number in range(options.cameras)
        ),
        model=ModelConfig(models=options.models, threads=options.threads),
        tracking=TrackingConfig(repeat_after=0.0),  # the same pictures come again and again
    )
    notes = Notes()
    with Watch(config, [notes]) as watch:
        watch.wait(_WARM_SECONDS)
        before = counts(watch)
        notes.events.clear()
        begin, cpu = time.perf_counter(), time.process_time()
        held = [Footprint.now()]
        while (left := begin + options.seconds - time.perf_counter()) > 0:
            watch.wait(min(1.0, left))
            held.append(Footprint.now())
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        after = counts(watch)
    late = [event.latency_ms for event in notes.events if not event.final]
    return {
        "seconds": round(seconds, 2), "cpu": round(cpu / seconds, 4), "events": len(late),
        "latency": summary(late) if late else {},
        "footprint": [
            dataclasses.asdict(Footprint.usual(half))
            for half in (held[: -(-len(held) // 2)], held[len(held) // 2:])
        ],
        **{name: after[name] - before[name] for name in after},
    }


def counts(watch: Any) -> dict[str, int]:
    """Frames of all cameras by now: processed, idle among them, and dropped."""
    statuses = watch.statuses()
    return {
        name: sum(getattr(status, name) for status in statuses)
        for name in ("frames", "idle", "dropped")
    }


def met(scene: str, cameras: int, found: Mapping[str, Any]) -> bool:
    """Whether the scene's bar is met; without an event of traffic it is not."""
    if scene == "still":
        return bool(found["frames"]) and found["cpu"] / cameras <= MOST_IDLE
    return bool(found["latency"]) and found["latency"]["p95"] <= MOST_LATE_MS


def text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    each = report["frames"] / report["seconds"] / report["cameras"]
    lines = [
        *told_noise(report),
        f"{report['folder']}, {report['cameras']} cameras ({report['scene']}, {WIDTH} x {HEIGHT}, "
        f"H.264), {report['seconds']:.0f} s: {each:.1f} frames a second each, {report['idle']} of "
        f"{report['frames']} idle, {report['dropped']} dropped",
        f"{report['cpu']:.3f} cores, {report['cpu'] / report['cameras']:.1%} of one a camera",
    ]
    lines.append("; ".join(
        f"{name} {first:g}, in the second half {report['footprint'][1][name]:g}"
        for name, first in report["footprint"][0].items()
    ))
    if late := report["latency"]:
        lines.append(f"{report['events']} events, frame to event p50 {late['p50']:.0f} ms, "
                     f"p95 {late['p95']:.0f} ms, max {late['max']:.0f} ms")
    bar = f"{MOST_IDLE:.0%} of a core a camera" if report["scene"] == "still" else (
        f"p95 {MOST_LATE_MS:.0f} ms"
    )
    lines.append(f"{'met' if report['met'] else 'missed'}: at most {bar}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks cameras``."""
    parser.add_argument("--scene", choices=SCENES, default=SCENES[0], help="default: traffic")
    parser.add_argument("--cameras", type=int, default=4, metavar="N", help="default: 4")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="default: 60")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of one inference")
    parser.add_argument("--models", type=Path, default=MODELS, metavar="DIR", help="models folder")
    isa.add_argument(parser)
    record.add_out(parser)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Watch the cameras and tell what that cost; fails where the scene's bar is missed.

    Raises:
        AlprEdgeError: wrong options or models.
    """
    if options.cameras < 1 or not options.seconds > 0:
        raise UsageError(f"--cameras is {options.cameras}, --seconds {options.seconds:g}; allowed: "
                         "1 or more, above 0")
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "camera.mp4"
        write_video(video, traffic() if options.scene == "traffic" else still())
        with sent(video) as address:
            found = watched(address, options)
    found |= {"folder": folder_name(options.models), "scene": options.scene,
              "cameras": options.cameras, "threads": options.threads}
    found["met"] = met(options.scene, options.cameras, found)
    report = record.record("cameras", arguments, named, before, found)
    print(text(report))
    record.save(report, options.out)
    return ExitCode.OK if report["met"] else ExitCode.FAILED
