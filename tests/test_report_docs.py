"""The report: documents from synthetic JSONs of every kind, and the committed documents."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from alpr_edge.errors import DataError, UsageError
from alpr_edge.markdown import markers, replace_block
from alpr_edge.stages import Stage
from benchmarks import plots, report, report_html, report_pareto, report_plots
from benchmarks.__main__ import main
from benchmarks.cold import STEPS, medians
from benchmarks.report_facts import facts, load, noise
from benchmarks.report_readme import ACCURACY, BLOCK, summary
from benchmarks.report_sections import HOW, all_plots, document

MACHINE = {"cpu": "Test CPU <&>", "cores": 4, "usable_cores": 2, "system": "Linux-test",
           "python": "3.11.1", "openvino": "2026.4-test", "alpr_edge": "0.1.0"}
VOID = {"meta", "br", "img", "hr", "link", "input"}


def record(kind: str, *reasons: str, **content) -> dict:
    return {
        "schema": 1, "kind": kind, "command": f"python -m benchmarks {kind} --isa zen2",
        "date": "2026-11-22T10:00:00+00:00", "commit": "abc1234", "machine": MACHINE,
        "isa": {"asked": "zen2", "onednn": "Intel AVX2", "torch": "AVX2"},
        "conditions": {"before": {}, "after": {}, "noise": list(reasons)}, **content,
    }


def spread(ms: float) -> dict:
    return {"p50": ms, "p90": ms * 1.25, "p95": ms * 1.5, "p99": ms * 1.75, "max": ms * 2}


def network(name: str, precision: str) -> dict:
    return {"name": name, "version": "0.1.0", "precision": precision, "digest": name + precision,
            "input": [1, 384, 640, 3], "executed_precisions": {"f32": 9}, "executed_kernels": {}}


def folder(name: str, precision: str) -> dict:
    return {"folder": name, "detector": network("detector", precision),
            "reader": network("reader", precision)}


def case(ms: float) -> dict:
    stages = {stage.value: spread(ms) for stage in Stage if stage is not Stage.TOTAL}
    return {
        "stages": stages, "detection": spread(3 * ms), "reading": spread(3.5 * ms),
        "total": spread(6.5 * ms), "with_load": spread(7.5 * ms), "overhead": 0.125,
        "speed_up": {"value": 1.5, "low": 1.25, "high": 1.75},
        "samples": [6.5 * ms + number / 100 for number in range(30)],
    }


def stages() -> dict:
    models = [
        folder(name, precision) | {
            "cases": {f"1080p/{plates}": case(ms + plates) for plates in (0, 1)},
            "verdict": {"met": True, "text": f"budget MET: {name}"},
        }
        for name, precision, ms in (("out/fp32", "FP32", 4.0), ("shipped", "INT8", 2.0))
    ]
    return record(
        "stages", "load average 3.21 before (at most 0.5)", threads=2, runs=30, pinned=None,
        pictures="val frames", scenes=["a.jpg"], frames={"1080p": [1920, 1080]}, models=models,
        harness={"total": spread(0.01), "share": 0.001, "most": 0.02, "met": True},
    )


def rate(k: int, n: int) -> dict:
    return {"k": k, "n": n, "value": k / n, "low": k / n - 0.05, "high": min(1.0, k / n + 0.05)}


def accuracy(**changes) -> dict:
    metrics: dict = {}
    rows = [*(row[1:] for row in ACCURACY), ("end_to_end", "all frames")]
    for number, (figure, group) in enumerate(rows):
        metrics.setdefault(figure, {})[group] = {
            "models": [rate(80 + number, 100), rate(70 + number, 100)]
        }
    models = [folder("out/fp32", "FP32"), folder("shipped", "INT8")]
    return record("accuracy", split="val", frames=412, crops=1154, corruption=None,
                  models=models, metrics=metrics, **changes)


def loads(fps: float) -> list[dict]:
    return [{"streams": n, "threads": 1, "requests": n, "fps": n * fps, "latency": spread(20.0 * n),
             "cpu": 0.5} for n in (1, 2)]


def variant(name: str, p50: float, k: int) -> dict:
    return {"name": name, "latency": {"p50": p50, "p90": p50 + 1}, "rate": rate(k, 363)}


def optimize() -> dict:
    measured = {
        "target": "zen2", "task": "detector", "threads": 2, "runs": 200, "cpu": MACHINE["cpu"],
        "load_before": 1.75, "variants": [variant("fp32", 18.0, 322), variant("int8", 13.0, 320),
                                          variant("beaten", 19.0, 300)],
    }
    pick = {"task": "detector", "target": "zen2", "variant": "int8"}
    return {"schema": 3, "split": "dev", "measured": [measured], "picks": [pick]}


def make_reports() -> dict:
    layer = {"name": "conv_1", "type": "Convolution", "kernel": "jit", "ms": 1.234, "share": 0.5}
    start = medians(*[[dict.fromkeys(STEPS, 321.0)]] * 2)
    origin = [{"name": name, "input": [384, 640], "untrained": False, "cases": {"1080p/1": {
        part: spread(ms) for part in ("detection", "reading", "total")
    } | {"parts": {part: [] for part in ("detection", "reading", "total")}}}}
        for name, ms in (("ours", 10.0), ("the origin's", 87.0))]
    grid = {"grid": loads(33.3), "knee": 1}
    size = {"input": "384x640", "threshold": 0.5, "by_width": {"0-20": {"k": 1, "n": 7}},
            "wide": {"k": 5, "n": 7}, "complete": {"k": 6, "n": 7}, "precision": {"k": 6, "n": 8},
            "corner_median": 0.02, "ms": 12.5}
    return {
        "accuracy-zen2": accuracy(),
        "budget-ryzen-5700u": record("budget", profile={}, cases=[], met=True,
                                     text="budget MET on ryzen-5700u", threads=2),
        "cameras-zen2": record(
            "cameras", threads=None, folder="shipped", scene="still", cameras=2, seconds=10.0,
            frames=100, idle=90, dropped=0, cpu=0.1, events=0, latency={}, met=True,
            footprint=[{"mb": 200.0}, {"mb": 201.0}]),
        "cold-zen2-2t": record("cold", threads=2, runs=5, folder="shipped", **start),
        "corrupt-blur": accuracy() | {"corruption": {"name": "blur", "strength": "medium"}},
        "energy-native-2t": record("energy", threads=2, folder="shipped",
                                   joules_per_frame="not available", why="no meter"),
        "events-zen2": record(
            "events", threads=None, folder="shipped", vehicles=3, frames=90, idle=9, wrong=[],
            latency={},
            events={"last": {"recall": {"k": 3, "n": 3, "value": 1.0}}}, seconds=3.0, fps=30.0,
            cpu=1.5, met=True),
        "memory-native-2t": record(
            "memory", threads=2, folder="shipped", frames=10000, first_mb=150.0, steady_mb=187.0,
            peak_mb=211.0, growth_mb=0.25, samples=[[1, 150.0], [10000, 187.0]], met=True),
        "model-zen2-2t": record(
            "model", model="detector.xml", threads=2, latency=spread(9.87), throughput_fps=101.5,
            loaded_settings={"streams": 2, "threads": 2, "requests": 2},
            settings={"hint": "latency", "streams": 1, "threads": 2, "requests": 1,
                      "precision": "f32", "inputs": [[1, 384, 640, 3]]}, layers=[layer],
            executed_precisions={"f32": 3}, gmac=1.063, gmac_8_bits=0.5, peak_share=0.171,
            peak_gmac_per_second={"float": 44.5}, samples=[9.87]),
        "optimize": optimize(),
        "origin": record("origin", threads=2, runs=50, models=origin)
        | {"machine": MACHINE | {"torch": "2.13"}},
        "peers": record("peers", threads=2, frames=5, pictures="frames", split="val", readers=[
            {"name": "ours", "capped": True, "latency": spread(15.5), "failure": None}]),
        "sizes": record("sizes", threads=2, split="dev", rows=[size],
                        facts="Test CPU, isa x, 2 threads"),
        "stages-zen2-2t": stages(),
        "throughput-zen2": record("throughput", folder="shipped", pictures=60, seconds=5.0,
                                  networks={"detector": grid}, **grid),
    }


@pytest.fixture
def reports() -> dict:
    return make_reports()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the command writes of them: mine.html, mine.md and the plots in mine."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("markdown_it")
    folder = tmp_path_factory.mktemp("report")
    (folder / "in").mkdir()
    for name, one in make_reports().items():
        (folder / "in" / f"{name}.json").write_text(json.dumps(one))
    files = folder / "mine.html", folder / "mine.md"
    assert main(["report", "--in", str(folder / "in"), "--html", str(files[0]),
                 "--markdown", str(files[1])]) == 0
    return folder


class Reader(HTMLParser):
    """Whether every element is closed in order, which ids and assets there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self._look(attrs)

    def handle_startendtag(self, tag, attrs):
        self._look(attrs)

    def _look(self, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"])
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href", "data", "xmlns")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


# The text

def test_every_kind_has_its_section_and_its_plots(reports):
    text = document(reports, "results")
    for title in ("What was noisy", "In short", "Budget: ryzen-5700u", "Speed: zen2-2t",
                  "Cold start: zen2-2t", "Throughput: zen2", "One network: zen2-2t",
                  "Memory: native-2t", "Energy: native-2t",
                  "Cameras: zen2", "Events of a drive-by video: zen2",
                  "The origin's own design beside ours",
                  "Other readers", "Accuracy: zen2", "Accuracy under corruptions",
                  "Accuracy over time", "The detector's input size",
                  "Where each figure comes from"):
        assert f"\n## {title}\n" in text
    shown = re.findall(r"\]\(results/(.*\.svg)\)", text)
    assert sorted(shown) == sorted(plot.name for plot in all_plots(reports))
    assert {"stages-zen2-2t.svg", "stages-zen2-2t-cdf.svg", "throughput-zen2.svg",
            "memory-native-2t.svg", "optimize-detector-zen2.svg",
            "accuracy-zen2-stages-zen2-2t.svg"} == set(shown)


def test_what_is_missing_is_told_with_its_command(reports):
    assert "## What is not here yet\n\nNothing." in document(reports, "results")
    text = document({"memory-native-2t": reports["memory-native-2t"]}, "results")
    for kind, how in HOW.items():
        assert (f"- {kind}: `python -m {how}`" in text) == (kind != "memory")
    assert "Not measured: `python -m benchmarks accuracy --isa zen2" in text


def test_noise_stands_in_front_of_everything_and_of_its_table(reports):
    text = document(reports, "results")
    front = text[: text.index("## What is not here")]
    assert front.index("## What was noisy") < 300
    assert "- `stages-zen2-2t`: load average 3.21 before (at most 0.5)" in front
    assert "- `optimize`: detector at zen2: load average 1.75 before (at most 0.5)" in front
    assert "## Speed: zen2-2t\n\nnoisy: load average 3.21" in text
    assert "## Accuracy over time\n\nnoisy: detector at zen2: load average 1.75" in text
    assert "noisy: load average 3.21" in summary(reports)
    quiet = {"memory-native-2t": reports["memory-native-2t"]}
    assert "Nothing: the machine was quiet" in document(quiet, "results")
    assert noise(record("accuracy", "load average 9")) == []  # it has no times


def test_the_figures_are_those_of_the_reports(reports):
    text = document(reports, "results")
    for told in (
        "| 1080p/1 | shipped (INT8, INT8) | 19.50 | 24.38 |",     # 6.5 x (2 + 1), and x 1.25
        "steady 187 MB", "peak 211 MB", "p50 9.870", "101.5 a second", "1.063 GMAC", "17.1%",
        "| pipeline | 2 | 1 | **66.6** | 40.0 | 50.0 |", "| compile | 321.0 | 321.0 |",
        "not available (no meter)", "budget MET on ryzen-5700u", "87.0 / 108.8 (8.7x)",
        "15.5 / 19.4 ms", "| int8 | 13.00 | 88.2 %", "12.5 ms",
        "| detection, 1080p frame | 15.0 / 18.8 ms | 9.0 / 11.2 ms | - |",
        "| plates found, ccpd_base | 80/100 = 80.0% (75.0% to 85.0%) | 70/100 = 70.0%",
    ):
        assert told in text, told


def test_every_section_says_machine_isa_threads_split_and_commit(reports):
    text = document(reports, "results")
    assert facts(reports["memory-native-2t"]) == (
        "Test CPU <&>, 2 cores, 2 threads, ISA zen2 (oneDNN: Intel AVX2), OpenVINO 2026.4-test, "
        "alpr-edge 0.1.0, commit abc1234, 2026-11-22.")
    for section in text.split("\n## ")[4:-1]:
        title = section.splitlines()[0]
        assert "Test CPU" in section and ("ISA " in section or "isa " in section
                                          or "at zen2" in section), title
        if not title.startswith(("Accuracy", "Throughput")):
            assert "threads" in section, title
    assert "Split val, 412 frames, 1154 cut-outs" in text
    assert "% of 363 of dev: plates found" in text
    assert "`python -m benchmarks stages --isa zen2`. Test CPU" in text
    assert facts({"machine": MACHINE, "isa": {"asked": "a", "onednn": "b"}}).endswith(
        "commit not recorded, date not recorded.")


# Accuracy over time

def point(name: str, ms: float, value: float) -> report_pareto.Point:
    return report_pareto.Point(name=name, ms=ms, value=value, low=value, high=value)


def test_the_front_is_what_no_other_beats():
    points = [point("slow best", 9, 95), point("fast", 1, 80), point("beaten", 5, 79),
              point("same time, worse", 1, 70), point("middle", 5, 90)]
    assert [p.name for p in report_pareto.front(points)] == ["fast", "middle", "slow best"]


def test_pipelines_are_paired_by_their_digests_and_isa(reports):
    accuracies = {"accuracy-zen2": reports["accuracy-zen2"]}
    [panel] = report_pareto.pipelines(accuracies, {"stages-a": reports["stages-zen2-2t"]})
    assert [(p.name, p.ms, round(p.value)) for p in panel.points] == [
        ("out/fp32", 32.5, 95), ("shipped", 19.5, 85)]
    assert panel.title.endswith("NOISY") and "2 threads, 30 runs" in panel.title
    other = reports["stages-zen2-2t"] | {"isa": {"asked": "native", "onednn": "more"}}
    assert report_pareto.pipelines(accuracies, {"stages-a": other}) == []
    reports["stages-zen2-2t"]["models"][0]["reader"]["digest"] = "another"
    [panel] = report_pareto.pipelines(accuracies, {"stages-a": reports["stages-zen2-2t"]})
    assert [p.name for p in panel.points] == ["shipped"]
    assert "| detection, 1080p frame | - | 9.0" in summary(reports)


def test_the_table_is_of_the_reports_that_asked_for_the_target(reports):
    """Where the CPU has nothing above the target's set, it runs that natively too."""
    expected = summary(reports)
    native = {"isa": {"asked": "native", "onednn": "Intel AVX2"}}
    for name in ("accuracy-zen2", "stages-zen2-2t"):
        reports = {name.replace("zen2", "native"): reports[name] | native, **reports}
    assert summary(reports) == expected


# Plots and HTML

def test_plots_are_small_and_the_same_again(made, reports):
    for plot in all_plots(reports):
        drawn = (made / "mine" / plot.name).read_text("utf-8")
        assert drawn == report_plots.svg(plot) + "\n", plot.name
        assert len(drawn) < 60_000 and "<svg" in drawn and "<dc:date>" not in drawn
        assert report_plots.INK in drawn and report_plots.PAPER in drawn
        assert ("NOISY" in drawn) == plot.name.startswith(("stages", "optimize", "accuracy"))


def test_plots_without_matplotlib_name_the_remedy(reports, monkeypatch):
    monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs matplotlib; run: pip install"):
        report_plots.svg(all_plots(reports)[0])
    with pytest.raises(UsageError, match=r"markdown-it-py; run: pip install"):
        report_html.page("# a", {})


def test_html_is_one_well_formed_file_that_loads_nothing(made, reports):
    text = (made / "mine.html").read_text("utf-8")
    read = Reader(text)
    assert read.open == [] and len(read.ids) == len(set(read.ids))
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.loaded)
    assert not re.search(r"<script|<img|<link|@import|url\((?!#)", text)
    assert "http" not in text
    assert text.count("<svg") == len(all_plots(reports)) and "prefers-color-scheme: dark" in text
    assert text.count("<table>") == text.count('<div class="scroll"><table>') > 10
    assert "Test CPU &lt;&amp;&gt;" in text and report_plots.INK not in text.split("</style>")[1]
    assert text.index("What was noisy") < text.index("load average 3.21")
    assert "19.50" in text and "steady 187 MB" in text


