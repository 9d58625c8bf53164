"""The stage benchmark: scenes, cases, taking turns, figures by hand, files, exit codes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import build_data

from alpr_edge import budget, closer, geometry
from alpr_edge.detector import PlateDetector
from alpr_edge.errors import AlprEdgeError, DataError, ModelError, OutputError, UsageError
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import ALPR
from alpr_edge.stages import Stage
from alpr_edge.types import Detection
from benchmarks import conditions, harness, isa, launches, pace, pictures, scenes, stages
from benchmarks.__main__ import main
from benchmarks.cases import Case, ModelContestant, NullReader, Planted, overhead, without_load
from benchmarks.requests import PrecisionError
from benchmarks.scenes import Scene, make_scenes
from benchmarks.stages_tables import _beyond_cap

PLATE = Detection(
    box=(0.0, 0.0, 9.0, 9.0), corners=geometry.box_quad((0.0, 0.0, 9.0, 9.0)), confidence=1.0
)
ONE = Case("1080p", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return build_data(tmp_path_factory.mktemp("drawn") / "data", 3, ("val", "train"))


def nothing(image):
    return []


def stamps(load, letterbox, detect, postprocess, rectify, read, text, closer=0.0):
    parts = (load, letterbox, detect, postprocess, closer, rectify, read, text)
    return dict(zip(Stage, (*parts, sum(parts)), strict=True))


# Scenes

def test_scenes_are_val_frames_in_every_size_with_their_plates(data, tmp_path):
    made = make_scenes(data, ["720p", "1080p"], tmp_path, nothing)
    assert [scene.name for scene in made] == ["val00.png", "val01.png", "val02.png"]
    for scene in made:
        for frame, factor in (("720p", 7.5), ("1080p", 11.25)):  # 96 x 160 drawn pixels
            assert cv2.imread(str(scene.files[frame])).shape == (*scenes.FRAMES[frame], 3)
            corner = scene.plates[frame][0].corners[0]
            np.testing.assert_allclose(corner, (60 * factor, 40 * factor), rtol=1e-6)


def test_demo_pictures_serve_without_data_and_their_plates_are_found(tmp_path, monkeypatch, data):
    monkeypatch.setattr(pictures, "DEMO", data / "frames")
    made = make_scenes(None, ["720p"], tmp_path, lambda image: [PLATE])
    assert len(made) == 6
    assert made[0].plates["720p"][0].corners[2] == pytest.approx((67.5, 67.5))  # 9 x 7.5


def test_no_pictures_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "DEMO", tmp_path / "absent")
    with pytest.raises(DataError, match="give --data"):
        make_scenes(None, ["720p"], tmp_path, nothing)
    with pytest.raises(DataError, match="no frame of split val"):
        make_scenes(build_data(tmp_path / "data", 2, ("train",)), ["720p"], tmp_path, nothing)


def test_a_scene_that_cannot_be_written_is_an_error(data, tmp_path):
    with pytest.raises(OutputError, match="free some space"):
        make_scenes(data, ["720p"], tmp_path / "absent", nothing)


def scene(name="", *plates, file=Path("absent.jpg")):
    return Scene(name=name, files={"1080p": file}, plates={"1080p": plates})


def test_every_scene_has_plates_to_read():
    other = dataclasses.replace(PLATE, confidence=0.5)
    found = scenes.lend([scene(), scene("", other), scene(), scene("", PLATE)])
    assert [one.plates["1080p"] for one in found] == [(other,), (other,), (other,), (PLATE,)]
    with pytest.raises(DataError, match="no plate on any picture"):
        scenes.lend([scene()])


# Cases

def test_the_detectors_steps_are_done_and_its_answer_is_replaced(tiny_models, frame):
    detector = Planted(PlateDetector(tiny_models / "detector", threads=1))
    assert detector.predict(frame) == []
    detector.plates = [PLATE] * 3
    result = ALPR(detector=detector, reader=NullReader()).run(frame)
    assert result.read == 3 and result.plates[0].box == PLATE.box
    assert min(result.ms[stage] for stage in (Stage.LETTERBOX, Stage.DETECT)) > 0
    broken = detector.infer(detector.letterbox(frame))
    broken["scores"][:] = np.nan
    with pytest.raises(AlprEdgeError, match="not finite"):  # its own postprocess has run
        detector.postprocess(broken, detector.letterbox(frame))


def test_as_many_plates_are_looked_at_as_are_planted(tiny_models, tmp_path, frame, monkeypatch):
    shutil.copytree(tiny_models / "detector", tmp_path / "detector")
    shutil.copytree(tiny_models / "detector", tmp_path / "detector" / closer.FOLDER)
    detector = PlateDetector(tmp_path / "detector", threads=1)
    looks, run = [], detector.closer.run
    monkeypatch.setattr(detector.closer, "run", lambda image: looks.append(1) or run(image))
    planted = Planted(detector)
    planted.plates = [PLATE] * 3
    assert planted.predict(frame) == planted.plates and len(looks) == 3


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_case_reads_as_many_plates_as_it_says(data, tiny_models, tmp_path, count):
    [first, *_] = make_scenes(data, ["720p"], tmp_path, nothing)
    contestant = ModelContestant(tiny_models, threads=1)
    read = []
    infer = contestant.reader.infer
    contestant.reader.infer = lambda plates: read.append(len(plates)) or infer(plates)
    ms = contestant.run(first, Case("720p", count))
    assert read == [count] and set(ms) == set(Stage)
    assert ms[Stage.LOAD] > 0  # a file was decoded


def test_the_networks_are_timed_with_the_threads_that_the_pipeline_gives_them():
    contestant, alpr = ModelContestant(MODELS, threads=2), ALPR(models=MODELS, threads=2)
    engines = alpr.detector.engines | {"reader": alpr.reader.engine}
    assert contestant.engines().keys() == engines.keys()
    for name, engine in contestant.engines().items():
        assert (engine.folder, engine.threads) == (engines[name].folder, engines[name].threads)


def test_total_without_load_and_overhead_by_hand():
    ms = stamps(5, 1, 6, 0.5, 0.25, 2, 0.25)
    assert without_load(ms) == 10 and overhead(ms) == pytest.approx(0.2)
    ms = stamps(5, 1, 6, 0.5, 0.25, 2, 0.25, closer=10)  # a network's too
    assert without_load(ms) == 20 and overhead(ms) == pytest.approx(0.1)


# Harness

class FakeContestant:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def run(self, scene, case):
        self.log.append(self.name + scene.name + str(case.plates))
        return stamps(1, 1, 1, 1, 1, 1, 1)


def test_models_take_turns_and_warm_up_is_not_counted(monkeypatch):
    monkeypatch.setattr(harness, "WARM_UP", 1)
    log: list[str] = []
    contestants = [FakeContestant(name, log) for name in "AB"]
    cases = [Case("1080p", 0), ONE]
    paces = iter(range(100))
    found = harness.measure(contestants, [scene("x"), scene("y")], cases, 3, lambda: next(paces))
    rounds = [log[i : i + 4] for i in range(0, len(log), 4)]
    assert rounds == [
        ["Ay0", "By0", "Ay1", "By1"],  # not counted
        ["Ax0", "Bx0", "Ax1", "Bx1"], ["By0", "Ay0", "By1", "Ay1"],
        ["Bx0", "Ax0", "Bx1", "Ax1"],  # the second pass over the scenes
    ]
    assert [len(taken[ONE]) for taken in found.taken] == [3, 3]
    assert found.pace_ms == [5.5, 9.5, 13.5]  # the medians of four each, after the four not counted


def test_the_pace_is_one_piece_of_work_with_the_threads_of_the_run():
    one, two = pace.Pace(1), pace.Pace(1)
    assert min(one() for _ in range(20)) > 0.1
    for first, second in zip(one.outputs(), two.outputs(), strict=True):
        np.testing.assert_array_equal(first, second)
        assert np.isfinite(first).all() and first.std() > 1e-3


def test_timings_of_several_processes_are_joined_in_their_order():
    parts = [harness.Timings(taken=[{ONE: [a]}, {ONE: [b]}], pace_ms=[p])
             for a, b, p in ((1, 2, 5.0), (3, 4, 6.0))]
    found = harness.joined(parts)
    assert found.taken == [{ONE: [1, 3]}, {ONE: [2, 4]}] and found.pace_ms == [5.0, 6.0]


def test_each_process_goes_on_with_the_scenes_that_follow(monkeypatch):
    plans: list[launches.Plan] = []

    def fresh(plan):
        plans.append(plan)
        return launches.Measured(timings=harness.Timings(taken=[], pace_ms=[]), models=[])

    monkeypatch.setattr(launches, "_fresh", fresh)
    plan = launches.Plan(folders=(), threads=1, scenes=(), cases=(ONE,), runs=8)
    launches.spread(plan, 3, lambda done: None)
    assert [(plan.first, plan.runs) for plan in plans] == [(0, 3), (3, 3), (6, 2)]


def test_this_process_is_pinned_and_set_free_again():
    before = os.sched_getaffinity(0)
    with harness.pinned(len(before)) as cores:
        assert cores is None
    with harness.pinned(1) as cores:
        assert os.sched_getaffinity(0) == set(cores or before)
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_physical_cores_and_fast_ones_come_first(tmp_path):
    """Two fast cores of two threads each, numbered side by side, and two slow ones of one."""
    facts = {0: ("0-1", 5000), 1: ("0-1", 5000), 2: ("2-3", 5100), 3: ("2-3", 5100),
             4: ("4", 3000), 5: ("5", 3000)}
    for cpu, (siblings, most) in facts.items():
        for name, fact in (("topology/thread_siblings_list", siblings),
                           ("cpufreq/cpuinfo_max_freq", most)):
            path = tmp_path / f"cpu{cpu}" / name
            path.parent.mkdir(parents=True)
            path.write_text(f"{fact}\n")
    assert harness.fastest_first(facts, tmp_path) == [2, 0, 4, 5, 3, 1]
    assert harness.fastest_first({1, 3, 4}, tmp_path) == [3, 1, 4]
    (tmp_path / "cpu5" / "cpu_capacity").write_text("1024\n")
    assert harness.fastest_first(facts, tmp_path)[0] == 5
    assert harness.fastest_first({7, 9, 8}, tmp_path / "absent") == [7, 8, 9]


# Figures

def test_figures_are_those_of_each_runs_sums():
    runs = [stamps(5, 1, 6, 0.5, 0.25, 2, 0.25), stamps(7, 1, 16, 0.5, 0.25, 2, 0.25)]
    found = stages.figures(runs, [stamps(0, 0, 20, 0, 0, 0, 0), stamps(0, 0, 40, 0, 0, 0, 0)], 1)
    assert list(found["stages"]) == [s for s in Stage if s is not Stage.TOTAL]
    assert found["detection"]["p50"] == 12.5 and found["reading"]["p50"] == 2.5
    assert found["total"]["p50"] == 15 and found["with_load"]["max"] == 27
    assert found["samples"] == [10, 20] and found["overhead"] == pytest.approx(0.15)
    assert found["speed_up"]["value"] == 2  # twice as fast as the first


def test_the_verdict_is_on_one_plate_in_full_hd():
    runs = [stamps(9, 1, n, 1, 0, n + 1, 0) for n in (1, 3, 5)]
    verdict = stages.judge({Case("4k", 1): [], ONE: runs})
    assert (verdict["detection_ms"], verdict["reading_ms"]) == (5.0, 4.0) and verdict["met"]
    assert stages.judge({Case("4k", 1): runs}) is None


def test_the_harness_share_is_of_the_shortest_total():
    models = [{"cases": {"a": {"total": {"p50": 4.0}}, "b": {"total": {"p50": 2.0}}}}]
    assert stages.harness_report([0.02], models)["met"]
    found = stages.harness_report([0.05], models)
    assert found["share"] == 0.025 and not found["met"]


def test_a_coarse_layer_in_an_f32_model_is_named(tiny_models, monkeypatch):
    engine = PlateDetector(tiny_models / "detector", threads=1).engine
    launches.check_precisions(engine)
    assert 0 < len(engine.layers_in("f32")) <= engine.executed_precisions()["f32"]
    monkeypatch.setattr(engine, "layers_in", lambda *precisions: ["conv1"])
    with pytest.raises(PrecisionError, match="1 layers run in 16 bits, first conv1,") as error:
        launches.check_precisions(engine)
    assert error.value.exit_code == 1
    engine.manifest = dataclasses.replace(engine.manifest, inference_precision="bf16")
    launches.check_precisions(engine)  # it never said f32


# The command

@pytest.fixture
def command(data, tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "HARNESS_SHARE", 1.0)  # tiny networks take next to nothing
    monkeypatch.setattr(budget, "DETECTION_BUDGET_MS", 1e6)  # however busy this machine is
    monkeypatch.setattr(budget, "READING_BUDGET_MS", 1e6)
    monkeypatch.setattr(harness, "WARM_UP", 1)
    monkeypatch.setattr(conditions, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(isa, "verify_isa", lambda name: "as asked")
    return ["stages", "--data", str(data), "--models", str(tiny_models), "--threads", "1",
            "--runs", "3", "--launches", "1", "--out", str(tmp_path / "s.json"),
            "--markdown", str(tmp_path / "s.md")]


def test_the_command_writes_json_and_markdown(command, tmp_path, capsys):
    assert main([*command, "--frames", "1080p", "720p", "--plates", "0", "1"]) == 0
    report = json.loads((tmp_path / "s.json").read_text("utf-8"))
    [model] = report["models"]
    assert report["kind"] == "stages" and report["isa"]["asked"] == "native"
    assert report["frames"] == {"1080p": [1920, 1080], "720p": [1280, 720]}
    assert (report["runs"], report["threads"], report["pictures"]) == (3, 1, "val frames")
    assert len(report["pace_ms"]) == 3 and report["harness"]["total"]["p50"] > 0
    assert list(model["cases"]) == ["1080p/0", "1080p/1", "720p/0", "720p/1"]
    assert all(len(case["samples"]) == 3 for case in model["cases"].values())
    assert model["verdict"]["met"] and model["detector"]["threads"] == 1
    layers = model["detector"]["executed_precisions"], model["detector"]["executed_kernels"]
    assert sum(layers[0].values()) == sum(layers[1].values()) > 0
    text = (tmp_path / "s.md").read_text("utf-8")
    assert text == capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 12 + 2 + 4  # stages and sums of 1080p/1, then a row a case
    assert "budget MET" in text and "oneDNN: as asked" in text


def test_the_runs_are_shared_by_fresh_processes(command, tmp_path):
    command[command.index("--launches") + 1] = "2"
    assert main([*command, "--plates", "1"]) == 0
    report = json.loads((tmp_path / "s.json").read_text("utf-8"))
    assert report["launches"] == 2 and len(report["pace_ms"]) == 3
    assert len(report["models"][0]["cases"]["1080p/1"]["samples"]) == 3


def test_a_model_that_cannot_be_measured_is_told_by_a_fresh_process_too(tmp_path):
    plan = launches.Plan(folders=(tmp_path,), threads=1, scenes=(), cases=(ONE,), runs=2)
    with pytest.raises(ModelError, match="manifest"):
        launches.spread(plan, 2, lambda done: None)


def test_a_process_that_was_killed_is_an_error(monkeypatch):
    monkeypatch.setattr(launches, "measured", os._exit)
    with pytest.raises(AlprEdgeError, match="killed"):
        launches._fresh(9)


def test_more_processes_than_runs_are_refused(command, capsys):
    command[command.index("--launches") + 1] = "4"
    assert main(command) == 2
    assert "--launches 4 with --runs 3" in capsys.readouterr().err


def test_a_missed_budget_is_exit_code_1(command, monkeypatch, capsys):
    monkeypatch.setattr(budget, "DETECTION_BUDGET_MS", 0.0)
    assert main([*command, "--plates", "1"]) == 1
    assert "budget MISSED" in capsys.readouterr().out


def test_a_harness_that_costs_too_much_is_exit_code_1(command, monkeypatch):
    monkeypatch.setattr(stages, "HARNESS_SHARE", 0.0)
    assert main([*command, "--frames", "720p", "--plates", "0"]) == 1


def test_two_models_are_compared(command, tmp_path, capsys):
    import tiny
    other = tmp_path / "other"
    tiny.build_detector(other / "detector")
    tiny.build_reader(other / "reader")
    command[command.index("--threads"):command.index("--threads")] = [str(other)]
    assert main([*command, "--plates", "1"]) == 0
    cases = [model["cases"]["1080p/1"]
             for model in json.loads((tmp_path / "s.json").read_text("utf-8"))["models"]]
    ratios = np.divide(*(case["samples"] for case in cases))
    assert cases[1]["speed_up"]["value"] == pytest.approx(np.median(ratios), rel=1e-2)
    assert cases[0]["speed_up"]["value"] == 1
    told = capsys.readouterr()
    assert str(other) in told.out and "warning" not in told.err


def test_models_with_and_without_a_closer_look_are_warned_of(
    command, tiny_models, tmp_path, capsys
):
    other = tmp_path / "other"
    shutil.copytree(tiny_models, other)
    shutil.copytree(tiny_models / "detector", other / "detector" / closer.FOLDER)
    command[command.index("--threads"):command.index("--threads")] = [str(other)]
    assert main([*command, "--plates", "0"]) == 0
    assert f"warning: {tiny_models} has no detector/closer" in capsys.readouterr().err


def test_layers_beyond_the_cap_are_told():
    network = {"executed_kernels": {"jit_avx2_I8": 5, "jit_avx512_f32": 2, "brgemm_amx": 1}}
    told = "; 3 of 8 layers beyond AVX2 in spite of the cap"
    assert _beyond_cap(network, "zen2") == _beyond_cap(network, "avx2") == told
    assert _beyond_cap(network, "native") == _beyond_cap(network, "avx512") == ""


def test_wrong_options(command, tmp_path):
    assert main([*command, "--runs", "0"]) == UsageError.exit_code
    assert main([*command, "--threads", "0"]) == UsageError.exit_code
    assert main([*command, "--out", str(tmp_path / "no" / "s.json")]) == OutputError.exit_code
    assert main([*command, "--models", str(tmp_path)]) == 3
