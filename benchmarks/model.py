"""One network alone: latency, throughput, the time of each layer, and its share of the CPU's peak.

    python -m benchmarks model MODEL.xml --threads 2 --isa zen2 --out model.json

The latency is of one request after another, the throughput of as many at once as OpenVINO finds
best. The layers are timed in a second copy of the network, because timing them slows it. The share
of the peak is the time that the network's products would take at the speed of a large product
(:mod:`benchmarks.peak`), each at that of its precision, over the time that the network takes, both
with as many requests at once.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from alpr_edge.count import Macs, count_macs
from alpr_edge.engine import executed
from alpr_edge.errors import ExitCode, UsageError
from benchmarks import isa, peak, record, requests
from benchmarks.conditions import Conditions
from benchmarks.report_facts import told_noise
from benchmarks.requests import Hint, Precision, Settings
from benchmarks.statistics import summary

SHOWN = 15
"""Layers of the printed table, the slowest first; the report has all."""
PROFILED_RUNS = 20
"""Runs that a layer's time is the median of."""
PEAK_SHARE = 0.2
"""Of ``--seconds``: how long each large product is measured, before and after the network."""
FLOAT, BYTE = "float", "8 bits"


def measure(
    path: Path, settings: Settings, seconds: float, batch: int | None = None
) -> dict[str, Any]:
    """The content of a report: ``seconds`` of one request, as many of requests at once.

    Raises:
        ModelError: the model cannot be read or compiled. UsageError: a setting is out of range.
        PrecisionError: layers run in lower precision than asked for.
    """
    model = requests.read_model(path, batch)
    macs = count_macs(model)
    network = requests.compiled(model, settings)
    requests.check_precision(network, settings.precision)
    inputs = requests.random_inputs(network)
    crowded = dataclasses.replace(settings, hint="throughput")
    before = _peaks(macs, crowded, seconds * PEAK_SHARE)
    samples = requests.one_by_one(network, inputs, seconds)
    crowd = network if settings == crowded else requests.compiled(model, crowded)
    load = requests.at_once(crowd, [inputs], seconds)
    after = _peaks(macs, crowded, seconds * PEAK_SHARE)
    peaks = {name: max(value, after[name]) for name, value in before.items()}
    return {
        "model": path.name if path.is_absolute() else str(path),
        "settings": {
            "hint": settings.hint, "precision": settings.precision, **requests.taken(network),
            "inputs": [list(array.shape) for array in inputs],
        },
        "executed_precisions": executed(network, "runtimePrecision"),
        "loaded_settings": requests.taken(crowd),
        "latency": summary(samples), "throughput_fps": round(load.fps, 2), "loaded": load.to_json(),
        "layers": layers(requests.compiled(model, settings, profiled=True), inputs),
        "gmac": macs.total / 1e9, "gmac_8_bits": macs.of_8_bits / 1e9,
        "peak_gmac_per_second": {name: round(value / 1e9, 1) for name, value in peaks.items()},
        "peak_share": round(peak_share(macs, peaks, len(load.latencies) / load.seconds), 4),
        "samples": [round(sample, 4) for sample in samples],
    }


def _peaks(macs: Macs, settings: Settings, seconds: float) -> dict[str, float]:
    """MAC a second of a large product, in the precisions that the network has products of."""
    wanted = {FLOAT: macs.total > macs.of_8_bits, BYTE: macs.of_8_bits > 0}
    return {
        name: peak.macs_a_second(settings, name == BYTE, seconds)
        for name, is_wanted in wanted.items() if is_wanted
    }


def peak_share(macs: Macs, peaks: Mapping[str, float], inferences_a_second: float) -> float:
    """Which share of the time would do, if all products ran at their peak; 0 without products."""
    counts = {FLOAT: macs.total - macs.of_8_bits, BYTE: macs.of_8_bits}
    return inferences_a_second * sum(counts[name] / value for name, value in peaks.items())


