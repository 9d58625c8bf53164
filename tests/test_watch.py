"""The whole watch on rendered clips: sources, hub, tracker, store and outputs together."""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from clips import drive_by, write_clip
from conftest import ROOT
from events import until
from receiver import Receiver

from alpr_edge.cli import main
from alpr_edge.errors import ExitCode, ImageError, ModelError, OutputError, UsageError
from alpr_edge.watch.backoff import Backoff
from alpr_edge.watch.config import (
    CameraConfig,
    Config,
    FilesConfig,
    HardwareDecoding,
    ModelConfig,
    MqttConfig,
    PlatesConfig,
    PrivacyConfig,
    StoreConfig,
    WebhookConfig,
)
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import State
from alpr_edge.watch.watch import Watch
from alpr_edge.watch.watch_command import add_command
from alpr_edge.watch.watch_options import cameras_of, config_of, name_of

EU = "29BHJ54"
"""The plate of docs/demo/eu.jpg."""


def noise(count=12, size=(192, 128)):
    """Frames that differ everywhere, so that each is looked at."""
    random = np.random.default_rng(0)
    for _ in range(count):
        yield random.integers(0, 256, (size[1], size[0], 3), np.uint8)


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A second of the tiny detector's plate."""
    return write_clip(tmp_path_factory.mktemp("clips") / "gate.mp4", noise())


@pytest.fixture
def config(clip, tiny_models, tmp_path):
    """One camera, tiny networks, a store and JSON lines."""
    return Config(
        cameras=(CameraConfig(name="gate", source=str(clip)),),
        model=ModelConfig(models=tiny_models, threads=1),
        store=StoreConfig(path=tmp_path / "events.sqlite"),
        files=FilesConfig(jsonl=tmp_path / "events.jsonl"),
    )


class Collector:
    def __init__(self):
        self.events, self.statuses, self.views, self.closed = [], [], [], False

    def event(self, event, media):
        self.events.append((event, media))

    def status(self, status):
        self.statuses.append(status)

    def view(self, view):
        self.views.append(view)

    def close(self):
        self.closed = True


def run(config, seconds=30):
    """Watch to the end; what came out, and the watch."""
    collector = Collector()
    with Watch(config, [collector]) as watch:
        assert watch.ready and watch.alive and watch.wait(seconds)
    assert collector.closed and not watch.ready
    return collector, watch


