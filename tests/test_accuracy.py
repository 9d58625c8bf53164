"""The evaluation with predictors whose every answer is known."""

import argparse
import json

import cv2
import numpy as np
import pytest

from alpr_edge import ALPR, Detection, Reading
from alpr_edge.errors import DataError, ExitCode, UsageError
from alpr_edge.geometry import box_quad
from benchmarks import accuracy, isa, plots
from benchmarks.__main__ import main
from benchmarks.accuracy_tables import TITLES, confidence_tables, tables
from benchmarks.corrupt import Corruption

WIDTH, HEIGHT = 640, 320
BOX = (100.0, 100.0, 200.0, 140.0)
SHIFTED = (110.0, 100.0, 210.0, 140.0)  # IoU 90/110 with BOX
FAR = (400.0, 200.0, 500.0, 240.0)


class Finder:
    """Answers the boxes it was given for the picture's grey value."""

    def __init__(self, boxes):
        self.boxes = boxes

    def predict(self, image):
        return [
            Detection(box=box, corners=box_quad(box), confidence=0.9 - 0.1 * index)
            for index, box in enumerate(self.boxes.get(int(image[0, 0, 0]), []))
        ]


class Speller:
    """Answers the text it was given for the plate's grey value."""

    def __init__(self, texts):
        self.texts = texts

    def predict(self, plates):
        texts = [self.texts.get(int(plate[24, 96, 0]), "") for plate in plates]
        return [
            Reading(text=t, confidence=1.0, char_confidences=(1.0,) * len(t), rows=1)
            for t in texts
        ]


def save(folder, name, grey, width=WIDTH, height=HEIGHT):
    assert cv2.imwrite(str(folder / name), np.full((height, width, 3), grey, np.uint8))


def frame(name, dataset, *plates, split="val", complete=True):
    return {
        "image": name, "set": dataset, "split": split, "width": WIDTH, "height": HEIGHT,
        "complete": complete,
        "plates": [{"box": b, "corners": box_quad(b), "text": text} for b, text in plates],
    }


