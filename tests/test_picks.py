"""Which variant of a models folder a CPU takes, and what ``alpr-edge inspect`` says of it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import tiny
import variants
from variants import AVX2, FOLDERS, VNNI, as_int8, write_picks

from alpr_edge import ALPR, ExitCode, ModelError, UsageError, cli, picks
from alpr_edge._cv2 import cv2
from alpr_edge.detector import WholePicture
from alpr_edge.tuning import Chooser


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variants.build(tmp_path_factory.mktemp("variants"))


def test_the_pick_is_that_of_the_cpus_class(models):
    assert picks.choose(models, "detector", AVX2) == picks.Pick(
        folder="detector-fp32", why="fastest on avx2"
    )
    assert picks.choose(models, "detector", VNNI).folder == "detector-int8"
    assert picks.choose(models, "reader", VNNI).folder == "reader"


def test_a_folder_without_picks_has_one_model_a_stage(tiny_models, frame):
    pick = picks.choose(tiny_models, "detector", VNNI)
    assert pick.folder == "detector" and "no picks.json" in pick.why
    assert ALPR(models=tiny_models).predict(frame)[0].text == tiny.TEXT


def test_a_capped_process_chooses_like_that_cpu(models, monkeypatch, frame):
    monkeypatch.setattr("alpr_edge.cpu.cpu_flags", lambda: frozenset({"avx2", "avx_vnni"}))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    [capped] = ALPR(models=models, threads=1).predict(frame)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    [native] = ALPR(models=models, threads=1).predict(frame)
    assert capped.detection_confidence == pytest.approx(0.9)
    assert native.detection_confidence == pytest.approx(0.8)


def test_precision_overrides_the_pick(models, frame):
    assert picks.choose(models, "detector", AVX2, "int8").folder == "detector-int8"
    assert picks.choose(models, "detector", VNNI, "fp32").folder == "detector-fp32"
    assert picks.choose(models, "reader", VNNI, "fp32").folder == "reader"
    fp32 = Chooser(models=models, precision="fp32").setting("detector")
    assert (fp32.folder.name, fp32.why) == ("detector-fp32", "precision fp32 was asked for")
    [plate] = ALPR(models=models, precision="fp32", threads=1).predict(frame)
    assert plate.detection_confidence == pytest.approx(0.9)


def test_of_several_the_nearest_to_the_pick(tmp_path):
    """Same input size first, then what is right on the CPU, then by name."""
    for name in ("a", "b", "c", "d"):
        as_int8(tiny.build_detector(tmp_path / name))
    tiny.build_detector(tmp_path / "detector-fp32")
    tiny.build_reader(tmp_path / "reader")
    write_picks(tmp_path, detector={
        "avx2": {"folder": "detector-fp32", "why": "x"}, "vnni": {"folder": "a", "why": "x"},
    })
    assert picks.choose(tmp_path, "detector", AVX2, "int8").folder == "a"
    assert picks.choose(tmp_path, "detector", VNNI, "int8").folder == "a"
    write_picks(tmp_path, detector={
        "avx2": {"folder": "c", "why": "x"}, "vnni": {"folder": "detector-fp32", "why": "x"},
    })
    assert picks.choose(tmp_path, "detector", VNNI, "int8").folder == "c"


def test_int8_for_vnni_alone_is_not_right_on_avx2(models):
    fp32, int8 = picks.variants(models, "detector")
    assert (fp32.picked_for, int8.picked_for) == (("avx2",), ("vnni",))
    assert fp32.right_on("avx2") and fp32.right_on("vnni")
    assert int8.right_on("vnni") and not int8.right_on("avx2")
    assert dataclasses.replace(int8, picked_for=("avx2",)).right_on("vnni")
    assert not dataclasses.replace(int8, picked_for=()).right_on("vnni")


def test_a_missing_precision_names_what_there_is(models):
    with pytest.raises(UsageError, match=r"no reader for precision int8; it has: reader \(FP32\)"):
        ALPR(models=models, precision="int8")
    assert ALPR(models=models, precision="fp32", detector=WholePicture())
    with pytest.raises(UsageError, match="'fp64'; allowed: auto, fp32, int8"):
        ALPR(models=models, precision="fp64")


@pytest.mark.parametrize("changes, message", [
    ({"schema": 2}, "schema is 2; allowed"), ({"schema": True}, "schema is True"),
    ({"judge": {}}, "unknown key 'judge'"), ({"reader": None}, "reader is None"),
    ({"reader": {"avx2": {"folder": "reader", "why": ""}}}, "key 'vnni' is missing"),
    ({"reader": {c: {"folder": "../reader", "why": ""} for c in FOLDERS}}, "a model folder"),
])
def test_wrong_picks_are_named(tiny_models, tmp_path, changes, message):
    write_picks(tmp_path, **changes)
    with pytest.raises(ModelError, match=message) as caught:
        ALPR(models=tmp_path)
    assert "picks.json" in str(caught.value)


def test_picks_that_are_no_json_or_name_nothing(tmp_path):
    (tmp_path / picks.FILENAME).write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON.*get the models anew"):
        picks.load(tmp_path)
    write_picks(tmp_path)
    with pytest.raises(ModelError, match="'detector-fp32'; allowed: the name of a model folder"):
        ALPR(models=tmp_path)


def test_the_command_takes_a_precision(models, tmp_path, frame, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    arguments = ["read", "--models", str(models), "--format", "jsonl", str(tmp_path / "a.png")]
    assert cli.main([*arguments, "--precision", "int8"]) == ExitCode.USAGE
    assert "it has: reader (FP32)" in capsys.readouterr().err
    assert cli.main([*arguments, "--precision", "int8", "--crops"]) == ExitCode.USAGE
    assert cli.main([*arguments, "--precision", "fp32"]) == ExitCode.OK


def test_inspect_tells_the_variants_and_why(models, monkeypatch, capsys):
    monkeypatch.setattr("alpr_edge.tuning.MODELS", models)
    monkeypatch.setattr("alpr_edge.cpu.cpu_flags", lambda: frozenset({"avx2"}))
    assert cli.main(["inspect"]) == ExitCode.OK
    out, err = capsys.readouterr()
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert err == "" and lines[0] == f"models {models}"
    assert "class avx2, its flags have none of avx_vnni" in lines[1]
    assert lines[2] == "tuning none; alpr-edge tune makes one"
    [chosen] = [line for line in lines if line.startswith("chosen detector")]
    assert "detector-fp32: tiny-detector 0.1.0, FP32, input 1 x 64 x 96 x 3" in chosen
    assert chosen.endswith("picked for avx2")
    assert any(line.startswith("variant detector-int8") for line in lines)
    assert "why pick for avx2: fastest on avx2" in lines


def test_inspect_notices_a_missing_file(models, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(models, tmp_path / "models")
    (copy / "detector-int8" / "model.bin").unlink()
    monkeypatch.setattr("alpr_edge.tuning.MODELS", copy)
    assert cli.main(["inspect"]) == ExitCode.MODEL
    assert "model.bin is missing" in capsys.readouterr().err


def test_every_shipped_pick_exists():
    for task in ("detector", "reader"):
        found = picks.variants(picks.MODELS, task)
        assert {c for variant in found for c in variant.picked_for} == {"avx2", "vnni"}
        assert picks.load(picks.MODELS).of(task).avx2.why