def texts(path):
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def threads():
    """Names of the threads that are ours."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.split()[0].split("-")[0] in ("worker", "delivery",
                                                                        "feed", "courier")]


def test_a_file_becomes_one_vehicle_of_all_its_frames(config):
    collector, watch = run(config)
    first, last = (event for event, _ in collector.events)
    assert (first.text, first.final, last.final) == (tiny.TEXT, False, True)
    assert first.id == last.id and last.reads == 12 and first.latency_ms > 0
    assert texts(config.files.jsonl) == [tiny.TEXT] * 2
    assert [view.frame.number for view in collector.views] == list(range(12))
    assert collector.views[-1].texts == (tiny.TEXT,) and collector.views[0].ms
    assert [view.read for view in collector.views] == [1] * 12
    assert collector.statuses[-1].state is State.ENDED
    metrics = watch.metrics.cameras["gate"]
    assert (metrics.frames, metrics.idle, metrics.plates, metrics.events) == (12, 0, 12, 1)
    assert metrics.frame_latency.count == 12 and not watch.metrics.failures
    assert threads() == []


def test_events_and_pictures_are_in_the_store(config):
    run(config)
    store = Store(config.store)
    [event] = store.events().events
    assert event.final and event.text == tiny.TEXT
    scene = cv2.imdecode(np.frombuffer(store.picture(event.id, "scene"), np.uint8), 1)
    assert scene.shape == (128, 192, 3) and store.picture(event.id, "crop")
    store.close()


def test_a_webhook_has_the_last_event_of_a_file_too(config):
    receiver = Receiver()
    hook = WebhookConfig(name="hook", url=receiver.url)
    run(dataclasses.replace(config, webhooks=(hook,)))
    receiver.close()
    assert [one.event["final"] for one in receiver.posted] == [False, True]


def test_a_receiver_that_is_away_does_not_hold_up_the_end(config):
    receiver = Receiver()
    receiver.close()
    hook = WebhookConfig(name="hook", url=receiver.url)
    begin = time.monotonic()
    run(dataclasses.replace(config, webhooks=(hook,)))
    assert time.monotonic() - begin < 10
    store = Store(config.store)
    assert store.outbox.backlogs()["webhook hook"].waiting == 2
    store.close()


def test_nothing_is_detected_where_nothing_moves(config, tmp_path):
    still = write_clip(tmp_path / "still.mp4", [next(noise(1))] * 30)
    camera = CameraConfig(name="gate", source=str(still))
    collector, watch = run(dataclasses.replace(config, cameras=(camera,)))
    metrics = watch.metrics.cameras["gate"]
    assert metrics.frames == 30 and metrics.idle == 20  # HOLD is 1 s, at 10 frames a second
    assert collector.views[-1].ms == {} and collector.views[-1].texts == (tiny.TEXT,)
    assert len(collector.events) == 2
    camera = dataclasses.replace(camera, motion=False)
    _, watch = run(dataclasses.replace(config, cameras=(camera,), store=StoreConfig()))
    assert watch.metrics.cameras["gate"].idle == 0


def test_several_cameras_and_workers(config, clip):
    cameras = tuple(CameraConfig(name=f"c{i}", source=str(clip)) for i in range(3))
    model = dataclasses.replace(config.model, workers=2)
    collector, watch = run(dataclasses.replace(config, cameras=cameras, model=model))
    assert len(collector.events) == 6 and len(collector.views) == 36
    for camera in cameras:
        numbers = [v.frame.number for v in collector.views if v.frame.camera == camera.name]
        assert numbers == list(range(12))  # in order, whoever worked on them


def test_a_camera_that_fails_is_no_others_matter(config, tmp_path):
    gone = CameraConfig(name="gone", source=str(tmp_path / "gone.mp4"))
    (tmp_path / "damaged.mp4").write_bytes(b"no video at all")
    damaged = CameraConfig(name="damaged", source=str(tmp_path / "damaged.mp4"))
    collector, watch = run(
        dataclasses.replace(config, cameras=(gone, damaged, *config.cameras))
    )
    assert len(collector.events) == 2
    assert sorted(watch.failed_cameras) == ["damaged", "gone"]
    [status] = [status for status in collector.statuses if status.camera == "gone"][-1:]
    assert status.state is State.FAILED and "no such file" in status.problem


def test_a_folder_of_pictures_has_an_event_each(config, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    for number, image in enumerate(noise(2)):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), image)
        os.utime(path, (1000 + 10_000 * number,) * 2)
    camera = CameraConfig(name="drop", source=str(folder))
    collector = Collector()
    with Watch(dataclasses.replace(config, cameras=(camera,)), [collector]) as watch:
        until(lambda: len(collector.views) == 2, 20)
        assert not watch.wait(0.6)  # more may come
    assert [(event.reads, event.final) for event, _ in collector.events] == [
        (1, False), (1, True)
    ] * 2  # the same plate twice
    assert [event.file for event, _ in collector.events] == ["0.png"] * 2 + ["1.png"] * 2


def test_a_folder_that_is_away_at_the_start_is_one_all_the_same(config, tmp_path, monkeypatch):
    monkeypatch.setattr("alpr_edge.watch.feed.Backoff", lambda **_: Backoff(first=0.05, limit=0.05))
    folder = tmp_path / "drop"
    folder.symlink_to(folder)  # as a share that is away: stat fails
    camera = CameraConfig(name="drop", source=str(folder))
    collector = Collector()
    with Watch(dataclasses.replace(config, cameras=(camera,)), [collector]) as watch:
        until(lambda: collector.statuses and collector.statuses[-1].state is State.RECONNECTING)
        share = tmp_path / "share"
        share.mkdir()
        for number, image in enumerate([*noise(1)] * 2):
            cv2.imwrite(str(share / f"{number}.png"), image)
            os.utime(share / f"{number}.png", (1000 + number,) * 2)
        share.rename(tmp_path / "back")
        folder.unlink()
        (tmp_path / "back").rename(folder)
        until(lambda: len(collector.events) == 4, 20)
        _, alpr, _ = watch._desks[0]._cameras["drop"]
        assert alpr.reread and alpr.turned
        assert watch.metrics.cameras["drop"].idle == 0
    assert [event.reads for event, _ in collector.events] == [1] * 4


def test_a_list_of_plates_that_became_wrong_ends_no_folder(config, tmp_path, caplog):
    folder, known = tmp_path / "drop", tmp_path / "known.csv"
    folder.mkdir()
    known.write_text(f"text,access,label\n{tiny.TEXT},deny,van\n")
    config = dataclasses.replace(
        config, cameras=(CameraConfig(name="drop", source=str(folder)),),
        plates=PlatesConfig(known_file=known),
    )
    collector = Collector()
    with Watch(config, [collector]) as watch:
        for number, image in enumerate(noise(2)):
            cv2.imwrite(str(tmp_path / "new.png"), image)
            os.utime(tmp_path / "new.png", (1000 + number,) * 2)
            (tmp_path / "new.png").rename(folder / f"{number}.png")
            until(lambda count=2 * number + 2: len(collector.events) == count, 20)
            known.write_text("text,access,label\n+++,,\n")
        assert watch.alive
    assert [event.known.label for event, _ in collector.events] == ["van"] * 4
    assert "the plates known before stay in force" in caplog.text


def test_requests_are_read_among_the_cameras(config):
    with Watch(dataclasses.replace(config, cameras=())) as watch:
        result = watch.read(next(noise(1)), 10)
        assert [plate.text for plate in result.plates] == [tiny.TEXT]
        with pytest.raises(ImageError, match="needed: uint8"):
            watch.read(np.zeros((4, 4), np.uint8), 10)
        assert not watch.wait(0.6) and watch.metrics.requests == 1
        subscription = watch.subscribe()
        assert subscription.get(0.01) is None
    with pytest.raises(UsageError, match="not running"):
        watch.subscribe()


def test_an_inference_error_ends_the_watch(config, monkeypatch):
    def broken(self, image):
        raise ModelError("scores are not finite; get the model anew")

    monkeypatch.setattr("alpr_edge.engine.Engine.run", broken)
    watch = Watch(config)
    with pytest.raises(ModelError, match="not finite"), watch:
        watch.wait(20)
    assert threads() == []


def test_what_cannot_start_leaves_nothing_behind(config, tmp_path):
    for wrong, error in (
        ({"model": ModelConfig(models=tmp_path)}, ModelError),
        ({"plates": PlatesConfig(grammars=("xx",))}, UsageError),
        ({"store": StoreConfig(), "webhooks": (WebhookConfig(name="a", url="http://b/"),)},
         UsageError),
    ):
        with pytest.raises(error):
            Watch(dataclasses.replace(config, **wrong)).start()
        assert threads() == []


def test_what_cannot_start_may_be_tried_again(config, tmp_path):
    files = FilesConfig(jsonl=tmp_path / "events.jsonl", csv=tmp_path / "events.csv")
    broker = MqttConfig(host="127.0.0.1", tls=True, ca_file=tmp_path / "none.pem")
    config = dataclasses.replace(config, files=files, cameras=(), mqtt=broker)

    def held():
        return [path for path in files_open() if str(tmp_path) in path]

    with pytest.raises(UsageError, match="none.pem"):
        Watch(config).start()
    assert held() == []
    files = dataclasses.replace(files, video=tmp_path / "events.jsonl")
    with pytest.raises(OutputError):
        Watch(dataclasses.replace(config, files=files, mqtt=None)).start()
    assert held() == []
    with Watch(dataclasses.replace(config, mqtt=None)):
        assert held() != []


def files_open():
    """The files that this process has open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(descriptor)


