"""Each reader on tiny folders, and what it says of folders that are wrong."""

import json

import cv2
import numpy as np
import pytest

from alpr_edge.data import Split, ccpd, policy, read
from alpr_edge.errors import DataError

CCPD_NAME = (
    "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg"
)
GREEN_NAME = (
    "04-90_267-158&448_542&553-541&553_162&551_158&448_542&450-0_1_3_24_28_24_30_33-97-54.jpg"
)
QUAD = ((1.0, 2.0), (31.0, 2.0), (31.0, 12.0), (1.0, 12.0))


def picture(path, width=40, height=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return path


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_ccpd_name():
    plate = ccpd.decode_name(CCPD_NAME)
    assert plate.text == "皖AY339S"
    assert plate.box == (154, 383, 386, 473)
    assert plate.corners == ((154, 383), (363, 402), (386, 473), (177, 454))


def test_ccpd_green_name_has_eight_characters():
    assert ccpd.decode_name(GREEN_NAME).text == "皖BD04069"


def test_ccpd_none_index_is_no_character():
    name = CCPD_NAME.replace("0_0_22_27_27_33_16", "33_24_22_27_27_33_34")
    assert ccpd.decode_name(name).text == "Y339"


@pytest.mark.parametrize(
    "broken",
    ["plate.jpg", CCPD_NAME.replace("386&473_177", "386_177"), CCPD_NAME.replace("_22_", "_35_"),
     CCPD_NAME.replace("_22_", "_"), CCPD_NAME.replace("_22_", "_-1_"),
     CCPD_NAME.replace("_22_", "_x_")],
)
def test_ccpd_malformed_name_is_named(tmp_path, broken):
    touch(tmp_path / "ccpd_base", broken)
    with pytest.raises(DataError, match="ccpd_base") as error:
        list(read(tmp_path))
    assert broken.removesuffix(".jpg") in str(error.value)


def test_ccpd2019_subsets_and_their_splits(tmp_path):
    for subset in ("ccpd_base", "ccpd_weather", "ccpd_tilt"):
        touch(tmp_path / subset, CCPD_NAME, "Thumbs.db")
    picture(tmp_path / "ccpd_np/street.jpg", 60, 30)
    samples = {s.dataset: s for s in read(tmp_path)}
    assert {name: s.split for name, s in samples.items()} == {
        "ccpd_base": Split.TRAIN, "ccpd_weather": Split.DEV, "ccpd_tilt": Split.VAL,
        "ccpd_np": Split.VAL,
    }
    assert (samples["ccpd_np"].plates, samples["ccpd_np"].width) == ((), 60)
    base = samples["ccpd_base"]
    assert (base.width, base.height, base.country, base.crop) == (720, 1160, "CN", False)
    assert base.path == tmp_path / "ccpd_base" / CCPD_NAME
    assert policy("ccpd_tilt") == policy("ccpd_base")


def test_ccpd_split_lists_win(tmp_path):
    other = CCPD_NAME.replace("-15.jpg", "-16.jpg")
    touch(tmp_path / "ccpd_base", CCPD_NAME, other)
    write(tmp_path / "splits/val.txt", f"ccpd_base/{CCPD_NAME}\n\n")
    write(tmp_path / "splits/test.txt", f"ccpd_base/{other}\n")
    assert [s.split for s in read(tmp_path)] == [Split.DEV, Split.VAL]
    assert [s.split for s in read(tmp_path / "ccpd_base")] == [Split.DEV, Split.VAL]
    write(tmp_path / "splits/calib.txt", f"ccpd_base/{other}\n")
    assert [s.split for s in read(tmp_path)] == [Split.DEV, Split.CALIB]


def test_ccpd2020_split_folders(tmp_path):
    for name in ("train", "val", "test"):
        touch(tmp_path / "ccpd_green" / name, GREEN_NAME)
    splits = {s.path.parent.name: s.split for s in read(tmp_path)}
    assert splits == {"train": Split.TRAIN, "val": Split.DEV, "test": Split.VAL}


def test_csv(tmp_path):
    picture(tmp_path / "crops/a.png", 30, 10)
    write(tmp_path / "train.csv", "image_path,plate_text\ncrops/a.png,ab-1 2\n")
    write(tmp_path / "val.csv", "image_path,plate_text\ncrops/a.png,ÄÖÜ1234567890\n")
    first, second = read(tmp_path)
    assert (first.split, second.split) == (Split.TRAIN, Split.VAL)
    assert first.crop and (first.width, first.height) == (30, 10)
    assert first.plates[0].text == "AB12"
    assert first.plates[0].corners == ((0, 0), (30, 0), (30, 10), (0, 10))
    assert second.plates[0].text == "ÄÖÜ1234567890"  # kept: measured as wrong


def test_csv_as_other_programs_write_it(tmp_path):
    """With a space after each comma; with the paths of Windows."""
    picture(tmp_path / "crops/a b.png", 30, 10)
    rows = 'image_path, plate_text, split\n"crops\\a b.png" , AB1, dev\n'
    file = write(tmp_path / "train.csv", rows)
    sample, = read(file)
    assert (sample.plates[0].text, sample.split, sample.width) == ("AB1", Split.DEV, 30)


def test_csv_split_column(tmp_path):
    picture(tmp_path / "a.png")
    rows = "".join(f"a.png,X1,{split}\n" for split in ("train", "val", "test", ""))
    file = write(tmp_path / "all.csv", "image_path,plate_text,split\n" + rows)
    assert [s.split for s in read(file)] == [Split.TRAIN, Split.DEV, Split.VAL, Split.TRAIN]


def test_csv_split_words_may_be_written_otherwise(tmp_path):
    picture(tmp_path / "a.png")
    rows = "".join(f"a.png,X1,{split}\n" for split in ("Train", " VAL", "Test ", "  "))
    file = write(tmp_path / "all.csv", "image_path,plate_text,split\n" + rows)
    assert [s.split for s in read(file)] == [Split.TRAIN, Split.DEV, Split.VAL, Split.TRAIN]


@pytest.mark.parametrize(
    ("content", "message"),
    [("image_path,text\na.png,X\n", "no column plate_text"),
     ("image_path,plate_text\nb.png,X\n", r"all\.csv:2: .*b\.png"),
     ("image_path,plate_text,split\na.png,X,holdout\n", r"all\.csv:2: split 'holdout'"),
     ('image_path,plate_text\na.png,"X\n1"\n\nb.png,X\n', r"all\.csv:5: .*b\.png"),
     ('image_path,plate_text\na.png,"' + 140_000 * "X", r"all\.csv: no valid CSV: .*a quote")],
)
def test_csv_errors_name_the_line(tmp_path, content, message):
    picture(tmp_path / "a.png")
    file = write(tmp_path / "all.csv", content)
    with pytest.raises(DataError, match=message):
        list(read(file))


def test_csv_of_another_encoding(tmp_path):
    (tmp_path / "all.csv").write_bytes("image_path,plate_text,京\n".encode("gbk"))
    with pytest.raises(DataError, match="not UTF-8"):
        read(tmp_path)
    rows = "image_path,plate_text\n" + 2000 * "a.png,AB12\n" + "a.png,京A\n"
    (tmp_path / "all.csv").write_bytes(rows.encode("gbk"))
    with pytest.raises(DataError, match="not UTF-8"):
        list(read(tmp_path))


def coco(**changes):
    keypoints = [value for x, y in QUAD for value in (x, y, 2)]
    annotation = {"image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 10], "keypoints": keypoints}
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 20}],
        "annotations": [annotation | changes],
        "categories": [{"id": 1, "name": "plate"}],
    }