def crop(name, dataset, text, rows=None, split="val"):
    return {
        "image": name, "set": dataset, "split": split, "width": 96, "height": 24, "text": text,
        "rows": rows,
    }


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for grey in (10, 20, 30, 40):
        save(folder, f"{grey}.png", grey)
    for grey in (50, 60, 70):
        save(folder, f"{grey}.png", grey, 96, 24)
    frames = [
        frame("10.png", "ccpd_base", (BOX, "A1")), frame("20.png", "fr_full", (BOX, "B2")),
        frame("30.png", "bsds500"), frame("40.png", "in_nanonets", (BOX, None), complete=False),
        frame("10.png", "ccpd_base", (BOX, "A1"), split="train"),
    ]
    crops = [
        crop("50.png", "us", "AB12", rows=1), crop("60.png", "vn", "59X12345678901", rows=2),
        crop("70.png", "us", "XY9"), crop("70.png", "us", None),
    ]
    for name, rows in (("frames.jsonl", frames), ("crops.jsonl", crops)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def good():
    finder = Finder({10: [SHIFTED], 20: [BOX, FAR], 30: [FAR], 40: [BOX, FAR]})
    return ALPR(detector=finder, reader=Speller({10: "A1", 20: "B2", 50: "AB12", 70: "XY0"}))


@pytest.fixture
def poor():
    finder = Finder({10: [SHIFTED], 40: [FAR]})
    return ALPR(detector=finder, reader=Speller({10: "A7", 50: "A12", 70: "XY0"}))


def counts(report, figure, model=0):
    return {
        group: (entry["models"][model]["k"], entry["models"][model]["n"])
        for group, entry in report["metrics"][figure].items()
    }


def test_figures_of_one_model(data, good):
    report = accuracy.run(data, "val", {"good": good})
    assert (report["frames"], report["crops"], report["texts_beyond_alphabet"]) == (4, 3, 1)
    assert report["models"] == [{"folder": "good"}]
    assert counts(report, "recall_50") == {
        "ccpd_base": (1, 1), "fr_full": (1, 1), "in_nanonets": (1, 1),
        "other complete frames": (1, 1), "all frames": (3, 3),
    }
    assert counts(report, "precision_50") == {
        "ccpd_base": (1, 1), "fr_full": (1, 2), "bsds500": (0, 1),
        "other complete frames": (1, 3), "all frames": (2, 4),
    }
    assert counts(report, "false_per_picture")["all frames"] == (2, 3)
    assert counts(report, "recall_70") == {"ccpd_base": (1, 1)}
    corner = report["metrics"]["corner_error"]
    assert list(corner) == ["ccpd_base"]
    assert corner["ccpd_base"]["models"][0]["value"] == pytest.approx(0.1)
    widths = counts(report, "recall_50_by_width")  # 100 px of 640 are 200 of 1280
    assert widths[">= 200 px"] == widths[">= 40 px, all frames"] == (3, 3)
    assert widths[">= 40 px, complete frames"] == (2, 2)


def test_texts_of_one_model(data, good):
    report = accuracy.run(data, "val", {"good": good})
    assert counts(report, "exact_match") == {
        "us": (1, 2), "vn": (0, 1), "one row": (1, 1), "two rows": (0, 1), "all crops": (1, 3),
    }
    assert counts(report, "character_errors")["us"] == (1, 7)
    assert counts(report, "character_errors")["vn"] == (14, 14)
    assert counts(report, "end_to_end") == {
        "ccpd_base": (1, 1), "fr_full": (1, 1), "all frames": (2, 2),
    }


def test_repeated_plates_count_once(data, good):
    path = data / "crops.jsonl"
    path.write_text(path.read_text() + json.dumps(crop("60.png", "us", "XY9")) + "\n")
    report = accuracy.run(data, "val", {"good": good})
    assert counts(report, "exact_match")["us"] == (1, 3)
    assert counts(report, "exact_match_distinct")["us"] == (1, 2)
    assert counts(report, "exact_position")["position 3"] == (1, 4)
    assert counts(report, "end_to_end_distinct") == {
        "ccpd_base": (1, 1), "fr_full": (1, 1), "other frames with texts": (1, 1),
        "all frames": (2, 2),
    }


def test_average_precision_over_overlaps_on_tight_sets(data, good):
    entry = accuracy.run(data, "val", {"good": good})["metrics"]["average_precision_50_95"]
    assert list(entry) == ["ccpd_base"]
    assert entry["ccpd_base"]["models"] == [{"value": pytest.approx(0.7)}]  # IoU 9/11: to 0.8


def test_confidence_and_confusions(data, good, poor):
    report = accuracy.run(data, "val", {"good": good, "poor": poor})
    assert list(report["confidence"]) == ["us", "vn", "one row", "two rows", "all crops"]
    entry, worse = report["confidence"]["all crops"]["models"]  # an empty reading has 0, others 1
    assert entry["n"] == 3 and entry["auc"] == 0.75
    assert (entry["false_reads"]["k"], entry["false_reads"]["n"]) == (2, 3)
    assert (entry["false_rejects"]["k"], worse["false_rejects"]["k"]) == (2, 3)
    assert entry["calibration_error"] == pytest.approx(1 / 3)
    assert entry["thresholds"][0] == {"false_reads_at_most": 0.001, "threshold": None}
    assert entry["curve"]["threshold"] == [1.0, 0.0] and worse["auc"] is None
    assert entry["reliability"][-1]["right"]["n"] == 2
    assert "curve" not in report["confidence"]["us"]["models"][0]
    confused = report["confusion"][0]
    assert {"truth": "9", "read": "0", "count": 1} in confused
    assert {"truth": "1", "read": "", "count": 2} in confused


def test_plots_are_written(data, good, poor, tmp_path):
    pytest.importorskip("matplotlib")
    report = accuracy.run(data, "val", {"good": good, "poor": poor})
    paths = plots.write(report, tmp_path / "plots")
    assert [path.name for path in paths] == ["reliability.png", "roc.png"]
    assert all(cv2.imread(str(path)).shape == (600, 600, 3) for path in paths)
    with pytest.raises(DataError, match="no labelled cut-outs"):
        plots.write({"confidence": {}, "models": []}, tmp_path)


def test_plots_without_matplotlib_name_the_remedy(monkeypatch):
    monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'alpr-edge\[bench\]'"):
        accuracy.main(options("--plots", "somewhere"), [])


def test_two_models_are_paired(data, good, poor):
    report = accuracy.run(data, "val", {"good": good, "poor": poor})
    entry = report["metrics"]["recall_50"]["all frames"]
    assert [m["k"] for m in entry["models"]] == [3, 1]
    paired = entry["paired"]
    assert (paired["both"], paired["only_a"], paired["only_b"]) == (1, 2, 0)
    assert paired["difference"] == pytest.approx(-2 / 3)
    assert report["metrics"]["end_to_end"]["all frames"]["paired"]["only_a"] == 2
    assert report["metrics"]["exact_match"]["all crops"]["paired"]["only_a"] == 1
    assert "paired" not in report["metrics"]["precision_50"]["ccpd_base"]
    json.dumps(report, allow_nan=False)


def test_every_figure_has_a_table(data, good, poor, tmp_path):
    listed = tmp_path / "listed.jsonl"
    listed.write_text(json.dumps({"image": "20.png", "box": FAR}) + "\n")
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(json.dumps({"image": "60.png", "right": "AB12"}) + "\n")
    lists = {"unannotated": listed, "corrections": wrong}
    for models in ({"good": good}, {"good": good, "poor": poor}):
        report = accuracy.run(data, "val", models, close_ups=True, **lists)
        assert set(report["metrics"]) == set(TITLES)
        assert len(list(confidence_tables(report))) == 2 * len(models)
        shown = list(tables(report))
        assert len(shown) == len(TITLES)
        columns = {len(table.columns) for table in shown}
        assert columns == ({2} if len(models) == 1 else {3, 4})  # 4 where hits can be paired


def test_cut_outs_as_pictures_need_the_detector_too(data, good):
    assert accuracy.run(data, "val", {"good": good})["metrics"]["close_up"] == {}
    report = accuracy.run(data, "val", {"good": good}, close_ups=True)
    assert counts(report, "close_up")["all crops"] == (0, 3)  # it finds no plate in them
    whole = Finder({grey: [(0.0, 0.0, 96.0, 24.0)] for grey in (50, 60, 70)})
    better = ALPR(detector=whole, reader=good.reader)
    report = accuracy.run(data, "val", {"better": better}, close_ups=True)
    assert counts(report, "close_up") == counts(report, "exact_match")


def test_plates_that_nobody_annotated_are_no_false_detections(data, good, tmp_path):
    """Two of the four complete frames show a detection beyond the annotations; one is listed."""
    report = accuracy.run(data, "val", {"good": good})
    assert report["metrics"]["false_beyond_list"] == {}
    assert counts(report, "false_per_picture")["all frames"] == (2, 3)
    moved = [FAR[0] + 20, FAR[1], FAR[2] + 20, FAR[3]]
    listed = tmp_path / "listed.jsonl"
    listed.write_text(json.dumps({"image": "20.png", "box": moved}) + "\n")
    report = accuracy.run(data, "val", {"good": good}, unannotated=listed)
    assert counts(report, "false_per_picture")["all frames"] == (2, 3)
    assert counts(report, "false_beyond_list")["all frames"] == (1, 3)
    listed.write_text(json.dumps({"image": "20.png", "box": BOX}) + "\n")  # annotated: found
    report = accuracy.run(data, "val", {"good": good}, unannotated=listed)
    assert counts(report, "recall_50")["all frames"] == (3, 3)


def test_wrong_labels_are_corrected_beside_the_figure_as_labelled(data, good, tmp_path):
    report = accuracy.run(data, "val", {"good": good})
    assert report["metrics"]["exact_match_corrected"] == {}
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"image": "70.png", "right": "XY0"}\n{"image": "60.png"}\n')
    report = accuracy.run(data, "val", {"good": good}, corrections=wrong)
    assert counts(report, "exact_match") == {
        "us": (1, 2), "vn": (0, 1), "one row": (1, 1), "two rows": (0, 1), "all crops": (1, 3),
    }
    assert counts(report, "exact_match_corrected") == {
        "us": (2, 2), "one row": (1, 1), "all crops": (2, 2),
    }
    wrong.write_text('{"image": "10.png", "right": "XY0"}\n')  # a frame
    with pytest.raises(DataError, match=r"such as 10\.png, are no cut-outs"):
        accuracy.run(data, "val", {"good": good}, corrections=wrong)


