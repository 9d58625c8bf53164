"""Folders that fill up: each picture once, when it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from pathlib import Path

import cv2
import pytest

pytest.importorskip("av")
pytest.importorskip("watchdog")
import films

from alpr_edge.errors import ImageError
from alpr_edge.images import load_image
from alpr_edge.watch.config import CameraConfig
from alpr_edge.watch.sources import Done, Source, SourceError, open_source


def opened(
    folder: Path, stop: threading.Event | None = None, done: Done | None = None
) -> Source:
    camera = CameraConfig(name="in", source=str(folder))
    return open_source(camera, stop or threading.Event(), done)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder whose pictures are taken by a thread from ``start()`` on."""
    monkeypatch.setattr("alpr_edge.watch.folder._POLL_SECONDS", 0.02)
    watched = Watched(tmp_path)
    yield watched
    watched.close()


class Watched:
    def __init__(self, path: Path) -> None:
        self.path, self.frames, self.stop = path, [], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self.thread.start()
        self.wait(0)
        time.sleep(0.2)  # until the kernel watches

    def _run(self) -> None:
        self.frames.extend(opened(self.path, self.stop).frames())

    def wait(self, count: int) -> list[int]:
        until = time.monotonic() + 5
        while len(self.frames) < count and time.monotonic() < until:
            time.sleep(0.01)
        return [films.number_of(frame.image) for frame in self.frames]

    def close(self) -> None:
        self.stop.set()
        if self.thread.is_alive():
            self.thread.join(5)
        assert not self.thread.is_alive()


def put(path: Path, number: int, age: float = 0.0) -> Path:
    assert cv2.imwrite(str(path), films.picture(number))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_a_folder_gives_its_pictures_by_age_then_new_ones(folder):
    put(folder.path / "b.jpg", 1, age=200)
    put(folder.path / "a.jpg", 2, age=100)
    (folder.path / "notes.txt").write_text("no picture")
    folder.start()
    assert folder.wait(2) == [1, 2]
    assert [frame.file for frame in folder.frames] == ["b.jpg", "a.jpg"]
    put(folder.path / "c.png", 3)
    assert folder.wait(3) == [1, 2, 3]
    assert [frame.number for frame in folder.frames] == [0, 1, 2]
    assert folder.frames[0].time == pytest.approx(time.time() - 200, abs=5)


def test_a_picture_is_taken_when_it_is_complete(folder):
    folder.start()
    data = put(folder.path.parent / "whole.jpg", 5).read_bytes()
    with (folder.path / "slow.jpg").open("wb") as file:
        file.write(data[:500])
        file.flush()
        time.sleep(0.3)
        assert folder.wait(0) == []
        file.write(data[500:])
    assert folder.wait(1) == [5]
    (folder.path / "upload.part").write_bytes(data)
    (folder.path / "upload.part").rename(folder.path / "upload.jpg")
    assert folder.wait(2) == [5, 5]


def test_a_picture_written_anew_is_a_new_frame_and_a_broken_one_is_told(folder, caplog):
    put(folder.path / "latest.jpg", 1, age=100)
    folder.start()
    (folder.path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    put(folder.path / "latest.jpg", 2)
    assert folder.wait(2) == [1, 2]
    assert any("broken.jpg" in message for message in caplog.messages)


def test_pictures_that_nobody_reports_are_found(folder, monkeypatch):
    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.1)
    monkeypatch.setattr("alpr_edge.watch.folder.Folder._is_new", lambda *_: False)
    folder.start()
    put(folder.path / "a.jpg", 7, age=100)
    assert folder.wait(1) == [7]
    os.utime(folder.path / "a.jpg", (1, 1))  # as a copying program does at last
    time.sleep(0.2)
    assert folder.wait(1) == [7]
    put(folder.path / "a.jpg", 8, age=50)
    assert folder.wait(2) == [7, 8]


def test_a_picture_moved_here_from_outside_is_taken_at_once(folder):
    (folder.path / "outside").mkdir()
    put(folder.path / "outside" / "a.jpg", 3)
    folder.start()
    (folder.path / "outside" / "a.jpg").rename(folder.path / "a.jpg")
    assert folder.wait(1) == [3]


def test_a_picture_from_the_future_is_taken_when_it_stays_as_it_is(folder, monkeypatch):
    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.1)
    put(folder.path / "a.jpg", 4, age=-7200)
    folder.start()
    assert folder.wait(1) == [4]
    time.sleep(0.3)
    assert folder.wait(1) == [4]


