"""The report of ``python -m benchmarks stages`` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpr_edge.cpu import BUSY

_TITLES = {"detection": "detection", "reading": "reading, 1 plate"}


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report: machine, one table of times, what was executed, the verdicts."""
    lines = [*_machine(report), "", *_times(report), ""]
    for model in report["models"]:
        lines += [f"- `{model['folder']}`: {model['verdict']['text']}"]
        for network in ("detector", "reader"):
            beyond = _beyond_cap(model[network]) if report["isa"]["asked"] == "avx2" else ""
            lines.append(f"  - {network}: {_network(model[network])}{beyond}")
    return "\n".join(lines)


def _machine(report: Mapping[str, Any]) -> list[str]:
    machine, isa = report["machine"], report["isa"]
    width, height = report["frame"]
    lines = [
        f"{machine['cpu']}, {machine['usable_cores'] or machine['cores']} cores, "
        f"{report['threads']} threads, ISA {isa['asked']} (oneDNN: {isa['onednn']}), "
        f"OpenVINO {machine['openvino']}, alpr-edge {machine['alpr_edge']}, {report['date'][:10]}.",
        f"{report['runs']} runs over {len(report['scenes'])} {report['pictures']} of "
        f"{width} x {height}, models taking turns; harness alone {report['harness_ms']:.2f} ms; "
        f"load average {report['load_before']:.2f} before, {report['load_after']:.2f} after.",
    ]
    if report["load_before"] > BUSY:
        lines.append(
            f"**Not idle**: load average {report['load_before']:.2f} before the first run; "
            "the times are too long."
        )
    return lines


def _times(report: Mapping[str, Any]) -> list[str]:
    """One row a stage, p50 / p90 / p99 a model, sums in bold."""
    models = report["models"]
    names = [
        f"{m['folder']} ({m['detector']['precision']}, {m['reader']['precision']})" for m in models
    ]
    header = " | ".join(["ms, p50 / p90 / p99", *names])
    lines = [f"| {header} |", "|---" * (len(models) + 1) + "|"]
    for part in models[0]["ms"]:
        title = _TITLES.get(part, f"reading, {part.rpartition('_')[2]} plates at once")
        for stage in models[0]["ms"][part]:
            cells = [_cell(model["ms"][part][stage]) for model in models]
            if stage == "total":
                speeds = [model["speed_up"][part] for model in models]
                cells = [
                    f"**{cell}**" + (f" ({speed:.2f}x)" if len(models) > 1 else "")
                    for cell, speed in zip(cells, speeds, strict=True)
                ]
            name = f"**{title}**" if stage == "total" else stage
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: Mapping[str, float]) -> str:
    return " / ".join(f"{value:.2f}" for value in values.values())


def _network(network: Mapping[str, Any]) -> str:
    size = "x".join("N" if side == -1 else str(side) for side in network["input"])
    executed = ", ".join(f"{n} {name}" for name, n in network["executed_precisions"].items())
    return (
        f"{network['name']} {network['version']}, {network['precision']}, input {size}, "
        f"{network['digest'][:12]}; executed layers: {executed}"
    )


def _beyond_cap(network: Mapping[str, Any]) -> str:
    """OpenVINO's own kernels do not heed oneDNN's cap: how many are of a larger ISA."""
    kernels = network["executed_kernels"]
    beyond = sum(n for name, n in kernels.items() if "avx512" in name or "amx" in name)
    return f"; {beyond} of {sum(kernels.values())} layers beyond AVX2 in spite of the cap"
