"""What is measured, what is chosen, what is stored and when it is followed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import variants
from variants import AVX2, VNNI, write_picks

from alpr_edge import ALPR, ExitCode, OutputError, UsageError, cli, tune, tuning
from alpr_edge import manifest as manifests
from alpr_edge._cv2 import cv2
from alpr_edge.detector import PlateDetector, WholePicture
from alpr_edge.errors import StaleTuning
from alpr_edge.picks import Variant


class Clock:
    """Stands still until somebody works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variants.build(tmp_path_factory.mktemp("variants"))


@pytest.fixture
def models(built, tmp_path, monkeypatch) -> Path:
    """The variants as if they were the shipped ones."""
    folder = shutil.copytree(built, tmp_path / "models")
    for module in (cli, tuning):
        monkeypatch.setattr(module, "MODELS", folder)
    return folder


@pytest.fixture
def stored(models, tmp_path, monkeypatch) -> Path:
    """A tuning for them that is followed: the FP32 detector, one thread."""
    stage = tuning.StageTuning(folder="detector-fp32", threads=1, p50_ms=2.0, p90_ms=3.0)
    path = tmp_path / "tune.json"
    tuning.save(tuning.Tuning(
        schema=1, created="2026-01-01T00:00:00+00:00", conditions=tuning.Conditions.of(models),
        detector=stage, reader=dataclasses.replace(stage, folder="reader"),
    ), path)
    monkeypatch.setenv(tuning.VARIABLE, str(path))
    return path


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def candidate(built: Path, task: str = "detector", threads: int = 1, width: int = 96):
    manifest = manifests.load(built / ("reader" if task == "reader" else "detector-fp32"))
    spec = dataclasses.replace(manifest.input, shape=(1, 64, width, 3))
    variant = Variant(
        folder=built, manifest=dataclasses.replace(manifest, input=spec), picked_for=()
    )
    return tune.Candidate(task=task, variant=variant, threads=threads)


def timing(built: Path, p50: float, **facts) -> tune.Timing:
    return tune.Timing(candidate=candidate(built, **facts), ms=(p50,) * 3)


def test_threads_that_are_tried():
    assert tune.thread_counts(1) == [1]
    assert tune.thread_counts(2) == [1, 2]
    assert tune.thread_counts(8) == [*range(1, 9)]
    assert tune.thread_counts(9) == [*range(1, 10)]
    assert tune.thread_counts(16) == [*range(1, 9), 16]
    assert tune.thread_counts(40) == [*range(1, 9), 16, 32, 40]


def test_only_what_is_right_on_this_cpu_is_measured(built):
    def found(cpu):
        return [(c.variant.folder.name, c.threads) for c in tune.candidates(built, cpu)]

    assert found(AVX2) == [("detector-fp32", 1), ("detector-fp32", 2), ("reader", 1)]
    assert found(VNNI) == [
        ("detector-fp32", 1), ("detector-fp32", 2), ("detector-int8", 1), ("detector-int8", 2),
        ("reader", 1),
    ]


def test_time_is_shared_and_each_candidate_is_visited_twice(built):
    """Runs of 10 ms and 40 ms, 4 s: four visits of 1 s, two uncounted runs in each, by hand."""
    clock, order, ticks = Clock(), [], []
    found = [candidate(built, threads=1), candidate(built, threads=4)]

    def prepare(one):
        order.append(one.threads)

        def run():
            clock.now += one.threads / 100

        return run

    fast, slow = tune.measure(
        found, prepare, 4.0, tick=lambda: ticks.append(clock.now), clock=clock
    )
    assert order == [1, 4, 4, 1] and len(ticks) == 4
    assert ticks == pytest.approx([101, 102, 103, 104], abs=0.1)
    assert len(fast.ms) == pytest.approx(2 * 98, abs=4)
    assert len(slow.ms) == pytest.approx(2 * 23, abs=4)
    assert fast.p50 == pytest.approx(10) and slow.p90 == pytest.approx(40)


def test_a_slow_device_still_runs_each_often_enough(built):
    clock = Clock()

    def prepare(_):
        def run():
            clock.now += 3.0

        return run

    [one] = tune.measure([candidate(built)], prepare, 1.0, tick=lambda: None, clock=clock)
    assert len(one.ms) == 2 * tune.LEAST_RUNS


def test_percentiles(built):
    one = tune.Timing(candidate=candidate(built), ms=tuple(map(float, range(11))))
    assert (one.p50, one.p90) == (5.0, 9.0)


