"""Every kind of problem, each once, and none in what is right."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from alpr_edge.data import read_csv
from alpr_edge.errors import DataError, ExitCode
from training.__main__ import main
from training.check import Kind, check, order_fault

SIZE = 160, 96
QUAD = [[60, 40], [120, 40], [120, 60], [60, 60]]


class Folder:
    """A data folder in the making; every picture has other pixels."""

    def __init__(self, root):
        self.root, self.rows, self.count = root, {"frames": [], "crops": []}, 0

    def picture(self, width=SIZE[0], height=SIZE[1]):
        self.count += 1
        name = f"{self.count}.png"
        pixels = np.random.default_rng(self.count).integers(0, 256, (height, width, 3), np.uint8)
        assert cv2.imwrite(str(self.root / name), pixels)
        return name

    def frame(self, name=None, split="train", **plate):
        plate = {"box": [60, 40, 120, 60], "corners": QUAD, "text": None} | plate
        row = self._row(name, split, *SIZE) | {"plates": [plate]}
        self.rows["frames"].append(row)
        return row

    def crop(self, text, name=None, split="train", **more):
        row = self._row(name, split, 96, 32) | {"text": text} | more
        self.rows["crops"].append(row)
        return row

    def _row(self, name, split, width, height):
        return {"image": name or self.picture(width, height), "set": "drawn", "country": "XX",
                "split": split, "width": width, "height": height}

    def save(self):
        for kind, rows in self.rows.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (self.root / f"{kind}.jsonl").write_text(lines, "utf-8")
        return self.root


@pytest.fixture
def folder(tmp_path):
    data = Folder(tmp_path)
    data.frame(text="GD1")
    data.frame(text="GD1")  # twice in one split is no leak
    data.frame(split="val", box=[-0.6, 0, 160.6, 96], corners=None)  # rounded, not outside
    data.crop("AB12", rows=1)
    data.crop("CD3456", split="dev", rows=2)
    data.crop(None)
    return data


def missing(data):
    data.crop("A1", name="absent.png")


def other_size(data):
    data.frame(name=data.picture(150, 96))


def empty_text(data):
    data.crop("")


def long_text(data):
    data.crop("ABCDEFGHIJK")


def foreign_characters(data):
    data.crop("ÄB-1")


def empty_box(data):
    data.frame(box=[120, 40, 60, 60])


def not_a_number(data):
    data.frame(box=[60, 40, float("nan"), 60])


def box_outside(data):
    data.frame(box=[100, 40, 170, 60], corners=None)


def ccpd_order(data):
    data.frame(corners=[QUAD[2], QUAD[3], QUAD[0], QUAD[1]])


def mirrored(data):
    data.frame(corners=[QUAD[1], QUAD[0], QUAD[3], QUAD[2]])


def crossed(data):
    data.frame(corners=[QUAD[0], QUAD[1], QUAD[3], QUAD[2]])


def pseudo_order(data):
    data.crop("ZZ1", corners_pseudo=[[3, 30], [3, 2], [90, 2], [90, 30]])


def far_corners(data):
    data.frame(corners=[[x + 60, y] for x, y in QUAD])


def text_leak(data):
    data.crop("AB12", split="val")


def picture_leak(data):
    data.crop("QQ1", name="4.png", split="calib")


def two_texts(data):
    data.crop("QQ1", name="4.png")


def broken_line(data):
    data.rows["crops"].insert(1, {"image": "1.png"})


@pytest.mark.parametrize(
    ("spoil", "kind", "told"),
    [
        (missing, Kind.PICTURE, "no such file"),
        (other_size, Kind.SIZE, "is 150 x 96, annotated 160 x 96"),
        (empty_text, Kind.EMPTY_TEXT, "null"),
        (long_text, Kind.LONG_TEXT, "11 characters; at most 10"),
        (foreign_characters, Kind.CHARACTERS, "'Ä-'"),
        (empty_box, Kind.EMPTY_BOX, "160 x 96"),
        (not_a_number, Kind.EMPTY_BOX, "nan"),
        (box_outside, Kind.OUTSIDE_BOX, "170.0"),
        (ccpd_order, Kind.CORNER_ORDER, "leans 180"),
        (mirrored, Kind.CORNER_ORDER, "mirrored"),
        (crossed, Kind.CORNER_ORDER, "crossed"),
        (pseudo_order, Kind.CORNER_ORDER, "leans -90"),
        (far_corners, Kind.CORNERS_FAR, "IoU 0.00"),
        (text_leak, Kind.TEXT_LEAK, "train ("),
        (picture_leak, Kind.PICTURE_LEAK, "calib ("),
        (two_texts, Kind.TWO_TEXTS, "QQ1"),
        (broken_line, Kind.ANNOTATION, "crops.jsonl:2"),
    ],
)
def test_each_problem_is_found_once_and_alone(folder, spoil, kind, told):
    spoil(folder)
    found = check(folder.save())
    assert [problem.kind for problem in found.problems] == [kind]
    assert told in found.problems[0].what


def test_good_data_has_no_problem_and_right_histograms(folder):
    steps = []
    found = check(folder.save(), steps.append)
    assert found.problems == []
    assert steps == [6] * 6 and found.pictures == 6
    assert found.sets == {"drawn": {"train": 4, "val": 1, "dev": 1}}
    assert found.histograms["text length"] == {"no text": 2, "3": 2, "4": 1, "6": 1}
    assert found.histograms["character"] == {
        "1": 3, "2": 1, "3": 1, "4": 1, "5": 1, "6": 1, "A": 1, "B": 1, "C": 1, "D": 3, "G": 2,
    }
    frames = found.histograms["plate width in a 1280-px frame"]  # 60 px of 160 are 480 of 1280
    assert frames[">= 200 px"] == 3 and sum(frames.values()) == 3
    assert found.histograms["width of a cut-out"]["80-120 px"] == 3
    assert found.histograms["rows"] == {"1": 1, "2": 1, "unknown": 4}


def test_all_problems_at_once(folder):
    for spoil in (missing, empty_text, broken_line, ccpd_order, text_leak, box_outside):
        spoil(folder)
    kinds = sorted(problem.kind for problem in check(folder.save()).problems)
    assert kinds == sorted((Kind.PICTURE, Kind.EMPTY_TEXT, Kind.ANNOTATION, Kind.CORNER_ORDER,
                            Kind.TEXT_LEAK, Kind.OUTSIDE_BOX))


def test_a_leak_needs_the_same_country(folder):
    folder.crop("AB12", split="val")["country"] = "YY"
    assert check(folder.save()).problems == []


@pytest.mark.parametrize("degrees", [-50, 0, 50])
def test_leaning_plates_are_in_order(degrees):
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = np.array(QUAD) @ np.array([[cos, sin], [-sin, cos]])
    assert order_fault(turned.tolist()) == ""


def test_other_formats_go_on_too(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 96, 3), np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    lines = "image_path,plate_text,split\nbroken.png,A1,train\na.png,A2,moon\na.png,A3,train\n"
    (tmp_path / "all.csv").write_text(lines)
    found = check(tmp_path)
    assert [problem.kind for problem in found.problems] == [Kind.PICTURE, Kind.ANNOTATION]
    assert "all.csv:3: split 'moon'" in found.problems[1].what
    assert found.pictures == 1
    with pytest.raises(DataError, match="all.csv:2"):
        list(read_csv(tmp_path))


def test_yolo_and_coco_go_on_too(tmp_path):
    yolo, coco = tmp_path / "yolo", tmp_path / "coco"
    for folder in (yolo / "images", yolo / "labels", coco):
        folder.mkdir(parents=True)
    for path in (yolo / "images" / "a.png", yolo / "images" / "b.png", coco / "a.png"):
        assert cv2.imwrite(str(path), np.zeros((32, 96, 3), np.uint8))
    (yolo / "labels" / "a.txt").write_text("0 0.5 0.5\n")
    images = [{"id": n, "file_name": name, "width": 96, "height": 32}
              for n, name in enumerate(("absent.png", "a.png"))]
    (coco / "train.json").write_text(json.dumps({"images": images, "annotations": []}))
    for folder, told in ((yolo, "a.txt:1"), (coco, "absent.png")):
        found = check(folder)
        assert [problem.kind for problem in found.problems] == [Kind.ANNOTATION]
        assert told in found.problems[0].what and found.pictures == 1


def test_ccpd_goes_on_too(tmp_path):
    folder = tmp_path / "ccpd_base"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "no-ccpd-name.jpg"), np.zeros((32, 96, 3), np.uint8))
    assert [problem.kind for problem in check(tmp_path).problems] == [Kind.ANNOTATION]


def test_command(folder, tmp_path, capsys):
    out = tmp_path / "check.json"
    data = str(folder.save())
    assert main(["check", data, "--out", str(out)]) == ExitCode.OK
    assert json.loads(out.read_text("utf-8"))["problems"] == []
    assert "0 problems" in capsys.readouterr().out
    for _ in range(12):
        empty_text(folder)
    folder.save()
    assert main(["check", data, "--out", str(out)]) == ExitCode.FAILED
    report = json.loads(out.read_text("utf-8"))
    assert report["problem_counts"]["text is empty"] == len(report["problems"]) == 12
    printed = capsys.readouterr().out
    assert "text is empty: 12" in printed and "2 more" in printed and "18 pictures" in printed


def test_a_leak_that_corrections_bring(folder, tmp_path, capsys):
    images = folder.crop("AB1")["image"], folder.crop("AB2", split="val")["image"]
    data = str(folder.save())
    assert main(["check", data]) == ExitCode.OK
    lists = []
    for image in images:
        lists.append(tmp_path / f"{image}.txt")
        lists[-1].write_text(json.dumps({"image": image, "right": "AB3"}) + "\n")
    capsys.readouterr()
    code = main(["check", data, *(f"--corrections={listed}" for listed in lists)])
    assert code == ExitCode.FAILED and "text is in two splits: 1" in capsys.readouterr().out


def test_command_without_data_or_place_for_the_report(folder, tmp_path, capsys):
    assert main(["check", str(tmp_path / "absent")]) == ExitCode.USAGE
    assert "does not exist" in capsys.readouterr().err
    out = str(tmp_path / "absent" / "check.json")
    assert main(["check", str(folder.save()), "--out", out]) == ExitCode.OUTPUT
