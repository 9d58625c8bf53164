"""A manifest, or a folder of models, as text for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from alpr_edge import closer, picks
from alpr_edge.cpu import this_cpu
from alpr_edge.manifest import (
    FILENAME,
    TASKS,
    InputSpec,
    Manifest,
    Metric,
    PipelineDecode,
    verify_files,
)
from alpr_edge.picks import Variant
from alpr_edge.tuning import Chooser, config_path


def describe(manifest: Manifest) -> str:
    """The manifest's facts, then its chain of ancestors, the nearest first."""
    return "\n".join([*_facts(manifest), "", *_chain(manifest)])


def describe_models(chooser: Chooser) -> str:
    """The variants of a models folder, which of them are chosen on this CPU, and why.

    Raises:
        ModelError: picks.json or a manifest is wrong, or a file of a model is missing or corrupt.
        UsageError: the device's tuning is corrupt.
    """
    return "\n".join(_models(chooser))


def _models(chooser: Chooser) -> Iterator[str]:
    cpu = this_cpu()
    yield f"models {chooser.models}"
    yield f"  CPU         {cpu.name}, {cpu.cores} cores: class {cpu.kind}, {cpu.why}"
    tuned = "none; alpr-edge tune makes one" if chooser.tuning is None else str(config_path())
    yield f"  tuning      {tuned}"
    for task in TASKS:
        setting = chooser.setting(task)
        yield ""
        yield task
        for variant in picks.variants(chooser.models, task):
            mark = "chosen" if variant.folder == setting.folder else "variant"
            yield f"  {mark:<11} {_variant(variant)}"
        threads = "as OpenVINO likes" if setting.threads is None else str(setting.threads)
        yield f"  threads     {threads}"
        yield f"  why         {setting.why}"


def _variant(variant: Variant) -> str:
    manifest = variant.manifest
    verify_files(manifest, variant.folder / FILENAME)
    size = sum((variant.folder / name).stat().st_size for name in manifest.files)
    picked = f"picked for {', '.join(variant.picked_for)}" if variant.picked_for else "not picked"
    near = variant.folder / closer.FOLDER
    return (
        f"{variant.folder.name}: {manifest.name} {manifest.version}, {manifest.precision}, input "
        f"{_shape(manifest.input)}, {size / 1e6:.1f} MB, {picked}"
        + ", with a closer look" * (near / FILENAME).is_file()
    )


def _shape(spec: InputSpec) -> str:
    return " x ".join("N" if side < 0 else str(side) for side in spec.shape)


def _facts(manifest: Manifest) -> Iterator[str]:
    yield f"{manifest.name} {manifest.version} ({manifest.task}), manifest schema {manifest.schema}"
    yield f"  licence     {manifest.licence}"
    yield f"  precision   {manifest.precision} weights, {manifest.inference_precision} arithmetic"
    spec = manifest.input
    pixels = f"{spec.dtype} {_shape(spec)} {spec.layout} {spec.colour}"
    yield f"  input       {spec.name}: {pixels}, {spec.resize}"
    for output in manifest.outputs:
        yield f"  output      {output.name} ({', '.join(output.axes)})"
    for stage in _stages(manifest) or (manifest,):
        for name, value in dataclasses.asdict(stage.decode).items():
            yield f"  decode      {name} = {value}"
    for line in manifest.trained_on:
        yield f"  trained on  {line}"
    yield from _step(manifest)


def _chain(manifest: Manifest) -> Iterator[str]:
    sources = manifest.ancestors or _stages(manifest)
    yield "made from" if sources else "made from nothing earlier"
    for depth, ancestor in enumerate(sources, 1):
        yield f"{depth}. {ancestor.name} {ancestor.version}, {ancestor.precision}"
        yield from _step(ancestor)


def _stages(manifest: Manifest) -> tuple[Manifest, ...]:
    """A pipeline's trained networks; none of any other model."""
    decode = manifest.decode
    return (decode.detector, decode.reader) if isinstance(decode, PipelineDecode) else ()


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