@pytest.mark.parametrize(
    ("file", "image", "split"),
    [("annotations/instances_val.json", "images/a.png", Split.VAL),
     ("annotations/person_keypoints_train2017.json", "images/train/a.png", Split.TRAIN),
     ("test.json", "a.png", Split.VAL), ("plates.json", "images/a.png", Split.TRAIN),
     ("valid/_annotations.coco.json", "valid/a.png", Split.VAL)],
)
def test_coco_layouts(tmp_path, file, image, split):
    write(tmp_path / file, coco(text="ab 12"))
    picture(tmp_path / image)
    (sample,) = read(tmp_path)
    assert (sample.path, sample.split) == (tmp_path / image, split)
    assert (sample.width, sample.height, sample.dataset) == (40, 20, tmp_path.name)
    (plate,) = sample.plates
    assert (plate.box, plate.corners, plate.text) == ((1, 2, 31, 12), QUAD, "AB12")


def test_coco_unlabelled_corner_crowd_and_other_categories(tmp_path):
    content = coco()
    content["annotations"][0]["keypoints"][2] = 0
    content["annotations"] += [
        coco(iscrowd=1)["annotations"][0], coco(category_id=2)["annotations"][0]
    ]
    content["categories"].append({"id": 2, "name": "car"})
    picture(tmp_path / "a.png")
    (sample,) = read(write(tmp_path / "val.json", content))
    assert not sample.complete
    assert [plate.corners for plate in sample.plates] == [None]


def test_coco_box_from_corners(tmp_path):
    content = coco()
    del content["annotations"][0]["bbox"]
    picture(tmp_path / "a.png")
    (sample,) = read(write(tmp_path / "val.json", content))
    assert sample.plates[0].box == (1, 2, 31, 12)


