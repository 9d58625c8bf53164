"""MobileNetV4 against reference names, shapes and feature maps (golden/mobilenetv4)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from alpr_edge.errors import ModelError
from training.detector.mobilenetv4 import (
    CONV_MEDIUM,
    CONV_SMALL,
    MobileNetV4,
    imagenet_weights,
)

GOLDEN = Path(__file__).parent / "golden" / "mobilenetv4"
TABLES = {"small": CONV_SMALL, "medium": CONV_MEDIUM}


def reference_state(parameters: list[tuple[str, list[int]]]) -> dict[str, torch.Tensor]:
    """The weights that the reference maps were made with."""
    rng, state = np.random.default_rng(0), {}
    for name, shape in parameters:
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
            continue
        value = rng.standard_normal(shape).astype(np.float32)
        if name.endswith("running_var"):
            value = abs(value) * 0.5 + 0.5
        elif name.endswith("running_mean"):
            value = value * 0.1
        elif len(shape) == 1:
            value = 1 + 0.1 * value if name.endswith("weight") else 0.1 * value
        else:
            value = value * np.sqrt(2 / np.prod(shape[1:]))
        state[name] = torch.from_numpy(value.astype(np.float32))
    return state


@pytest.mark.parametrize("size", TABLES)
def test_names_shapes_order_and_feature_maps_are_the_reference(size: str) -> None:
    stem = GOLDEN / f"mobilenetv4_conv_{size}"
    parameters = json.loads(stem.with_suffix(".json").read_text())["parameters"]
    model = MobileNetV4(TABLES[size]).eval()
    assert [[name, list(v.shape)] for name, v in model.state_dict().items()] == parameters

    model.load_state_dict(reference_state(parameters))
    image = np.random.default_rng(1).random((1, 3, 96, 96), dtype=np.float32)
    with torch.inference_mode():
        maps = model(torch.from_numpy(image))
    reference = np.load(stem.with_suffix(".npz"))
    for name, got in zip(("stride8", "stride16", "stride32"), maps, strict=True):
        want = reference[name]
        assert got.shape == want.shape
        assert np.abs(got.numpy() - want).max() <= 1e-4 * np.abs(want).max()


def test_weights_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no weights")
    for name in ("absent", "text"):
        with pytest.raises(ModelError, match=rf"{name}.safetensors cannot be read .*timm"):
            imagenet_weights(tmp_path / f"{name}.safetensors")


def test_published_weights_load_with_the_stem_turned_to_bgr(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rgb = MobileNetV4(CONV_SMALL).eval()
    published = {**rgb.state_dict(), "classifier.weight": torch.zeros(1000, 1280)}
    save_file(published, tmp_path / "timm.safetensors")
    bgr = MobileNetV4(CONV_SMALL).eval()
    bgr.load_state_dict(imagenet_weights(tmp_path / "timm.safetensors"))
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        for a, b in zip(rgb(image), bgr(image.flip(1)), strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
