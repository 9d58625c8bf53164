"""The report as Markdown: what was noisy, what is missing, then a section a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from benchmarks import (
    cameras,
    cold,
    energy,
    events,
    memory,
    model,
    origin_tables,
    peers_tables,
    report_accuracy,
    report_pareto,
    report_plots,
    sizes,
    stages_tables,
    throughput,
)
from benchmarks.report_facts import Report, Reports, facts, noise, of_kind, told_noise
from benchmarks.report_pareto import Panel
from benchmarks.report_plots import Plot
from benchmarks.report_readme import TARGET, summary

HEAD = """# Results

Made by `python -m benchmarks report` from the JSON files in `docs/results`;
[benchmark.md](benchmark.md) has the method."""

HOW = {
    "budget": "benchmarks budget --profile ryzen-5700u --data DATA",
    "stages": f"benchmarks stages --isa {TARGET} --threads 2 --data DATA",
    "cold": f"benchmarks cold --isa {TARGET} --threads 2 --data DATA",
    "throughput": f"benchmarks throughput --isa {TARGET} --data DATA",
    "model": f"benchmarks model MODEL.xml --isa {TARGET} --threads 2",
    "memory": f"benchmarks memory --isa {TARGET} --threads 2 --data DATA",
    "energy": f"benchmarks energy --isa {TARGET} --threads 2 --data DATA",
    "origin": f"training origin --isa {TARGET} --threads 2",
    "peers": f"benchmarks compare --against NAME=COMMAND --isa {TARGET} --data DATA",
    "events": f"benchmarks events VIDEO TRUTH.json --isa {TARGET}",
    "cameras": f"benchmarks cameras --isa {TARGET}",
    "accuracy": f"benchmarks accuracy --isa {TARGET} --data DATA",
    "corrupt": f"benchmarks accuracy --isa {TARGET} --data DATA --corrupt blur",
    "sizes": f"benchmarks sizes --isa {TARGET} --data DATA --detectors A B",
    "optimize": f"optimize measure --target {TARGET} --data DATA --out OUT",
}
"""Which command makes each kind of report."""

Text = Callable[[Any], str]


def document(reports: Reports, pictures: str) -> str:
    """The whole text; ``pictures`` is the folder of the plots as the text's file sees it."""
    parts = [HEAD, _noisy(reports), _missing(reports), f"## In short\n\n{summary(reports)}"]
    for kind, (title, text) in _SINGLE.items():
        for name, report in of_kind(reports, kind).items():
            about = name.partition("-")[2]
            heading = f"## {title}: {about}" if about else f"## {title}"
            images = _images(report_plots.of_report(name, report), pictures)
            parts += [heading, text(report), *images]
    if corrupted := of_kind(reports, "corrupt"):
        lines = report_accuracy.corruptions(list(corrupted.values()))
        parts += ["## Accuracy under corruptions", "\n".join(lines)]
    parts += _pareto(reports, pictures)
    for report in of_kind(reports, "sizes").values():
        table = sizes.markdown(report["rows"], report["facts"])
        parts += ["## The detector's input size", "\n".join([*told_noise(report), table])]
    return "\n\n".join([*parts, _origins(reports)])


def all_plots(reports: Reports) -> list[Plot]:
    """Every plot that :func:`document` shows."""
    single = [plot for name, report in reports.items()
              for plot in report_plots.of_report(name, report)]
    return [*single, *report_plots.of_panels([*_pipelines(reports), *_variants(reports)])]


def _noisy(reports: Reports) -> str:
    """In front of everything: which times are not to be trusted, and why."""
    lines = [f"- `{name}`: {'; '.join(reasons)}" for name, report in reports.items()
             if (reasons := noise(report))]
    lines += [f"- `{name}`: the machine's conditions were not recorded with its times"
              for name in of_kind(reports, "sizes") if "conditions" not in reports[name]]
    quiet = "Nothing: the machine was quiet before and after every run."
    return "\n\n".join(["## What was noisy", "\n".join(lines) or quiet])


def _missing(reports: Reports) -> str:
    lines = [f"- {kind}: `python -m {how}`" for kind, how in HOW.items()
             if not of_kind(reports, kind)]
    return "\n\n".join(["## What is not here yet, and what makes it", "\n".join(lines)]
                       if lines else ["## What is not here yet", "Nothing."])


