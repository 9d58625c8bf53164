"""Pseudo-labels: what readers that are made up agree on."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.data import Split, read
from alpr_edge.errors import DataError, ExitCode, ModelError
from alpr_edge.geometry import rectify, whole
from alpr_edge.reader import decode_logits
from alpr_edge.types import Reading
from training.__main__ import main
from training.checkpoint import save_weights
from training.pseudo import (
    VIEWS,
    agreed,
    answers,
    findings,
    load_reader,
    views,
    write_pseudo,
)
from training.reader.data import load_plates
from training.reader.model import IGNORE, reader_tiny
from training.selection import Selection, select, with_pseudo


def reading(text: str, confidence: float = 0.95, rows: int = 1) -> Reading:
    return Reading(text=text, confidence=confidence, char_confidences=(), rows=rows)


def data_of(folder: Path, crops: list[dict]) -> Path:
    """A folder whose i-th cut-out is all of grey value i."""
    folder.mkdir()
    rows = []
    for grey, facts in enumerate(crops):
        cv2.imwrite(str(folder / f"{grey}.png"), np.full((20, 60, 3), grey, np.uint8))
        row = {"image": f"{grey}.png", "set": "here", "split": "train", "text": None,
               "width": 60, "height": 20}
        rows.append(json.dumps(row | facts, ensure_ascii=False) + "\n")
    (folder / "crops.jsonl").write_text("".join(rows), "utf-8")
    return folder


def by_grey(answers: dict[int, Reading], second: dict[int, Reading] | None = None):
    """A reader that answers by a plate's grey value; ``second``: otherwise for the second view."""
    def read_plates(plates):
        assert plates.shape[1:] == (48, 192, 3)
        found = []
        for index, grey in enumerate(plates[:, 24, 96, 0].tolist()):
            other = second or {}
            shrunk = index % len(VIEWS) == 1
            found.append(other[grey] if shrunk and grey in other else answers[grey])
        return found
    return read_plates


