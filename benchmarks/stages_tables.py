"""The report of ``python -m benchmarks stages`` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpr_edge.stages import DETECTION_STAGES, READING_STAGES, Stage
from benchmarks.cases import JUDGED, NETWORKS
from benchmarks.isa import CAPS
from benchmarks.report_facts import told_noise

_PERCENTILES = ("p50", "p90", "p95", "p99", "max")


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report: machine, the stages of one case, all cases, what was executed, verdicts."""
    lines = [*_machine(report), "", *_stages(report), "", *_cases(report), ""]
    for model in report["models"]:
        verdict = model["verdict"]
        lines += [f"- `{model['folder']}`: {verdict['text'] if verdict else f'no {JUDGED}'}"]
        for network in (name for name in NETWORKS if name in model):
            told = _network(model[network]) + _beyond_cap(model[network], report["isa"]["asked"])
            lines.append(f"  - {network}: {told}")
    return "\n".join(lines)


def _machine(report: Mapping[str, Any]) -> list[str]:
    machine, isa, harness = report["machine"], report["isa"], report["harness"]
    cores = "cores " + ", ".join(map(str, report["pinned"])) if report["pinned"] else "all cores"
    sizes = ", ".join(f"{frame} {w} x {h}" for frame, (w, h) in report["frames"].items())
    return [
        *told_noise(report),
        f"{machine['cpu']}, {machine['usable_cores'] or machine['cores']} cores, "
        f"{report['threads']} threads on {cores}, ISA {isa['asked']} (oneDNN: "
        f"{isa['onednn']}), OpenVINO {machine['openvino']}, alpr-edge {machine['alpr_edge']}, "
        f"commit {report['commit']}, {report['date'][:10]}.",
        f"{report['runs']} runs over {len(report['scenes'])} {report['pictures']} ({sizes}), "
        f"models taking turns; the harness costs {harness['total']['p50']:.3f} ms, "
        f"{harness['share']:.2%} of the shortest total (at most {harness['most']:.0%}).",
        f"`{report['command']}`",
    ]


def _stages(report: Mapping[str, Any]) -> list[str]:
    """One row a stage of one case, p50 / p90 / p99 a model, sums in bold."""
    models = report["models"]
    case = str(JUDGED) if str(JUDGED) in models[0]["cases"] else next(iter(models[0]["cases"]))
    cases = [model["cases"][case] for model in models]
    rows = [("load", [case["stages"]["load"] for case in cases])]
    for title, stages in (("detection", DETECTION_STAGES), ("reading", READING_STAGES)):
        rows += [(stage.value, [case["stages"][stage] for case in cases])
                 for stage in stages if stage in cases[0]["stages"]]
        rows.append((f"**{title}**", [case[title] for case in cases]))
    rows.append((f"**{Stage.TOTAL} without load**", [case["total"] for case in cases]))
    rows.append((f"**{Stage.TOTAL} with load**", [case["with_load"] for case in cases]))
    header = " | ".join([f"{case}, ms, p50 / p90 / p99", *map(_title, models)])
    return [
        f"| {header} |", "|---" * (len(models) + 1) + "|",
        *(f"| {name} | {' | '.join(map(_three, cells))} |" for name, cells in rows),
    ]


def _cases(report: Mapping[str, Any]) -> list[str]:
    """One row a case and model: totals without load, and what stands beside them."""
    head = ["frame/plates", "", *(f"total {name}" for name in _PERCENTILES), "p90 early",
            "detection", "reading", "with load p50", "p90", "overhead", "speed-up"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in report["models"][0]["cases"]:
        for model in report["models"]:
            case = model["cases"][name]
            early = case["total"].get("p90_early")
            speed = case["speed_up"]
            numbers = [
                *(case["total"][p] for p in _PERCENTILES), early, case["detection"]["p50"],
                case["reading"]["p50"], case["with_load"]["p50"], case["with_load"]["p90"],
            ]
            cells = ["-" if n is None else f"{n:.2f}" for n in numbers]
            cells += [f"{case['overhead']:.0%}",
                      f"{speed['value']:.2f} ({speed['low']:.2f} to {speed['high']:.2f})"]
            lines.append(f"| {name} | {_title(model)} | {' | '.join(cells)} |")
    return lines


def _title(model: Mapping[str, Any]) -> str:
    precisions = f"{model['detector']['precision']}, {model['reader']['precision']}"
    return f"{model['folder']} ({precisions})"


def _three(values: Mapping[str, float]) -> str:
    return " / ".join(f"{values[name]:.2f}" for name in ("p50", "p90", "p99"))


def _network(network: Mapping[str, Any]) -> str:
    size = "x".join("N" if side == -1 else str(side) for side in network["input"])
    executed = ", ".join(f"{n} {name}" for name, n in network["executed_precisions"].items())
    return (
        f"{network['name']} {network['version']}, {network['precision']}, input {size}, "
        f"{network['digest'][:12]}; executed layers: {executed}"
    )


def _beyond_cap(network: Mapping[str, Any], isa: str) -> str:
    """OpenVINO's own kernels do not heed oneDNN's cap: how many are of a larger ISA."""
    if isa not in CAPS or not CAPS[isa].variable.startswith("AVX2"):
        return ""
    kernels = network["executed_kernels"]
    beyond = sum(n for name, n in kernels.items() if "avx512" in name or "amx" in name)
    return f"; {beyond} of {sum(kernels.values())} layers beyond AVX2 in spite of the cap"
