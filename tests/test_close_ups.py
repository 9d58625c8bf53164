"""Training of the closer look: close-ups of train frames, and what a detector finds as a data
folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny

torch = pytest.importorskip("torch")

from alpr_edge.data import read
from alpr_edge.errors import DataError, ExitCode, OutputError, UsageError
from training.__main__ import main
from training.average import average
from training.checkpoint import BEST, LAST, load_weights, save_weights
from training.detector import close_ups as making
from training.detector.close_ups import (
    HEIGHT,
    WIDTH,
    candidates_of,
    dev_candidates,
    evaluate,
    finder,
    results,
    write_close_ups,
)
from training.detector.closer import CLOSER, CloseConfig, CloseUps
from training.detector.model import Detector, DetectorConfig
from training.publish import publish

PLATE = [160, 180, 480, 300]
"""What the tiny detector finds in a picture of 720 x 480, a bit off."""
PLAIN = CloseConfig(paste=0, distract=0, flip=0, strength=0, zoom=0, beside=0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Frames of 720 x 480 with a white plate, one of each split."""
    root = tmp_path / "data"
    root.mkdir()
    lines = []
    for split in ("train", "calib", "dev"):
        image = np.zeros((480, 720, 3), np.uint8)
        cv2.rectangle(image, PLATE[:2], PLATE[2:], (255, 255, 255), -1)
        cv2.imwrite(str(root / f"{split}.png"), image)
        x1, y1, x2, y2 = PLATE
        row = {"image": f"{split}.png", "set": "ccpd_base", "split": split, "width": 720,
               "height": 480, "complete": True, "plates": [{
                   "box": PLATE, "corners": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]], "text": None,
               }]}
        lines.append(json.dumps(row) + "\n")
    (root / "frames.jsonl").write_text("".join(lines))
    return root


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return tiny.build_detector(tmp_path / "detector")


def network() -> Detector:
    torch.manual_seed(0)
    return Detector(DetectorConfig(channels=16, bifpn_layers=1)).eval()


def test_a_plate_is_in_the_middle(data: Path) -> None:
    close_ups = CloseUps(data, dataclasses.replace(PLAIN, plate=1.0), seed=0)
    for seed in range(5):
        image, plates, complete = close_ups.picture(np.random.default_rng(seed))
        assert image.shape == (HEIGHT, WIDTH, 3) and complete
        [box] = plates.boxes
        np.testing.assert_allclose((box[:2] + box[2:]) / 2, [96, 64], atol=12)
        assert image[64, 96].min() > 200


def test_or_a_place_that_the_detector_took_for_one(data: Path) -> None:
    config = dataclasses.replace(PLAIN, plate=0.0, place=1.0)
    places = {data / "train.png": [(600.0, 20.0, 640.0, 40.0)]}
    close_ups = CloseUps(data, config, seed=0, places=places)
    for seed in range(5):
        image, plates, _ = close_ups.picture(np.random.default_rng(seed))
        assert not len(plates.boxes) and image[40:90, 60:130].max() == 0


def test_or_any_place_at_all(data: Path) -> None:
    close_ups = CloseUps(data, dataclasses.replace(PLAIN, plate=0.0), seed=0)
    assert {
        len(close_ups.picture(np.random.default_rng(seed))[1].boxes) for seed in range(20)
    } == {0, 1}


def test_batches_are_what_the_loss_takes(data: Path) -> None:
    batch = next(iter(CloseUps(data, CloseConfig(batch=2), seed=0)))
    assert batch["images"].shape == (2, HEIGHT, WIDTH, 3)
    losses = network().loss(batch)
    assert all(torch.isfinite(value) for value in losses.values())


