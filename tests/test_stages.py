"""The stage benchmark: hand-computed percentiles, taking turns, verdict, files, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn import build_data

from alpr_edge import budget, geometry
from alpr_edge.errors import DataError, OutputError, UsageError
from alpr_edge.stages import DETECTION_STAGES, READING_STAGES, Stage
from alpr_edge.types import Detection
from benchmarks import stages
from benchmarks.__main__ import main
from benchmarks.stages import Scene, Times
from benchmarks.stages_tables import _beyond_cap

PLATE = Detection(
    box=(0.0, 0.0, 9.0, 9.0), corners=geometry.box_quad((0.0, 0.0, 9.0, 9.0)), confidence=1.0
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return build_data(tmp_path_factory.mktemp("drawn") / "data", 3, ("val", "train"))


def times(detection: float, reading: float) -> Times:
    """Every stage of a part takes as long; the batch takes twice as long as one plate."""
    stamps = [dict.fromkeys(Stage, value) for value in (detection, reading, 2 * reading)]
    return Times(detection=stamps[0], reading=stamps[1], batch=stamps[2])


def test_percentiles_by_hand():
    assert stages.percentiles(list(range(101))) == {"p50": 50, "p90": 90, "p99": 99}
    assert stages.percentiles([1.0, 2.0]) == {"p50": 1.5, "p90": 1.9, "p99": 1.99}


def test_figures_sum_the_stages_of_each_run():
    found = stages.figures([times(1.0, 10.0), times(3.0, 30.0)])
    assert set(found["detection"]) == {*DETECTION_STAGES, "total"}
    assert set(found["reading"]) == set(found["reading_batch_4"]) == {*READING_STAGES, "total"}
    assert found["detection"]["total"]["p50"] == 6.0  # the median of 3 x 1 and 3 x 3
    assert found["reading"]["total"]["p50"] == 60.0
    assert found["reading_batch_4"]["total"]["p50"] == 120.0


def test_the_verdict_takes_detection_of_the_frame_and_reading_of_one_plate():
    verdict = stages.judge([times(1.0, 2.0), times(3.0, 4.0), times(5.0, 6.0)])
    assert (verdict.detection_ms, verdict.reading_ms) == (9.0, 12.0)


class FakeContestant:
    detector = None

    def __init__(self, name, log):
        self.name, self.log = name, log

    def run(self, scene, plates):
        self.log.append(self.name + scene.name)
        return times(1.0, 1.0)


def test_models_take_turns_and_warm_up_is_not_counted(monkeypatch):
    monkeypatch.setattr(stages, "WARM_UP", 2)
    log: list[str] = []
    scenes = [Scene(name=n, frame=np.zeros((1, 1, 3), np.uint8), plates=(PLATE,)) for n in "12"]
    taken = stages.measure([FakeContestant("A", log), FakeContestant("B", log)], scenes, 4)
    assert [len(t) for t in taken] == [4, 4]
    assert log == ["B1", "A1", "B2", "A2", "A1", "B1", "A2", "B2", "B1", "A1", "B2", "A2"]


def test_every_scene_has_plates_to_read():
    class Finds:
        def predict(self, image):
            return [PLATE] if image.any() else []

    def scene(value, plates=()):
        return Scene(name="", frame=np.full((1, 1, 3), value, np.uint8), plates=plates)

    other = Detection(box=PLATE.box, corners=PLATE.corners, confidence=0.5)
    found = stages.plates_of([scene(0), scene(0, (other,)), scene(0), scene(1)], Finds())
    assert [list(p) for p in found] == [[other], [other], [other], [PLATE]]
    with pytest.raises(DataError, match="no plate on any picture"):
        stages.plates_of([scene(0)], Finds())


def test_a_contestant_reads_one_and_four_plates(tiny_models):
    one = stages.Contestant(tiny_models, threads=1)
    taken = one.run(Scene(name="", frame=np.zeros((1080, 1920, 3), np.uint8), plates=()), [PLATE])
    assert one.fixed.plates == [PLATE] * 4
    for ms in (taken.detection, taken.reading, taken.batch):
        assert set(ms) == set(Stage)
    assert taken.detection[Stage.LETTERBOX] > 0 and taken.batch[Stage.READ] > 0


def test_scenes_are_val_frames_of_full_hd_with_their_plates(data):
    scenes = stages.load_scenes(data)
    assert [scene.name for scene in scenes] == ["val00.png", "val01.png", "val02.png"]
    for scene in scenes:
        assert scene.frame.shape == (1080, 1920, 3)
        # 96 x 160 drawn pixels fill 1080 x 1800: times 11.25
        np.testing.assert_allclose(scene.plates[0].corners[0], (60 * 11.25, 40 * 11.25), rtol=1e-6)


def test_no_pictures_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "DEMO", tmp_path / "absent")
    with pytest.raises(DataError, match="give --data"):
        stages.load_scenes(None)
    with pytest.raises(DataError, match="no frame of split val"):
        stages.load_scenes(build_data(tmp_path / "data", 2, ("train",)))


def test_demo_pictures_serve_without_data(tmp_path, monkeypatch, data):
    monkeypatch.setattr(stages, "DEMO", data / "frames")
    scenes = stages.load_scenes(None)
    assert len(scenes) == 6 and not any(scene.plates for scene in scenes)


@pytest.fixture
def command(data, tiny_models, tmp_path):
    return ["stages", "--data", str(data), "--models", str(tiny_models), "--threads", "1",
            "--runs", "3", "--out", str(tmp_path / "s.json"), "--markdown", str(tmp_path / "s.md")]


def test_the_command_writes_json_and_markdown(command, tmp_path, tiny_models, capsys):
    assert main(command) == 0
    report = json.loads((tmp_path / "s.json").read_text("utf-8"))
    model = report["models"][0]
    assert report["isa"]["asked"] == "native" and report["isa"]["onednn"]
    assert report["frame"] == [1920, 1080] and report["runs"] == 3 and report["threads"] == 1
    assert report["machine"]["cpu"] and report["machine"]["openvino"]
    assert 0 <= report["harness_ms"] < model["ms"]["detection"]["total"]["p50"]
    assert model["verdict"]["met"] and model["speed_up"]["detection"] == 1.0
    assert model["detector"]["threads"] == 1
    layers = model["detector"]["executed_precisions"], model["detector"]["executed_kernels"]
    assert sum(layers[0].values()) == sum(layers[1].values()) > 0
    assert set(model["reader"]["files"]) == {"model.xml", "model.bin"}
    text = (tmp_path / "s.md").read_text("utf-8")
    assert text == capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4 + 4 + 4  # header, then three stages and their sum a part
    assert "budget MET" in text and "oneDNN" in text


def test_a_missed_budget_is_exit_code_1(command, monkeypatch, capsys):
    monkeypatch.setattr(budget, "DETECTION_BUDGET_MS", 0.0)
    assert main(command) == 1
    assert "budget MISSED" in capsys.readouterr().out


def test_two_models_are_compared(command, tiny_models, tmp_path, capsys):
    import tiny
    other = tmp_path / "other"
    tiny.build_detector(other / "detector")
    tiny.build_reader(other / "reader")
    command[command.index("--threads"):command.index("--threads")] = [str(other)]
    assert main(command) == 0
    models = json.loads((tmp_path / "s.json").read_text("utf-8"))["models"]
    first, second = (m["ms"]["detection"]["total"]["p50"] for m in models)
    assert models[1]["speed_up"]["detection"] == pytest.approx(first / second, abs=2e-3)
    assert "x) |" in capsys.readouterr().out


def test_layers_beyond_the_cap_are_told():
    network = {"executed_kernels": {"jit_avx2_I8": 5, "jit_avx512_f32": 2, "brgemm_amx": 1}}
    assert _beyond_cap(network) == "; 3 of 8 layers beyond AVX2 in spite of the cap"


def test_wrong_options(command, tmp_path):
    assert main([*command, "--runs", "0"]) == UsageError.exit_code
    assert main([*command, "--threads", "0"]) == UsageError.exit_code
    assert main([*command, "--out", str(tmp_path / "no" / "s.json")]) == OutputError.exit_code
    assert main([*command, "--models", str(tmp_path)]) == 3
