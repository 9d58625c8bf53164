"""The origin's design beside ours: the same stages, untrained, at two sizes."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from alpr_edge.detector import PlateDetector
from alpr_edge.errors import DataError, ExitCode, LibraryError
from alpr_edge.reader import PlateReader
from alpr_edge.stages import Stage
from benchmarks import origin_tables
from training import origin, torch_cap
from training.__main__ import main
from training.detector.model import Detector, DetectorConfig
from training.reader.model import reader_tiny

SIZE = (64, 96)


@pytest.fixture
def entered(tiny_models, monkeypatch) -> list[origin.Contestant]:
    torch.manual_seed(0)
    detector = Detector(DetectorConfig(channels=16, bifpn_layers=1, head_layers=1))
    found = [
        origin.Contestant(
            name=origin.OURS, size=SIZE, untrained=False,
            detector=PlateDetector(tiny_models / "detector", threads=1),
            reader=PlateReader(tiny_models / "reader", threads=1),
        ),
        origin.Contestant(
            name="origin", size=SIZE, untrained=True,
            detector=origin.TorchDetector(detector, SIZE), reader=origin.TorchReader(reader_tiny()),
        ),
    ]
    monkeypatch.setattr(origin, "contestants", lambda threads: found)
    monkeypatch.setattr(origin, "REST", 0)
    return found


def test_decoding_all_cells_is_what_our_graph_decodes(entered, frame, monkeypatch):
    monkeypatch.setattr(origin, "MIN_SCORE", 0.0)
    monkeypatch.setattr(origin, "NMS_IOU", 1.0)
    detector = entered[1].detector
    framed = detector.letterbox(frame)
    found = detector.postprocess(detector.infer(framed), framed)
    with torch.inference_mode():
        scores, boxes, corners, _ = detector._network(torch.from_numpy(framed.frame))
    assert len(found) == scores.shape[1]
    scale = 2  # the frame is twice the input
    for index in (0, 7, len(found) - 1):
        assert found[index].confidence == pytest.approx(float(scores[0, index]), abs=1e-6)
        near = min(found, key=lambda one: np.abs(
            np.array(one.box) - scale * boxes[0, index].numpy()).max())
        assert near.box == pytest.approx((scale * boxes[0, index]).tolist(), abs=1e-3)
        assert np.array(near.corners) == pytest.approx(scale * corners[0, index].numpy(), abs=1e-3)


def test_every_stage_of_a_run_is_stamped_and_the_given_plate_is_read(entered, frame):
    plate = entered[0].detector.predict(frame)[0]
    for contestant in entered:
        ms = origin.run(contestant, frame, plate)
        assert list(ms) == [s for s in Stage if s not in (Stage.LOAD, Stage.TOTAL)]
        assert all(value > 0 for value in ms.values())


def test_report_table_and_multiples(entered, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(origin.isa, "verify_isa", lambda target: f"{target}, as told")
    monkeypatch.setattr(origin, "is_effective", lambda target: True)
    out = tmp_path / "origin.json"
    assert main(["origin", "--threads", "1", "--runs", "20", "--isa", "zen2",
                 "--out", str(out)]) == ExitCode.OK
    assert "random weights" in capsys.readouterr().out
    found = json.loads(out.read_text("utf-8"))
    assert found["command"] == "python -m training origin --threads 1 --runs 20 --isa zen2"
    ours, other = (model["cases"][origin.CASE] for model in found["models"])
    assert [model["untrained"] for model in found["models"]] == [False, True]
    for part in origin.PARTS:
        assert len(other["parts"][part]) == 20
        assert other[part]["p50"] == pytest.approx(np.median(other["parts"][part]), abs=1e-3)
        assert found["multiples"]["origin"][part] == pytest.approx(
            other[part]["p50"] / ours[part]["p50"], abs=0.01)
    assert other["samples"] == other["parts"]["total"]
    table = origin_tables.markdown(found).splitlines()
    assert table[-1].startswith("| origin, 64 x 96 (random weights: latency only) |")
    assert table[-1].count("x, ") == 3 and "x, " not in table[-2]


def test_multiples_by_hand():
    def model(name: str, *medians: float) -> dict:
        return {"name": name, "cases": {origin.CASE: {
            part: {"p50": median} for part, median in zip(origin.PARTS, medians, strict=True)}}}

    found = origin.multiples([model("ours", 8, 2, 10), model("origin", 40, 50, 90)])
    assert found == {"origin": {"detection": 5, "reading": 25, "total": 9}}


def test_another_instruction_set_is_measured_in_a_capped_child(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(origin.isa, "verify_isa", lambda target: target)
    monkeypatch.setattr(origin.subprocess, "call",
                        lambda words, env: seen.append((words[1:], env)) or 3)
    monkeypatch.delenv(torch_cap.ATEN_CAP, raising=False)
    assert main(["origin", "--isa", "zen2"]) == 3
    words, environment = seen[0]
    assert words == ["-m", "training", "origin", "--threads", "2", "--runs", "50", "--isa", "zen2"]
    assert environment[torch_cap.ATEN_CAP] == "avx2"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert torch_cap.is_effective("zen2") and not torch_cap.is_effective("native")


def test_errors_say_what_to_do(entered, monkeypatch, tmp_path, capsys):
    assert main(["origin", "--runs", "0"]) == ExitCode.USAGE
    assert main(["origin", "--out", str(tmp_path / "no" / "o.json")]) == ExitCode.OUTPUT
    assert "make it first" in capsys.readouterr().err
    monkeypatch.setattr(origin, "DEMO", tmp_path)
    with pytest.raises(DataError, match="no picture with a plate"):
        origin.scenes(entered[0].detector)
    monkeypatch.setenv(torch_cap.ATEN_CAP, "nonsense")
    with pytest.raises(LibraryError, match="needed: nonsense"):
        origin.report(1, 1, "native")