def test_limit_takes_the_first_of_each_set(data, good):
    frames, crops = accuracy.load(data, "val", 1)
    assert len(frames) == 4
    assert [c.plates[0].text for c in crops] == ["AB12", "59X12345678901"]


def test_progress_ends_at_the_total(data, good):
    steps = []
    accuracy.run(data, "val", {"good": good}, advance=lambda *step: steps.append(step))
    assert sum(done for done, _ in steps) == 7
    assert {total for _, total in steps} == {7}


def test_corrupted_frames_are_measured_on_moved_truth(data, good):
    """Half the size, and so every plate is where it was not; cut-outs of 96 px become 94."""
    report = accuracy.run(data, "val", {"good": good}, corruption=Corruption.parse("far"))
    assert report["corruption"] == {"name": "far", "strength": "medium"}
    assert counts(report, "recall_50")["all frames"] == (0, 3)
    assert counts(report, "recall_50_by_width")["80-120 px"] == (0, 3)  # 100 px of 640, halved
    assert counts(report, "exact_match")["all crops"] == (1, 3)
    good.detector.boxes = {114: [(210.0, 130.0, 260.0, 150.0)]}
    report = accuracy.run(data, "val", {"good": good}, corruption=Corruption.parse("far"))
    assert counts(report, "recall_50")["all frames"] == (3, 3)