def test_the_fastest_wins_and_of_equals_the_one_with_fewer_threads(built):
    timings = [
        timing(built, 10.0, threads=1), timing(built, 6.2, threads=2),
        timing(built, 6.0, threads=4), timing(built, 6.1, threads=3),
    ]
    assert tune.best(timings, (64, 96)).candidate.threads == 2
    assert tune.best(timings[:1], (64, 96)).candidate.threads == 1


def test_another_input_size_only_where_it_is_allowed(built):
    timings = [timing(built, 10.0), timing(built, 5.0, width=48)]
    assert tune.best(timings, (64, 96)) is timings[0]
    assert tune.best(timings, None) is timings[1]


def test_pictures_and_plates(tiny_models, tmp_path, frame, monkeypatch):
    for number in range(tune.PICTURES + 1):
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), frame)
    assert len(tune.load_pictures(sorted(map(str, tmp_path.glob("*.png"))))) == tune.PICTURES
    assert len(tune.load_pictures([])) > 5  # the demo pictures
    monkeypatch.setattr(tune, "DEMO", tmp_path / "absent")
    [drawn] = tune.load_pictures([])
    assert drawn.shape == (1080, 1920, 3) and drawn.dtype == np.uint8
    detector = PlateDetector(tiny_models / "detector")
    assert len(tune.find_plates([frame, frame], detector).plates) == 2
    detector = PlateDetector(tiny_models / "detector", min_score=1.0)
    [(_, plate)] = tune.find_plates([frame], detector).plates
    assert plate == WholePicture().predict(frame)[0]


def test_where_the_file_is():
    assert tuning.config_path({tuning.VARIABLE: ""}) is None
    named = {tuning.VARIABLE: "a.json", "XDG_CONFIG_HOME": "/x"}
    assert tuning.config_path(named) == Path("a.json")
    assert tuning.config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/alpr-edge/tune.json")
    home = Path.home() / ".config" / "alpr-edge" / "tune.json"
    assert tuning.config_path({}) == tuning.config_path({"XDG_CONFIG_HOME": "relative"}) == home
    assert os.environ[tuning.VARIABLE] == ""  # conftest: no test reads this user's own


def test_round_trip_and_nothing_else_is_left(stored):
    loaded = tuning.load(stored)
    tuning.save(loaded, stored)
    assert tuning.load(stored) == loaded
    assert sorted(p.name for p in stored.parent.iterdir()) == ["models", "tune.json"]


