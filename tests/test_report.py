"""Drops, reports and tables of variants known in advance."""

from __future__ import annotations

import dataclasses
import json

import pytest
from reports import GOOD, LOSSY, ROOT, SLOW, measured, variant

from alpr_edge.errors import OutputError
from optimize import report, steps, tables
from optimize.evaluate import Accuracy, Latency
from optimize.networks import Kind
from optimize.report import Measured


def test_drops_are_paired_and_in_points():
    lost = report.drop(ROOT, LOSSY)
    assert lost.hits == lost.worst == pytest.approx(20)
    assert lost.low < 20 < lost.high
    assert report.drop(ROOT, GOOD).hits == 0  # one lost, one won
    sees_all = dataclasses.replace(
        GOOD, accuracy=Accuracy(hits="1" * 10, average_precision=0.5)
    )
    sure = dataclasses.replace(ROOT, accuracy=Accuracy(hits="1" * 10, average_precision=0.75))
    assert report.drop(sure, sees_all).worst == pytest.approx(25)


def test_a_report_is_read_as_it_was_written():
    found = measured(ROOT, LOSSY)
    entry = json.loads(json.dumps(found.to_json()))
    assert Measured.from_json(entry) == found
    assert entry["variants"][1]["drop_of_parent"]["hits"] == pytest.approx(20)
    assert entry["variants"][0]["rate"] | {"low": 0, "high": 0} == {
        "k": 6, "n": 10, "value": 0.6, "low": 0, "high": 0
    }


def test_tables_tell_every_variant_and_the_pick():
    told = {
        "split": "dev", "measured": [measured(ROOT, LOSSY).to_json()],
        "picks": [{"task": "reader", "target": "n100", "measured_at": "zen2", "variant": "fp32",
                   "max_drop": 0.5, "drop": 0.0, "speed_up": 1.0, "predicted": True,
                   "front": ["fp32"]}],
    }
    text = tables.tables(told)
    lines = text.splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    row = "| lossy | export → convert | OpenVINO | 48x192 | 1.50 M (1% zero) | 1.00 | 0.120 |"
    assert row in text and "| 4.00x |" in text
    assert "4/10 = 40.0%" in text and "+20.00 (" in text
    assert "unreliable" not in text
    assert "Pick for reader on n100 (predicted from zen2): **fp32**" in lines[-1]
    told["measured"][0]["load_before"] = 3.0
    assert "load average was 3.0 before: the times are unreliable" in tables.tables(told)
    told["measured"][0]["threads"] = 1
    assert ", 1 thread, 9 runs" in tables.tables(told)
    assert tables.tables(None) == tables.NOTHING


def test_measuring_again_forgets_the_picks_of_models_that_changed():
    pick = {"task": "reader", "target": "zen2", "measured_at": "zen2", "variant": "good",
            "model": "good"}
    native = pick | {"target": "native", "measured_at": "native"}
    told = {"measured": [measured(ROOT, GOOD).to_json()],
            "picks": [pick, pick | {"target": "n100"}, native]}
    assert report.with_entry(told, measured(ROOT, GOOD, SLOW))["picks"] == told["picks"]
    anew = dataclasses.replace(GOOD, model="good, made anew")
    assert report.with_entry(told, measured(ROOT, anew))["picks"] == [native]


def row_of(text: str, name: str) -> dict[str, str]:
    """The cells of a variant's row by the heads of their columns."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
             if line.startswith("| ")]
    return dict(zip(cells[0], next(row for row in cells if row[0] == name), strict=True))


def test_one_table_tells_all_targets():
    """At native only times were taken, and ``good`` not at all; n100 has drops of its own."""
    quick = [dataclasses.replace(v, accuracy=None, latency=Latency(p50=1.0, p90=1.5))
             for v in (ROOT, LOSSY)]
    entries = [measured(*quick, target="native"), measured(ROOT, LOSSY, GOOD),
               measured(ROOT, dataclasses.replace(LOSSY, accuracy=ROOT.accuracy), target="n100")]
    text = tables.tables({
        "split": "dev", "measured": [entry.to_json() for entry in entries], "picks": []
    })
    assert text.count("**reader**") == 1
    lossy, good = row_of(text, "lossy"), row_of(text, "good")
    assert [lossy[name] for name in ("zen2 p50", "native p50", "native p90")] == [
        "2.00", "1.00", "1.50"
    ]
    assert (lossy["faster"], lossy["drop at n100"]) == ("4.00x", "+0.00")
    assert lossy["drop"].startswith("+20.00") and lossy["accuracy at zen2"].startswith("4/10")
    assert (good["native p50"], good["drop at n100"], good["faster"]) == ("-", "-", "2.00x")


def test_what_cannot_be_picked_is_shown_first_and_said_so():
    onnx = variant("onnx", "1111110000", 1.0, 1, kind=Kind.ONNX, steps=("train", "export"))
    torch = variant("torch", "1111110000", 9.0, 1, kind=Kind.PYTORCH, steps=("train",))
    seed = variant("seed", "", 99.0, 9, accuracy=None, steps=("untrained", "export", "convert"))
    text = tables.table([measured(ROOT, seed, onnx, torch)], "dev")
    names = [line.split("|")[1].strip() for line in text.splitlines()[4:]]
    assert names == ["torch", "onnx", "fp32", "seed"]
    assert row_of(text, "torch")["made by"] == "train"
    assert row_of(text, "seed")["accuracy at zen2"] == "not trained"
    assert [row_of(text, name)["front"] for name in names] == ["", "", "yes", ""]
    assert "ONNX Runtime knows no cap" in text
    quick = dataclasses.replace(GOOD, accuracy=None)
    assert "not measured" in row_of(tables.table([measured(ROOT, quick)], "dev"), "good").values()


def test_a_pick_that_is_beaten_is_marked():
    pick = {"task": "reader", "target": "zen2", "measured_at": "zen2", "variant": "slow",
            "max_drop": 99, "drop": 10.0, "speed_up": 0.9, "predicted": False, "front": ["fp32"]}
    text = tables.tables({
        "split": "dev", "measured": [measured(ROOT, GOOD, SLOW).to_json()], "picks": [pick],
    })
    assert row_of(text, "slow")["front"] == "pick, **not on the front**"
    assert text.endswith("of at most 99 points, not on the front.")


def test_the_document_is_that_of_the_committed_report():
    text = tables.DOCUMENT.read_text("utf-8")
    assert text == tables.document(text)


def test_remembered_values_are_computed_once(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"a": [1, 2.5]}

    note = tmp_path / "steps" / "x.json"
    assert [steps.remembered(note, {"k": k}, make) for k in (1, 1, 2)] == [{"a": [1, 2.5]}] * 3
    note.write_text("{")
    steps.remembered(note, {"k": 2}, make)
    assert len(calls) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        steps.write_json(tmp_path / "file" / "x.json", {})