def test_a_split_without_pictures_says_what_there_is(data, good):
    with pytest.raises(DataError, match="calib; it has val: 8, train: 1"):
        accuracy.run(data, "calib", {"good": good})


def options(*arguments):
    parser = argparse.ArgumentParser()
    accuracy.add_arguments(parser)
    return parser.parse_args(["--data", "somewhere", *arguments])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(("--models", "a", "b", "c"), UsageError), (("--models", "a", "a"), UsageError),
     (("--limit", "0"), UsageError), (("--corrupt", "snow"), UsageError)],
)
def test_wrong_options(arguments, error):
    with pytest.raises(error):
        accuracy.main(options(*arguments), [])


@pytest.mark.parametrize("command", [
    ["accuracy", "--data", "somewhere"], ["memory"], ["energy"], ["throughput"], ["cold"],
    ["model", "model.xml"], ["budget"], ["sizes", "--data", "somewhere", "--detectors", "a"],
])
def test_where_no_report_can_be_written_nothing_is_measured(command, capsys):
    assert main([*command, "--out", "absent/report.json"]) == ExitCode.OUTPUT
    assert "absent/report.json: its folder does not exist" in capsys.readouterr().err


def test_command_prints_tables_and_writes_json(data, good, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        accuracy, "ALPR", lambda models=None, **options: good if models else ALPR(**options)
    )
    monkeypatch.setattr(isa, "respawn", lambda name, arguments: None)
    monkeypatch.setattr(isa, "verify_isa", lambda name: "Intel AVX2")
    out = tmp_path / "report.json"
    assert accuracy.main(options("--data", str(data), "--isa", "avx2", "--out", str(out)), []) == 0
    report = json.loads(out.read_text("utf-8"))
    assert report["isa"] == {"asked": "avx2", "onednn": "Intel AVX2"}
    assert report["models"][0]["folder"] == "shipped"
    printed = capsys.readouterr().out
    assert "Cut-outs read exactly" in printed and "1/3  33.3%  (6.1%..79.2%)" in printed


def test_another_isa_runs_in_a_child(monkeypatch):
    monkeypatch.setattr(isa, "respawn", lambda name, arguments: len(arguments))
    assert accuracy.main(options("--isa", "avx2"), ["accuracy", "--isa", "avx2"]) == 3
