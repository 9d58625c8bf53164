"""Accuracy of deployed models on annotated pictures, FP32 and INT8 side by side.

    python -m benchmarks accuracy --data DATA --split val --isa avx2 --models FP32 INT8 --out A.json
    python -m benchmarks accuracy --data DATA --corrupt rotate:strong

Frames go through the whole pipeline, plate cut-outs through the reader. A figure is measured only
where its annotations allow it: IoU 0.7 and corner error on CCPD and rendered pictures, false
detections and precision where every visible plate is annotated. See :mod:`alpr_edge.metrics`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from alpr_edge import __version__, confidence, geometry, metrics
from alpr_edge.alphabet import fits
from alpr_edge.data import Sample, Split, read
from alpr_edge.data.unannotated import read_unannotated
from alpr_edge.decode import box_iou
from alpr_edge.detector import PlateDetector
from alpr_edge.errors import DataError, ExitCode, OutputError, UsageError
from alpr_edge.images import load_image
from alpr_edge.manifest import Manifest, digest
from alpr_edge.metrics import FrameResult, Rate
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import ALPR
from alpr_edge.reader import PlateReader
from alpr_edge.types import Box, Detection, Image, Plate
from benchmarks import certainty, isa, plots, record
from benchmarks.accuracy_tables import show
from benchmarks.conditions import Conditions
from benchmarks.corrupt import NAMES, Corruption
from benchmarks.figures import Figure, Figures, Hits, number, paired
from benchmarks.models import folder_name

SCHEMA = 1
BATCH = 8
"""Cut-outs read at a time."""
MAIN_FRAMES = "ccpd_base"
WIDE_PLATE = 40
"""Plates at least so wide (in a frame 1280 wide) have a bar of their own."""
ALL, OTHERS, COMPLETE = "all frames", "other complete frames", "complete frames"
OTHERS_READ = "other frames with texts"
ONE_ROW, TWO_ROWS = "one row", "two rows"
LISTED = 0.3
"""A detection with this IoU is about a plate on the list of those that nobody annotated."""
Unannotated = Mapping[Path, Sequence[Box]]
DETECTION_FIGURES = (
    "recall_50", "recall_50_by_width", "precision_50", "average_precision_50",
    "false_per_picture", "recall_70", "precision_70",
    "average_precision_50_95", "corner_error",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What one model answered: all plates of each frame, text of each cut-out and its confidence,
    in order, and the plates of each cut-out where it was given as a picture like any other;
    ``least`` is the confidence from which the pipeline shows a plate."""

    plates: list[list[Plate]]
    texts: list[str]
    confidences: list[float]
    close_ups: list[list[Plate]] = dataclasses.field(default_factory=list)
    least: float = 0.0

    @property
    def shown(self) -> list[list[Plate]]:
        """The plates of each frame that the pipeline shows."""
        return [self.sure(plates) for plates in self.plates]

    def sure(self, plates: Sequence[Plate]) -> list[Plate]:
        """Those that the pipeline shows."""
        return [plate for plate in plates if plate.confidence >= self.least]


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
    """Give every picture, corrupted or not, to every model; each picture is loaded once.
    ``close_ups``: the cut-outs also to the whole pipeline, as pictures like any other."""
    answers = [
        Answers(plates=[], texts=[], confidences=[], least=_least(model)) for model in models
    ]
    for sample in frames:
        image = _picture(sample, corruption)
        for model, given in zip(models, answers, strict=True):
            given.plates.append(model.predict(image))
        advance(1)
    for start in range(0, len(crops), BATCH):
        images = [_picture(sample, corruption) for sample in crops[start : start + BATCH]]
        batch = np.stack([geometry.rectify(image, geometry.whole(image)) for image in images])
        for model, given in zip(models, answers, strict=True):
            readings = model.reader.predict(batch)
            given.texts.extend(reading.text for reading in readings)
            given.confidences.extend(reading.confidence for reading in readings)
            if close_ups:
                given.close_ups.extend(model.predict(image) for image in images)
        advance(len(batch))
    return answers


def _picture(sample: Sample, corruption: Corruption | None) -> Image:
    image = load_image(sample.path)
    return corruption.image(image, sample) if corruption else image


def _least(model: ALPR) -> float:
    """The confidence from which a pipeline shows a plate if it is not told otherwise."""
    return model.reader.min_confidence if isinstance(model.reader, PlateReader) else 0.0


def figures(
    frames: Sequence[Sample], crops: Sequence[Sample], answers: Answers,
    unannotated: Unannotated = MappingProxyType({}),
) -> Figures:
    """All figures of one model."""
    results = _results(frames, answers.plates)
    return {
        **_detection_figures(results),
        "false_beyond_list": _false(_without(results, unannotated)) if unannotated else {},
        "false_shown_per_picture": _false(_results(frames, answers.shown)),
        **_reading_figures(crops, answers.texts),
        **_close_ups(crops, answers),
        **_end_to_end(frames, answers.shown),
    }


