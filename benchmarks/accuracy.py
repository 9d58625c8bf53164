"""Accuracy of deployed models on annotated pictures, FP32 and INT8 side by side.

    python -m benchmarks accuracy --data DATA --split val --isa avx2 --models FP32 INT8 --out A.json
    python -m benchmarks accuracy --data DATA --corrupt rotate:strong

Frames go through the whole pipeline, plate cut-outs are one plate each, as large as the picture. A
figure is measured only where its annotations allow it: IoU 0.7 and corner error on CCPD and
rendered pictures, false detections and precision where every visible plate is annotated. See
:mod:`alpr_edge.metrics`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from alpr_edge import __version__
from alpr_edge.alphabet import fits
from alpr_edge.data import Sample, Split, read
from alpr_edge.data.corrections import read_corrections
from alpr_edge.data.unannotated import read_unannotated
from alpr_edge.detector import PlateDetector, WholePicture
from alpr_edge.engine import Engine
from alpr_edge.errors import DataError, ExitCode, UsageError
from alpr_edge.images import load_image
from alpr_edge.manifest import Manifest, digest
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import ALPR
from alpr_edge.reader import PlateReader
from alpr_edge.types import Image
from benchmarks import certainty, isa, plots, record
from benchmarks.accuracy_tables import show
from benchmarks.conditions import Conditions
from benchmarks.corrupt import NAMES, Corruption
from benchmarks.figures import Figure, number, paired
from benchmarks.models import folder_name, unlike
from benchmarks.scores import Answers, crop_groups, figures, texts_of

SCHEMA = 1


def load(data: Path, split: str, limit: int | None) -> tuple[list[Sample], list[Sample]]:
    """Frames, and cut-outs with a text, of one split; ``limit`` takes the first N of each set.

    Raises:
        DataError: the data has nothing of that split; the message says which splits it has.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    splits: Counter[str] = Counter()
    frames: list[Sample] = []
    crops: list[Sample] = []
    for sample in read(data):
        splits[sample.split] += 1
        if sample.split != split or (sample.crop and sample.plates[0].text is None):
            continue
        counts[sample.dataset, sample.crop] += 1
        if limit is None or counts[sample.dataset, sample.crop] <= limit:
            (crops if sample.crop else frames).append(sample)
    if not frames and not crops:
        present = ", ".join(f"{name}: {count}" for name, count in splits.items()) or "none at all"
        raise DataError(f"{data} has no pictures of split {split}; it has {present}")
    return frames, crops


def answer(
    frames: Sequence[Sample], crops: Sequence[Sample], models: Sequence[ALPR],
    advance: Callable[[int], None] = lambda done: None, corruption: Corruption | None = None,
    close_ups: bool = False,
) -> list[Answers]:
    """Give every picture, corrupted or not, to every model; each picture is loaded once. Cut-outs
    are one plate each, as large as the picture; ``close_ups``: to the whole pipeline too, as
    cut-outs and as pictures like any other."""
    plain = [
        ALPR(detector=WholePicture(), reader=model.reader, min_confidence=0.0) for model in models
    ]
    cut_outs = [
        ALPR(detector=model.detector, reader=model.reader, min_confidence=0.0, cut_outs=True)
        for model in models
    ]
    answers = [
        Answers(plates=[], texts=[], confidences=[], least=_least(model)) for model in models
    ]
    for sample in frames:
        image = _picture(sample, corruption)
        for model, given in zip(models, answers, strict=True):
            given.plates.append(model.predict(image))
        advance(1)
    for sample in crops:
        image = _picture(sample, corruption)
        for model, reads, finds, given in zip(models, plain, cut_outs, answers, strict=True):
            [plate] = reads.predict(image)
            given.texts.append(plate.text)
            given.confidences.append(plate.confidence)
            if close_ups:
                given.close_ups.append(model.predict(image))
                given.cut_outs.append(finds.predict(image)[0].text)
        advance(1)
    return answers


def _picture(sample: Sample, corruption: Corruption | None) -> Image:
    image = load_image(sample.path)
    return corruption.image(image, sample) if corruption else image


def _least(model: ALPR) -> float:
    """The confidence from which a pipeline shows a plate if it is not told otherwise."""
    return model.reader.min_confidence if isinstance(model.reader, PlateReader) else 0.0


