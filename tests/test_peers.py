"""Other readers beside ours: adapters that are right, slow, that crash or answer garbage."""

from __future__ import annotations

import json
import sys
import textwrap
import types
from pathlib import Path

import pytest

from alpr_edge.data import PlateTruth, Sample, Split
from alpr_edge.errors import ExitCode, UsageError
from benchmarks import peers, peers_tables
from benchmarks.__main__ import main
from benchmarks.adapters import fast_alpr, protocol
from benchmarks.peer import Answer, Peer, PeerFailedError, parse

BOX = [10.0, 10.0, 50.0, 20.0]
RIGHT = {"plates": [{"text": "ab-123", "confidence": 0.9, "box": BOX}], "ms": {"total": 1}}
ANSWERS = f"""
    import json, sys, time
    for line in sys.stdin:
        print({json.dumps(RIGHT)!r}, flush=True)
"""
CRASHING = """
    import sys
    sys.stdin.readline()
    print('{"plates": [], "ms": {}}', flush=True)
    sys.stdin.readline()
    raise RuntimeError("out of ideas")
"""
GARBAGE = "print('hello', flush=True); import sys; sys.stdin.read()"
SILENT = "import sys; print('thinking', file=sys.stderr, flush=True); sys.stdin.read()"


def script(folder: Path, name: str, code: str) -> list[str]:
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(code), "utf-8")
    return [sys.executable, "-S", str(path)]


def peer(folder: Path, code: str, timeout: float = 20.0) -> Peer:
    return Peer("it", script(folder, "adapter", code), {}, timeout)


def samples(count: int) -> list[Sample]:
    plates = (PlateTruth(box=tuple(BOX), text="AB123"), PlateTruth(box=(0.0, 50.0, 30.0, 60.0)))
    return [Sample(path=Path(f"{n}.jpg"), dataset="odd" if n % 2 else "even", split=Split.VAL,
                   width=99, height=99, plates=plates) for n in range(count)]


def test_a_right_reader_is_timed_and_closed(tmp_path):
    reader = peer(tmp_path, ANSWERS)
    answer = reader.ask(Path("a.jpg"))
    assert [plate.text for plate in answer.plates] == ["ab-123"]
    assert answer.ms > 0 and answer.boxed and not answer.capped
    reader.close()
    reader.close()


def test_a_slow_reader_is_as_slow_as_it_is(tmp_path):
    reader = peer(tmp_path, ANSWERS.replace("print(", "time.sleep(0.1); print("))
    reader.ask(Path("a.jpg"))
    assert 100 <= reader.ask(Path("b.jpg")).ms < 1000
    reader.close()


@pytest.mark.parametrize(("code", "timeout", "message"), [
    (CRASHING, 20, "ended with exit code 1 .RuntimeError: out of ideas"),
    (GARBAGE, 20, "answered 'hello', which is no record"),
    ("print('{}')", 20, "no record: KeyError"),
    (SILENT, 0.5, "no answer within 0.5 s .thinking"),
])
def test_a_failure_is_told_with_the_last_line_of_stderr(tmp_path, code, timeout, message):
    reader = peer(tmp_path, code, timeout)
    with pytest.raises(PeerFailedError, match=message):
        for name in "ab":
            reader.ask(Path(name))


def test_a_command_that_is_not_there():
    with pytest.raises(PeerFailedError, match="cannot be started: No such file"):
        Peer("it", ["/no/such/reader"], {}, 1).ask(Path("a.jpg"))


def test_records():
    assert parse('{"file": "a", "error": "damaged"}', 2.0).unreadable
    corners = [[1, 2], [9, 2], [9, 4], [1, 4]]
    nowhere, placed = {"text": "A", "confidence": 1}, {"text": "B", "confidence": 1,
                                                       "corners": corners}
    answer = parse(json.dumps({"plates": [nowhere, placed], "capped": True}), 2.0)
    assert answer.capped and not answer.boxed
    assert answer.plates[1].box == (1, 2, 9, 4)


def test_hits_by_hand():
    """Three pictures: right; right text in another place; nothing."""
    here = parse(json.dumps(RIGHT), 1.0)
    elsewhere = parse(json.dumps(RIGHT).replace("10.0", "70.0"), 1.0)
    nothing = Answer(plates=(), ms=1.0)
    found = peers.hits(samples(3), [here, elsewhere, nothing])
    assert found["end_to_end"] == {"even": [True, False], "all": [True, False, False],
                                   "odd": [False]}
    assert found["text"]["all"] == [True, True, False]
    unplaced = Answer(plates=(), ms=1.0, boxed=False)
    assert list(peers.hits(samples(1), [unplaced])) == ["text"]


