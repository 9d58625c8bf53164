"""Sources: every frame of a file, what is wrong with a broken one, cameras by HTTP."""

from __future__ import annotations

import gc
import os
import struct
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av")
import films

from alpr_edge.errors import UsageError
from alpr_edge.watch import decoder, hardware
from alpr_edge.watch.config import CameraConfig, HardwareDecoding
from alpr_edge.watch.sources import SourceError, is_live, is_picture, open_source, shown, with_login
from alpr_edge.watch.video import Delay, Sampler

os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # quiet


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write(tmp_path_factory.mktemp("films") / "clip.mp4", faststart=True)


def opened(source: object, stop: threading.Event | None = None, **settings):
    camera = CameraConfig(name="gate", source=str(source), **settings)
    return open_source(camera, stop or threading.Event())


def numbers(source) -> list[int]:
    with_numbers = [(frame.number, films.number_of(frame.image)) for frame in source.frames()]
    assert all(told == number for told, number in with_numbers)
    return [number for number, _ in with_numbers]


def read_until_problem(source) -> tuple[list[int], SourceError]:
    seen = []
    with pytest.raises(SourceError) as caught:
        for frame in source.frames():
            seen.append(films.number_of(frame.image))
    source.close()
    return seen, caught.value


# --- video files


def test_every_frame_of_a_file_in_order(clip):
    source = opened(clip)
    assert (source.live, source.expected) == (False, 20)
    assert source.about.startswith("h264 160 x 120, 10 fps")
    assert numbers(source) == list(range(20))
    source.close()
    source.close()


def test_times_of_a_file_end_when_it_was_written(clip):
    os.utime(clip, (1_000_000, 1_000_000))
    times = [frame.time for frame in opened(clip).frames()]
    assert times == pytest.approx([1_000_000 - 2 + n / 10 for n in range(20)])


@pytest.mark.parametrize(("name", "begin"), [
    ("sound.mkv", 1_000_000 - 2), ("sound.flv", 1_000_000 - 2), ("bare.h264", 1_000_000),
])
def test_times_of_a_file_whose_picture_has_no_length_of_its_own(clip, tmp_path, name, begin):
    file = tmp_path / name
    with av.open(str(clip)) as source, av.open(str(file), "w") as made:
        pictures = made.add_stream_from_template(source.streams.video[0])
        if name.startswith("sound"):
            sound = made.add_stream("aac", rate=44100)
            sound.layout = "mono"
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 88200), np.float32), "fltp", "mono")
            silence.sample_rate = 44100
            made.mux(sound.encode(silence))
            made.mux(sound.encode())
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                made.mux(packet)
    os.utime(file, (1_000_000, 1_000_000))
    times = [frame.time for frame in opened(file).frames()]
    assert len(times) == 20 and times[0] == pytest.approx(begin, abs=0.15)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("later", [0, 5])
def test_a_recording_that_begins_late_or_between_key_frames(tmp_path, ending, later):
    file = tmp_path / f"part.{ending}"
    whole = films.write(tmp_path / "whole.mkv", 30)
    with av.open(str(whole)) as source, av.open(str(file), "w") as part:
        stream = part.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux(video=0))[5:-1]:
            packet.pts += later / packet.time_base
            packet.dts, packet.stream = packet.pts, stream
            part.mux(packet)
    os.utime(file, (1_000_000, 1_000_000))
    frames = list(opened(file).frames())
    assert [films.number_of(frame.image) for frame in frames] == list(range(10, 30))
    times = [frame.time for frame in frames]
    assert times == pytest.approx([1_000_000 - 2 + n / 10 for n in range(20)], abs=0.11)