def test_coco_errors(tmp_path):
    file = write(tmp_path / "val.json", coco())
    with pytest.raises(DataError, match=r"picture a\.png is in none of"):
        list(read(file))
    picture(tmp_path / "a.png")
    write(file, coco(keypoints=[1, 2, 3]))
    with pytest.raises(DataError, match="3 keypoint values instead of 12"):
        list(read(file))
    two = coco() | {"categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}]}
    with pytest.raises(DataError, match="none of the categories"):
        list(read(write(file, two)))
    with pytest.raises(DataError, match="no valid JSON"):
        list(read(write(file, "{")))


def yolo_line(visible=None):
    points = [(x / 40, y / 20) for x, y in QUAD]
    values = [0, 16 / 40, 7 / 20, 30 / 40, 10 / 20]
    for point in points:
        values += [*point, *([] if visible is None else [visible])]
    return " ".join(map(str, values)) + "\n"


@pytest.mark.parametrize("visible", [None, 2])
@pytest.mark.parametrize("layout", ["images/{}/a.png", "{}/images/a.png"])
def test_yolo(tmp_path, layout, visible):
    for split in ("train", "val"):
        image = picture(tmp_path / layout.format(split))
        label = str(image.relative_to(tmp_path)).replace("images", "labels").replace("png", "txt")
        write(tmp_path / label, yolo_line(visible) + "\n")
    train, val = sorted(read(tmp_path), key=lambda sample: sample.split)
    assert (train.split, val.split) == (Split.TRAIN, Split.VAL)
    (plate,) = val.plates
    assert plate.box == pytest.approx((1, 2, 31, 12))
    assert np.array(plate.corners) == pytest.approx(np.array(QUAD))
    assert plate.text is None


def test_yolo_background_box_only_and_invisible(tmp_path):
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / f"images/{name}.png")
    write(tmp_path / "labels/b.txt", "0 0.5 0.5 0.2 0.2\n")
    write(tmp_path / "labels/c.txt", yolo_line(visible=0))
    write(tmp_path / "labels/d.txt", "0 0.5 0.5 0.2 0.2" + " 0" * 8)
    samples = list(read(tmp_path))
    assert [len(s.plates) for s in samples] == [0, 1, 1, 1]
    assert all(plate.corners is None for s in samples for plate in s.plates)
    assert {s.split for s in samples} == {Split.TRAIN}


def test_what_a_file_system_hides_beside_a_picture_is_none(tmp_path):
    picture(tmp_path / "images/a.png")
    write(tmp_path / "labels/a.txt", yolo_line())
    write(tmp_path / "images/._a.png", "a Mac's note about it")
    assert [sample.path.name for sample in read(tmp_path)] == ["a.png"]


@pytest.mark.parametrize(
    ("line", "message"),
    [("0 0.5 0.5 0.2", "4 values instead of"), ("0 250 100 30 20", "no fractions"),
     ("0 0.5 nan 0.1 0.1", "no fractions"), ("plate 0.5 0.5 0.1 0.1", "plate")],
)
def test_yolo_errors_name_file_and_line(tmp_path, line, message):
    picture(tmp_path / "images/a.png")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.2\n" + line)
    with pytest.raises(DataError, match=rf"a\.txt:2: .*{message}"):
        list(read(tmp_path))


@pytest.mark.parametrize(
    ("image", "text"), [("images/a.png", "labels/a.txt"), ("ccpd_base/a.jpg", "splits/train.txt")]
)
def test_text_files_of_another_encoding_are_named(tmp_path, image, text):
    picture(tmp_path / image)
    write(tmp_path / text, "").write_bytes("京".encode("gbk"))
    with pytest.raises(DataError, match=rf"{text}: is not UTF-8 .*; save it as UTF-8"):
        list(read(tmp_path))


def test_unreadable_picture_is_named(tmp_path):
    (tmp_path / "labels").mkdir()
    write(tmp_path / "images/a.png", "no picture")
    with pytest.raises(DataError, match=r"a\.png"):
        list(read(tmp_path))


def test_index(tmp_path):
    row = {
        "image": "a.png", "set": "nl_tudelft", "split": "val", "width": 40, "height": 20,
        "complete": False, "plates": [{"box": [1, 2, 31, 12], "corners": QUAD, "text": "AB12"}],
    }
    write(tmp_path / "frames.jsonl", json.dumps(row) + "\n")
    crop = {"image": "b.png", "set": "us", "split": "dev", "width": 9, "height": 4, "text": None}
    write(tmp_path / "crops.jsonl", json.dumps(crop | {"rows": 2}) + "\n")
    frame, cut = read(tmp_path)
    assert (frame.complete, frame.plates[0].corners, frame.crop) == (False, QUAD, False)
    assert (cut.crop, cut.plates[0].text, cut.plates[0].rows) == (True, None, 2)
    assert cut.plates[0].corners == ((0, 0), (9, 0), (9, 4), (0, 4))
    assert cut.path == tmp_path / "b.png"
    write(tmp_path / "frames.jsonl", json.dumps(row) + '\n{"image": "a.png"}\n')
    with pytest.raises(DataError, match=r"frames\.jsonl:2: KeyError"):
        list(read(tmp_path))


def test_unknown_folder_lists_what_is_accepted(tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    (tmp_path / "notes.json").write_text("[1, 2]")
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError) as error:
            read(path)
        for word in ("frames.jsonl", "CCPD", "YOLO", "COCO", "image_path,plate_text"):
            assert word in str(error.value)


def test_shared_data_is_read_whole(data_dir):
    samples = list(read(data_dir))
    assert {s.split for s in samples} == set(Split)
    assert any(s.crop for s in samples) and any(not s.crop for s in samples)
    assert all(s.path.suffix == ".webp" for s in samples)
