from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from alpr_edge import manifest
from alpr_edge.engine import Engine, runtime_version
from alpr_edge.errors import LibraryError, ModelError, UsageError


@pytest.fixture
def reader_copy(tiny_models, tmp_path):
    return shutil.copytree(tiny_models / "reader", tmp_path / "reader")


def plates(n: int) -> np.ndarray:
    return np.zeros((n, 48, 192, 3), np.uint8)


def resave(folder, **changes) -> None:
    facts = dataclasses.replace(manifest.load(folder, verify=False), **changes)
    manifest.save(dataclasses.replace(facts, files=manifest.hash_files(folder)), folder)


def test_precision_hint_is_the_manifests_and_is_read_back(tiny_models, reader_copy):
    assert Engine(tiny_models / "reader").inference_precision == "f32"
    resave(reader_copy, inference_precision="bf16")
    try:
        got = Engine(reader_copy).inference_precision
    except ModelError as error:  # a CPU without bf16 may refuse it
        assert "bf16" in str(error)
    else:
        assert got in ("bf16", "f32")


def test_threads_are_set(tiny_models):
    assert Engine(tiny_models / "reader", threads=1).threads == 1
    with pytest.raises(UsageError, match="threads is 0"):
        Engine(tiny_models / "reader", threads=0)


def test_batches_of_any_size_and_outputs_are_the_callers(tiny_models):
    engine = Engine(tiny_models / "reader", threads=1)
    first = engine.run(plates(1))
    kept = first["logits"].copy()
    first["rows"][:] = 7
    assert engine.run(plates(3))["logits"].shape == (3, 10, 75)
    np.testing.assert_array_equal(first["logits"], kept)
    np.testing.assert_array_equal(engine.run(plates(1))["rows"], [[1, 0]])


def test_strided_input_is_read_right(tiny_models):
    engine = Engine(tiny_models / "detector", threads=1)
    height, width = engine.size
    mirrored = np.zeros((1, height, width, 3), np.uint8)[:, ::-1, ::-1]
    assert set(engine.run(mirrored)) == {"scores", "boxes", "corners", "cells"}


@pytest.mark.parametrize("image", [
    plates(1).astype(np.float32), plates(1)[0], plates(1)[:, :40], plates(1)[..., :1],
])
def test_wrong_input_says_what_is_needed(tiny_models, image):
    with pytest.raises(UsageError, match=r"needed: uint8 \(-1, 48, 192, 3\)"):
        Engine(tiny_models / "reader").run(image)


def test_executed_precisions_count_the_working_layers(tiny_models):
    executed = Engine(tiny_models / "reader").executed_precisions()
    assert executed["f32"] >= 1
    assert all(isinstance(count, int) for count in executed.values())


def test_corrupt_model_is_one_clear_error(reader_copy):
    (reader_copy / manifest.MODEL_XML).write_text("<net broken")
    with pytest.raises(ModelError, match="corrupt or was replaced"):
        Engine(reader_copy)
    resave(reader_copy)
    with pytest.raises(ModelError, match=r"model\.xml cannot be loaded by OpenVINO"):
        Engine(reader_copy)


@pytest.mark.parametrize("changes, message", [
    ({"input": manifest.InputSpec(shape=(-1, 48, 96, 3), resize="rectify")}, "its manifest says"),
    ({"input": manifest.InputSpec(shape=(-1, 48, 192, 3), resize="rectify", name="x")}, "named"),
    ({"outputs": (manifest.OutputSpec(name="text", axes=("N",)),)}, "no output 'text'"),
])
def test_graph_must_be_what_the_manifest_says(reader_copy, changes, message):
    resave(reader_copy, **changes)
    with pytest.raises(ModelError, match=message):
        Engine(reader_copy)


def test_cache_folder_is_used(tiny_models, tmp_path):
    Engine(tiny_models / "reader", cache_dir=tmp_path / "cache")
    assert any((tmp_path / "cache").iterdir())


def test_version_is_a_version():
    assert runtime_version()[0].isdigit()


def test_missing_openvino_names_the_remedy(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "alpr_edge.engine")
    with pytest.raises(LibraryError, match="pip install 'openvino"):
        importlib.import_module("alpr_edge.engine")
