"""Lines, pictures and videos of events."""

import csv
import dataclasses
import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import ROOT
from events import EVENT, MEDIA, NO_MEDIA, ended

from alpr_edge.errors import OutputError, UsageError
from alpr_edge.geometry import box_quad
from alpr_edge.types import Plate
from alpr_edge.watch import annotated_video
from alpr_edge.watch.annotated_video import FILE_SECONDS, RETRY_SECONDS, AnnotatedVideos
from alpr_edge.watch.config import FilesConfig, PrivacyConfig
from alpr_edge.watch.event_json import event_json, event_of
from alpr_edge.watch.event_pictures import EventPictures
from alpr_edge.watch.file_outputs import file_outputs
from alpr_edge.watch.lines import CSV_COLUMNS, STDOUT, EventLines, EventTable
from alpr_edge.watch.media import SCENE_WIDTH, cut_out, jpeg, media_of, shrunk
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.types import Frame, Media, View

BOX = (100.0, 60.0, 180.0, 80.0)
PLATE = Plate(
    text="A1", confidence=0.5, char_confidences=(0.9, 0.9), rows=1, region=None, kind=None,
    box=BOX, corners=box_quad(BOX), detection_confidence=0.9,
)


def view(number: int = 0, moment: float = 0.0, size=(321, 181), camera: str = "gate") -> View:
    image = np.full((size[1], size[0], 3), 40 + 5 * number, np.uint8)
    frame = Frame(camera=camera, number=number, time=moment, arrived=0.0, picture=Picture(image))
    return View(frame=frame, plates=(PLATE,), texts=("皖A12345",), read=0, ms={})


def frames(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="bgr24")) for frame in container.decode()]


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_one_json_object_an_event_is_appended(tmp_path):
    path = tmp_path / "deep" / "events.jsonl"
    for event in (EVENT, ended(EVENT)):
        lines = EventLines(path)
        lines.event(event, MEDIA)
        lines.close()
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert records == [event_json(EVENT), event_json(ended(EVENT))]
    assert event_of(records[0]).key == EVENT.key and "皖" in path.read_text("utf-8")


def test_a_table_has_its_columns_once(tmp_path):
    path = tmp_path / "events.csv"
    for event in (EVENT, dataclasses.replace(EVENT, known=None, region=None, file="a.jpg")):
        table = EventTable(path)
        table.event(event, MEDIA)
        table.close()
    first, second = csv.DictReader(io.StringIO(path.read_text("utf-8")))
    assert tuple(first) == CSV_COLUMNS
    assert first["known"] == EVENT.known.text and first["access"] == "deny"
    assert first["distance"] == str(EVENT.known.distance)
    assert (second["known"], second["access"], second["distance"], second["region"]) == ("",) * 4
    assert first["text"] == EVENT.text and first["direction"] == "approaching"
    assert (first["file"], second["file"]) == ("", "a.jpg")


