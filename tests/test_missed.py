"""Plates that nobody annotated: listed with pictures, and ignored in training."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.errors import DataError, ExitCode
from alpr_edge.types import Detection
from training import missed
from training.__main__ import main
from training.checkpoint import save_weights
from training.detector.data import DataConfig, FrameDataset
from training.detector.model import detector_edge
from training.reader.model import reader_tiny

KNOWN, OTHER = (20.0, 30.0, 60.0, 46.0), (90.0, 70.0, 130.0, 86.0)


def corners(box: tuple[float, float, float, float]):
    x1, y1, x2, y2 = box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One complete training frame with one annotated plate."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((120, 160, 3), 90, np.uint8))
    row = {"image": "a.png", "set": "street", "split": "train", "width": 160, "height": 120,
           "complete": True, "plates": [{"box": KNOWN, "corners": None, "text": None}]}
    (tmp_path / "frames.jsonl").write_text(json.dumps(row))
    return tmp_path


def weights(path: Path, task: str) -> Path:
    model = detector_edge() if task == "detector" else reader_tiny()
    save_weights(path, task=task, config=model.config, state=model.state_dict(), notes={})
    return path


def test_only_what_no_annotation_explains_is_listed(data: Path, monkeypatch) -> None:
    shifted = (24.0, 32.0, 64.0, 48.0)
    found = [Detection(box=b, corners=corners(b), confidence=s)
             for b, s in ((OTHER, 0.75), (shifted, 0.9))]
    monkeypatch.setattr(missed, "detect", lambda model, image, lowest: found)
    out = data / "missed.jsonl"
    assert missed.write_missed(data, weights(data / "d.safetensors", "detector"), out, 0.5) == 1
    row = {"image": "a.png", "set": "street", "box": list(OTHER), "score": 0.75}
    assert [json.loads(line) for line in out.read_text().splitlines()] == [row]
    assert (data / "missed-1.png").exists()
    assert missed.read_missed(data, out) == {data / "a.png": [OTHER]}


def test_what_is_listed_is_neither_right_nor_wrong(data: Path) -> None:
    config = DataConfig(size=96, mosaic=0, paste=0, flip=0, strength=0, distract=0)
    dataset = FrameDataset(data, config, seed=0, missed={data / "a.png": [OTHER]})
    rng = np.random.default_rng(0)
    views = [dataset.picture(rng)[1] for _ in range(20)]
    whole = [view for view in views if len(view.boxes) == 2]
    assert whole and all(view.ignore[-1] for view in whole)
    assert any(not view.ignore[0] for view in whole)


@pytest.mark.parametrize("line", ["{", '{"image": "b.png", "box": [0, 0, 1, 1]}',
                                  '{"image": "a.png", "box": [0, 1]}', '{"image": "a.png"}'])
def test_a_wrong_list_is_an_error_with_its_line(data: Path, line: str) -> None:
    (data / "m.jsonl").write_text(f'{{"image": "a.png", "box": [0, 0, 9, 4]}}\n{line}\n')
    with pytest.raises(DataError, match=r"m\.jsonl:2: .*a row needs image"):
        missed.read_missed(data, data / "m.jsonl")


def test_no_list_and_an_absent_one(data: Path) -> None:
    assert missed.read_missed(data, None) == {}
    with pytest.raises(DataError, match="training missed"):
        missed.read_missed(data, data / "absent.jsonl")


@pytest.mark.parametrize(("task", "least", "code", "told"), [
    ("reader", "0.5", ExitCode.MODEL, "give those of a detector"),
    ("detector", "1", ExitCode.USAGE, "between 0 and 1"),
])
def test_the_command_says_what_is_wrong(data, capsys, task, least, code, told) -> None:
    path = weights(data / "w.safetensors", task)
    out = data / "m.jsonl"
    arguments = ["missed", "--data", data, "--weights", path, "--out", out, "--least", least]
    assert main([str(argument) for argument in arguments]) == code
    assert told in capsys.readouterr().err
