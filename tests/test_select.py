"""Variants compared, picked and made ready to ship."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import tiny
from reports import GOOD, LOSSY, ROOT, SLOW, measured, variant

from alpr_edge import isa, picks
from alpr_edge import manifest as manifests
from alpr_edge.errors import OutputError, UsageError
from optimize import measure, picking, select, ship, steps
from optimize.evaluate import Judging
from optimize.networks import Kind
from optimize.report import Measured


def test_the_front_and_the_pick():
    found = measured(ROOT, LOSSY, GOOD, SLOW)
    assert [v.name for v in picking.front(found)] == ["lossy", "good"]
    assert picking.fastest(found, 0.5).name == "good"
    assert picking.fastest(found, 20.0).name == "lossy"
    assert picking.fastest(measured(ROOT, LOSSY), 0.5).name == "fp32"


def test_a_variant_that_loses_two_pictures_of_one_set_is_not_picked():
    """Of eu it lost two, of us it won as many: the sum hides it."""
    uneven = variant("uneven", "1001111000", 1.0, 1_000_000)
    even = variant("even", "1011101000", 2.0, 1_000_000)
    found = measured(ROOT, uneven, even)
    assert found.weak_sets(uneven) == {"eu": 2} and found.weak_sets(even) == {}
    assert picking.fastest(found, 20.0).name == "even"
    again = Measured.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found


def test_only_irs_with_an_accuracy_are_picked():
    onnx = variant("onnx", "1111110000", 1.0, 1, kind=Kind.ONNX)
    quick = variant("quick", "", 1.0, 1, accuracy=None)
    found = measured(ROOT, onnx, quick)
    assert [v.name for v in picking.front(found)] == ["fp32"]
    assert picking.fastest(found, 100.0).name == "fp32"


def test_a_target_beyond_this_cpu_is_predicted_only(
    readers, data, tmp_path, in_process, monkeypatch
):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)
    monkeypatch.setattr(isa, "cpu_flags", lambda: frozenset({"avx2", "fma"}))
    [pick] = select.select(out, ["n100"], 0.5)
    assert (pick.target, pick.measured_at, pick.predicted) == ("n100", "zen2", True)
    with pytest.raises(UsageError, match="no variant measured at native"):
        select.select(out, ["native"], 0.5)


def test_a_pick_that_cannot_be_written_leaves_nothing(
    readers, data, tmp_path, in_process, monkeypatch
):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)

    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match="No space left on device; choose another --out"):
        select.select(out, ["zen2"], 0.5)
    assert not list(out.glob("pick*"))


def test_classes_of_targets(monkeypatch):
    assert [ship.class_of(t) for t in ("zen2", "avx2", "avx512")] == ["avx2"] * 3
    assert [ship.class_of(t) for t in ("n100", "avx512_vnni")] == ["vnni"] * 2
    for flags, kind in (({"avx2"}, "avx2"), ({"avx2", "avx_vnni"}, "vnni")):
        monkeypatch.setattr(isa, "cpu_flags", lambda flags=flags: frozenset(flags))
        assert ship.class_of("native") == kind


def pick(name: str, target: str, entry=None) -> picking.Pick:
    entry = entry or measured(ROOT, LOSSY, GOOD)
    return picking.Pick.of(
        entry, next(v for v in entry.variants if v.name == name), target, 0.5, "dev"
    )


def test_a_class_without_a_target_takes_what_cannot_be_wrong():
    entry = measured(ROOT, LOSSY, GOOD)
    only = ship.by_class([pick("good", "zen2")], entry)
    assert (only["vnni"].variant, only["vnni"].predicted) == ("good", True)
    fast = ship.by_class([pick("lossy", "n100"), pick("good", "avx512_vnni")], entry)
    assert [fast[kind].variant for kind in ("avx2", "vnni")] == ["fp32", "lossy"]
    assert fast["avx2"].predicted
    assert ship.why(pick("lossy", "zen2")) == (
        "lossy: 4.00 times as fast as fp32 at zen2, +20.00 points lost on dev (at most 0.5)"
    )
    assert ship.why(only["vnni"]).endswith("; predicted: not measured at vnni")


def test_the_runtime_takes_what_was_picked(readers, data, tmp_path, in_process):
    """At n100 the wrong reader is allowed; one reader a class, one detector for both."""
    out = tmp_path / "out"
    tiny.build_detector(out / "fp32" / "detector")
    for target in ("zen2", "n100"):
        judging = Judging(data=data, target=target)
        measure.measure(readers, out, judging, runs=3)
        measure.measure([out / "fp32" / "detector"], out, judging, runs=3)
    select.select(out, ["zen2", "n100"], 0.5)
    assert sorted(path.name for path in (out / "pick").iterdir()) == [
        "detector", "picks.json", "reader"
    ]
    report = steps.read_json(out / "report.json")
    for entry in report["measured"]:
        if (entry["task"], entry["target"]) == ("reader", "n100"):
            right, wrong = entry["variants"]
            wrong["accuracy"], wrong["latency"]["p50"] = right["accuracy"], 1e-6
    steps.write_json(out / "report.json", report)
    select.select(out, ["zen2", "n100"], 0.5)
    chosen = picks.load(out / "pick").reader
    assert (chosen.avx2.folder, chosen.vnni.folder) == ("reader", "reader-vnni")
    assert "wrong: " in chosen.vnni.why and "at n100" in chosen.vnni.why
    shipped = manifests.load(out / "pick" / "reader-vnni")
    assert shipped.files == manifests.load(readers[1]).files
    variants = picks.variants(out / "pick", "reader")
    assert [variant.picked_for for variant in variants] == [("avx2",), ("vnni",)]


def test_targets_without_accuracy_cannot_be_picked_for(
    readers, data, tmp_path, in_process
):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3, latency_only=True)
    assert in_process == ["time"]
    with pytest.raises(UsageError, match="no variant measured at zen2 with its accuracy"):
        select.select(out, ["zen2"], 0.5)
    assert not (out / "pick").exists()


def test_latencies_alone_leave_the_accuracies_that_were_measured(
    readers, data, tmp_path, in_process
):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)
    again = measure.measure(readers, out, Judging(data=data), runs=4, latency_only=True)
    assert all(variant.accuracy is not None for variant in again.variants)
    assert in_process.count("evaluate") == len(readers)
    assert select.select(out, ["zen2"], 0.5)


def test_another_out_inside_is_left_alone(readers, data, tmp_path, in_process):
    out = tmp_path / "out"
    before = measure.find_variants(out, "reader")
    shutil.copytree(readers[0].parent, out / "closer" / "fp32")
    assert len(measure.find_variants(out, "reader")) == len(before) + 1
    (out / "closer" / "report.json").write_text("{}")
    assert measure.find_variants(out, "reader") == before


def test_what_an_older_checkpoint_left_is_left_out(readers, tmp_path, capsys):
    out = tmp_path / "out"
    made = manifests.load(readers[0])
    weights = out / "torch" / "reader" / "new.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()
    files = {weights.name: manifests.hash_file(weights)}
    train = dataclasses.replace(made, step="train", files=files)
    manifests.save(train, out / "torch" / "reader")
    descended = dataclasses.replace(made, parent=manifests.digest(train), ancestors=(train,))
    manifests.save(descended, readers[0])
    assert measure.find_variants(out, "reader") == [out / "torch" / "reader", readers[0]]
    told = capsys.readouterr().err
    assert "wrong/reader is of another checkpoint than new.safetensors: left out" in told


def test_a_pick_of_a_model_that_is_gone_is_forgotten(readers, data, tmp_path, in_process):
    out = tmp_path / "out"
    measure.measure(readers, out, Judging(data=data), runs=3)
    select.select(out, ["zen2"], 0.5)
    report = steps.read_json(out / "report.json")
    report["picks"].append(report["picks"][0] | {"target": "n100", "model": "another"})
    steps.write_json(out / "report.json", report)
    select.select(out, ["zen2"], 0.5)
    assert [pick["target"] for pick in steps.read_json(out / "report.json")["picks"]] == ["zen2"]