def test_a_file_with_a_colon_in_its_name(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("12:00.mp4").write_bytes(clip.read_bytes())
    assert numbers(opened("12:00.mp4")) == list(range(20))


@pytest.mark.parametrize(("settings", "expected"), [
    ({"every": 3}, [0, 3, 6, 9, 12, 15, 18]),
    ({"max_fps": 5.0}, list(range(0, 20, 2))),
    ({"every": 2, "max_fps": 2.5}, [0, 4, 8, 12, 16]),
])
def test_only_some_frames(clip, settings, expected):
    source = opened(clip, **settings)
    assert source.expected == len(expected)
    assert numbers(source) == expected


def test_max_fps_holds_on_average():
    sampler = Sampler(1, 10.0)
    assert sum(sampler.takes(n, n / 25) for n in range(250)) == pytest.approx(100, abs=1)


def test_stamps_that_jump_stop_no_sampling():
    sampler = Sampler(1, 1.0)
    taken = [second for second in (100.0, 100.5, 101.0, 7.0, 7.5, 8.0, 5000.0, 5000.1, 5001.0)
             if sampler.takes(0, second)]
    assert taken == [100.0, 101.0, 7.0, 8.0, 5000.0, 5001.0]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_a_file_cut_short_gives_its_frames_and_then_a_problem(tmp_path, ending):
    whole = films.write(tmp_path / f"clip.{ending}", 30, faststart=ending == "mp4")
    seen, problem = read_until_problem(opened(films.cut(whole, 0.5)))
    assert seen[:12] == list(range(12)) and len(seen) < 20
    assert problem.permanent
    assert f"its {len(seen)} readable frames were read" in str(problem)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
def test_a_time_lapse_is_not_taken_for_cut_short(tmp_path, ending):
    file = films.write(tmp_path / f"lapse.{ending}", 4, fps=Fraction(1, 5))
    frames = list(opened(file).frames())
    assert [films.number_of(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert frames[3].time - frames[0].time == pytest.approx(15, abs=0.1)


def test_damage_in_the_middle_costs_frames_and_is_told(tmp_path):
    file = films.write(tmp_path / "clip.mp4", 30, faststart=True)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20000] = bytes(20000)
    file.write_bytes(data)
    seen, problem = read_until_problem(opened(file))
    assert {0, 1, 2, 3, 28, 29} <= set(seen), "the frames after the damage are read too"
    assert "damaged" in str(problem)
    other, count = cv2.VideoCapture(str(file)), 0
    while other.read()[0]:
        count += 1
    assert count < len(seen), "OpenCV takes the damage for the end, as docs/deploy.md says"


@pytest.mark.parametrize(("content", "message"), [
    (b"this is a text\n" * 500, "no video that can be decoded"),
    (b"", "no video that can be decoded"),
    (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "no video that can be decoded"),
])
def test_what_is_no_video_is_never_tried_again(tmp_path, content, message):
    file = tmp_path / "clip.mp4"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        opened(file)
    assert caught.value.permanent


def test_a_missing_file_names_what_is_allowed(tmp_path):
    with pytest.raises(SourceError, match="no such file or folder; a source is") as caught:
        opened(tmp_path / "none.mp4")
    assert caught.value.permanent


def test_a_single_picture_is_no_source(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    assert not is_picture(str(tmp_path / "folder.jpg"))
    assert not is_picture("http://camera/snapshot.jpg")
    (tmp_path / "photo.jpg").write_bytes(cv2.imencode(".jpg", films.picture(1))[1].tobytes())
    with pytest.raises(UsageError, match="a picture; alpr-edge read reads it, and a folder"):
        opened(tmp_path / "photo.jpg")


def test_a_sound_file_is_no_video(tmp_path):
    import av
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="no video in it"):
        opened(tmp_path / "sound.wav")


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_a_turned_video_is_upright_as_by_opencv(clip, tmp_path, matrix):
    data = bytearray(clip.read_bytes())
    place = data.index(b"tkhd") + 44
    a, b, c, d = (65536 * value for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(data)
    frame = next(opened(tmp_path / "turned.mp4").frames())
    _, other = cv2.VideoCapture(str(tmp_path / "turned.mp4")).read()
    assert frame.image.flags.c_contiguous
    np.testing.assert_array_equal(frame.image, other)


def test_stop_ends_the_frames_without_a_problem(clip):
    stop = threading.Event()
    frames = opened(clip, stop).frames()
    next(frames)
    stop.set()
    assert list(frames) == []


def test_nothing_is_left_open(tmp_path):
    file = films.write(tmp_path / "large.mp4", 4, width=1280, height=720)

    def held() -> tuple[int, int, int]:
        """Descriptors, threads, memory in steps of 20 MB."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        own = Path("/proc/self")
        return (
            len(os.listdir(own / "fd")), len(os.listdir(own / "task")),
            pages * os.sysconf("SC_PAGESIZE") // 20_000_000,
        )

    def look(times: int) -> None:
        for _ in range(times):
            source = opened(file)
            next(source.frames())
            source.close()

    look(5)
    descriptors, threads, memory = held()
    look(30)  # a picture is 2.8 MB
    after = held()
    assert after[0] <= descriptors and after[1] <= threads and after[2] <= memory + 1


# --- hardware


@pytest.fixture
def no_vaapi(tmp_path, monkeypatch):
    """A machine without a graphics unit; gives the path where one would be."""
    monkeypatch.setattr(hardware, "_DEVICE", tmp_path / "renderD128")
    hardware._missing.cache_clear()
    yield tmp_path / "renderD128"
    hardware._missing.cache_clear()


def test_auto_decodes_by_the_cpu_and_says_so_once(clip, caplog, no_vaapi):
    with caplog.at_level("INFO"):
        for _ in range(2):
            assert len(list(opened(clip, hwaccel=HardwareDecoding.AUTO).frames())) == 20
    assert caplog.messages == [
        f"the CPU decodes video, not VA-API: there is no {no_vaapi}"
    ]


def test_auto_decodes_by_the_cpu_where_the_device_fails(clip, caplog, no_vaapi, monkeypatch):
    no_vaapi.touch()
    monkeypatch.setattr(hardware, "_KIND", "drm")  # every PyAV has it, and no decoder uses it
    with caplog.at_level("INFO"):
        assert len(list(opened(clip, hwaccel=HardwareDecoding.AUTO).frames())) == 20
    assert "cannot be opened" in caplog.text


def test_vaapi_that_is_wanted_and_not_there_is_an_error(clip, no_vaapi):
    with pytest.raises(SourceError, match="set hwaccel to auto or none") as caught:
        opened(clip, hwaccel=HardwareDecoding.VAAPI)
    assert caught.value.permanent
    assert len(list(opened(clip, hwaccel=HardwareDecoding.NONE).frames())) == 20


# --- URLs


@pytest.mark.parametrize(("source", "told"), [
    ("rtsp://me:secret@10.0.0.1:554/live?pwd=secret", "rtsp://10.0.0.1:554/live"),
    ("rtsp://me:sec@ret@10.0.0.1/live", "rtsp://10.0.0.1/live"),
    ("rtsp://me:sec/ret@10.0.0.1/live", "rtsp://..."),
    ("http://10.0.0.1/v?user=me&pwd=sec@ret", "http://..."),
    ("http://10.0.0.1/video.mjpg", "http://10.0.0.1/video.mjpg"),
    ("films/a@b.mp4", "films/a@b.mp4"),
])
def test_no_password_is_shown(source, told):
    assert shown(source) == told


def test_login_goes_into_the_url(tmp_path):
    (tmp_path / "password").write_text("p@ss:w/rd\n")
    camera = CameraConfig(
        name="gate", source="rtsp://10.0.0.1/live?a=1", username="me@home",
        password_file=tmp_path / "password",
    )
    assert with_login(camera) == "rtsp://me%40home:p%40ss%3Aw%2Frd@10.0.0.1/live?a=1"


def test_a_missing_password_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="secret"):
        opened("rtsp://10.0.0.1/x", username="me", password_file=tmp_path / "none")


def test_other_schemes_are_refused():
    with pytest.raises(SourceError, match=r"ftp:// is not supported; allowed: rtsp://") as caught:
        opened("ftp://me:secret@10.0.0.1/x")
    assert "secret" not in str(caught.value)


def test_what_is_live():
    assert [is_live(s) for s in ("0", "rtsp://x/y", "a.mp4", "/folder")] == [1, 1, 0, 0]


# --- cameras


class Handler(BaseHTTPRequestHandler):
    """/video sends 8 JPEGs at 20 a second and ends; /text a text; /silent nothing for a minute."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        if self.path.startswith("/silent"):
            self.server.over.wait(60)
        elif self.path.startswith("/text"):
            self.wfile.write(b"no video\n" * 500)
        else:
            for number in range(8):
                jpeg = cv2.imencode(".jpg", films.picture(number))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(0.05)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.over = threading.Event()
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.over.set()
    served.shutdown()
    thread.join()
    served.server_close()


def test_a_camera_by_http_until_it_ends(server):
    source = opened(f"{server}/video.mjpg?pwd=secret")
    began = time.time()
    assert (source.live, source.expected) == (True, None)
    seen, problem = read_until_problem(source)
    assert seen == list(range(8)) and began <= time.time() < began + 5
    assert not problem.permanent and "secret" not in str(problem)


def test_a_camera_that_sends_no_video_may_do_so_later(server):
    with pytest.raises(SourceError, match="sends no video that can be decoded; check") as caught:
        opened(f"{server}/text?pwd=secret")
    assert not caught.value.permanent and "secret" not in str(caught.value)


def test_a_silent_camera_is_given_up_in_time(server, monkeypatch):
    monkeypatch.setattr(decoder, "OPEN_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(SourceError, match="no answer within") as caught:
        opened(f"{server}/silent")
    assert time.monotonic() - began < 2 and not caught.value.permanent


def test_a_refused_connection():
    with pytest.raises(SourceError, match="refuses the connection; check address") as caught:
        opened("rtsp://me:secret@127.0.0.1:9/live")
    assert not caught.value.permanent and "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_name_that_is_no_hosts(scheme):
    with pytest.raises(SourceError, match="the host's name is not known; check") as caught:
        opened(f"{scheme}://me:secret@no..host/live")
    assert not caught.value.permanent and "secret" not in str(caught.value)


def test_a_webcam_that_is_not_there_may_come():
    with pytest.raises(SourceError, match="/dev/video63: no such webcam") as caught:
        opened(63)
    assert not caught.value.permanent


def test_packets_wait_only_where_stamps_fall_behind():
    delay = Delay()
    assert delay.of(0.0, waited=0.1, now=10.0) == 0
    assert delay.of(0.1, waited=0.0, now=10.6) == pytest.approx(0.5)  # decoding took 0.6 s
    assert delay.of(0.2, waited=0.0, now=10.6) == pytest.approx(0.4)  # read at once: catching up
    assert delay.of(0.7, waited=0.05, now=10.75) == 0  # we waited: nothing was left
    assert delay.of(None, waited=0.0, now=11.0) == 0


def test_no_drift_of_a_clock_looks_like_delay():
    delay = Delay()  # the camera's clock is 1 % slow, as of a motion JPEG of a wrong rate
    assert max(delay.of(0.99 * n / 25, waited=0.03, now=n / 25) for n in range(10_000)) == 0