def test_a_table_keeps_to_the_columns_it_has(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("key,text,camera\n1,A1,gate\n")
    table = EventTable(path)
    table.event(dataclasses.replace(EVENT, file="a.jpg"), MEDIA)
    table.close()
    assert path.read_text("utf-8").splitlines()[2] == f"{EVENT.key},{EVENT.text},gate"


def test_a_table_of_other_columns_is_left_alone(tmp_path):
    path = tmp_path / "plates.csv"
    for other in ("file,error,text\n", "key;id;final\n"):
        path.write_text(other)
        with pytest.raises(UsageError, match="plates.csv is no table of events: its first line"):
            EventTable(path)
        assert path.read_text() == other
    path.write_text("\ufeffkey,text\n", "utf-8")
    EventTable(path).close()


@pytest.mark.parametrize("kind", [EventLines, EventTable])
def test_a_line_that_a_crash_has_torn_is_ended(tmp_path, kind):
    path = tmp_path / "events"
    for number in range(2):
        lines = kind(path)
        lines.event(EVENT, MEDIA)
        lines.close()
        if not number:
            path.write_bytes(path.read_bytes()[:-10])
    *_, torn, whole = path.read_text("utf-8").splitlines()
    assert whole[:-9] == torn


@pytest.mark.parametrize("kind", [EventLines, EventTable])
@pytest.mark.parametrize("goes", [
    Path.unlink, lambda path: path.rename(path.with_name("before")),
    lambda path: os.truncate(path, 0),
    lambda path: path.rename(path.with_name("before")) and path.touch(),
], ids=["removed", "moved", "emptied", "rotated"])
def test_a_file_that_goes_is_begun_anew(tmp_path, kind, goes):
    path = tmp_path / "events"
    lines = kind(path)
    lines.event(EVENT, MEDIA)
    whole = path.read_text("utf-8")
    goes(path)
    lines.event(EVENT, MEDIA)
    assert path.read_text("utf-8") == whole
    lines.event(EVENT, MEDIA)
    lines.close()
    assert path.read_text("utf-8").startswith(whole) and path.stat().st_size > len(whole)
    kind(path).close()
    before = tmp_path / "before"
    assert not before.exists() or before.read_text("utf-8") == whole


def test_a_table_that_another_file_takes_the_place_of_leaves_that_alone(tmp_path):
    path = tmp_path / "events.csv"
    table = EventTable(path)
    path.unlink()
    path.write_text("file,error,text\n")
    for _ in range(2):
        with pytest.raises(OutputError, match="is no table of events"):
            table.event(EVENT, MEDIA)
    assert path.read_text() == "file,error,text\n"
    path.write_text("key,text\n")  # the same file, with columns of ours
    table.event(EVENT, MEDIA)
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        table.event(EVENT, MEDIA)
    path.rmdir()
    table.event(EVENT, MEDIA)
    table.close()
    assert tuple(csv.DictReader(io.StringIO(path.read_text("utf-8"))).fieldnames) == CSV_COLUMNS


@pytest.mark.parametrize("room", [0, 10])
def test_a_header_that_a_full_disk_has_torn_is_completed(tmp_path, monkeypatch, room):
    path = tmp_path / "events.csv"
    table = EventTable(path)
    path.unlink()
    write, left = os.write, [room, 0]

    def cramped(file, data):
        size = left.pop(0) if left else len(data)
        if not size:
            left.clear()
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:size])

    monkeypatch.setattr(os, "write", cramped)
    with pytest.raises(OutputError, match="No space left"):
        table.event(EVENT, MEDIA)
    table.event(EVENT, MEDIA)
    table.close()
    [row] = csv.DictReader(io.StringIO(path.read_text("utf-8")))
    assert row["key"] == EVENT.key and tuple(row) == CSV_COLUMNS


def test_lines_to_stdout_stay_open(capfd):
    for kind in (EventLines, EventTable):
        output = kind(STDOUT)
        output.event(EVENT, MEDIA)
        output.close()
    line, header, row = capfd.readouterr().out.splitlines()
    assert json.loads(line)["key"] == EVENT.key and header.startswith("key,")
    assert row.startswith(EVENT.key)


def test_a_full_disk_is_an_output_error(tmp_path):
    lines = EventLines(Path("/dev/full"))
    with pytest.raises(OutputError, match="/dev/full cannot be written: No space left"):
        lines.event(EVENT, MEDIA)
    lines.close()
    with pytest.raises(OutputError, match="cannot be written"):
        EventLines(tmp_path)


def test_a_torn_line_is_completed_when_there_is_room_again(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    lines = EventLines(path)
    room = [10, 0, 0, 10_000, 10_000, 10_000]
    write = os.write

    def cramped(file, data):
        left = room.pop(0)
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:left])

    monkeypatch.setattr(os, "write", cramped)
    with pytest.raises(OutputError):
        lines.event(EVENT, MEDIA)  # 10 bytes are there
    with pytest.raises(OutputError):
        lines.event(EVENT, MEDIA)
    lines.event(ended(EVENT), MEDIA)
    lines.close()
    keys = [json.loads(line)["key"] for line in path.read_text("utf-8").splitlines()]
    assert keys == [EVENT.key, ended(EVENT).key]


