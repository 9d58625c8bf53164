"""A model compared with its parent."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
import tiny

pytest.importorskip("nncf", reason="needs the extra 'optimize'")


from alpr_edge import manifest as manifests
from alpr_edge.data import read
from alpr_edge.errors import DataError, ExitCode
from alpr_edge.geometry import box_quad, rectify
from alpr_edge.images import load_image
from alpr_edge.types import Detection
from optimize import compare, pictures
from optimize.__main__ import main
from optimize.compare import Agreement
from optimize.steps import StepFailedError, Tolerances


def test_raw_differences_by_hand():
    parent = [{"a": np.array([1.0, -4.0]), "b": np.array([0.1])}, {"a": np.array([2.0, 0.0]),
                                                                  "b": np.array([0.2])}]
    child = [{"a": np.array([1.0, -4.5]), "b": np.array([0.1])}, {"a": np.array([2.0, 0.25]),
                                                                 "b": np.array([0.5])}]
    found = compare.raw_differences(parent, child)
    assert found == pytest.approx({"a": 0.5 / 4, "b": 0.3})  # b's range is less than 1
    compare.check_raw("step", {"a": 1e-3}, Tolerances())
    for bad in (1.1e-3, math.nan):
        with pytest.raises(StepFailedError, match="output 'a' differs"):
            compare.check_raw("step", {"a": bad}, Tolerances())


def cells(numbers: list[int], scores: list[float], shift: float = 0.0) -> dict[str, np.ndarray]:
    boxes = np.array([[[10.0 * n + shift] * 4 for n in numbers]])
    return {"cells": np.array([numbers]), "scores": np.array([scores]), "boxes": boxes}


def test_cells_of_nearly_equal_scores_may_change_places():
    parent = cells([3, 1, 2], [0.9, 0.5, 0.5])
    found = compare.raw_differences([parent], [cells([3, 2, 1], [0.9, 0.5, 0.5])])
    assert found == {"scores": 0, "boxes": 0, "cells": 0}
    moved = compare.raw_differences([parent], [cells([3, 2, 1], [0.9, 0.5, 0.5], shift=3.0)])
    assert moved == pytest.approx({"scores": 0, "boxes": 3 / 30, "cells": 0})


def test_a_cell_that_one_model_lacks_counts_by_its_score():
    parent = cells([3, 1, 2], [0.9, 0.5, 0.2])
    found = compare.raw_differences([parent], [cells([3, 1, 7], [0.9, 0.5, 0.2])])
    assert found == pytest.approx({"scores": 0, "boxes": 0, "cells": 0})  # both at the end
    found = compare.raw_differences([parent], [cells([3, 2, 7], [0.9, 0.2, 0.1])])
    assert found["cells"] == pytest.approx(0.4)  # cell 1 has 0.5, the child's least is 0.1


def test_no_cell_in_common_fails():
    with pytest.raises(StepFailedError, match="none of the 2 best cells is among the parent's"):
        compare.raw_differences([cells([3, 1], [0.9, 0.5])], [cells([7, 8], [0.9, 0.5])])


def agreement(**changes) -> Agreement:
    facts = {"task": "detector", "pictures": 9, "k": 19, "n": 20, "corners": 0.01,
             "int8_layers": 5, "layers": 9, "isa": "x"}
    return Agreement(**(facts | changes))


def test_agreement_within_tolerance_passes():
    compare.check_agreement("quantize", agreement(), Tolerances())
    compare.check_executed("quantize", agreement())
    compare.check_agreement("quantize", agreement(task="reader", corners=math.nan), Tolerances())
    assert agreement().figures()["agreement"] == 0.95
    assert "corners" not in agreement(corners=math.nan).figures()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"k": 18}, "18 of 20 detections found again"), ({"k": 0, "n": 0}, "nothing can be judged"),
     ({"corners": 0.021}, "corners moved by 2.1%")],
)
def test_agreement_beyond_tolerance_fails(changes, message):
    with pytest.raises(StepFailedError, match=message):
        compare.check_agreement("quantize", agreement(**changes), Tolerances())


def test_nothing_in_8_bits_fails():
    for parents in (5, 6):
        with pytest.raises(StepFailedError, match=f"quantize: 5 of 9 .* of the parent {parents};"):
            compare.check_executed("quantize", agreement(int8_layers_of_parent=parents))


def test_find_again_by_hand():
    def plate(x, shift=0.0):
        corners = ((x, 0.0), (x + 100, 0.0), (x + 100, 20.0), (x, 20.0))
        moved = tuple((a + shift, b) for a, b in corners)
        return Detection(box=(x, 0.0, x + 100, 20.0), corners=moved, confidence=0.9)

    found = compare.find_again([plate(0), plate(500)], [plate(10, 3.0), plate(900)])
    assert found == pytest.approx([0.13, math.nan], nan_ok=True)  # 13 pixels of a width of 100


def test_decoded_comparison_of_models_known_in_advance(tmp_path, data):
    same = tiny.build_reader(tmp_path / "a", "A1"), tiny.build_reader(tmp_path / "b", "A1")
    other = tiny.build_reader(tmp_path / "c", "A2")
    for folder, k in ((same[1], 2), (other, 0)):
        found = compare.compare_decoded(same[0], folder, data, instruction_set="x")
        assert (found.k, found.n, found.int8_layers > found.layers) == (k, 2, False)


def test_the_command_computes_at_the_target_and_fails_below_the_gate(tmp_path, data, capfd):
    parent, child = (
        tiny.build_reader(tmp_path / name, text) for name, text in (("a", "A1"), ("b", "A2"))
    )
    same = ["compare", str(parent), str(parent), f"--data={data}", "--isa", "native"]
    assert main(same) == ExitCode.OK
    assert json.loads(capfd.readouterr().out)["share"] == 1
    assert main(["compare", str(parent), str(child), *same[3:]]) == ExitCode.FAILED
    told = capfd.readouterr()
    assert json.loads(told.out)["share"] == 0 and "0 of 2 texts equal at " in told.err
    with pytest.raises(SystemExit):
        main([*same, "--min-agreement", "nan"])


@pytest.mark.parametrize(
    ("mine", "theirs", "result"),  # the tiny detector's threshold is 0.3
    [(0.9, 0.25, (2, 2, 0, 0.0)), (0.9, 0.1, (0, 2, 0, math.nan)), (0.1, 0.9, (0, 0, 2, math.nan))],
)
def test_a_plate_may_slip_below_the_threshold_a_little(tmp_path, data, mine, theirs, result):
    folders = tiny.build_detector(tmp_path / "d", mine), tiny.build_detector(tmp_path / "e", theirs)
    found = compare.compare_decoded(*folders, data, instruction_set="x")
    numbers = (found.k, found.n, found.extra, found.corners)
    assert numbers == pytest.approx(result, abs=1e-6, nan_ok=True)


def test_the_child_process_is_capped(tmp_path, data):
    folder = tiny.build_reader(tmp_path / "a", "A1")
    found = compare.compare_at(folder, folder, data, target="avx2")
    assert (found.k, found.n, found.isa) == (2, 2, "Intel AVX2")


def test_compare_command_prints_json(tmp_path, data, capsys):
    folder = str(tiny.build_reader(tmp_path / "a", "A1"))
    assert main(["compare", folder, folder, "--data", str(data)]) == 0
    assert json.loads(capsys.readouterr().out)["k"] == 2


def test_statistics_and_comparison_never_share_a_picture(data):
    for crops in (False, True):
        found = pictures.calibration_pictures(data, crops=crops)
        assert [len(found.statistics), len(found.held_out)] == [6, 2]
        paths = [s.path for s in (*found.statistics, *found.held_out)]
        assert len(set(paths)) == 8
        assert all(path.name.startswith("calib") for path in paths)
        assert len(found.raw()) == 2
    assert len(pictures.calibration_pictures(data, crops=True, limit=5).statistics) == 3


def test_without_cut_outs_a_reader_gets_the_plates_of_frames(data, tmp_path):
    frames = tmp_path / "frames only"
    shutil.copytree(data, frames)
    (frames / "crops.jsonl").unlink()
    found = pictures.calibration_pictures(frames, crops=True)
    assert [len(found.statistics), len(found.held_out)] == [6, 2]
    manifest = manifests.load(tiny.build_reader(tmp_path / "a", "A1"))
    [sample, *_] = found.held_out
    [plate] = sample.plates
    image = load_image(sample.path)
    _, height, width, _ = manifest.input.shape
    wanted = rectify(image, plate.corners or box_quad(plate.box), height, width)
    [given] = pictures.network_inputs(manifest, [sample])
    assert np.array_equal(given[0], wanted)
    assert not np.array_equal(given[0], pictures.fit(manifest, image))


def test_one_picture_is_too_few(data):
    with pytest.raises(DataError, match="has 1 frames of split calib"):
        pictures.calibration_pictures(data, crops=False, limit=1)


def test_a_picture_that_is_gone_is_told(data, tmp_path):
    gone = dataclasses.replace(next(read(data)), path=tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"gone\.png: No such file .* training check"):
        pictures.digest([gone])
