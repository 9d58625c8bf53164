"""Averaged weights: by hand, and chosen on dev."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.errors import ExitCode, ModelError, UsageError
from training import average as averaging
from training.__main__ import main
from training.average import average, mixed
from training.checkpoint import BEST, LAST, data_hash, load_weights, save_weights
from training.detector.closer import closer_loop
from training.detector.train import edge_loop
from training.finetune import finetune_recipe
from training.networks import CHOOSE
from training.reader.model import Reader, ReaderConfig, reader_tiny
from training.reader.train import edge_recipe, polish_recipe


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    cv2.imwrite(str(root / "a.png"), picture)
    row = {"image": "a.png", "set": "drawn", "split": "dev", "width": 128, "height": 64}
    (root / "crops.jsonl").write_text(json.dumps(row | {"text": "AB12"}) + "\n")
    return root


@pytest.fixture
def run_dir(tmp_path):
    """A run whose latest weights are 3 everywhere, begun with weights of 1."""
    for name, value, step in ((BEST, 3.0, 4), (LAST, 3.0, 7), ("start", 1.0, 2)):
        save(tmp_path / "run" / name, reader_tiny(), value, step)
    return tmp_path / "run"


def save(path, network: Reader, value: float, step: int = 7) -> None:
    state = {name: torch.full_like(tensor, value) for name, tensor in network.state_dict().items()}
    save_weights(path, task="reader", config=network.config, state=state,
                 notes={"step": step, "dev": {"exact": 0.5}})


def test_mixed_by_hand():
    first = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(5)}
    second = {"w": torch.tensor([3.0, 6.0]), "n": torch.tensor(9)}
    found = mixed(first, second, 0.25)
    assert found["w"].tolist() == [1.5, 3.0] and found["n"].item() == 9


@pytest.mark.parametrize(("exact", "replaced", "weight"), [
    ({1.5: 0.6, 2.0: 0.9, 2.5: 0.7, 3.0: 0.8}, True, 2.0),  # by the weights' value: shares
    ({1.5: 0.4, 2.0: 0.5, 2.5: 0.3, 3.0: 0.5}, False, 3.0),
])
def test_the_best_mixture_on_dev_replaces_a_worse_best(
    run_dir, data, monkeypatch, exact, replaced, weight
):
    def judge(network):
        return {"exact": exact[float(network.head.bias[0].detach())]}

    monkeypatch.setattr(averaging, "judge_of", lambda *_: judge)
    made = average(run_dir, run_dir / "start", data, [0.25, 0.5, 0.75], threads=1)
    assert made.replaced is replaced
    assert list(made.figures) == [0.25, 0.5, 0.75]
    best = load_weights(run_dir / BEST)
    assert best.state["head.bias"][0] == weight
    assert best.notes["step"] == (7 if replaced else 4)  # of the weights it is mixed of
    if replaced:
        assert best.notes["dev"] == {"exact": 0.9} and best.notes["averaged"]["share"] == 0.5


def test_the_command_judges_on_dev(run_dir, data, capsys):
    arguments = ["--data", str(data), "--run", str(run_dir), "--start", str(run_dir / "start")]
    assert main(["average", *arguments, "--shares", "0.5", "--threads", "1"]) == 0
    told = capsys.readouterr().out
    assert "0.5 of the run: exact 0.0000 on dev" in told and "none is better" in told


def test_the_figure_that_decides_is_the_recipes():
    assert {recipe().loop.choose for recipe in (edge_recipe, polish_recipe)} == {CHOOSE["reader"]}
    assert finetune_recipe(1).loop.choose == CHOOSE["reader"]
    assert {recipe().choose for recipe in (edge_loop, closer_loop)} == {CHOOSE["detector"]}


def test_a_share_that_was_asked_for_is_taken_whatever_dev_says(run_dir, data, tmp_path, capsys):
    arguments = ["--data", str(data), "--run", str(run_dir), "--start", str(run_dir / "start")]
    shares = ["--shares", "0.25", "0.5", "--threads", "1", "--take"]
    assert main(["average", *arguments, *shares, "0.25"]) == 0
    assert "0.25 of the run is in the place" in capsys.readouterr().out
    best = load_weights(run_dir / BEST)
    assert best.state["head.bias"][0] == 1.5
    assert best.notes["dev"]["exact"] == 0 and best.notes["averaged"]["share"] == 0.25
    assert best.notes["lists"] == {} and best.notes["data_hash"] == data_hash(data)
    lists = tmp_path / "corrections.jsonl"
    lists.touch()
    assert main(["average", *arguments, *shares, "0.25", "--corrections", str(lists)]) == 0
    assert list(load_weights(run_dir / BEST).notes["lists"]) == ["corrections"]
    assert main(["average", *arguments, *shares, "0.75"]) == ExitCode.USAGE
    assert "one of the shares" in capsys.readouterr().err


def test_what_cannot_be_averaged_says_why(run_dir, data):
    with pytest.raises(UsageError, match="allowed: one or more of 0..1"):
        average(run_dir, run_dir / "start", data, [1.5])
    other = ReaderConfig(width=16, heads=2, encoder_layers=1, decoder_layers=1, stem=(8, 8, 16))
    save(run_dir / "other", Reader(other), 1.0)
    with pytest.raises(ModelError, match="another network"):
        average(run_dir, run_dir / "other", data, [0.5])


def test_a_run_with_another_dropout_is_the_same_network(run_dir, data):
    config = dataclasses.replace(reader_tiny().config, dropout=0.3)
    save(run_dir / "start", Reader(config), 1.0)
    assert average(run_dir, run_dir / "start", data, [0.5], threads=1).figures
