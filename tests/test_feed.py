"""Feeds: threads that bring frames; with a real RTSP camera that dies, hangs and returns."""

from __future__ import annotations

import gc
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

pytest.importorskip("av")
import films
import rtsp

from alpr_edge.cli import main
from alpr_edge.watch import camera_command, video
from alpr_edge.watch import feed as feed_module
from alpr_edge.watch.config import CameraConfig
from alpr_edge.watch.feed import FILE_QUEUE, Feed
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.sources import SourceError, open_source
from alpr_edge.watch.types import Frame, State


class Scripted:
    """A source that gives what it is told: numbers are frames, errors are raised."""

    about = "scripted"
    expected = None

    def __init__(self, *script: object, live: bool = True, pause: float = 0.0) -> None:
        self.script, self.live, self.pause, self.closed = script, live, pause, False

    def frames(self):
        for number, step in enumerate(self.script):
            if isinstance(step, Exception):
                raise step
            yield Frame(
                camera="gate", number=number, time=time.time(), arrived=time.monotonic(),
                picture=Picture(films.picture(step)),
            )
            time.sleep(self.pause)

    def close(self):
        self.closed = True


@pytest.fixture
def scripted(monkeypatch) -> Callable[..., Feed]:
    """A started feed that opens these sources, one after the other; closed at the end."""
    feeds = []

    def build(*sources: object, source: str = "rtsp://camera/x") -> Feed:
        left = iter(sources)

        def open_next(camera, stop, done):
            step = next(left)
            if isinstance(step, Exception):
                raise step
            return step

        monkeypatch.setattr(feed_module, "open_source", open_next)
        monkeypatch.setattr(feed_module, "Backoff", lambda **_: NoDelay())
        feeds.append(Feed(CameraConfig(name="gate", source=source), lambda: None))
        feeds[-1].start()
        return feeds[-1]

    yield build
    for feed in feeds:
        feed.close()


class NoDelay:
    def next(self) -> float:
        return 0.01

    def reset(self) -> None:
        pass


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def take_all(feed: Feed, seconds: float = 5.0) -> list[Frame]:
    frames = []
    until(lambda: bool((frame := feed.take()) and frames.append(frame)) or feed.ended, seconds)
    while not feed.ended:
        frame = feed.take()
        if frame:
            frames.append(frame)
        else:
            time.sleep(0.002)
    return frames


AWAY = SourceError("the camera is away", permanent=False)
BROKEN = SourceError("cut short", permanent=True)


def test_every_frame_of_a_file_waits_for_its_turn(scripted):
    source = Scripted(*range(12), live=False)
    feed = scripted(source, source="film.mp4")
    time.sleep(0.1)
    assert feed.status.frames == FILE_QUEUE and not feed.live
    assert [films.number_of(frame.image) for frame in take_all(feed)] == list(range(12))
    assert (feed.status.state, feed.status.dropped, feed.status.problem) == (State.ENDED, 0, None)
    assert source.closed and feed.ended


def test_what_was_read_before_a_problem_counts(scripted):
    feed = scripted(Scripted(0, 1, 2, BROKEN, live=False), source="film.mp4")
    assert len(take_all(feed)) == 3
    assert (feed.status.state, feed.status.problem) == (State.FAILED, "cut short")
    assert not feed.deserves_another_try  # its frames would come twice


def test_the_newest_frame_of_a_camera_wins(scripted):
    feed = scripted(Scripted(*range(10), AWAY), Scripted(20, pause=0.2))
    until(lambda: feed.status.frames == 11)
    assert films.number_of(feed.take().image) == 20
    assert feed.take() is None and feed.status.dropped == 10


def test_a_camera_that_is_away_is_tried_until_it_is_back(scripted):
    first, second = Scripted(1, AWAY), Scripted(2, pause=0.2)
    feed = scripted(AWAY, AWAY, first, AWAY, second, AWAY)
    until(lambda: feed.status.frames == 2)
    assert feed.status.state is State.RUNNING and first.closed
    frame = feed.take()
    assert (frame.number, films.number_of(frame.image)) == (1, 2), "numbers go on"


def test_a_first_permanent_error_ends_it_a_later_one_does_not(scripted):
    missing = SourceError("no such file", permanent=True)
    feed = scripted(missing)
    assert take_all(feed) == [] and feed.deserves_another_try
    feed = scripted(Scripted(1, AWAY), missing, Scripted(2, pause=0.2), AWAY)
    until(lambda: feed.status.frames == 2)
    assert not feed.ended


