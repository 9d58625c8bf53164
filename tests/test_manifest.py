from __future__ import annotations

import dataclasses
import json
import resource
from pathlib import Path

import pytest
from tiny import base_manifest

from alpr_edge import manifest
from alpr_edge.errors import ModelError, OutputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / manifest.MODEL_XML).write_bytes(b"<net/>")
    (tmp_path / manifest.MODEL_BIN).write_bytes(b"\0" * 8)
    return tmp_path


def edit(folder: Path, **changes) -> None:
    path = folder / manifest.FILENAME
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def full(folder: Path) -> manifest.Manifest:
    trained = base_manifest("reader", folder, step="train", trained_on=("rendered",))
    return manifest.derive(
        trained,
        step="convert",
        files=manifest.hash_files(folder),
        tools=manifest.tool_versions("numpy"),
        parity={"max_abs": 1e-5},
        metrics=(
            manifest.Metric(what="exact", value=0.5, k=1, n=2, split="val", command="measure"),
        ),
    )


def test_round_trip_keeps_everything(folder):
    written = full(folder)
    manifest.save(written, folder)
    assert manifest.load(folder) == written
    assert manifest.load(folder / manifest.FILENAME) == written
    assert manifest.from_dict(manifest.to_dict(written), Path("x")) == written


@pytest.mark.parametrize("key, value, told", [
    ("temperature", 0.0, "above 0"), ("temperature", -1.0, "above 0"),
    ("confidence_threshold", 62.1, "0..1"),
])
def test_values_that_no_decoding_has_are_refused(folder, key, value, told):
    manifest.save(full(folder), folder)
    decode = json.loads((folder / manifest.FILENAME).read_text("utf-8"))["decode"]
    edit(folder, decode=decode | {key: value})
    with pytest.raises(ModelError, match=rf"decode\.{key} is {value}; allowed: {told}"):
        manifest.load(folder)


def test_detector_and_reader_decode_are_told_apart(folder):
    detector = base_manifest("detector", folder)
    again = manifest.from_dict(manifest.to_dict(detector), Path("x"))
    assert again.detector_decode.nms_iou == 0.5
    with pytest.raises(ModelError, match="a reader is needed"):
        _ = again.reader_decode


def test_a_pipeline_embeds_both_networks(folder):
    stages = {task: base_manifest(task, folder) for task in ("detector", "reader")}
    decode = manifest.PipelineDecode(**stages)
    made = dataclasses.replace(stages["reader"], task="pipeline", decode=decode)
    again = manifest.from_dict(manifest.to_dict(made), Path("x"))
    assert again == made
    assert again.pipeline_decode.detector.detector_decode.nms_iou == 0.5
    for wrong, message in (
        (lambda: again.reader_decode, "is a pipeline; here a reader is needed"),
        (lambda: stages["reader"].pipeline_decode, "here a pipeline is needed"),
        (lambda: manifest.from_dict(
            manifest.to_dict(dataclasses.replace(made, task="reader")), Path("x")
        ), "'decode' does not fit task 'reader'"),
    ):
        with pytest.raises(ModelError, match=message):
            wrong()


def test_derive_embeds_the_chain_and_forgets_the_step(folder):
    child = full(folder)
    grandchild = manifest.derive(child, step="quantize", precision="INT8", files=child.files)
    assert [a.step for a in grandchild.ancestors] == ["convert", "train"]
    assert grandchild.parent == manifest.digest(child)
    assert grandchild.ancestors[0].parity and not grandchild.parity
    assert not any(ancestor.ancestors for ancestor in grandchild.ancestors)
    manifest.save(grandchild, folder)
    assert manifest.load(folder) == grandchild


def test_derive_wants_step_and_files(folder):
    with pytest.raises(TypeError, match="files"):
        manifest.derive(full(folder), step="quantize")


def test_unknown_key_names_key_and_file(folder):
    manifest.save(full(folder), folder)
    edit(folder, colour="RGB")
    with pytest.raises(ModelError, match=r"manifest\.json: unknown key 'colour'"):
        manifest.load(folder)


def test_unknown_nested_key_names_its_place(folder):
    manifest.save(full(folder), folder)
    inner = manifest.to_dict(full(folder))["input"] | {"mean": 0}
    edit(folder, input=inner)
    with pytest.raises(ModelError, match=r"input\.unknown key 'mean'"):
        manifest.load(folder)


def test_newer_schema_names_the_version_to_install(folder):
    manifest.save(full(folder), folder)
    edit(folder, schema=2, readable_from="0.7.0", novelty=1)
    with pytest.raises(ModelError, match=r"schema 2.*alpr-edge 0\.7\.0"):
        manifest.load(folder)


@pytest.mark.parametrize("changes, message", [
    ({"schema": 0}, "begin at 1"),
    ({"schema": True}, "no whole number"),
    ({"schema": "1"}, "no whole number"),
    ({"task": "judge"}, "'judge'.*detector"),
    ({"task": "detector"}, "does not fit task"),
    ({"name": 3}, "name is 3"),
    ({"outputs": [{"name": "rows"}]}, "'axes' is missing"),
    ({"outputs": "rows"}, "outputs is 'rows'"),
    ({"parity": {"max_abs": "small"}}, "max_abs is 'small'"),
    ({"parity": {"max_abs": True}}, "max_abs is True"),
    ({"decode": 7}, "an object"),
    ({"files": {"../model.xml": "0"}}, "plain file names"),
    ({"files": {"absent.bin": "0"}}, "missing"),
    ({"parent": None}, "a step is missing"),
    ({"ancestors": []}, "a step is missing"),
])
def test_wrong_values_are_named(folder, changes, message):
    manifest.save(full(folder), folder)
    edit(folder, **changes)
    with pytest.raises(ModelError, match=message):
        manifest.load(folder)


def test_edited_ancestor_breaks_the_chain(folder):
    child = full(folder)
    manifest.save(child, folder)
    forged = [dataclasses.replace(child.ancestors[0], licence="none")]
    edit(folder, ancestors=[manifest.to_dict(a) for a in forged])
    with pytest.raises(ModelError, match="edited"):
        manifest.load(folder)


def test_wrong_hash_is_an_error_and_save_refuses_it_too(folder):
    written = full(folder)
    manifest.save(written, folder)
    (folder / manifest.MODEL_BIN).write_bytes(b"\1" * 8)
    with pytest.raises(ModelError, match=r"model\.bin has SHA-256 .* corrupt"):
        manifest.load(folder)
    assert manifest.load(folder, verify=False) == written
    with pytest.raises(ModelError, match=r"model\.bin"):
        manifest.save(written, folder)


def test_a_manifest_that_cannot_be_written_leaves_the_one_before(folder):
    written = full(folder)
    manifest.save(written, folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as a full disk: half is written
    try:
        with pytest.raises(OutputError, match=r"manifest\.json cannot be written: File too large"):
            manifest.save(dataclasses.replace(written, metrics=()), folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert manifest.load(folder) == written
    assert len(list(folder.iterdir())) == 3


def test_missing_or_broken_file_is_one_clear_error(tmp_path):
    with pytest.raises(ModelError, match="no manifest at"):
        manifest.load(tmp_path)
    (tmp_path / manifest.FILENAME).write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        manifest.load(tmp_path)
    (tmp_path / manifest.FILENAME).write_text("[1]")
    with pytest.raises(ModelError, match="no manifest"):
        manifest.load(tmp_path)