def test_only_what_is_named_is_written(tmp_path):
    assert list(file_outputs(FilesConfig())) == []
    config = FilesConfig(
        jsonl=tmp_path / "a", csv=tmp_path / "b", video=tmp_path / "c", pictures=tmp_path / "d"
    )
    kinds = [type(output) for output in file_outputs(config)]
    assert kinds == [EventLines, EventTable, AnnotatedVideos, EventPictures]


def test_a_video_has_each_frame_at_its_time(tmp_path):
    videos = AnnotatedVideos(tmp_path)
    moments = [100.0, 100.1, 100.5, 100.5, 90.0, 500.0, 500.2]  # doubled, set back, far ahead
    for number, moment in enumerate(moments):
        videos.view(view(number, moment))
        videos.view(view(number, moment, camera="yard"))
    videos.close()
    paths = sorted(tmp_path.iterdir())
    assert [path.name.split("-")[0] for path in paths] == ["gate", "yard"]
    for path in paths:
        times, images = zip(*frames(path), strict=True)
        assert times == pytest.approx([0, 0.1, 0.5, 0.54, 0.58, 0.62, 0.82], abs=2e-3)
        assert images[0].shape == (182, 322, 3)  # even sides
        assert abs(int(images[6][170, 10, 0]) - 70) <= 6
        assert (abs(images[0].astype(int) - 40) > 60).sum() > 300  # the plate is drawn


def test_a_redacted_view_has_nothing_drawn_on_it(tmp_path):
    videos = AnnotatedVideos(tmp_path)
    videos.view(dataclasses.replace(view(), redacted=True))
    videos.close()
    [(_, image)] = frames(next(tmp_path.iterdir()))
    assert abs(image.astype(int) - 40).max() <= 6


def test_a_frame_of_another_size_begins_another_video(tmp_path):
    videos = AnnotatedVideos(tmp_path)
    for number, size in enumerate([(320, 180), (320, 180), (160, 90)]):
        videos.view(view(number, number / 10, size))
    videos.close()
    sizes = sorted(frames(path)[0][1].shape[1] for path in tmp_path.iterdir())
    assert sizes == [160, 320]


