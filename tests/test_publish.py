"""Publishing a run's weights: what is fitted on dev, and that the file builds a network again."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge import rereading
from alpr_edge.data.sample import Split
from alpr_edge.errors import ModelError
from alpr_edge.geometry import as_quad
from alpr_edge.metrics import SCORES
from alpr_edge.reader import decode_logits, spellings
from alpr_edge.types import Reading
from training.checkpoint import load_weights, save_weights
from training.detector.model import Detector, DetectorConfig
from training.networks import build
from training.publish import (
    FEWEST,
    MOST_CONFIDENT,
    TEMPERATURES,
    fit_confidence,
    publish,
    refitted,
)
from training.reader.answers import outputs_of, reread
from training.reader.data import evaluation_plates, plain
from training.reader.model import reader_tiny


def make_run(folder, task: str, network) -> None:
    folder.mkdir()
    save_weights(
        folder / "best.safetensors", task=task, config=network.config,
        state=network.state_dict(), notes={"step": 3},
    )
    for name in ("log.csv", "eval.csv"):
        (folder / name).write_text("step\n3\n")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    root.mkdir()
    rows = []
    for number, split in enumerate(["train", "dev", "dev"]):
        cv2.imwrite(str(root / f"{number}.png"), rng.integers(0, 256, (64, 128, 3), np.uint8))
        rows.append({"image": f"{number}.png", "set": "drawn", "split": split,
                     "width": 128, "height": 64})
    crops = "".join(json.dumps(row | {"text": "AB12"}) + "\n" for row in rows)
    plate = {"box": [20, 20, 60, 32], "corners": None, "text": None}
    frames = "".join(json.dumps(row | {"plates": [plate], "complete": True}) + "\n" for row in rows)
    (root / "crops.jsonl").write_text(crops)
    (root / "frames.jsonl").write_text(frames)
    return root


def test_a_reader_gets_its_temperature(tmp_path, data) -> None:
    network = reader_tiny()
    make_run(tmp_path / "run", "reader", network)
    target = tmp_path / "weights" / "reader_tiny.safetensors"
    facts = publish(tmp_path / "run", target, data)
    assert facts["temperature"] in TEMPERATURES
    assert 0 <= facts["confidence_threshold"] <= 1
    assert facts["trained_on"] == ["drawn", "rendered"]
    weights = load_weights(target)
    assert weights.notes == {"step": 3, **facts}
    assert (tmp_path / "weights" / "reader_tiny.log.csv").exists()
    again = build(weights)
    image = torch.zeros(1, 48, 192, 3, dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(again(image)[0], network.eval()(image)[0])


def test_a_detector_gets_its_threshold(tmp_path, data) -> None:
    make_run(tmp_path / "run", "detector",
             Detector(DetectorConfig(channels=8, bifpn_layers=1, head_layers=1)))
    facts = publish(tmp_path / "run", tmp_path / "detector.safetensors", data)
    assert facts["score_threshold"] in SCORES


def test_foreign_weights_are_refused(tmp_path) -> None:
    network = reader_tiny()
    path = tmp_path / "w.safetensors"
    save_weights(path, task="poet", config=network.config, state={}, notes={})
    with pytest.raises(ModelError, match="task 'poet'; allowed: detector, reader"):
        build(load_weights(path))
    save_weights(path, task="reader", config=network.config, state={}, notes={})
    with pytest.raises(ModelError, match="do not fit this version's network"):
        build(load_weights(path))


def test_the_threshold_is_that_of_plates_read_as_the_runtime_does(data, monkeypatch) -> None:
    monkeypatch.setattr(rereading, "HOPELESS", 0.0)
    monkeypatch.setattr(rereading, "UNCERTAIN", 1.1)
    network, items = reader_tiny().eval(), evaluation_plates(data, Split.DEV)
    outputs = outputs_of(network, np.stack([plain(item) for item in items]))
    told = reread(network, items, outputs)
    for number, (item, reading) in enumerate(zip(items, told, strict=True)):
        logits, tokens, rows = (part[number : number + 1] for part in outputs)
        [first] = decode_logits(logits, tokens, rows.argmax(-1) + 1, 1.0)
        shown = rereading.views(item.image, as_quad(item.quads[0]), plain(item), first)
        more = spellings(*outputs_of(network, np.stack(shown.pictures))[:2], 1.0)
        looks = spellings(logits, tokens, 1.0)
        [expected] = rereading.settled([first], [shown], looks, more)
        assert (reading.text, reading.rows) == (expected.text, expected.rows)
        assert reading.confidence == pytest.approx(expected.confidence, rel=1e-3)
    everything = [dataclasses.replace(item, text=one.text)
                  for item, one in zip(items, told, strict=True)]
    facts = fit_confidence(network, everything)
    told = reread(network, items, outputs, facts["temperature"])
    lowest = min(reading.confidence for reading in told)
    assert facts["confidence_threshold"] == pytest.approx(lowest, abs=0.02)


def test_few_plates_keep_the_confidence_that_was_fitted_before(data):
    network, items = reader_tiny().eval(), evaluation_plates(data, Split.DEV)
    before = {"temperature": 1.3, "confidence_threshold": 0.6, "other": 1}
    assert refitted(network, items[:2], before) == {"temperature": 1.3, "confidence_threshold": 0.6}
    assert refitted(network, items[:2], {}) == fit_confidence(network, items[:2])
    many = [items[0]] * FEWEST
    assert refitted(network, many, before) == fit_confidence(network, many)


def test_a_threshold_hides_nothing_that_is_nearly_certain(data, monkeypatch):
    items = evaluation_plates(data, Split.DEV)
    sure = [Reading(text=item.text, confidence=0.9999, char_confidences=(), rows=1)
            for item in items]
    monkeypatch.setattr("training.publish.reread", lambda *_: sure)
    assert fit_confidence(reader_tiny().eval(), items)["confidence_threshold"] == MOST_CONFIDENT