def test_the_report_goes_on_without_the_one_that_failed(tmp_path):
    readers = [Peer(name, script(tmp_path, name, code), {}, 20.0)
               for name, code in (("ours", ANSWERS), ("crashing", CRASHING))]
    taken = peers.measure(readers, samples(20))
    for reader in readers:
        reader.close()
    ours, other = peers.report(taken, samples(20))
    assert ours["answered"] == 20 and not ours["failure"] and len(ours["samples"]) == 20
    assert ours["exact"]["end_to_end"]["all"]["k"] == 20
    assert other["answered"] == 0 and "RuntimeError: out of ideas" in other["failure"]


def test_readers_are_paired_on_what_both_answered():
    right, nothing = parse(json.dumps(RIGHT), 2.0), Answer(plates=(), ms=6.0)
    taken = [peers.Taken(name="ours", answers=[right] * 24),
             peers.Taken(name="other", answers=[nothing] * 21, failure="picture 22: it crashed")]
    ours, other = peers.report(taken, samples(24))
    assert "ratio" not in ours and other["ratio"]["value"] == pytest.approx(3)
    assert other["paired"]["text"]["only_a"] == 21 and other["paired"]["text"]["difference"] == -1


@pytest.mark.parametrize("against", ["rapidocr", "=x", "x=", "alpr-edge=x", 'x="abc'])
def test_what_is_no_peer(against):
    with pytest.raises(UsageError):
        peers.parse([against])


def test_the_command(tmp_path, tiny_models, data, capsys, monkeypatch):
    monkeypatch.setattr(peers, "OUR_COMMAND", (*peers.OUR_COMMAND, "--models", str(tiny_models)))
    monkeypatch.setattr(peers.isa, "verify_isa", lambda isa: "told")
    words = " ".join(script(tmp_path, "other", ANSWERS))
    out = tmp_path / "peers.json"
    code = main(["compare", "--data", str(data), "--split", "dev", "--limit", "2", "--threads", "1",
                 "--isa", "zen2", "--against", f"other={words}", "bad=false", "--out", str(out)])
    told = capsys.readouterr().out
    assert code == ExitCode.FAILED  # bad
    assert "| alpr-edge | capped to zen2 |" in told and "| other | not capped |" in told
    assert "- bad failed at picture 1: ended with exit code 1" in told
    report = json.loads(out.read_text("utf-8"))
    assert report["kind"] == "peers" and str(tmp_path) not in out.read_text("utf-8")
    assert told.strip() == peers_tables.markdown(report)


@pytest.mark.parametrize("words", [[], ["a.json"], ["a.json", "b.json", "--against", "x=y"],
                                   ["--against", "x=y", "--limit", "0"]])
def test_reports_or_readers(words, capsys):
    assert main(["compare", *words]) == ExitCode.USAGE


def test_an_adapter_answers_what_the_reader_found_and_goes_on_after_a_bad_picture(
    tmp_path, monkeypatch, capfd
):
    """Whatever the library prints is no answer."""
    demo = peers.pictures.picture_files(None)[0]

    def predict(image):
        print("chatter")
        yield protocol.plate("A1", 1, (1, 2, 3, 4))

    monkeypatch.setattr(protocol.sys, "stdin", [f"{tmp_path / 'no.jpg'}\n", f"{demo}\n"])
    stream = (tmp_path / "answers").open("w", encoding="utf-8")
    monkeypatch.setattr(protocol, "_private_stdout", lambda: stream)
    protocol.serve(predict)
    bad, good = map(json.loads, (tmp_path / "answers").read_text("utf-8").splitlines())
    assert "no such file" in bad["error"]
    assert good["plates"] == [{"text": "A1", "confidence": 1.0, "box": [1, 2, 3, 4]}]


def test_a_library_that_is_not_there_is_named():
    with pytest.raises(SystemExit, match="pip install something"):
        protocol.library("no_such_reader", "something")


def test_fast_alpr(monkeypatch):
    """A stand-in for the library, which downloads its models."""
    name = types.SimpleNamespace
    found = name(detection=name(bounding_box=name(x1=1, y1=2, x2=3, y2=4)),
                 ocr=name(text="A1", confidence=[0.5, 1.0]))
    unread = name(detection=found.detection, ocr=None)
    modules = {
        "onnxruntime": name(SessionOptions=name),
        "fast_alpr": name(ALPR=lambda **options: name(predict=lambda image: [found, unread])),
    }
    plates = []
    monkeypatch.setattr(fast_alpr, "library", lambda module, install: modules[module])
    monkeypatch.setattr(fast_alpr, "serve", lambda predict: plates.extend(predict(None)))
    fast_alpr.main()
    assert plates == [{"text": "A1", "confidence": 0.75, "box": [1, 2, 3, 4]},
                      {"text": "", "confidence": 0.0, "box": [1, 2, 3, 4]}]