def test_stopping_tells_what_is_under_way(config, tmp_path):
    long = write_clip(tmp_path / "long.mp4", noise(40))
    camera = CameraConfig(name="gate", source=str(long))
    collector = Collector()
    collector.view = lambda view: collector.views.append(view) or time.sleep(0.05)
    with Watch(dataclasses.replace(config, cameras=(camera,)), [collector]) as watch:
        until(lambda: len(collector.views) >= 5)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5 and len(collector.views) < 40
    assert [event.final for event, _ in collector.events] == [False, True]
    assert threads() == []
    watch.stop()  # a second time does nothing


def test_reload_restarts_only_cameras_that_changed(config, clip, tmp_path, caplog):
    folders = []
    for name in ("a", "b"):
        folders.append(tmp_path / name)
        folders[-1].mkdir()
    a, b = (CameraConfig(name=f.name, source=str(f)) for f in folders)
    config = dataclasses.replace(config, cameras=(a, b))
    told = Collector()
    with Watch(config, [told]) as watch:
        before = dict(watch._cameras)
        c = CameraConfig(name="c", source=str(clip))
        b = dataclasses.replace(b, min_plate_width=5)
        changed = dataclasses.replace(
            config, cameras=(a, b, c), model=dataclasses.replace(config.model, workers=2)
        )
        watch.reload(changed)
        assert watch._cameras["a"] is before["a"] and watch._cameras["b"] is not before["b"]
        assert "model changed: that takes effect at the next start" in caplog.text
        until(lambda: watch.metrics.cameras["c"].events == 1)
        watch.reload(dataclasses.replace(changed, cameras=(c,)))
        assert [status.camera for status in watch.statuses()] == ["c"]
        until(lambda: {one.camera for one in told.statuses if one.state == "removed"} == {"a", "b"})
        with pytest.raises(UsageError):
            watch.reload(dataclasses.replace(changed, plates=PlatesConfig(grammars=("xx",))))
        assert [status.camera for status in watch.statuses()] == ["c"]
        assert [*watch._desks[0]._cameras] == ["c"]
        watch.reload(dataclasses.replace(changed, cameras=()))
        assert not watch._desks[0]._cameras


