"""A reader grown deeper reads the same and can learn on."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.errors import ExitCode, ModelError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from training.__main__ import main
from training.checkpoint import load_weights, save_weights
from training.detector.model import detector_edge
from training.networks import build
from training.reader.grow import check, grown
from training.reader.model import VARIANTS, Reader, reader_edge, reader_seed, reader_tiny

TINY = reader_tiny().config
DEEP = dataclasses.replace(TINY, encoder_layers=3, stem_depth=4)


@pytest.fixture
def plates() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (8, PLATE_HEIGHT, PLATE_WIDTH, 3), np.uint8))


@pytest.fixture
def began(plates) -> Reader:
    """A reader whose batch norms have seen plates."""
    torch.manual_seed(0)
    network = reader_tiny()
    for _ in range(100):
        network(plates)
    return network.eval()


def test_a_grown_reader_answers_the_same(began, plates) -> None:
    made = grown(began, DEEP, plates)
    assert len(made.encoder.blocks) == 3 and len(made.encoder.embed.layers) == 10
    unseen = plates.flip(0, 2)
    with torch.inference_mode():
        for old, new in zip(began(unseen), made(unseen), strict=True):
            torch.testing.assert_close(new, old, atol=1e-4, rtol=1e-4)
        made.train()  # the batch's own statistics: what is new undoes those, too
        began.train()
        torch.testing.assert_close(made(plates)[1], began(plates)[1], atol=2e-2, rtol=2e-2)


def test_what_is_new_learns(began, plates) -> None:
    made = grown(began, DEEP, plates).train()
    made(plates)[1].square().sum().backward()
    for name in ("encoder.blocks.2.mlp.3.weight", "encoder.blocks.1.attention.out.weight",
                 "encoder.embed.layers.4.0.weight", "encoder.embed.layers.8.1.weight"):
        assert made.get_parameter(name).grad.abs().max() > 0, name


def test_without_a_stem_the_encoder_grows(plates) -> None:
    config = dataclasses.replace(TINY, stem=(), bands=1, patch_width=4)
    torch.manual_seed(1)
    began = Reader(config).eval()
    made = grown(began, dataclasses.replace(config, encoder_layers=2), plates)
    with torch.inference_mode():
        torch.testing.assert_close(made(plates)[0], began(plates)[0])


def test_only_depth_may_differ(tmp_path) -> None:
    check(TINY, dataclasses.replace(DEEP, dropout=0.3), tmp_path)
    for began, config, why in (
        (TINY, reader_edge().config, "more than its depth"),
        (dataclasses.replace(TINY, mlp_widths=(64, 128)), DEEP, "not pruned"),
        (DEEP, TINY, "at least as deep"),
        (dataclasses.replace(TINY, stem_depth=3), dataclasses.replace(TINY, encoder_layers=2),
         "stem of depth 3"),
    ):
        with pytest.raises(ModelError, match=why):
            check(began, config, tmp_path)


@pytest.fixture
def data(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    row = {"image": "a.png", "set": "drawn", "split": "calib", "width": 128, "height": 64}
    (tmp_path / "crops.jsonl").write_text(json.dumps(row | {"text": "AB12"}) + "\n")
    return tmp_path


def test_the_command_writes_weights_to_go_on_from(data, began, monkeypatch, capsys) -> None:
    monkeypatch.setitem(VARIANTS, "deeper", lambda: Reader(DEEP))
    start, to = data / "start.safetensors", data / "deep.safetensors"
    save_weights(start, task="reader", config=TINY, state=began.state_dict(), notes={"step": 3})
    arguments = ["grow", "--data", str(data), "--start", str(start), "--to", str(to)]
    assert main([*arguments, "--variant", "deeper"]) == ExitCode.OK
    assert "differ by" in capsys.readouterr().out
    weights = load_weights(to)
    assert weights.notes["step"] == 3
    assert weights.notes["grown"] == {"of": load_weights(start).sha256, "variant": "deeper"}
    assert build(weights).config == DEEP
    assert main([*arguments, "--variant", "huge"]) == ExitCode.USAGE
    assert "'huge'" in capsys.readouterr().err


def test_a_detector_cannot_grow(data, capsys) -> None:
    network, start = detector_edge(), data / "detector.safetensors"
    save_weights(start, task="detector", config=network.config, state=network.state_dict(),
                 notes={})
    code = main(["grow", "--data", str(data), "--start", str(start), "--to", str(data / "x")])
    assert code == ExitCode.MODEL
    assert "weights of a detector" in capsys.readouterr().err
    assert not (data / "x").exists()


def test_a_stems_depth_is_counted() -> None:
    assert len(dataclasses.replace(reader_edge().config, stem_depth=3).convolutions) == 7
    assert reader_seed().config.convolutions == ()
    with pytest.raises(ValueError, match="stem_widths has 5 entries, needed: 7"):
        dataclasses.replace(DEEP, stem_depth=3, stem_widths=(8, 8, 8, 16, 16))