def test_a_picture_that_could_not_be_read_is_tried_again_and_told_once(
    folder, monkeypatch, caplog
):
    fails = [OSError(errno.EIO, "Input/output error")] * 3

    def load(path: Path):
        if fails:
            raise ImageError(f"{path}: cannot be read") from fails.pop()
        return load_image(path)

    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.05)
    monkeypatch.setattr("alpr_edge.watch.folder.load_image", load)
    put(folder.path / "a.jpg", 5, age=100)
    folder.start()
    assert folder.wait(1) == [5]
    assert len(caplog.messages) == 1 and "a.jpg: cannot be read" in caplog.text


def test_a_folder_named_by_a_dot_gives_each_picture_once(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.1)
    folder.path = Path()
    folder.start()
    put(Path("a.jpg"), 6)
    assert folder.wait(1) == [6]
    os.utime("a.jpg", (1, 1))
    time.sleep(0.3)
    assert folder.wait(1) == [6]


def test_a_picture_that_is_removed_while_it_is_listed_is_left_out(tmp_path, monkeypatch):
    class Gone:
        name, path = "gone.jpg", str(tmp_path / "gone.jpg")

        def is_file(self) -> bool:
            return True

        def stat(self):
            return os.stat(self.path)

    put(tmp_path / "a.jpg", 1, age=100)
    listed = contextlib.nullcontext([Gone(), *os.scandir(tmp_path)])
    monkeypatch.setattr(os, "scandir", lambda _path: listed)
    assert films.number_of(next(opened(tmp_path).frames()).image) == 1


def test_a_link_that_leads_nowhere_hides_no_other_picture(tmp_path):
    put(tmp_path / "a.jpg", 1, age=100)
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "lost.jpg").symlink_to("none.jpg")
    assert films.number_of(next(opened(tmp_path).frames()).image) == 1


def test_a_picture_that_cannot_be_looked_at_for_a_while_is_not_taken_again(tmp_path, monkeypatch):
    class Mute:
        name, path = "a.jpg", str(tmp_path / "a.jpg")

        def is_file(self) -> bool:
            raise OSError(errno.EIO, "Input/output error")

    put(tmp_path / "a.jpg", 1, age=100)
    source = opened(tmp_path)
    assert [path.name for path in source._scan()] == ["a.jpg"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda _path: contextlib.nullcontext([Mute()]))
        assert list(source._scan()) == []
    assert list(source._scan()) == []


def test_a_drive_that_comes_back_is_not_taken_again(folder, monkeypatch):
    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.05)
    (folder.path / "drive").mkdir()
    put(folder.path / "drive" / "a.jpg", 1, age=100)
    folder.path = folder.path / "in"

    def mount(path: Path | str) -> None:
        (folder.path.parent / "new").symlink_to(path)
        (folder.path.parent / "new").replace(folder.path)
        time.sleep(0.2)

    mount(folder.path.parent / "drive")
    folder.start()
    assert folder.wait(1) == [1]
    mount("/proc/self/task")  # another drive, without pictures
    mount(folder.path.parent / "drive")
    put(folder.path / "b.jpg", 2, age=50)
    assert folder.wait(2) == [1, 2]


def test_a_folder_that_cannot_be_watched_leaves_no_thread_behind(tmp_path):
    source = opened(tmp_path)
    tmp_path.rmdir()
    before = threading.active_count()
    with pytest.raises(SourceError, match="cannot be watched"):
        next(source.frames())
    assert threading.active_count() == before


def test_a_folder_that_vanishes_may_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr("alpr_edge.watch.folder._POLL_SECONDS", 0.02)
    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.1)
    (tmp_path / "in").mkdir()
    put(tmp_path / "in" / "a.jpg", 1, age=100)
    frames = opened(tmp_path / "in").frames()
    next(frames)
    (tmp_path / "in").rename(tmp_path / "out")
    with pytest.raises(SourceError, match="cannot be listed") as caught:
        next(frames)
    assert not caught.value.permanent


def test_what_a_folder_had_when_it_vanished_is_taken_when_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr("alpr_edge.watch.folder._POLL_SECONDS", 0.02)
    monkeypatch.setattr("alpr_edge.watch.folder.SCAN_SECONDS", 0.1)
    inside, away = tmp_path / "in", tmp_path / "away"
    inside.mkdir()
    for number in (1, 2, 3):
        put(inside / f"{number}.png", number, age=100 - number)
    done: Done = {}
    frames = opened(inside, done=done).frames()
    taken = [next(frames)]
    inside.rename(away)
    with pytest.raises(SourceError, match="cannot be listed"):
        next(frames)
    assert list(done) == [str(inside / "1.png")]
    away.rename(inside)
    frames = opened(inside, done=done).frames()
    taken += [next(frames), next(frames)]
    assert [films.number_of(frame.image) for frame in taken] == [1, 2, 3]
