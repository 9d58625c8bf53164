from __future__ import annotations

import glob
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny

from alpr_edge import cli
from alpr_edge.annotated import write_picture
from alpr_edge.errors import ExitCode
from alpr_edge.inputs import find_pictures


@pytest.fixture
def photos(tmp_path, frame) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "deep/c.png"):
        cv2.imwrite(str(folder / name), frame)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def run(tiny_models, capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main(["read", "--models", str(tiny_models), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def command(tiny_models: Path, *arguments: object) -> list[str]:
    return [
        sys.executable, "-m", "alpr_edge", "read", "--models", str(tiny_models),
        *map(str, arguments),
    ]


def test_json_of_a_folder(run, photos):
    code, out, err = run("--format", "json", photos)
    records = json.loads(out)
    assert code == ExitCode.OK and err == ""
    assert [Path(r["file"]).name for r in records] == ["a.jpg", "b.png"]
    assert records[0]["plates"][0]["text"] == tiny.TEXT


def test_bad_pictures_are_error_objects_and_the_rest_goes_on(run, photos):
    (photos / "empty.jpg").touch()
    (photos / "cut.jpg").write_bytes((photos / "a.jpg").read_bytes()[:-500])
    code, out, err = run("--format", "jsonl", photos, photos / "absent.jpg", photos / "notes.txt")
    records = {Path(r["file"]).name: r for r in map(json.loads, out.splitlines())}
    assert code == ExitCode.FAILED
    assert {name for name, record in records.items() if "error" in record} == {
        "empty.jpg", "cut.jpg", "absent.jpg", "notes.txt"
    }
    assert all(set(r) == {"file", "error"} for r in records.values() if "error" in r)
    assert len(err.splitlines()) == 4 and all(x.startswith("alpr-edge: ") for x in err.splitlines())


def test_no_input_is_usage(run, tmp_path):
    for path in (tmp_path, tmp_path / "*.jpg", tmp_path / "absent.jpg"):
        code, out, err = run(path)
        assert (code, out) == (ExitCode.USAGE, "") and "give picture files" in err


@pytest.mark.parametrize("arguments", [
    [], ["read"], ["read", "x", "--format", "xml"], ["read", "x", "--threads", "0"], ["fly"],
    ["read", "x", "--min-confidence", "1.5"], ["read", "x", "--min-detection", "many"],
])
def test_wrong_usage_exits_2(arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == ExitCode.USAGE


def test_model_errors_exit_3(run, photos, tiny_models, tmp_path, capsys):
    models = shutil.copytree(tiny_models, tmp_path / "models")
    with (models / "reader" / "model.bin").open("ab") as file:
        file.write(b"x")
    for folder, message in ((models, "corrupt"), (tmp_path / "absent", "no manifest")):
        assert cli.main(["read", str(photos), "--models", str(folder)]) == ExitCode.MODEL
        out, err = capsys.readouterr()
        assert out == "" and message in err and len(err.splitlines()) == 1


def test_unloadable_cv2_is_one_clear_error(photos, tiny_models, tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    done = subprocess.run(
        command(tiny_models, photos), capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])},
    )
    assert done.returncode == ExitCode.MODEL and done.stdout == ""
    assert "libGL.so.1" in done.stderr and "opencv-python-headless" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_output_errors_exit_4(run, photos, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    code, _, err = run(photos, "--save-annotated", blocked / "folder")
    assert code == ExitCode.OUTPUT and "cannot be made" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_exits_4(photos, tiny_models):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(tiny_models, photos, "--format", "jsonl"), stdout=full,
            stderr=subprocess.PIPE, text=True,
        )
    assert done.returncode == ExitCode.OUTPUT
    assert "output cannot be written" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["table", "json", "jsonl", "csv"])
def test_broken_pipe_is_quiet(photos, tiny_models, name):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        command(tiny_models, photos, "--format", name), stdout=write_end,
        stderr=subprocess.PIPE, text=True,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")


@pytest.mark.parametrize(("name", "signal_number"), [
    ("json", signal.SIGINT), ("jsonl", signal.SIGINT),
    ("json", signal.SIGTERM), ("json", signal.SIGHUP),
])
def test_interrupt_exits_130_and_keeps_what_is_finished(
    tiny_models, tmp_path, frame, name, signal_number
):
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    files = [tmp_path / "a.png"]
    for number in range(3000):
        files.append(tmp_path / f"{number}.png")
        os.link(files[0], files[-1])
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            command(tiny_models, "--format", name, *files), stdout=out, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal_number, signal.SIG_DFL),  # nohup ignores one
        )
        while (tmp_path / "out").stat().st_size < 9000:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal_number)
        _, err = process.communicate(timeout=20)
    text = (tmp_path / "out").read_text("utf-8")
    records = json.loads(text) if name == "json" else [json.loads(x) for x in text.splitlines()]
    assert process.returncode == ExitCode.INTERRUPTED and err == b""
    assert 0 < len(records) < len(files)
    assert all(record["plates"] for record in records)