def run(
    data: Path, split: str, models: Mapping[str, ALPR], limit: int | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
    corruption: Corruption | None = None, close_ups: bool = False,
    unannotated: Path | None = None,
) -> dict[str, Any]:
    """Measure the named pipelines on the same pictures: the report, ready for JSON.

    ``metrics`` in it maps figure → group → ``models`` (one entry a model) and, for two models,
    ``paired`` (the second less the first); ``confidence`` and ``confusion`` are told by
    :mod:`benchmarks.certainty`. ``advance`` is told the pictures done and their total.
    """
    frames, crops = load(data, split, limit)
    listed = read_unannotated(data, read(data), unannotated) if unannotated else {}
    total = len(frames) + len(crops)
    answers = answer(
        frames, crops, list(models.values()), lambda done: advance(done, total), corruption,
        close_ups,
    )
    if corruption:
        frames = [corruption.truth(sample) for sample in frames]
    measured = [figures(frames, crops, given, listed) for given in answers]
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
            _crop_groups(crops), [_certainty(crops, given) for given in answers]
        ),
        "confusion": [certainty.confusion(given.texts, _texts(crops)) for given in answers],
    }


def _certainty(crops: Sequence[Sample], answers: Answers) -> certainty.Certainty:
    rights = [text == truth for text, truth in zip(answers.texts, _texts(crops), strict=True)]
    return certainty.Certainty(
        confidences=answers.confidences, rights=rights, least=answers.least
    )


def _about(model: ALPR) -> dict[str, Any]:
    """What the manifests of a pipeline's networks say they are."""
    networks = {"detector": model.detector, "reader": model.reader}
    return {
        name: _identity(network.engine.manifest)
        for name, network in networks.items()
        if isinstance(network, PlateDetector | PlateReader)
    }


def _identity(manifest: Manifest) -> dict[str, str]:
    names = ("name", "version", "step", "precision", "inference_precision")
    return {name: getattr(manifest, name) for name in names} | {"digest": digest(manifest)}


def _detection(plate: Plate) -> Detection:
    return Detection(box=plate.box, corners=plate.corners, confidence=plate.detection_confidence)


def _detection_figures(results: Sequence[FrameResult]) -> Figures:
    found: Figures = {name: {} for name in DETECTION_FIGURES}
    for group, members in _frame_groups(results).items():
        if hits := metrics.plates_found(members, metrics.IOU_FOUND):
            found["recall_50"][group] = hits
        if complete := [result for result in members if result.sample.complete]:
            rates = metrics.detection_rates(complete, metrics.IOU_FOUND)
            found["precision_50"][group] = rates.precision
            found["average_precision_50"][group] = rates.average_precision
            found["false_per_picture"][group] = rates.false_per_picture
    tight = [result for result in results if metrics.measures_tightly(result.sample)]
    for group, members in _by_set(tight).items():
        found["recall_70"][group] = metrics.plates_found(members, metrics.IOU_TIGHT)
        found["precision_70"][group] = metrics.detection_rates(members, metrics.IOU_TIGHT).precision
        found["corner_error"][group] = metrics.corner_errors(members)
        found["average_precision_50_95"][group] = metrics.mean_average_precision(members)
    found["recall_50_by_width"] = _by_width(results)
    return found


def _results(frames: Sequence[Sample], plates: Sequence[list[Plate]]) -> list[FrameResult]:
    return [
        FrameResult(sample=sample, detections=[_detection(plate) for plate in found])
        for sample, found in zip(frames, plates, strict=True)
    ]


def _without(
    results: Sequence[FrameResult], unannotated: Unannotated
) -> list[FrameResult]:
    """The results less the detections of plates that the annotations leave out."""
    kept = []
    for result in results:
        listed = np.array(unannotated.get(result.sample.path, ()), np.float64).reshape(-1, 4)
        right = metrics.match_frame(result, metrics.IOU_FOUND) >= 0
        kept.append(dataclasses.replace(result, detections=[
            detection for detection, is_right in zip(result.detections, right, strict=True)
            if is_right or not (box_iou(np.array([detection.box]), listed) > LISTED).any()
        ]))
    return kept


def _false(results: Sequence[FrameResult]) -> dict[str, Figure]:
    """False plates per picture, where all are annotated."""
    complete = [result for result in results if result.sample.complete]
    return {
        group: metrics.detection_rates(members, metrics.IOU_FOUND).false_per_picture
        for group, members in _frame_groups(complete).items()
    }


def _frame_groups(results: Sequence[FrameResult]) -> dict[str, list[FrameResult]]:
    """Each set, then the pools: all complete frames but CCPD's base set, and all frames."""
    complete = [result for result in results if result.sample.complete]
    groups = _by_set(results)
    groups[OTHERS] = [result for result in complete if result.sample.dataset != MAIN_FRAMES]
    groups[ALL] = list(results)
    return {name: members for name, members in groups.items() if members}


def _by_set(results: Sequence[FrameResult]) -> dict[str, list[FrameResult]]:
    groups: dict[str, list[FrameResult]] = {}
    for result in results:
        groups.setdefault(result.sample.dataset, []).append(result)
    return groups