def listed(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_agreed_by_hand() -> None:
    assert agreed([reading("AB1", 0.99), reading("AB1", 0.91)]) == reading("AB1", 0.91)
    assert agreed([reading("AB1"), reading("AB7")]) is None
    assert agreed([reading(""), reading("")]) is None
    mixed = agreed([reading("AB1", rows=1), reading("AB1", rows=2)])
    assert mixed is not None
    assert mixed.rows is None


def test_the_first_view_is_plain_and_the_second_lies_inside() -> None:
    ramp = np.arange(200, dtype=np.uint8)  # grey value = x
    image = np.repeat(np.tile(ramp, (50, 1))[..., None], 3, axis=2)
    plain, shrunk = views(image)
    np.testing.assert_array_equal(plain, rectify(image, whole(image)))
    assert shrunk[24, 0, 0] == pytest.approx(0.025 * 200, abs=1)
    assert shrunk[24, -1, 0] == pytest.approx(0.985 * 200, abs=1.5)


def test_every_cut_out_gets_its_own_reading_across_batches(tmp_path) -> None:
    data = data_of(tmp_path / "data", [{} for _ in range(70)])
    given = {grey: reading(f"A{grey}") for grey in range(70)}
    found = list(findings(answers(read(data), [by_grey(given)]), 0.9))
    assert [f.reading.text for f in found] == [f"A{grey}" for grey in range(70)]
    assert [f.sample.path.stem for f in found] == [str(grey) for grey in range(70)]


def test_pseudo_labels_are_what_all_readers_and_views_agree_on(tmp_path, capsys) -> None:
    data = data_of(tmp_path / "data", [
        {"set": "far"},            # kept
        {},                        # the readers differ
        {},                        # the views differ
        {},                        # not sure enough
        {},                        # text of a val plate
        {"text": "VAL1", "split": "val"},
        {"text": "AB1"},           # has a text
        {},                        # kept, at the least confidence
    ])
    ours = {g: reading("AB1", 0.99) for g in (0, 1, 2)} | {
        3: reading("AB3", 0.89), 4: reading("VAL1"), 7: reading("皖A1", 0.9, rows=2),
    }
    one = by_grey(ours, {2: reading("AB7")})
    two = by_grey(ours | {0: reading("AB1", 0.97), 1: reading("AB2")})
    out = tmp_path / "pseudo.jsonl"
    assert write_pseudo(data, [one, two], out, 0.9) == 2
    assert listed(out) == [
        {"image": "0.png", "set": "far", "text": "AB1", "rows": 1, "confidence": 0.97},
        {"image": "7.png", "set": "here", "text": "皖A1", "rows": 2, "confidence": 0.9},
    ]
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert told[:3] == ["far 1 of 1", "here 1 of 5", "all 2 of 6"]
    assert told[3].startswith("1 more left out")
    sheet = cv2.imread(str(out.with_suffix(".png")))
    assert sheet.shape == (84 + 18 + 8, 7 * 196 + 4, 3)


def test_the_rest_is_listed_and_drawn_for_a_person(tmp_path, capsys) -> None:
    data = data_of(tmp_path / "data", [
        {"set": "b"}, {"set": "a"}, {"set": "a"}, {"set": "a"}, {"text": "VAL1", "split": "val"},
    ])
    one = by_grey({
        0: reading("AB1"), 1: reading("AB2", 0.3), 2: reading("AB3", 0.5), 3: reading("VAL1", 0.4),
    })
    two = by_grey({
        0: reading("AB1"), 1: reading("AB4", 0.4), 2: reading("AB5", 0.2), 3: reading("AB6", 0.1),
    })
    rest = tmp_path / "rest.jsonl"
    assert write_pseudo(data, [one, two], tmp_path / "pseudo.jsonl", 0.9, rest) == 1
    assert [(row["image"], row["text"], row["confidence"]) for row in listed(rest)] == [
        ("2.png", "AB3", 0.5), ("1.png", "AB4", 0.4),
    ]
    assert cv2.imread(str(tmp_path / "rest-1.png")) is not None
    assert "2 not agreed on" in capsys.readouterr().out
    told = [*(tmp_path / "pseudo.jsonl").read_text("utf-8").splitlines(),
            '{"image": "1.png", "text": "AB7", "rows": 2}']
    (tmp_path / "both.jsonl").write_text("\n".join([*rest.read_text("utf-8").splitlines(), *told]))
    samples = list(with_pseudo(read(data), data, tmp_path / "both.jsonl"))
    assert [s.plates[0].text for s in samples] == ["AB1", "AB7", "AB3", None, "VAL1"]


def test_nothing_found_is_an_empty_list(tmp_path) -> None:
    data = data_of(tmp_path / "data", [{}])
    out = tmp_path / "pseudo.jsonl"
    assert write_pseudo(data, [by_grey({0: reading("AB1", 0.2)})], out, 0.9) == 0
    assert out.read_text("utf-8") == ""
    assert not out.with_suffix(".png").exists()


def test_a_picture_that_cannot_be_read_is_told_and_left_out(tmp_path, capsys) -> None:
    data = data_of(tmp_path / "data", [{}, {}])
    (data / "0.png").write_bytes(b"no picture")
    found = list(findings(answers(read(data), [by_grey({1: reading("AB1")})]), 0.9))
    assert [f.sample.path.name for f in found] == ["1.png"]
    assert "0.png: is no picture" in capsys.readouterr().err


def test_training_takes_the_listed_texts_into_the_set_they_belong_to(tmp_path) -> None:
    data = data_of(tmp_path / "data", [
        {"set": "us", "text": "AB1", "rows": 1}, {"set": "us_untexted"}, {"set": "us_untexted"},
        {"set": "br"},
    ])
    answers = {1: reading("AB2", rows=2), 2: reading("AB3", 0.1), 3: reading("AB4")}
    out = tmp_path / "pseudo.jsonl"
    one = by_grey(answers)
    two = by_grey(answers | {3: reading("AB4", rows=2)})
    write_pseudo(data, [one, two], out, 0.9)
    selected = select(data, Selection(pseudo=out))
    assert selected.pseudo_sets == ("br", "us_untexted")
    items, dropped = load_plates(selected.samples, Split.TRAIN)
    assert [(item.dataset, item.text, item.rows) for item in items] == [
        ("us", "AB1", 0), ("us", "AB2", 1), ("br", "AB4", IGNORE),
    ]
    assert not dropped


def test_a_list_of_other_data_is_refused(tmp_path) -> None:
    data = data_of(tmp_path / "data", [{"text": "AB1"}])
    out = tmp_path / "pseudo.jsonl"
    out.write_text('{"image": "0.png", "text": "AB1", "rows": null}\n', "utf-8")
    with pytest.raises(DataError, match=r"1 listed pictures, such as 0\.png"):
        list(with_pseudo(read(data), data, out))


@pytest.mark.parametrize("line", [
    "{", "[]", '{"image": "a.png"}', '{"image": "a.png", "text": "a?", "rows": 1}',
    '{"image": "a.png", "text": "A1", "rows": 3}', '{"image": "a.png", "text": null, "rows": 1}',
])
def test_a_malformed_list_names_its_line(line, tmp_path) -> None:
    out = tmp_path / "pseudo.jsonl"
    out.write_text('{"image": "b.png", "text": "AB1", "rows": null}\n' + line + "\n", "utf-8")
    with pytest.raises(DataError, match=r"pseudo\.jsonl:2: "):
        list(with_pseudo([], tmp_path, out))


def test_a_reader_reads_with_the_temperature_of_its_notes(tmp_path) -> None:
    torch.manual_seed(0)
    model = reader_tiny().eval()
    path = tmp_path / "reader.safetensors"
    facts = {"task": "reader", "config": model.config, "state": model.state_dict()}
    save_weights(path, notes={}, **facts)
    with pytest.raises(ModelError, match="temperature"):
        load_reader(path)
    save_weights(path, notes={"temperature": 1.7}, **facts)
    plates = np.random.default_rng(0).integers(0, 256, (3, 48, 192, 3), np.uint8)
    with torch.inference_mode():
        logits, tokens, rows = (part.numpy() for part in model(torch.from_numpy(plates)))
    expected = decode_logits(logits, tokens, rows.argmax(-1) + 1, 1.7)
    assert load_reader(path)(plates) == expected


@pytest.mark.parametrize(("command", "data", "out", "least", "code", "told"), [
    ("pseudo", [{}], "p.jsonl", "1.5", ExitCode.USAGE, "0 to 1"),
    ("pseudo", [{}], "p.png", "0.9", ExitCode.USAGE, ".jsonl"),
    ("pseudo", [{}], "absent/p.jsonl", "0.9", ExitCode.OUTPUT, "make it first"),
    ("pseudo", [{"text": "AB1"}], "p.jsonl", "0.9", ExitCode.USAGE, "every cut-out"),
    ("suspects", [{}], "p.jsonl", "0.9", ExitCode.USAGE, "no cut-out has a text"),
])
def test_wrong_use_is_told(
    command, data, out, least, code, told, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("training.pseudo.load_reader", lambda path: by_grey({}))
    folder = data_of(tmp_path / "data", data)
    arguments = ["--data", str(folder), "--weights", "w", "--out", str(tmp_path / out)]
    assert main([command, *arguments, "--least", least]) == code
    assert told in capsys.readouterr().err


def test_both_readers_of_the_command_line_are_asked(tmp_path, monkeypatch) -> None:
    answers = {"a": reading("AB1", 0.99), "b": reading("AB1", 0.93)}
    monkeypatch.setattr(
        "training.pseudo.load_reader", lambda path: by_grey({0: answers[str(path)]})
    )
    data, out = data_of(tmp_path / "data", [{}]), tmp_path / "p.jsonl"
    weights = ["--weights", "a", "--weights", "b"]
    assert main(["pseudo", "--data", str(data), *weights, "--out", str(out)]) == ExitCode.OK
    assert [row["confidence"] for row in listed(out)] == [0.93]


def test_training_with_a_list_that_is_absent_is_told(tmp_path, capsys) -> None:
    data = data_of(tmp_path / "data", [{}])
    arguments = ["--data", str(data), "--run", str(tmp_path / "run"), "--variant", "tiny"]
    assert main(["reader", *arguments, "--pseudo", str(tmp_path / "p.jsonl")]) == ExitCode.USAGE
    assert "p.jsonl cannot be read" in capsys.readouterr().err
