"""The drive-by video: smooth traffic, exact truth, the same for the same seed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from alpr_edge.alphabet import fits
from alpr_edge.errors import UsageError
from training.render import traffic, vehicle
from training.render.driveby import Film, write_driveby, write_video
from training.render.material import RenderMaterial
from training.render.plate import RenderedPlate
from training.render.street import draw_vehicle
from training.render.vehicle import Light, draw_board, make_board


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> RenderMaterial:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RenderMaterial.load(tmp_path_factory.mktemp("nothing"))


@pytest.fixture
def small_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vehicle, "_PIXELS", 160)


def flat_plate(value: int = 200) -> RenderedPlate:
    image = np.full((110, 440, 3), value, np.uint8)
    return RenderedPlate(
        image=image, unworn=image, glyphs=np.zeros((5, 4), np.float32), text="AB123", rows=1,
        kind="latin", country="XX", style="eu")


def test_timetable():
    plan = traffic.timetable(np.random.default_rng(1), 72)
    assert len(plan.trips) == 72
    assert sum(trip.parked for trip in plan.trips) == 4
    assert sum(trip.begin >= plan.night for trip in plan.trips) > 20
    assert max(trip.end for trip in plan.trips) == plan.frames
    moving = [trip for trip in plan.trips if not trip.parked]
    for part in plan.idle:
        assert part.stop - part.start >= 2 * traffic.FPS
        assert not any(trip.begin < part.stop and trip.end > part.start for trip in moving)
    busy = [sum(t.begin <= n < t.end for t in moving) for n in range(plan.frames)]
    assert max(busy) >= 3


def test_motion_is_smooth_and_nobody_drives_into_another():
    plan = traffic.timetable(np.random.default_rng(2), 60)
    for trip in plan.trips:
        steps = np.linalg.norm(np.diff(trip.ground, axis=0), axis=1) * traffic.FPS
        assert steps.max() <= 12.001
        assert np.abs(np.diff(steps)).max(initial=0) < 0.5
        assert (trip.ground[:, 1] > 0).all()
    for number, one in enumerate(plan.trips):
        for other in plan.trips[number + 1 :]:
            if one.parked or other.parked or abs(one.ground[0, 0] - other.ground[0, 0]) > 1.2:
                continue
            begin = max(one.begin, other.begin)
            end = max(begin, min(one.end, other.end))
            apart = one.ground[begin - one.begin : end - one.begin] - other.ground[
                begin - other.begin : end - other.begin]
            assert len(apart) == 0 or np.linalg.norm(apart, axis=1).min() > 4


def test_a_board_is_opaque_where_the_vehicle_is(small_boards: None):
    board = make_board(flat_plate(), np.random.default_rng(3), False, Light())
    assert [level.shape[1] for level in board.levels] == [198, 99, 50, 25]
    opacity = board.levels[0][..., 3]
    assert opacity[0].max() == 0
    x, y = board.plate.mean(axis=0).astype(int)
    assert opacity[y, x] == 255
    assert board.levels[0][y, x, :3] == pytest.approx(200, abs=30)
    assert board.width == pytest.approx(1.76 * 198 / 160)


def test_a_lorry_is_larger_and_night_is_dark(small_boards: None):
    rng = np.random.default_rng(3)
    lorry = make_board(flat_plate(), rng, True, Light(body=0.2, plate=0.5))
    assert lorry.height / lorry.width > 0.9
    assert lorry.levels[0][..., :3].max() <= 130


def test_drawn_where_it_was_asked_for(small_boards: None):
    board = make_board(flat_plate(), np.random.default_rng(3), False, Light())
    frame = np.full((300, 400, 3), 7, np.uint8)
    quad = np.array([[100, 50], [298, 50], [298, 197], [100, 197]], np.float32)
    drawn = draw_board(frame, board, quad)
    assert drawn is not None
    scale = (198 / board.levels[0].shape[1], 147 / board.levels[0].shape[0])
    assert drawn.plate == pytest.approx(board.plate * scale + (100, 50), abs=0.01)
    assert (frame[:50] == 7).all()
    assert (frame[:, :100] == 7).all()
    centre = drawn.plate.mean(axis=0)
    assert drawn.covers(np.array([centre, [10, 10], [102, 52]], np.float32)).tolist() == [
        True, False, False]
    assert draw_board(frame, board, quad + 1000) is None


def test_the_same_vehicle_is_drawn_on_any_ground():
    images = [np.full((200, 200, 3), value, np.uint8) for value in (0, 255)]
    slots = [draw_vehicle(image, np.random.default_rng(5), 100, 180, 150, False)
             for image in images]
    assert slots[0] == slots[1]
    assert (images[0][150, 100] == images[1][150, 100]).all()


def test_a_film_is_the_same_for_the_same_seed_and_its_truth_fits(
    small_boards: None, material: RenderMaterial
):
    one, two = (Film(material, 5, 20) for _ in range(2))
    for number in (30, 31, 32):
        image = one._frame(number)
        assert (image == two._frame(number)).all()
    assert image.shape == (1080, 1920, 3)
    truth = one.truth()
    assert truth == two.truth()
    assert truth["vehicles"]
    for row in truth["vehicles"]:
        assert fits(row["text"])
        assert row["last"] - row["first"] + 1 == len(row["quads"]) == len(row["visible"])
        assert all(0 <= share <= 1 for share in row["visible"])
    parked = [row for row in truth["vehicles"] if row["parked"]]
    assert len(parked) == 4
    assert parked[0]["quads"][0] == parked[0]["quads"][2]
    assert max(row["visible"][0] for row in parked) == 1.0


def test_night_is_darker(small_boards: None, material: RenderMaterial):
    film = Film(material, 5, 20)
    frames = film.frames()
    first = next(frames)
    film.plan = type(film.plan)(trips=(), frames=3, night=1, idle=())
    film.vehicles = []
    assert next(frames).mean() < first.mean() * 0.4


def test_the_video_has_a_keyframe_each_second_and_no_b_frames(tmp_path: Path):
    av = pytest.importorskip("av")
    frames = (np.full((1080, 1920, 3), 60 + n, np.uint8) for n in range(30))
    write_video(tmp_path / "v.mp4", frames)
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 1920, 1080)
        assert stream.average_rate == traffic.FPS
        packets = [p for p in container.demux(stream) if p.size]
    assert [p.pts * p.time_base * 25 for p in packets] == list(range(30))
    assert [p.dts for p in packets] == [p.pts for p in packets]
    assert [n for n, p in enumerate(packets) if p.is_keyframe] == [0, 25]


def test_files_are_written(
    tmp_path: Path, material: RenderMaterial, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Film, "frames", lambda self, progress: iter(
        [np.zeros((1080, 1920, 3), np.uint8)]))
    video, truth = write_driveby(material, tmp_path / "out", 3, 20)
    assert (video.name, truth.name) == ("driveby_3.mp4", "driveby_3.json")
    assert json.loads(truth.read_text("utf-8"))["seed"] == 3
    with pytest.raises(UsageError, match="19 vehicles; allowed: 20 or more"):
        write_driveby(material, tmp_path, 3, 19)