def _by_width(results: Sequence[FrameResult]) -> dict[str, Figure]:
    """Recall per plate width over all frames, and of wide plates over the complete ones too."""
    rows: dict[str, Figure] = {}
    for (low, high), rate in metrics.recall_by_width(results).items():
        rows[f"{low:g}-{high:g} px" if math.isfinite(high) else f">= {low:g} px"] = rate
    complete = [result for result in results if result.sample.complete]
    for name, members in ((ALL, results), (COMPLETE, complete)):
        wide = metrics.recall_by_width(members, (WIDE_PLATE, math.inf))
        rows[f">= {WIDE_PLATE} px, {name}"] = wide[WIDE_PLATE, math.inf]
    return {name: rate for name, rate in rows.items() if isinstance(rate, Rate) and rate.n}


def _texts(crops: Sequence[Sample]) -> list[str]:
    return [crop.plates[0].text or "" for crop in crops]


def _crop_groups(crops: Sequence[Sample]) -> dict[str, list[int]]:
    """The numbers of the cut-outs of each set, then of one row, of two rows, and all."""
    groups: dict[str, list[int]] = {}
    for index, crop in enumerate(crops):
        groups.setdefault(crop.dataset, []).append(index)
    rows = [crop.plates[0].rows for crop in crops]
    groups[ONE_ROW] = [index for index, count in enumerate(rows) if count == 1]
    groups[TWO_ROWS] = [index for index, count in enumerate(rows) if count == 2]
    groups[certainty.ALL_CROPS] = list(range(len(crops)))
    return {name: members for name, members in groups.items() if members}


def _reading_figures(crops: Sequence[Sample], texts: Sequence[str]) -> Figures:
    truths = _texts(crops)
    names = ("exact_match", "exact_match_distinct", "character_errors", "exact_position")
    found: Figures = {name: {} for name in names}
    for group, members in _crop_groups(crops).items():
        read, true = [texts[i] for i in members], [truths[i] for i in members]
        hits = [text == truth for text, truth in zip(read, true, strict=True)]
        found["exact_match"][group] = hits
        found["exact_match_distinct"][group] = confidence.DistinctRate.of(hits, true)
        found["character_errors"][group] = metrics.character_errors(read, true)
    for place, rate in enumerate(confidence.by_position(texts, truths), 1):
        found["exact_position"][f"position {place}"] = rate
    return found


def _close_ups(crops: Sequence[Sample], answers: Answers) -> Figures:
    """Cut-outs of which the whole pipeline showed the text, and of which the surest of its readings
    and of the whole cut-out's is right (``ALPR(cut_outs=True)``); nothing where it was not given
    them."""
    if not answers.close_ups:
        return {"close_up": {}, "cut_out": {}}
    shown, surest = [], []
    for index, (text, plates) in enumerate(zip(_texts(crops), answers.close_ups, strict=True)):
        shown.append(text in [plate.text for plate in answers.sure(plates)])
        readings = [(plate.confidence, plate.text) for plate in plates]
        readings.append((answers.confidences[index], answers.texts[index]))
        surest.append(max(readings, key=lambda reading: reading[0])[1] == text)
    groups = _crop_groups(crops)
    return {
        figure: {name: [hits[i] for i in members] for name, members in groups.items()}
        for figure, hits in (("close_up", shown), ("cut_out", surest))
    }


def _end_to_end(frames: Sequence[Sample], plates: Sequence[list[Plate]]) -> Figures:
    """Each set, then the sets but CCPD's base set, and all."""
    groups: dict[str, Hits] = {}
    truths: dict[str, list[str]] = {}
    for sample, found in zip(frames, plates, strict=True):
        if hits := metrics.end_to_end_hits(sample.plates, found):
            texts = [plate.text for plate in sample.plates if plate.text is not None]
            pools = [sample.dataset, ALL]
            pools += [OTHERS_READ] * (sample.dataset != MAIN_FRAMES)
            for pool in pools:
                groups.setdefault(pool, []).extend(hits)
                truths.setdefault(pool, []).extend(texts)
    order = sorted(groups, key=(OTHERS_READ, ALL).__contains__)
    return {
        "end_to_end": {name: groups[name] for name in order if name != OTHERS_READ},
        "end_to_end_distinct": {
            name: confidence.DistinctRate.of(groups[name], truths[name]) for name in order
        },
    }


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
    parser.add_argument("--isa", default=isa.NATIVE, choices=isa.ISAS, help="instruction set")
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
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the report as JSON")
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
    if options.out and not options.out.resolve().parent.is_dir():
        raise OutputError(f"--out {options.out}: its folder does not exist; make it first")
    corruption = Corruption.parse(options.corrupt) if options.corrupt else None
    if options.plots:
        plots.check()
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    models = {folder_name(folder): ALPR(models=folder, min_confidence=0.0) for folder in folders}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring")
        content = run(
            options.data, options.split, models, options.limit,
            lambda done, total: progress.update(task, advance=done, total=total), corruption,
            options.close_ups, options.unannotated,
        )
    report = record.record("accuracy", arguments, named, before, content)
    record.save(report, options.out)
    if options.plots:
        plots.write(report, options.plots)
    show(report)
    return ExitCode.OK
