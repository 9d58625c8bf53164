from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops
from tiny import base_manifest

from alpr_edge import engine as engine_module
from alpr_edge import manifest
from alpr_edge.engine import BATCHES, Engine, batch_plan, runtime_version
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


@pytest.mark.parametrize(("count", "plan"), [
    (1, [1]), (2, [1, 1]), (3, [4]), (4, [4]), (5, [4, 1]), (7, [4, 4]), (9, [4, 4, 1]),
])
def test_batches_are_the_largest_that_cost_no_more_than_single_ones(count, plan):
    assert batch_plan(count, BATCHES) == plan


def test_a_stored_table_that_is_looked_up_computes_nothing(monkeypatch):
    layers = ("sum", "Eltwise", "f32"), ("conv", "Convolution", "bf16"), ("table", "Gather", "f16")
    facts = [(name, {"layerType": kind, "runtimePrecision": p}) for name, kind, p in layers]
    monkeypatch.setattr(engine_module, "executed_layers", lambda compiled: facts)
    assert engine_module.computing_in(None, ("bf16", "f16")) == ["conv"]
    assert engine_module.computing_in(None, ("f32",)) == ["sum"]


def test_a_fixed_batch_has_one_plan():
    assert batch_plan(1, (1,)) == [1] and batch_plan(2, (2,)) == [2]


def test_each_picture_of_a_batch_has_its_own_answer(tmp_path):
    """The mean of each picture, whatever batches they are run in."""
    image = ops.parameter([-1, 48, 192, 3], np.uint8, name="image")
    image.output(0).set_names({"image"})
    mean = ops.reduce_mean(ops.convert(image, "f32"), ops.constant(np.array([1, 2])), False)
    outputs = []
    for name in ("logits", "ctc", "rows"):
        outputs.append(ops.relu(mean))
        outputs[-1].output(0).set_names({name})
    openvino.save_model(openvino.Model(outputs, [image]), tmp_path / manifest.MODEL_XML)
    manifest.save(base_manifest("reader", tmp_path), tmp_path)
    pictures = np.tile(np.arange(7, dtype=np.uint8)[:, None, None, None], (1, 48, 192, 3))
    got = Engine(tmp_path, threads=1).run(pictures)["rows"]
    np.testing.assert_allclose(got, np.arange(7)[:, None] * np.ones(3))


def test_strided_input_is_read_right(tiny_models):
    engine = Engine(tiny_models / "detector", threads=1)
    height, width = engine.size
    mirrored = np.zeros((1, height, width, 3), np.uint8)[:, ::-1, ::-1]
    assert set(engine.run(mirrored)) == {"scores", "boxes", "corners", "cells"}


@pytest.mark.parametrize("image", [
    plates(1).astype(np.float32), plates(1)[0], plates(1)[:, :40], plates(1)[..., :1], plates(0),
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


def test_a_twin_computes_the_same_at_the_same_time(tiny_models: Path) -> None:
    engine = Engine(tiny_models / "reader", threads=1, streams=2)
    twin = engine.twin()
    pictures = np.random.default_rng(3).integers(0, 255, (2, 1, 48, 192, 3), dtype=np.uint8)
    alone = [engine.run(picture)["logits"] for picture in pictures]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            together = list(threads.map(
                lambda one: one[0].run(one[1])["logits"],
                zip((engine, twin), pictures, strict=True),
            ))
            for got, want in zip(together, alone, strict=True):
                np.testing.assert_array_equal(got, want)


def test_a_signal_after_the_engine_went_in_another_thread_does_no_harm(tiny_models: Path) -> None:
    script = f"""
import os, signal, threading
from alpr_edge.engine import Engine
signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
engines = [Engine({str(tiny_models / "reader")!r})]
thread = threading.Thread(target=engines.clear)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n")


def test_threads_that_share_an_engine_get_each_their_own_answer(tiny_models: Path) -> None:
    engine = Engine(tiny_models / "reader", threads=1)
    pictures = np.random.default_rng(4).integers(0, 255, (30, 1, 48, 192, 3), dtype=np.uint8)
    alone = [engine.run(picture)["logits"] for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            together = threads.map(lambda picture: engine.run(picture)["logits"], pictures)
            for got, want in zip(together, alone, strict=True):
                np.testing.assert_array_equal(got, want)