def test_pictures_of_a_folder_come_once_whatever_happens_between(tmp_path, monkeypatch):
    pytest.importorskip("watchdog")
    monkeypatch.setattr(feed_module, "Backoff", lambda **_: NoDelay())
    monkeypatch.setattr("alpr_edge.watch.folder._POLL_SECONDS", 0.02)
    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.05)
    inside, away = tmp_path / "in", tmp_path / "away"
    inside.mkdir()
    for number in (1, 2):
        assert cv2.imwrite(str(inside / f"{number}.png"), films.picture(number))
        os.utime(inside / f"{number}.png", (1000 + number,) * 2)
    feed = Feed(CameraConfig(name="in", source=str(inside)), lambda: None)
    feed.start()
    until(lambda: feed.status.frames == 2)
    inside.rename(away)
    until(lambda: feed.status.state is State.RECONNECTING)
    assert cv2.imwrite(str(away / "3.png"), films.picture(3))
    os.utime(away / "3.png", (1003, 1003))
    away.rename(inside)
    until(lambda: feed.status.frames == 3)
    time.sleep(0.2)
    taken = [films.number_of(frame.image) for frame in iter(feed.take, None)]
    feed.close()
    assert taken == [1, 2, 3]


def test_an_error_of_ours_is_told_and_the_camera_goes_on(scripted, caplog):
    feed = scripted(Scripted(1, RuntimeError("a bug")), Scripted(2, pause=0.2))
    until(lambda: feed.status.frames == 2)
    assert "a bug" in caplog.text and not feed.ended


def test_changes_are_told_once(scripted, caplog):
    with caplog.at_level("INFO"):
        feed = scripted(AWAY, AWAY, AWAY, Scripted(1, pause=0.2))
        until(lambda: feed.status.frames == 1)
    assert caplog.messages == [
        "gate: reconnecting: the camera is away", "gate: running: scripted"
    ]


def test_close_ends_a_feed_whose_frames_nobody_takes(tmp_path):
    file = films.write(tmp_path / "clip.mp4")
    feed = Feed(CameraConfig(name="gate", source=str(file)), lambda: None)
    feed.start()
    until(lambda: feed.status.frames == FILE_QUEUE)
    began = time.monotonic()
    feed.close()
    assert time.monotonic() - began < 1
    assert "feed-gate" not in [thread.name for thread in threading.enumerate()]


def test_a_stopped_feed_has_ended_whatever_it_did(scripted):
    feed = scripted(*[AWAY] * 1000)
    until(lambda: feed.status.state is State.RECONNECTING)
    feed.stop()
    assert feed.ended
    feed.close()
    assert feed.status.state is State.ENDED


def test_two_streams_must_both_be_cameras(tmp_path):
    feed = Feed(
        CameraConfig(name="gate", source="rtsp://127.0.0.1:9/x", detect_source=str(tmp_path)),
        lambda: None,
    )
    feed.start()
    until(lambda: feed.ended)
    feed.close()
    assert "two streams of one camera" in feed.status.problem


def test_check_camera_prints_what_a_file_is(tmp_path, capsys):
    file = films.write(tmp_path / "clip.mp4")
    assert main(["check-camera", str(file), "--save", str(tmp_path / "first.png")]) == 0
    told = capsys.readouterr().out
    assert "h264 160 x 120, 10 fps" in told and "a second over" in told
    assert (tmp_path / "first.png").exists()
    assert main(["check-camera", str(file), "--save", str(tmp_path / "first.nothing")]) == 4
    assert main(["check-camera", str(tmp_path)]) == 2
    assert main(["check-camera", "rtsp://me:secret@127.0.0.1:9/x"]) == 1
    printed = capsys.readouterr()
    assert "refuses the connection" in printed.err and "secret" not in printed.out + printed.err


def test_check_camera_refuses_what_a_configuration_may_not_have(tmp_path, capsys):
    file = films.write(tmp_path / "clip.mp4")
    missing = str(tmp_path / "none")
    assert main(["check-camera", str(file), "--password-file", missing]) == 2
    told = capsys.readouterr().err
    assert "password_file without username; set both or none" in told and missing in told


# --- a real camera by RTSP

@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return films.write(tmp_path_factory.mktemp("film") / "film.mp4", 600)