def test_annotated_pictures_are_written_once_each(run, photos, tmp_path):
    folder = tmp_path / "out" / "annotated"
    code, _, err = run(photos, photos / "deep", "--save-annotated", folder)
    assert code == ExitCode.OK and str(folder) in err
    assert sorted(p.name for p in folder.iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]
    shutil.copy(photos / "a.jpg", photos / "deep" / "a.jpg")
    run(photos, photos / "deep", "--save-annotated", folder)
    assert (folder / "a-2.jpg").exists()
    assert cv2.imread(str(folder / "a.jpg")).shape == (128, 192, 3)


def test_what_matches_nothing_is_an_error_beside_what_is_read(run, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = run(photos, tmp_path / "empty", tmp_path / "*.bmp", "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == ExitCode.FAILED and ["error" in r for r in records] == [False, False, True, True]
    assert "empty: is a folder" in err and "*.bmp: no such file" in err


def test_a_closed_stdout_is_told(tiny_models, photos):
    shell = shlex.join(command(tiny_models, photos)) + " >&-"
    done = subprocess.run(["sh", "-c", shell], stderr=subprocess.PIPE, text=True)
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr == "alpr-edge: stdout is closed; send it to a file, or to /dev/null\n"


def test_a_models_folder_is_inspected_like_the_shipped_one(tiny_models, capsys):
    assert cli.main(["inspect", str(tiny_models)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith(f"models {tiny_models}\n") and "\nreader\n" in out


def test_annotated_pictures_never_replace_what_is_read(run, photos):
    before = (photos / "a.jpg").read_bytes()
    code, _, err = run(photos, "--save-annotated", photos / "deep" / "..")
    assert code == ExitCode.USAGE and "a.jpg" in err and "another folder" in err
    assert (photos / "a.jpg").read_bytes() == before


@pytest.mark.parametrize(("option", "allowed"), [
    ("--threads", "whole number of at least 1"), ("--min-confidence", "within 0..1"),
])
@pytest.mark.parametrize("value", ["many", "-1"])
def test_a_wrong_value_is_told_with_what_is_allowed(run, photos, capsys, option, allowed, value):
    with pytest.raises(SystemExit) as ended:
        run(photos, f"{option}={value}")
    assert ended.value.code == ExitCode.USAGE
    err = capsys.readouterr().err
    assert repr(value) in err and allowed in err


def test_crops_thresholds_threads_and_verdict(run, photos):
    code, out, _ = run(photos, "--crops", "--format", "json", "--threads", 1)
    plate = json.loads(out)[0]["plates"][0]
    assert plate["corners"] == [[0, 0], [192, 0], [192, 128], [0, 128]]
    _, out, _ = run(photos, "--min-detection", 0.95, "--format", "json")
    assert [record["plates"] for record in json.loads(out)] == [[], []]
    code, out, _ = run(photos, "--verdict")
    assert code == ExitCode.OK and "budget MET" in out


def test_missed_budget_exits_1(run, photos, monkeypatch):
    monkeypatch.setattr("alpr_edge.budget.DETECTION_BUDGET_MS", 0.0)
    code, out, err = run(photos, "--verdict", "--format", "json")
    assert code == ExitCode.FAILED and "MISSED" in err and json.loads(out)


def test_inspect_prints_the_chain(tiny_models, capsys, tmp_path):
    assert cli.main(["inspect", str(tiny_models / "reader")]) == ExitCode.OK
    out, _ = capsys.readouterr()
    assert "tiny-reader 0.1.0 (reader)" in out and "N x 48 x 192 x 3" in out
    assert cli.main(["inspect", str(tmp_path)]) == ExitCode.MODEL


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0 and capsys.readouterr().out.startswith("alpr-edge 0.1")


def test_paths_are_files_folders_and_patterns(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert find_pictures(["."]) == ["a.jpg", "b.png"]
    assert find_pictures(["**/*.png"]) == ["b.png", "deep/c.png"]
    assert find_pictures(["b.png", ".", "*.jpg"]) == ["b.png", "a.jpg"]
    (photos / "odd[1].png").write_bytes(np.zeros(1, np.uint8).tobytes())
    assert find_pictures(["odd[1].png"]) == ["odd[1].png"]


def test_a_pattern_goes_through_no_links_and_finds_no_hidden_files(photos, monkeypatch):
    (photos / "deep" / "self").symlink_to(".")
    (photos / "deep" / "up").symlink_to("..")
    (photos / "deep" / ".b.png").write_bytes(b"hidden")
    (photos / ".cache").mkdir()
    (photos / ".cache" / "d.png").write_bytes(b"hidden")
    monkeypatch.chdir(photos)
    assert find_pictures(["**/*.png"]) == ["b.png", "deep/c.png"]
    assert find_pictures([f"{photos}/**/c.*"]) == [f"{photos}/deep/c.png"]
    assert find_pictures(["deep/../**/c.png"]) == ["deep/../deep/c.png"]
    assert find_pictures([".cache/*.png", "deep/.*.png"]) == [".cache/d.png", "deep/.b.png"]


@pytest.mark.parametrize("pattern", [
    "*.png", "./*.png", "**.png", "**/*.jpg", "d**/*.png", "deep/**.png", "**", "deep/**", "de*/",
    "*/../*.png", "*/../**/c.png", "deep//*.png", "**/deep/*", "**/**/c.png", "./**/c.png",
    "[ab].*", "{0}/**/*.png", "{0}/**", "{0}/*/c.png", "none/**/*.png", "?.png", "*/", "../*/*.png",
])
def test_patterns_mean_what_glob_does(photos, monkeypatch, pattern):
    (photos / "deep" / ".c.png").write_bytes(b"hidden")
    (photos / ".cache").mkdir()
    (photos / ".cache" / "d.png").write_bytes(b"hidden")
    (photos / "deep" / "er").mkdir()
    (photos / "deep" / "er" / "c.png").write_bytes(b"")
    monkeypatch.chdir(photos)
    pattern = pattern.format(photos)
    expected = sorted(filter(os.path.isfile, set(glob.glob(pattern, recursive=True))))
    assert sorted(filter(os.path.isfile, find_pictures(["a.jpg", pattern])))[:] == sorted(
        dict.fromkeys(["a.jpg", *expected]))


def test_hidden_files_of_a_folder_are_no_pictures(photos, monkeypatch):
    monkeypatch.chdir(photos)
    (photos / "._a.jpg").write_bytes(b"what macOS leaves on memory cards")
    assert find_pictures(["."]) == ["a.jpg", "b.png"]
    assert find_pictures(["._a.jpg"]) == ["._a.jpg"]  # named itself


def test_a_name_that_cannot_be_looked_up_does_not_end_the_run(run, photos):
    impossible = photos / ("x" * 300 + ".jpg")
    code, out, err = run(impossible, photos / "a.jpg", "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == ExitCode.FAILED and ["error" in record for record in records] == [True, False]
    assert "File name too long" in err
    code, _, err = run(impossible)
    assert code == ExitCode.USAGE and "File name too long" in err
    code = cli.main(["inspect", str(impossible)])
    assert code == ExitCode.MODEL


def test_a_pipe_is_read_as_a_file_is(tiny_models, photos):
    shell = shlex.join(command(tiny_models, "--format", "jsonl")) + f" <(cat {photos / 'a.jpg'})"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60)
    assert done.returncode == ExitCode.OK and tiny.TEXT in done.stdout


def test_standard_input_may_be_a_socket(tiny_models, photos):
    ours, theirs = socket.socketpair()
    asked = command(tiny_models, "--format", "jsonl", "-")
    with subprocess.Popen(asked, stdin=theirs, stdout=subprocess.PIPE, text=True) as reading:
        theirs.close()
        with ours:
            ours.sendall((photos / "a.jpg").read_bytes())
        out, _ = reading.communicate(timeout=60)
    assert reading.returncode == ExitCode.OK and tiny.TEXT in out


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(run, photos):
    os.mkfifo(photos / "pipe.jpg")
    code, _, err = run(photos / "pipe.jpg", photos / "a.jpg")
    assert code == ExitCode.FAILED and "pipe.jpg: the file is empty" in err


def test_a_link_to_itself_is_told_beside_annotated_pictures(run, photos, tmp_path):
    (photos / "loop.jpg").symlink_to("loop.jpg")
    code, _, err = run(photos / "loop.jpg", photos / "a.jpg", "--save-annotated", tmp_path / "out")
    assert code == ExitCode.FAILED and "loop.jpg" in err and "Traceback" not in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.jpg"]


def test_two_processes_annotate_into_one_folder(tmp_path, monkeypatch):
    replace = Path.replace

    def replaced(partial: Path, path: Path) -> None:
        if path.name == "a.jpg":  # another process, meanwhile
            monkeypatch.setattr(os, "getpid", lambda: 1)
            write_picture(tmp_path / "b.jpg", b"theirs")
        replace(partial, path)

    monkeypatch.setattr(Path, "replace", replaced)
    write_picture(tmp_path / "a.jpg", b"ours")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.jpg": b"ours", "b.jpg": b"theirs",
    }


def test_annotated_pictures_of_the_longest_names_are_written(run, photos, tmp_path):
    for end in "ab":
        shutil.copy(photos / "a.jpg", photos / f"{'车' * 82}{end}.jpg")
    code, _, _ = run(*photos.glob("车*"), "--save-annotated", tmp_path / "out")
    assert code == ExitCode.OK
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{'车' * 66}-2.jpg", f"{'车' * 66}.jpg"]