def layers(profiled: Any, inputs: Sequence[NDArray[Any]]) -> list[dict[str, Any]]:
    """Each layer of a profiled network that takes time, in order: name, type, kernel, median ms,
    and the share of the sum of all."""
    request = profiled.create_infer_request()
    request.infer(list(inputs))
    times: dict[str, list[float]] = {}
    for _ in range(PROFILED_RUNS):
        request.infer(share_outputs=True)
        for layer in request.profiling_info:
            times.setdefault(layer.node_name, []).append(layer.real_time.total_seconds() * 1e3)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    whole = sum(medians.values()) or 1.0
    return [
        {"name": layer.node_name, "type": layer.node_type, "kernel": layer.exec_type,
         "ms": round(medians[layer.node_name], 4),
         "share": round(medians[layer.node_name] / whole, 4)}
        for layer in request.profiling_info if medians[layer.node_name]
    ]


def text(report: Mapping[str, Any]) -> str:
    """The report for people: its noise first, then the figures and the slowest layers."""
    settings, latency, peaks = (
        report["settings"], report["latency"], report["peak_gmac_per_second"]
    )
    crowd = report["loaded_settings"]
    inputs = ", ".join("x".join(map(str, shape)) for shape in settings["inputs"])
    ran = ", ".join(f"{count} {name}" for name, count in report["executed_precisions"].items())
    told = " ".join(f"{name} {value:.3f}" for name, value in latency.items())
    reached = ", ".join(f"{value:g} GMAC/s in {name}" for name, value in peaks.items())
    slowest = sorted(report["layers"], key=lambda layer: -layer["ms"])[:SHOWN]
    return "\n".join([
        *told_noise(report),
        f"{report['model']}: input {inputs}; hint {settings['hint']}, streams "
        f"{settings['streams']}, threads {settings['threads']}, precision "
        f"{settings['precision']}; executed layers: {ran}",
        f"latency ms, one request after another: {told}",
        f"throughput: {report['throughput_fps']:.1f} a second, compiled for it: streams "
        f"{crowd['streams']}, threads {crowd['threads']}, requests at once {crowd['requests']}",
        f"{report['gmac']:.3f} GMAC an inference, {report['gmac_8_bits']:.3f} in 8 bits: "
        f"{report['peak_share']:.1%} of what a large product reaches here ({reached or 'none'})",
        "", f"| slowest layers of {len(report['layers'])} | type | kernel | ms | share |",
        "|---|---|---|---|---|",
        *(f"| {layer['name']} | {layer['type']} | {layer['kernel']} | {layer['ms']:.3f} | "
          f"{layer['share']:.1%} |" for layer in slowest),
    ])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks model``."""
    parser.add_argument("model", type=Path, metavar="MODEL", help=".xml (with its .bin) or .onnx")
    parser.add_argument("--hint", choices=get_args(Hint), default="latency", help="OpenVINO's hint")
    parser.add_argument("--streams", type=int, help="inferences at once (default: the hint's)")
    parser.add_argument("--threads", type=int, help="of all streams (default: the hint's)")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="f32",
        help="of what is not quantized (default: f32); native: what OpenVINO prefers here",
    )
    parser.add_argument("--batch", type=int, help="a free batch becomes this (default: 1)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of latency, of throughput")
    isa.add_argument(parser)
    record.add_out(parser)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measure one model file.

    Raises:
        AlprEdgeError: wrong options, no model, or a precision that was not asked for.
    """
    if not options.seconds > 0:
        raise UsageError(f"--seconds is {options.seconds}; allowed: more than 0")
    if options.batch is not None and options.batch < 1:
        raise UsageError(f"--batch is {options.batch}; allowed: 1 or more")
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    settings = Settings(
        hint=options.hint, streams=options.streams, threads=options.threads,
        precision=options.precision,
    )
    content = measure(options.model, settings, options.seconds, options.batch)
    report = record.record("model", arguments, named, before, content)
    print(text(report))
    record.save(report, options.out)
    return ExitCode.OK