def test_after_an_hour_another_video_begins(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(annotated_video.time, "monotonic", lambda: now)
    videos = AnnotatedVideos(tmp_path)
    for number in range(4):
        videos.view(view(number, number / 10))
        now += FILE_SECONDS / 2
    videos.close()
    assert [len(frames(path)) for path in sorted(tmp_path.iterdir())] == [2, 2]


def test_a_killed_process_leaves_a_video_that_plays(tmp_path):
    script = """
import sys, time
sys.path[:0] = ["tests", "."]
from pathlib import Path
from test_file_outputs import AnnotatedVideos, view
videos = AnnotatedVideos(Path(sys.argv[1]))
for number in range(120):
    videos.view(view(number % 40, number / 10))
print("written", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    shown = frames(next(tmp_path.iterdir()))
    assert len(shown) >= 40  # of 120; some seconds are still in the encoder
    assert shown[-1][0] >= 4.0


def test_a_video_that_cannot_be_written_is_an_output_error(tmp_path, monkeypatch):
    monkeypatch.setattr(annotated_video, "RETRY_SECONDS", 0.0)
    videos = AnnotatedVideos(tmp_path / "videos")
    (tmp_path / "videos").rmdir()
    with pytest.raises(OutputError, match="video of camera gate"):
        videos.view(view())
    (tmp_path / "videos").mkdir()
    videos.view(view())  # it goes on where there is room again
    videos.close()
    assert len(list((tmp_path / "videos").iterdir())) == 1


def test_a_full_disk_is_tried_now_and_then_and_gets_no_files(tmp_path, monkeypatch):
    now, tries = 1000.0, []

    def full(self, image, moment):
        tries.append(moment)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(annotated_video.time, "monotonic", lambda: now)
    videos = AnnotatedVideos(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(annotated_video._Video, "write", full)
        for number in range(24):
            with pytest.raises(OutputError, match="No space left"):
                videos.view(view(number, float(number)))
            now += 1
    assert tries == [0.0, 10.0, 20.0] and list(tmp_path.iterdir()) == []
    now += RETRY_SECONDS
    videos.view(view())
    videos.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_video_in_a_folder_with_a_colon_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    videos = AnnotatedVideos(Path("12:00"))
    videos.view(view())
    videos.close()
    assert len(list(Path("12:00").iterdir())) == 1


def test_an_events_pictures(tmp_path):
    image = np.full((1080, 1920, 3), 90, np.uint8)
    image[500:540, 600:760] = 255
    quad = box_quad((600, 500, 760, 540))
    media = media_of(image, quad, PrivacyConfig(), None)
    scene, crop = decoded(media.scene), decoded(media.crop)
    assert scene.shape == (720, SCENE_WIDTH, 3)
    assert crop.shape == (56, 176, 3)  # a fifth of the height more all round
    assert crop[28, 88, 0] > 250 and crop[2, 2, 0] < 100
    assert media_of(image, quad, PrivacyConfig(crops=False, scenes=False), None) == NO_MEDIA


def test_a_redacted_scene_needs_to_know_its_plates():
    image = np.full((100, 200, 3), 90, np.uint8)
    image[40:60:2, 60:140] = 255
    quad = box_quad((60, 40, 140, 60))
    redacted = PrivacyConfig(redact=True)
    assert media_of(image, quad, redacted, None).scene is None
    scene = decoded(media_of(image, quad, redacted, [quad]).scene)
    assert scene[45:55, 70:130].std() < 10 < image[45:55, 70:130].std()


def test_small_and_odd_plates_have_a_crop():
    image = np.full((100, 200, 3), 90, np.uint8)
    assert cut_out(image, box_quad((10, 10, 12, 11))).shape[0] == 48
    assert cut_out(image, box_quad((10, 10, 10, 10))).size > 0
    assert cut_out(image, box_quad((0, 0, 200, 1))).shape[1] == 48 * 8
    assert shrunk(image) is image


def test_a_picture_an_event(tmp_path):
    scene = np.full((360, 640, 3), 90, np.uint8)
    media = Media(crop=jpeg(scene[:40, :120]), scene=jpeg(scene))
    pictures = EventPictures(tmp_path)
    pictures.event(EVENT, media)
    pictures.event(ended(EVENT), Media(crop=media.crop, scene=None))
    pictures.event(EVENT, NO_MEDIA)
    [path] = tmp_path.iterdir()
    assert path.name == f"gate-{EVENT.id}.jpg" and path.read_bytes() == media.crop
    pictures.event(EVENT, media)
    assert decoded(path.read_bytes()).shape == scene.shape
    assert path.read_bytes() != media.scene  # the plate is drawn
    pictures.event(EVENT, dataclasses.replace(media, redacted=True))
    pictures.event(ended(EVENT), Media(crop=media.crop, scene=None, redacted=True))
    assert path.read_bytes() == media.scene  # a crop would show the plate


def test_a_full_disk_leaves_the_picture_before(tmp_path, monkeypatch):
    def torn(self: Path, data: bytes) -> None:
        self.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    pictures = EventPictures(tmp_path)
    pictures.event(EVENT, Media(crop=MEDIA.crop, scene=None))
    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", torn)
        with pytest.raises(OutputError, match="cannot be written: No space left .*; free space"):
            pictures.event(ended(EVENT), Media(crop=b"other", scene=None))
    [path] = tmp_path.iterdir()
    assert path.read_bytes() == MEDIA.crop


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_a_video_of_the_smallest_pictures(tmp_path, size):
    videos = AnnotatedVideos(tmp_path)
    videos.view(view(size=size))
    videos.close()
    [(_, image)] = frames(next(tmp_path.iterdir()))
    assert image.shape[:2] == (2, size[0] + size[0] % 2)


def test_a_picture_that_no_encoder_takes_is_an_error_of_the_output(tmp_path, monkeypatch):
    monkeypatch.setattr(annotated_video, "RETRY_SECONDS", 0.0)
    videos = AnnotatedVideos(tmp_path)
    with pytest.raises(OutputError, match="video of camera gate"):
        videos.view(view(size=(20000, 100)))
    videos.view(view())
    videos.close()