# Files

def test_markdown_is_written_with_its_plots(made, reports):
    assert (made / "mine.md").read_text("utf-8") == document(reports, "mine") + "\n"
    assert {path.name for path in (made / "mine").iterdir()} == {
        plot.name for plot in all_plots(reports)}


def test_reports_that_cannot_be_used_are_told(tmp_path):
    with pytest.raises(DataError, match="holds no report"):
        load(tmp_path)
    (tmp_path / "stages-old.json").write_text('{"schema": 1}')
    with pytest.raises(DataError, match="no report of `python -m benchmarks stages` as this"):
        load(tmp_path)
    (tmp_path / "stages-old.json").write_text("{")
    with pytest.raises(DataError, match="is no JSON"):
        load(tmp_path)
    (tmp_path / "accuracy.json").write_text('{"schema": 1}')
    with pytest.raises(DataError, match=r"accuracy.json has no 'metrics', which every report"):
        load(tmp_path)


def test_a_markdown_file_without_a_suffix_is_refused(tmp_path, capsys):
    assert main(["report", "--markdown", str(tmp_path / "notes")]) == UsageError.exit_code
    assert f"give the file a suffix: {tmp_path / 'notes'}.md" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_readme_block_is_replaced_and_its_absence_told():
    begin, end = markers(BLOCK)
    assert replace_block(f"a\n{begin}\nold\n{end}\nb", BLOCK, "new") == f"a\n{begin}\nnew\n{end}\nb"
    with pytest.raises(DataError, match="lacks the markers"):
        replace_block("no markers", BLOCK, "new")


def test_documents_are_those_of_the_committed_reports():
    reports = load(report.REPORTS)
    assert report.DOCUMENT.read_text("utf-8") == document(reports, report.REPORTS.name) + "\n"
    readme = report.README.read_text("utf-8")
    assert readme == replace_block(readme, BLOCK, summary(reports))


def test_plots_are_those_of_the_committed_reports():
    """Their names, and what is written in them: lines may differ between matplotlib's versions."""
    pytest.importorskip("matplotlib")
    wanted = {plot.name: plot for plot in all_plots(load(report.REPORTS))}
    assert {path.name for path in report.REPORTS.glob("*.svg")} == set(wanted)
    for name, plot in wanted.items():
        committed, drawn = (report.REPORTS / name).read_text("utf-8"), report_plots.svg(plot)
        assert words(committed) == words(drawn), name


def words(svg: str) -> list[str]:
    return re.findall(r">([^<>]+)</text>", svg)