def test_a_reload_takes_nothing_again(config, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    for number, image in enumerate(noise(8)):
        cv2.imwrite(str(folder / f"{number}.png"), image)
        os.utime(folder / f"{number}.png", (1000 + number,) * 2)
    long = write_clip(tmp_path / "long.mp4", noise(30))
    cameras = (
        *config.cameras, CameraConfig(name="drop", source=str(folder)),
        CameraConfig(name="long", source=str(long)),
    )
    config = dataclasses.replace(config, cameras=cameras)
    told = Collector()
    told.view = lambda view: told.views.append(view) or time.sleep(0.02)

    def numbers(camera):
        return [view.frame.number for view in told.views if view.frame.camera == camera]

    with Watch(config, [told]) as watch:
        until(lambda: len(numbers("drop")) >= 2 and len(numbers("long")) >= 2)
        gate = dataclasses.replace(cameras[0], min_plate_width=5.0)
        tracking = dataclasses.replace(config.tracking, repeat_after=100)
        watch.reload(dataclasses.replace(config, tracking=tracking))
        until(lambda: len(numbers("long")) == 30 and len(numbers("gate")) == 12, 20)
        watch.reload(dataclasses.replace(config, tracking=tracking, cameras=(gate, *cameras[1:])))
        time.sleep(0.3)
        assert not watch.wait(0)
    assert numbers("gate") == list(range(12)) and numbers("long") == list(range(30))
    assert numbers("drop") == list(range(8))


def test_a_reload_tries_again_what_failed_at_the_start(config, tmp_path):
    folders = [tmp_path / name for name in ("gone", "there")]
    folders[1].mkdir()
    cameras = tuple(CameraConfig(name=one.name, source=str(one)) for one in folders)
    told = Collector()
    with Watch(dataclasses.replace(config, cameras=cameras), [told]) as watch:
        until(lambda: watch.failed_cameras == ["gone"])
        there = watch._cameras["there"]
        folders[0].mkdir()
        cv2.imwrite(str(folders[0] / "a.png"), next(noise(1)))
        os.utime(folders[0] / "a.png", (1000, 1000))
        watch.reload(watch.config)
        until(lambda: told.events and watch.failed_cameras == [], 20)
        assert watch._cameras["there"] is there
    assert "removed" not in {one.state for one in told.statuses}


def test_a_camera_is_told_of_now_and_then_though_only_its_counts_change(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr("alpr_edge.watch.watch.STATUS_SECONDS", 0.3)
    (tmp_path / "in").mkdir()
    waiting = CameraConfig(name="in", source=str(tmp_path / "in"))
    told = Collector()
    with Watch(dataclasses.replace(config, cameras=(waiting,)), [told]):
        until(lambda: len(told.statuses) >= 4)
    assert len({(one.state, one.problem) for one in told.statuses[1:4]}) == 1


def test_while_a_reload_exchanges_cameras_nothing_ends_and_nothing_is_told(config, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    a, b = (CameraConfig(name=folder.name, source=str(folder)) for folder in folders)
    config = dataclasses.replace(config, cameras=(a,))
    told = Collector()
    with Watch(config, [told]) as watch:
        until(lambda: told.statuses)
        before = list(told.statuses)
        remove = watch._hub.remove

        def removed_slowly(camera):
            remove(camera)
            assert all(one.done for one in watch._cameras.values())
            for _ in range(2):
                watch._tick()
                until(lambda: watch._delivery.is_idle)

        watch._hub.remove = removed_slowly
        watch.reload(dataclasses.replace(config, cameras=(b,)))
        assert not watch.wait(0.6)
        then = [(one.camera, one.state) for one in told.statuses[len(before):]]
        assert then[0] == ("a", "removed")
        assert list(watch.metrics.cameras) == ["b"]


def test_redacted_views_and_hashed_texts(config, tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 32)
    key.chmod(0o600)
    plain, _ = run(config)
    config = dataclasses.replace(
        config, privacy=PrivacyConfig(redact=True, hash_key_file=key),
        store=StoreConfig(path=tmp_path / "hashed.sqlite"),
    )
    hidden, _ = run(config)
    for before, after in zip(plain.views, hidden.views, strict=True):
        x1, y1, x2, y2 = map(round, after.plates[0].box)
        assert after.frame.image[y1:y2, x1:x2].std() < 20 < before.frame.image[y1:y2, x1:x2].std()
        assert np.array_equal(before.frame.image[-20:], after.frame.image[-20:])
    assert {len(text) for view in hidden.views for text in view.texts} <= {0, 64}
    assert {event.text for event, _ in hidden.events} == {hidden.views[-1].texts[0]}
    _, media = hidden.events[-1]
    scene = cv2.imdecode(np.frombuffer(media.scene, np.uint8), 1)
    assert scene[y1:y2, x1:x2].std() < 20


def test_a_reload_that_redacts_lets_no_text_be_shown_any_more(config, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    picture = list(drive_by("eu.jpg", frames=3))[1]
    config = dataclasses.replace(config, cameras=(CameraConfig(name="a", source=str(folder)),))
    told = Collector()

    def drop(name):
        cv2.imwrite(str(tmp_path / name), picture)
        (tmp_path / name).rename(folder / name)

    with Watch(config, [told]) as watch:
        drop("1.png")
        until(lambda: told.views and told.events)
        watch.reload(dataclasses.replace(config, privacy=PrivacyConfig(redact=True)))
        before = len(told.events)
        drop("2.png")
        until(lambda: len(told.views) == 2 and len(told.events) > before)
    assert [view.redacted for view in told.views] == [False, True]
    assert [told.events[0][1].redacted, told.events[-1][1].redacted] == [False, True]


def test_a_source_names_its_camera():
    assert [name_of(one) for one in (
        "clips/gate 1.mp4", "0", "rtsp://user@10.0.0.7:554/stream?x=1", "http://cam.local/a", "/",
        "../drop/", "皖.mp4", "rtsp://[fe80::1", "rtsp://user:p[ss@h/x",
    )] == ["gate-1", "webcam0", "10-0-0-7", "cam-local", "camera", "drop", *["camera"] * 3]
    names = [camera.name for camera in cameras_of(["a/x.mp4", "b/x.mp4", "b/x.avi", "1"])]
    assert names == ["x", "x-2", "x-3", "webcam1"]


@pytest.fixture
def private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_the_command_reads_a_clip_with_the_shipped_models(private, capfd):
    clip = write_clip(private / "eu.mp4", drive_by("eu.jpg", frames=6))
    code = main(["watch", str(clip), "--video", str(private / "video"), "--jsonl", "-",
                 "--threads", "1", "--region", "0,0 1,0 1,1 0,1"])
    assert code == ExitCode.OK
    records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(one["text"], one["final"]) for one in records] == [(EU, False), (EU, True)]
    assert len(list((private / "video").iterdir())) == 1
    assert any((private / "cache" / "alpr-edge").iterdir())


def test_who_decodes_is_one_of_the_configurations_choices(capsys):
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    options = parser.parse_args(["watch", "a.mp4", "--hwaccel", "none"])
    assert config_of(options).cameras[0].hwaccel is HardwareDecoding.NONE
    with pytest.raises(SystemExit):
        parser.parse_args(["watch", "a.mp4", "--hwaccel", "cuda"])
    assert "--hwaccel {auto,none,vaapi}" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "told"), [
    ([], "no source"), (["a.mp4", "--every", "0"], "every"), (["a.mp4", "--tiles", "9x9"], "tiles"),
    (["--config", "missing.toml"], "missing.toml"),
    (["a.mp4", "--grammar", "xx"], "grammar"),
    (["a.mp4", "b"], "a.mp4: no such file or folder; b: no such"),
    (["rtsp://[fe80::1"], "cameras[0].source: got a URL of another kind"),
    (["0", "photo.JPG"], "cameras[1].source: got a picture; alpr-edge read reads it"),
])
def test_wrong_options_are_said(private, arguments, told, capsys):
    assert main(["watch", *arguments]) == ExitCode.USAGE
    assert told in capsys.readouterr().err


def test_a_full_disk_ends_with_code_4_after_all_frames(private, clip, tiny_models, capfd, caplog):
    config = private / "config.toml"
    config.write_text(f'[model]\nmodels = "{tiny_models}"\n[files]\njsonl = "/dev/full"\n')
    code = main(["watch", str(clip), "--config", str(config), "--csv", "-"])
    assert code == ExitCode.OUTPUT
    assert len(capfd.readouterr().out.splitlines()) == 3
    assert caplog.text.count("No space left on device") == 1


class Process:
    """``alpr-edge watch`` of a folder, which never ends, in a process of its own."""

    def __init__(self, folder, models, **environment):
        (folder / "drop").mkdir()
        self.config = folder / "config.toml"
        self.models = models
        self.write(5)
        command = [sys.executable, "-m", "alpr_edge", "watch", "--config", str(self.config)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ | environment
        )
        self.told = []
        self.reader = threading.Thread(target=lambda: self.told.extend(
            iter(self.process.stderr.readline, "")
        ), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        self.process.stderr.close()

    def write(self, width):
        self.config.write_text(
            f'[model]\nmodels = "{self.models}"\nthreads = 1\n[[cameras]]\nname = "drop"\n'
            f'source = "drop"\nmin_plate_width = {width}\n'
        )

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(10)

    def says(self, text):
        return any(text in line for line in list(self.told))


def test_signals_reload_and_stop(private, tiny_models):
    address = private / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(20)
        told = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"}
        with Process(private, tiny_models, **told) as running:
            assert systemd.recv(100) == b"READY=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
            running.write(6)
            running.process.send_signal(signal.SIGHUP)
            until(lambda: running.says("configuration read again"))
            running.write(-1)
            running.process.send_signal(signal.SIGHUP)
            until(lambda: running.says("stays as it was"))
            assert running.end(signal.SIGTERM) == ExitCode.OK
        systemd.setblocking(False)
        while systemd.recv(100) != b"STOPPING=1":
            pass


def test_a_signal_after_the_end_does_no_harm(private):
    """In a process of its own: it would take the others with it."""
    clip = write_clip(private / "eu.mp4", drive_by("eu.jpg", frames=3))
    script = """
import os, signal, sys
from alpr_edge.cli import main
code = main(["watch", sys.argv[1], "--threads", "1"])
signal.signal(signal.SIGHUP, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGHUP)
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(clip)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.endswith("heard\n"), done.stderr


def test_interrupting_has_a_code_of_its_own(private, tiny_models):
    with Process(private, tiny_models) as running:
        until(lambda: running.says("watching drop"), 20)
        assert running.end(signal.SIGINT) == ExitCode.INTERRUPTED