def _after_facts(text: Text) -> Text:
    """A section of a command whose own text tells its noise, but not all it was measured on."""
    return lambda report: _kept(f"{facts(report)}\n{text(report)}")


def _after_noise(text: Text) -> Text:
    """A section of a command whose own text is the figures alone."""
    return lambda report: _kept("\n".join([*told_noise(report), facts(report), text(report)]))


def _kept(text: str) -> str:
    """Prose whose lines stay lines in Markdown: two spaces before the end of each but the last."""
    lines = [line.rstrip() for line in text.splitlines()]
    followed = [
        bool(line) and bool(after) and not {line[0], after[0]} & {"|", "-"}
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
    ]
    return "\n".join(line + "  " * more for line, more in zip(lines, followed, strict=True))


def _memory(report: Report) -> str:
    fields = [field.name for field in dataclasses.fields(memory.Memory)]
    return memory.text(memory.Memory(**{name: report[name] for name in fields}))


_SINGLE: dict[str, tuple[str, Text]] = {
    "budget": ("Budget", _after_noise(lambda report: str(report["text"]))),
    "stages": ("Speed", stages_tables.markdown),
    "cold": ("Cold start", _after_facts(cold.markdown)),
    "throughput": ("Throughput", _after_facts(throughput.text)),
    "model": ("One network", _after_facts(model.text)),
    "memory": ("Memory", _after_noise(_memory)),
    "energy": ("Energy", _after_noise(energy.text)),
    "origin": ("The origin's own design beside ours", origin_tables.markdown),
    "peers": ("Other readers", peers_tables.markdown),
    "events": ("Events of a drive-by video", _after_facts(events.text)),
    "cameras": ("Cameras", _after_facts(cameras.text)),
    "accuracy": ("Accuracy", lambda report: "\n".join(report_accuracy.accuracy(report))),
}
"""Kinds with a section for each report: title and text."""


def _images(plots: list[Plot], pictures: str) -> list[str]:
    return [f"![{plot.shows}]({pictures}/{plot.name})" for plot in plots]


def _pipelines(reports: Reports) -> list[Panel]:
    return report_pareto.pipelines(of_kind(reports, "accuracy"), of_kind(reports, "stages"))


def _variants(reports: Reports) -> list[Panel]:
    found = of_kind(reports, "optimize").items()
    return [panel for item in found for panel in report_pareto.variants(*item)]


def _pareto(reports: Reports, pictures: str) -> list[str]:
    """Accuracy over time: of whole pipelines, then of each network's variants."""
    panels = [*_pipelines(reports), *_variants(reports)]
    noisy = [line for report in of_kind(reports, "optimize").values()
             for line in told_noise(report)]
    parts = ["\n".join(noisy)] if noisy else []
    for panel in panels:
        parts += [_table(panel), *_images(report_plots.of_panels([panel]), pictures)]
    return ["## Accuracy over time", *parts] if panels else []


def _table(panel: Panel) -> str:
    best = report_pareto.front(panel.points)
    rows = [
        f"| {point.name} | {point.ms:.2f} | {point.value:.1f} % ({point.low:.1f} to "
        f"{point.high:.1f}) | {'yes' if point in best else ''} | {'yes' if point.picked else ''} |"
        for point in panel.points
    ]
    return "\n".join([
        f"{panel.title}; {panel.accuracy}, 95 % intervals.", "",
        f"| model | {panel.time} | accuracy | front | pick |", "|---|---|---|---|---|", *rows,
    ])


def _origins(reports: Reports) -> str:
    """The machine and software of each report, and the exact command that made it."""
    return "\n".join([
        "## Where each figure comes from", "",
        *(f"- `{name}`: {_origin(report)}" for name, report in reports.items()),
    ])


def _origin(report: Report) -> str:
    command = f"`{report['command']}`" if "command" in report else "command not recorded"
    if "machine" not in report:
        return f"{command}; the machine is told in its section"
    system = [report["machine"][name] for name in ("system", "python") if name in report["machine"]]
    return f"{command}. {facts(report)} {', Python '.join(system)}".rstrip()