@pytest.fixture
def camera(film):
    with rtsp.camera(film) as running:
        yield running


class TestRtsp:
    pytestmark = [pytest.mark.external("rtsp"), pytest.mark.slow]

    @pytest.fixture
    def feed(self, camera):
        started = Feed(CameraConfig(name="gate", source=camera.url), lambda: None)
        started.start()
        until(lambda: started.status.state is State.RUNNING)
        yield started
        started.close()

    def test_a_camera_that_is_switched_off_comes_back(self, feed, camera, film):
        until(lambda: feed.take() is not None)
        camera.kill()
        until(lambda: feed.status.state is State.RECONNECTING, 2)
        assert feed.status.problem
        while feed.take():
            pass
        with rtsp.camera(film, port=camera.port):
            until(lambda: feed.status.state is State.RUNNING, 10)
            until(lambda: feed.take() is not None)

    def test_a_camera_that_hangs_is_noticed_in_time(self, feed, camera):
        camera.freeze()
        began = time.monotonic()
        until(lambda: feed.status.state is State.RECONNECTING, 10)
        assert time.monotonic() - began < video.SILENT_SECONDS + 1
        began = time.monotonic()
        feed.close()
        assert time.monotonic() - began < feed_module.CLOSE_SECONDS + 1

    def test_a_slow_consumer_gets_new_frames(self, feed):
        for _ in range(4):
            time.sleep(0.5)
            frame = feed.take()
            assert time.monotonic() - frame.arrived < 0.5
        assert feed.status.dropped >= 10

    def test_a_slow_decoder_skips_to_a_new_frame(self, camera):
        source = open_source(CameraConfig(name="gate", source=camera.url), threading.Event())
        frames = source.frames()
        first = next(frames)
        behind = []
        for _ in range(12):
            time.sleep(0.4)  # what should be done in 0.1 s
            frame = next(frames)
            steps = films.number_of(frame.image) - films.number_of(first.image)
            shown = steps % films.NUMBERS / films.FPS
            behind.append((frame.arrived - first.arrived - shown) % (films.NUMBERS / films.FPS))
        source.close()
        assert max(behind) < video.LATE_SECONDS + 1.5, "at worst until the next key frame"

    def test_login_and_wrong_login(self, film, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(camera_command, "SECONDS", 1.0)
        password = tmp_path / "password"
        password.write_text("pä@ss:w/rd\n", "utf-8")
        with rtsp.camera(film, login="me:pä@ss:w/rd") as locked:
            arguments = ["check-camera", locked.url, "--username", "me"]
            assert main([*arguments, "--password-file", str(password)]) == 0
            told = capsys.readouterr().out
            assert "h264 160 x 120" in told
            assert 9 < float(re.search(r"frame rate +([0-9.]+) a second", told)[1]) < 11
            password.write_text("wrong")
            assert main([*arguments, "--password-file", str(password)]) == 1
        assert "refuses the login; set username and password_file" in capsys.readouterr().err

    def test_the_smaller_stream_brings_the_main_ones_newest_picture(self, camera, tmp_path):
        with rtsp.camera(films.write(tmp_path / "small.mp4", 300, width=80, height=60)) as small:
            feed = Feed(
                CameraConfig(name="gate", source=camera.url, detect_source=small.url),
                lambda: None,
            )
            feed.start()
            until(lambda: feed.status.state is State.RUNNING)
            for _ in range(5):
                until(lambda: (frame := feed.take()) is not None and check_pair(frame))
            camera.kill()
            until(lambda: feed.status.state is State.RECONNECTING, 2)
            time.sleep(feed_module.MAIN_SECONDS + 0.2)
            feed.take()
            time.sleep(0.3)
            assert feed.take() is None, "the main stream is away"
            feed.close()

    def test_no_descriptor_thread_or_memory_is_left(self, camera):
        def session() -> None:
            feed = Feed(CameraConfig(name="gate", source=camera.url), lambda: None)
            feed.start()
            until(lambda: feed.take() is not None)
            feed.close()

        def held() -> tuple[int, int]:
            gc.collect()
            return len(os.listdir("/proc/self/fd")), threading.active_count()

        session()
        before = held()
        for _ in range(4):
            session()
        assert all(now <= then for now, then in zip(held(), before, strict=True))


def check_pair(frame: Frame) -> bool:
    assert frame.image.shape == (120, 160, 3)
    assert frame.small.image.shape == (60, 80, 3)
    return True