def run(
    data: Path, split: str, models: Mapping[str, ALPR], limit: int | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
    corruption: Corruption | None = None, close_ups: bool = False,
    unannotated: Path | None = None, corrections: Path | None = None,
) -> dict[str, Any]:
    """Measure the named pipelines on the same pictures: the report, ready for JSON.

    ``metrics`` in it maps figure → group → ``models`` (one entry a model) and, for two models,
    ``paired`` (the second less the first); ``confidence`` and ``confusion`` are told by
    :mod:`benchmarks.certainty`. ``advance`` is told the pictures done and their total.
    """
    frames, crops = load(data, split, limit)
    samples = list(read(data)) if unannotated or corrections else []
    listed = read_unannotated(data, samples, unannotated)
    right = read_corrections(data, samples, corrections) if corrections else {}
    total = len(frames) + len(crops)
    answers = answer(
        frames, crops, list(models.values()), lambda done: advance(done, total), corruption,
        close_ups,
    )
    if corruption:
        listed = {
            sample.path: corruption.boxes(sample, listed[sample.path])
            for sample in frames if sample.path in listed
        }
        frames = [corruption.truth(sample) for sample in frames]
    measured = [figures(frames, crops, given, listed, right) for given in answers]
    return {
        "schema": SCHEMA,
        "alpr_edge": __version__,
        "split": split,
        "limit": limit,
        "corruption": dataclasses.asdict(corruption) if corruption else None,
        "frames": len(frames),
        "crops": len(crops),
        "texts_beyond_alphabet": sum(not fits(crop.plates[0].text or "") for crop in crops),
        "models": [{"folder": name, **_about(model)} for name, model in models.items()],
        "metrics": {
            name: {group: _entry([m[name][group] for m in measured]) for group in groups}
            for name, groups in measured[0].items()
        },
        "confidence": certainty.entries(
            crop_groups(crops), [_certainty(crops, given) for given in answers]
        ),
        "confusion": [certainty.confusion(given.texts, texts_of(crops)) for given in answers],
    }


def _certainty(crops: Sequence[Sample], answers: Answers) -> certainty.Certainty:
    rights = [text == truth for text, truth in zip(answers.texts, texts_of(crops), strict=True)]
    return certainty.Certainty(
        confidences=answers.confidences, rights=rights, least=answers.least
    )


def _about(model: ALPR) -> dict[str, Any]:
    """What the manifests of a pipeline's networks say they are."""
    detector, reader = model.detector, model.reader
    engines: dict[str, Engine] = {}
    if isinstance(detector, PlateDetector):
        engines |= detector.engines
    if isinstance(reader, PlateReader):
        engines["reader"] = reader.engine
    return {name: _identity(engine.manifest) for name, engine in engines.items()}


def _identity(manifest: Manifest) -> dict[str, str]:
    names = ("name", "version", "step", "precision", "inference_precision")
    return {name: getattr(manifest, name) for name in names} | {"digest": digest(manifest)}


def _entry(models: Sequence[Figure]) -> dict[str, Any]:
    """One figure of every model and, where two can be paired, their difference."""
    entry: dict[str, Any] = {"models": [number(figure) for figure in models]}
    if len(models) == 2 and isinstance(models[0], list) and isinstance(models[1], list):
        entry["paired"] = paired(models[0], models[1])
    return entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks accuracy``."""
    parser.add_argument("--data", type=Path, required=True, help="folder of annotated pictures")
    parser.add_argument("--split", default=Split.VAL.value, choices=[s.value for s in Split])
    isa.add_argument(parser)
    parser.add_argument(
        "--models", type=Path, nargs="+", metavar="DIR", default=[MODELS],
        help="one model folder, or two to compare (default: the models that are shipped)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="first N pictures of each set only")
    parser.add_argument(
        "--corrupt", metavar="NAME[:STRENGTH]",
        help=f"corrupt the pictures first: {', '.join(NAMES)}; weak, medium (default) or strong",
    )
    parser.add_argument("--close-ups", action="store_true",
                        help="give the cut-outs to the whole pipeline too, as pictures")
    parser.add_argument("--unannotated", type=Path, metavar="FILE",
                        help="plates that the annotations leave out, which are not false either")
    parser.add_argument("--corrections", type=Path, metavar="FILE",
                        help="right texts of wrongly labelled cut-outs, for one more figure")
    record.add_out(parser)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots of the confidence")


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the command; ``arguments`` are repeated in a child process for another ISA.

    Raises:
        AlprEdgeError: wrong options, data or models; see :mod:`alpr_edge.errors`.
    """
    folders = list(dict.fromkeys(options.models))
    if len(folders) > 2 or len(folders) < len(options.models):
        raise UsageError(f"--models got {len(options.models)}; allowed: one or two different ones")
    if options.limit is not None and options.limit < 1:
        raise UsageError(f"--limit is {options.limit}; allowed: 1 or more")
    corruption = Corruption.parse(options.corrupt) if options.corrupt else None
    if options.plots:
        plots.check()
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    models = {folder_name(folder): ALPR(models=folder, min_confidence=0.0) for folder in folders}
    if (warning := unlike({name: model.detector for name, model in models.items()})) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring")
        content = run(
            options.data, options.split, models, options.limit,
            lambda done, total: progress.update(task, advance=done, total=total), corruption,
            options.close_ups, options.unannotated, options.corrections,
        )
    report = record.record("accuracy", arguments, named, before, content)
    record.save(report, options.out)
    if options.plots:
        plots.write(report, options.plots)
    show(report)
    return ExitCode.OK
