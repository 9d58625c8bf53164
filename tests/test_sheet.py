"""Contact sheets: what is on them, and what goes wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn import build_data

pytest.importorskip("torch")

from alpr_edge.errors import ExitCode
from training import sheet
from training.__main__ import main
from training.detector.data import DataConfig


def test_grid_places_row_by_row():
    cells = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]
    picture = sheet.grid(cells, 2)
    assert picture.shape == (2 * 2 + 3 * 4, 2 * 3 + 3 * 4, 3)
    assert [picture[4, 4, 0], picture[4, 11, 0], picture[10, 4, 0]] == [10, 20, 30]
    assert (picture == 40).sum() == picture.size - 3 * cells[0].size


@pytest.mark.parametrize("what", ["reader", "detector", "closer", "rendered"])
def test_sheet_of_the_real_data(what, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "_A_SET", 1)
    monkeypatch.setattr(sheet, "_FRAMES", 6)
    monkeypatch.setattr(sheet, "READER_GRID", (2, 3))
    monkeypatch.setattr(sheet, "DETECTOR_GRID", (1, 2))
    monkeypatch.setattr(sheet, "CLOSER_GRID", (1, 3))
    out = tmp_path / "sheet.png"
    arguments = ["--data", str(data_dir), "--out", str(out), "--what", what, "--strength", "0.5"]
    assert main(["sheet", *arguments]) == ExitCode.OK
    side = DataConfig().size
    shape = {"reader": (2 * 66 + 12, 3 * 192 + 16, 3), "detector": (side + 8, 2 * side + 12, 3),
             "closer": (136, 3 * 192 + 16, 3)}
    picture = cv2.imread(str(out))
    assert picture is not None and picture.std() > 20
    assert what == "rendered" or picture.shape == shape[what]


def test_data_without_training_plates_is_told(tmp_path, capsys):
    data = build_data(tmp_path / "data", count=1)
    for what in ("reader", "detector", "closer"):
        arguments = ["--data", str(data), "--out", str(tmp_path / "s.png"), "--what", what]
        assert main(["sheet", *arguments]) == ExitCode.USAGE
        assert "split train" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["sheet.docx", "absent/sheet.png"])
def test_a_sheet_that_cannot_be_written_is_told(name, data_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sheet, "reader_sheet", lambda *_: np.zeros((8, 8, 3), np.uint8))
    arguments = ["--data", str(data_dir), "--out", str(tmp_path / name)]
    assert main(["sheet", *arguments]) == ExitCode.OUTPUT
    assert name in capsys.readouterr().err


def test_a_negative_strength_is_told(tmp_path, capsys):
    arguments = ["--data", str(tmp_path), "--out", "s.png", "--strength", "-1"]
    assert main(["sheet", *arguments]) == ExitCode.USAGE
    assert "0 or more" in capsys.readouterr().err