def test_a_tuning_that_cannot_be_written(stored, tmp_path):
    before = stored.read_text("utf-8")
    with pytest.raises(OutputError, match="another file with --out"):
        tuning.save(tuning.load(stored), stored / "below" / "tune.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        tuning.save(tuning.load(stored), tmp_path / "folder")
    assert stored.read_text("utf-8") == before
    assert not list(tmp_path.glob(".*"))


def test_alpr_follows_it_and_says_nothing(stored, recwarn):
    alpr = ALPR()
    assert alpr.detector.engine.folder.name == "detector-fp32"
    assert alpr.detector.engine.threads == 1
    assert alpr.reader.engine.threads == 1 and not recwarn.list


def test_explicit_arguments_win(stored, models, monkeypatch):
    monkeypatch.setattr("alpr_edge.cpu.cpu_flags", lambda: frozenset({"avx_vnni"}))
    edit(stored, conditions={})  # corrupt: whoever read it would fail
    for explicit in ({"threads": 2}, {"models": models}, {"precision": "auto"}):
        chooser = tuning.Chooser(**explicit)
        assert chooser.setting("detector").folder.name == "detector-int8"
        assert chooser.setting("detector").threads == explicit.get("threads")


def test_own_networks_need_no_tuning(stored):
    edit(stored, conditions={})
    assert ALPR(detector=WholePicture(), reader=WholePicture())


@pytest.mark.parametrize("change, line", [
    ({"cpu": "i386"}, "cpu from i386 to "), ({"cores": 999}, "cores from 999 to "),
    ({"alpr_edge": "0.0.1"}, "alpr edge from 0.0.1 to "), ({"openvino": "1"}, "openvino from 1 to"),
    ({"models": {"detector-fp32": "0", "reader": "0"}}, "changed since: models;"),
])
def test_a_stale_one_is_warned_of_once_and_ignored(stored, change, line):
    edit(stored, conditions=json.loads(stored.read_text("utf-8"))["conditions"] | change)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        alpr = ALPR()
    [warning] = caught
    assert warning.category is StaleTuning and line in str(warning.message)
    assert str(stored) in str(warning.message) and "\n" not in str(warning.message)
    assert alpr.reader.engine.folder.name == "reader"


def test_a_new_pick_makes_it_stale(stored, models):
    write_picks(models, detector={
        c: {"folder": "detector-fp32", "why": "new"} for c in ("avx2", "vnni")
    })
    with pytest.warns(StaleTuning, match="changed since: models"):
        assert tuning.current(models) is None


@pytest.mark.parametrize("text, message", [
    ("{", "cannot be read as JSON"), ("{}", "key 'conditions' is missing"), ("[]", "an object"),
])
def test_a_corrupt_one_is_an_error_with_the_remedy(stored, text, message, capsys):
    stored.write_text(text)
    with pytest.raises(UsageError, match=message):
        ALPR()
    assert cli.main(["read", str(stored.parent), "x.jpg"]) == ExitCode.USAGE
    assert cli.main(["inspect"]) == ExitCode.USAGE
    err = capsys.readouterr().err.splitlines()[-1]
    assert str(stored) in err and "run 'alpr-edge tune' again, or delete the file" in err


@pytest.mark.parametrize("change", [{"threads": 0}, {"folder": "../reader"}])
def test_values_that_tune_never_writes(stored, change):
    edit(stored, reader=json.loads(stored.read_text("utf-8"))["reader"] | change)
    with pytest.raises(UsageError, match="reader has folder .* threads; allowed"):
        ALPR()


def test_a_named_file_must_be_there_the_default_one_need_not(stored, tmp_path, monkeypatch):
    stored.unlink()
    with pytest.raises(UsageError, match="does not exist; run 'alpr-edge tune'"):
        ALPR()
    monkeypatch.delenv(tuning.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert ALPR().detector.engine.folder.parent == tuning.MODELS


def test_the_command_says_the_stale_one_in_one_line(stored, tmp_path, frame, capsys):
    edit(stored, conditions=json.loads(stored.read_text("utf-8"))["conditions"] | {"cpu": "i386"})
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    assert cli.main(["read", str(tmp_path / "a.png"), "--format", "jsonl"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert json.loads(out)["plates"]
    [line] = err.splitlines()
    assert line.startswith(f"alpr-edge: the tuning in {stored} is ignored")


def test_the_command_measures_stores_and_is_followed(models, tmp_path, frame, monkeypatch, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    path = tmp_path / "config" / "tune.json"
    monkeypatch.setattr("alpr_edge.cpu.usable_cores", lambda: 1)
    monkeypatch.setenv(tuning.VARIABLE, str(path))
    arguments = ["tune", str(tmp_path / "a.png"), "--seconds", "0.2"]
    assert cli.main(arguments) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out.count("chosen") == 2 and "p90 ms" in out
    assert f"stored in {path}" in err
    stage = tuning.load(path).detector
    assert 0 < stage.p50_ms <= stage.p90_ms
    assert ALPR().detector.engine.folder.name == stage.folder
    assert cli.main(["inspect"]) == ExitCode.OK
    out, _ = capsys.readouterr()
    assert str(path) in out and "tuned on this device" in out
    other = tmp_path / "other.json"
    assert cli.main([*arguments, "--out", str(other)]) == ExitCode.OK
    assert f"follow it with {tuning.VARIABLE}={other}" in capsys.readouterr().err


def test_where_the_tuning_cannot_be_written_nothing_is_measured(
    tmp_path, frame, capsys, monkeypatch
):
    monkeypatch.setattr("alpr_edge.tune.tune", None)
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    out = tmp_path / "a.png" / "tune.json"
    assert cli.main(["tune", str(tmp_path / "a.png"), "--out", str(out)]) == ExitCode.OUTPUT
    assert "name another file with --out" in capsys.readouterr().err


def test_an_interruption_stores_nothing(models, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "measure", interrupt)
    arguments = ["tune", "--seconds", "1", "--out", str(tmp_path / "tune.json")]
    assert cli.main(arguments) == ExitCode.INTERRUPTED
    assert not (tmp_path / "tune.json").exists()


def test_wrong_usage(tmp_path, capsys):
    assert cli.main(["tune", "--seconds", "1"]) == ExitCode.USAGE
    assert "--out" in capsys.readouterr().err
    assert cli.main(["tune", str(tmp_path / "no.jpg"), "--out", "x"]) == ExitCode.USAGE
    for seconds in ("0", "nan", "many"):
        with pytest.raises(SystemExit):
            cli.main(["tune", "--seconds", seconds])


@pytest.mark.slow
def test_the_shipped_models_are_tuned(tmp_path):
    path = tmp_path / "tune.json"
    assert cli.main(["tune", "--seconds", "2", "--out", str(path)]) == ExitCode.OK
    assert tuning.load(path).reader.threads <= (os.cpu_count() or 1)
