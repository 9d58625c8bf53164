"""A manifest as text for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from alpr_edge.manifest import Manifest, Metric


def describe(manifest: Manifest) -> str:
    """The manifest's facts, then its chain of ancestors, the nearest first."""
    return "\n".join([*_facts(manifest), "", *_chain(manifest)])


def _facts(manifest: Manifest) -> Iterator[str]:
    yield f"{manifest.name} {manifest.version} ({manifest.task}), manifest schema {manifest.schema}"
    yield f"  licence     {manifest.licence}"
    yield f"  precision   {manifest.precision} weights, {manifest.inference_precision} arithmetic"
    spec = manifest.input
    shape = " x ".join("N" if side < 0 else str(side) for side in spec.shape)
    pixels = f"{spec.dtype} {shape} {spec.layout} {spec.colour}"
    yield f"  input       {spec.name}: {pixels}, {spec.resize}"
    for output in manifest.outputs:
        yield f"  output      {output.name} ({', '.join(output.axes)})"
    for name, value in dataclasses.asdict(manifest.decode).items():
        yield f"  decode      {name} = {value}"
    for line in manifest.trained_on:
        yield f"  trained on  {line}"
    yield from _step(manifest)


def _chain(manifest: Manifest) -> Iterator[str]:
    yield "made from" if manifest.ancestors else "made from nothing earlier"
    for depth, ancestor in enumerate(manifest.ancestors, 1):
        yield f"{depth}. {ancestor.name} {ancestor.version}, {ancestor.precision}"
        yield from _step(ancestor)


def _step(manifest: Manifest) -> Iterator[str]:
    tools = ", ".join(f"{name} {version}" for name, version in manifest.tools.items())
    yield f"  step        {manifest.step}, {manifest.created}" + (f", {tools}" if tools else "")
    for name, digest in manifest.files.items():
        yield f"  file        {name} sha256 {digest}"
    for name, value in manifest.parity.items():
        yield f"  parity      {name} = {value:g}"
    for metric in manifest.metrics:
        yield f"  measured    {_metric(metric)}"


def _metric(metric: Metric) -> str:
    count = f" ({metric.k}/{metric.n})" if metric.k is not None else ""
    isa = f", {metric.isa}" if metric.isa else ""
    return f"{metric.what} = {metric.value:g}{count} on {metric.split}{isa}; {metric.command}"