def test_every_candidate_is_judged_after_the_closer_look(data: Path, detector: Path) -> None:
    frames = [sample for sample in read(data) if sample.split == "dev"]
    [one] = candidates_of(finder(detector), frames)
    assert len(one.detections) == 1 and one.close_ups.shape == (1, HEIGHT, WIDTH, 3)

    class Sees(torch.nn.Module):
        """The plate where it is, in every close-up."""

        def forward(self, images):
            [mapping] = one.mappings
            box = torch.from_numpy(mapping.forward(np.reshape(PLATE, (2, 2)).astype(float)))
            corners = box.reshape(4)[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(1, 1, 4, 2)
            return torch.ones(1, 1), box.reshape(1, 1, 4), corners, torch.zeros(1, 1)

    [found] = results(Sees(), [one])
    mean = (np.array(one.detections[0].box) + PLATE) / 2
    np.testing.assert_allclose(found.detections[0].box, mean, atol=1e-3)
    figures = evaluate(Sees(), [one])
    assert figures["recall"] == 1 and figures["corner_median"] == pytest.approx(0, abs=1e-5)


def test_candidates_become_frames_of_a_data_folder(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    assert write_close_ups(data, detector, tmp_path / "out") == 2
    frames = list(read(tmp_path / "out"))
    assert [frame.split for frame in frames] == ["calib", "dev"]
    for frame in frames:
        assert (frame.width, frame.height, frame.dataset) == (WIDTH, HEIGHT, "ccpd_base")
        image = cv2.imread(str(frame.path))
        [plate] = frame.plates
        x1, y1, x2, y2 = (round(side) for side in plate.box)
        assert image[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3].min() > 200
        assert image[: y1 - 3].max() < 60 and plate.corners is not None
    with pytest.raises(OutputError, match="not empty"):
        write_close_ups(data, detector, tmp_path / "out")
    (data / "frames.jsonl").write_text("")
    with pytest.raises(DataError, match="no frame"):
        write_close_ups(data, detector, tmp_path / "other")


def test_what_the_detector_took_for_a_plate_has_none(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    index = data / "frames.jsonl"
    rows = [json.loads(line) | {"plates": []} for line in index.read_text().splitlines()]
    index.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_close_ups(data, detector, tmp_path / "out")
    assert all(not frame.plates for frame in read(tmp_path / "out"))


def test_its_threshold_is_fitted_on_what_the_detector_finds(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    model = network()
    save_weights(run / "best.safetensors", task="detector", config=model.config,
                 state=model.state_dict(), notes={"variant": CLOSER})
    for name in ("log.csv", "eval.csv"):
        (run / name).write_text("step\n")
    target = tmp_path / "detector_closer.safetensors"
    with pytest.raises(UsageError, match="--detector"):
        publish(run, target, data)
    facts = publish(run, target, data, detector)
    assert 0 <= facts["score_threshold"] <= 1
    assert load_weights(target).notes["variant"] == CLOSER


def test_averaged_weights_of_a_closer_look_are_judged_as_one(
    data: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = network()
    for name in (BEST, LAST, "start"):
        save_weights(tmp_path / name, task="detector", config=model.config,
                     state=model.state_dict(), notes={"variant": CLOSER, "dev": {"score": 1.0}})
    given = ["average", "--data", str(data), "--run", str(tmp_path), "--start",
             str(tmp_path / "start"), "--threads", "1", "--shares", "0.5"]
    assert main(given) == ExitCode.USAGE
    assert "add --detector DIR" in capsys.readouterr().err
    found = average(tmp_path, tmp_path / "start", data, [0.5], threads=1, detector=detector)
    assert found.figures[0.5] == evaluate(model, dev_candidates(data, detector))
    assert main([*given, "--detector", str(detector)]) == ExitCode.OK


def test_a_detector_that_finds_nothing_is_told(
    data: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "candidates_of", lambda _, frames: [
        making.Candidates(sample=frame, detections=(), close_ups=np.zeros((0,)), mappings=())
        for frame in frames
    ])
    with pytest.raises(DataError, match="finds nothing in the . dev frames"):
        dev_candidates(data, detector)


def test_a_run_writes_weights_that_say_what_they_are(
    data: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    start = tmp_path / "start.safetensors"
    save_weights(start, task="detector", config=model.config, state=model.state_dict(), notes={})
    places = tmp_path / "places.jsonl"
    places.write_text(json.dumps({"image": "train.png", "box": [600, 20, 640, 40]}) + "\n")
    monkeypatch.setattr("training.detector.closer.STEPS", 2)
    monkeypatch.setattr("training.detector.closer.CloseConfig", lambda: CloseConfig(batch=2))
    run = tmp_path / "run"
    assert main(["closer", "--data", str(data), "--run", str(run), "--start", str(start),
                 "--detector", str(detector), "--places", str(places), "--minutes", "0.01",
                 "--workers", "0", "--lr", "1e-4"]) == 0
    notes = load_weights(run / "best.safetensors").notes
    assert notes["variant"] == CLOSER and notes["places"] == 1
    assert main(["close-ups", "--data", str(data), "--detector", str(detector),
                 "--out", str(tmp_path / "out")]) == 0
