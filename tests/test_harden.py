"""Hard-swish for GELU: near to it at the start, an ordinary checkpoint, refused where it makes no
sense."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional

from alpr_edge.errors import ModelError, UsageError
from optimize.harden import STRETCH, harden
from training.checkpoint import load_weights, save_weights
from training.detector.model import detector_small
from training.networks import build
from training.reader.model import reader_tiny


def saved(path, task, network):
    save_weights(path, task=task, config=network.config, state=network.state_dict(),
                 notes={"variant": "tiny"})
    return path


def test_no_other_stretch_is_much_nearer_to_gelu() -> None:
    x = torch.linspace(-8, 8, 4001)

    def difference(stretch: float) -> float:
        hard = functional.hardswish(stretch * x) / stretch
        return float((hard - functional.gelu(x)).abs().max())

    assert difference(STRETCH) < 0.075
    assert min(difference(s / 100) for s in range(100, 300)) > difference(STRETCH) - 0.005


def test_the_network_answers_nearly_as_before(tmp_path) -> None:
    torch.manual_seed(0)
    before = saved(tmp_path / "gelu.safetensors", "reader", reader_tiny())
    after = harden(before, tmp_path / "hard.safetensors")
    weights = load_weights(after)
    assert weights.notes["lineage"][-1]["sha256"] == load_weights(before).sha256
    networks = [build(load_weights(path)).eval() for path in (before, after, after)]
    assert networks[1].config.activation == "hardswish"
    networks[2].load_state_dict(networks[0].state_dict())  # the same weights, nothing stretched
    plates = torch.randint(0, 255, (2, 48, 192, 3), dtype=torch.uint8)
    with torch.no_grad():
        was, is_now, unstretched = (network(plates)[0] for network in networks)
    moved = float((was - is_now).abs().mean())
    assert 0 < moved < 0.1 * float(was.abs().mean())
    assert moved < 0.7 * float((was - unstretched).abs().mean())


def test_what_has_no_gelu_is_refused(tmp_path) -> None:
    hard = harden(
        saved(tmp_path / "a.safetensors", "reader", reader_tiny()), tmp_path / "b.safetensors"
    )
    detector = saved(tmp_path / "d.safetensors", "detector", detector_small())
    with pytest.raises(UsageError, match="no GELU"):
        harden(hard, tmp_path / "c.safetensors")
    with pytest.raises(ModelError, match="those of a reader"):
        harden(detector, tmp_path / "c.safetensors")
