"""The cache of compiled networks: used, and never a reason to fail or to answer wrongly."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import tiny

from alpr_edge import ALPR, compile_cache
from alpr_edge.engine import Engine


@pytest.fixture
def cache(tiny_models, tmp_path):
    """A folder that one start has filled."""
    Engine(tiny_models / "reader", cache_dir=tmp_path / "a" / "cache")
    return tmp_path / "a" / "cache"


def blobs(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.blob")}


def text_of(tiny_models, cache) -> str:
    plates = np.zeros((128, 192, 3), np.uint8)
    return ALPR(models=tiny_models, cache=cache, min_confidence=0).predict(plates)[0].text


def test_a_second_start_reads_what_the_first_one_kept(tiny_models, cache, caplog):
    before = blobs(cache)
    assert before
    engine = Engine(tiny_models / "reader", cache_dir=cache)
    assert blobs(cache) == before and caplog.text == ""
    assert all(one.get_property("LOADED_FROM_CACHE") for one in engine._compiled)
    first = Engine(tiny_models / "reader")
    assert not any(one.get_property("LOADED_FROM_CACHE") for one in first._compiled)


@pytest.mark.parametrize("change", [
    lambda content: b"garbage" * 99, lambda content: b"", lambda content: content[:-50],
    lambda content: content[:700] + bytes([content[700] ^ 1]) + content[701:],
])
def test_changed_files_are_compiled_anew(tiny_models, cache, caplog, change):
    for path in cache.glob("*.blob"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(change(content))
    assert text_of(tiny_models, cache) == tiny.TEXT
    assert caplog.text.count("is compiled anew") == 2  # batches 1 and 4
    caplog.clear()
    assert text_of(tiny_models, cache) == tiny.TEXT and caplog.text == ""


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", None])
def test_without_hashes_nothing_is_trusted(tiny_models, cache, caplog, content):
    (cache / compile_cache.HASHES).unlink()
    if content is not None:
        (cache / compile_cache.HASHES).write_bytes(content)
    (cache / "notes.txt").write_text("mine")
    assert text_of(tiny_models, cache) == tiny.TEXT
    assert caplog.text.count("is compiled anew") == 2
    assert (cache / "notes.txt").read_text() == "mine"
    assert json.loads((cache / compile_cache.HASHES).read_text()).keys() == blobs(cache).keys()


def test_a_folder_that_cannot_be_made_is_told_and_nothing_more(tiny_models, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert text_of(tiny_models, tmp_path / "file" / "cache") == tiny.TEXT
    assert f"{tmp_path / 'file' / 'cache'} cannot be used (Not a directory)" in caplog.text
    assert "each start takes longer" in caplog.text and "name another folder" in caplog.text
    assert caplog.text.count("cannot be used") == 1  # though every network asks


def test_a_folder_that_cannot_be_written(tiny_models, cache, caplog, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(compile_cache.tempfile, "TemporaryFile", refuse)
    assert text_of(tiny_models, cache) == tiny.TEXT
    assert "cannot be used (Permission denied)" in caplog.text


def test_hashes_that_cannot_be_written(tiny_models, cache, caplog, monkeypatch):
    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert text_of(tiny_models, cache) == tiny.TEXT
    assert "are not kept" in caplog.text and "No space left on device" in caplog.text
    assert {path.suffix for path in cache.iterdir()} == {".blob", ".json"}


@pytest.mark.slow
def test_the_shipped_models_start_from_the_cache(tmp_path):
    first, second = ALPR(cache=tmp_path), ALPR(cache=tmp_path)
    for alpr, cached in ((first, False), (second, True)):
        for engine in (alpr.detector.engine, alpr.reader.engine):
            assert {one.get_property("LOADED_FROM_CACHE") for one in engine._compiled} == {cached}
    frame = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    assert first.predict(frame) == second.predict(frame)
