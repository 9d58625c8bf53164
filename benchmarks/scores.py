"""The figures of what one model answered, by set and pooled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from alpr_edge import confidence, metrics
from alpr_edge.data import Sample
from alpr_edge.data.corrections import corrected
from alpr_edge.metrics import FrameResult
from alpr_edge.rates import Rate
from alpr_edge.types import Box, Detection, Plate
from benchmarks import certainty
from benchmarks.figures import Figure, Figures, Hits

MAIN_FRAMES = "ccpd_base"
WIDE_PLATE = 40
"""Plates at least so wide (in a frame 1280 wide) have a bar of their own."""
ALL, OTHERS, COMPLETE = "all frames", "other complete frames", "complete frames"
OTHERS_READ = "other frames with texts"
ONE_ROW, TWO_ROWS = "one row", "two rows"
Unannotated = Mapping[Path, Sequence[Box]]
DETECTION_FIGURES = (
    "recall_50", "recall_50_by_width", "precision_50", "average_precision_50",
    "false_per_picture", "recall_70", "precision_70",
    "average_precision_50_95", "corner_error",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What one model answered: all plates of each frame, text of each cut-out and its confidence,
    in order, and of each cut-out given to the whole pipeline the text that this reads on it as a
    cut-out and the plates that it finds on it as on a picture like any other; ``least`` is the
    confidence from which the pipeline shows a plate."""

    plates: list[list[Plate]]
    texts: list[str]
    confidences: list[float]
    cut_outs: list[str] = dataclasses.field(default_factory=list)
    close_ups: list[list[Plate]] = dataclasses.field(default_factory=list)
    least: float = 0.0

    @property
    def shown(self) -> list[list[Plate]]:
        """The plates of each frame that the pipeline shows."""
        return [self.sure(plates) for plates in self.plates]

    def sure(self, plates: Sequence[Plate]) -> list[Plate]:
        """Those that the pipeline shows."""
        return [plate for plate in plates if plate.confidence >= self.least]


def figures(
    frames: Sequence[Sample], crops: Sequence[Sample], answers: Answers,
    unannotated: Unannotated = MappingProxyType({}),
    right: Mapping[Path, str | None] = MappingProxyType({}),
) -> Figures:
    """All figures of one model; ``right`` are the texts of wrongly labelled cut-outs
    (:mod:`alpr_edge.data.corrections`)."""
    results = _results(frames, answers.plates)
    return {
        **_detection_figures(results),
        "false_beyond_list":
            _false(metrics.less_listed(results, unannotated)) if unannotated else {},
        "false_shown_per_picture": _false(_results(frames, answers.shown)),
        **_reading_figures(crops, answers.texts),
        "exact_match_corrected": _corrected(crops, answers.texts, right) if right else {},
        **_close_ups(crops, answers),
        **_end_to_end(frames, answers.shown),
    }


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
        rows[metrics.width_label(low, high)] = rate
    complete = [result for result in results if result.sample.complete]
    for name, members in ((ALL, results), (COMPLETE, complete)):
        wide = metrics.recall_by_width(members, (WIDE_PLATE, math.inf))
        rows[f">= {WIDE_PLATE} px, {name}"] = wide[WIDE_PLATE, math.inf]
    return {name: rate for name, rate in rows.items() if isinstance(rate, Rate) and rate.n}


def texts_of(crops: Sequence[Sample]) -> list[str]:
    """The true text of each cut-out."""
    return [crop.plates[0].text or "" for crop in crops]


def crop_groups(crops: Sequence[Sample]) -> dict[str, list[int]]:
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
    truths = texts_of(crops)
    names = ("exact_match", "exact_match_distinct", "character_errors", "exact_position")
    found: Figures = {name: {} for name in names}
    for group, members in crop_groups(crops).items():
        read, true = [texts[i] for i in members], [truths[i] for i in members]
        hits = [text == truth for text, truth in zip(read, true, strict=True)]
        found["exact_match"][group] = hits
        found["exact_match_distinct"][group] = confidence.DistinctRate.of(hits, true)
        found["character_errors"][group] = metrics.character_errors(read, true)
    for place, rate in enumerate(confidence.by_position(texts, truths), 1):
        found["exact_position"][f"position {place}"] = rate
    return found


def _corrected(
    crops: Sequence[Sample], texts: Sequence[str], right: Mapping[Path, str | None]
) -> dict[str, Figure]:
    """The cut-outs read exactly, by corrected labels."""
    read = {crop.path: text for crop, text in zip(crops, texts, strict=True)}
    known = list(corrected(crops, right))
    return _reading_figures(known, [read[crop.path] for crop in known])["exact_match"]


def _close_ups(crops: Sequence[Sample], answers: Answers) -> Figures:
    """Cut-outs of which the whole pipeline showed the text, and those that it reads right as
    cut-outs (``ALPR(cut_outs=True)``); nothing where it was not given them."""
    if not answers.close_ups:
        return {"close_up": {}, "cut_out": {}}
    truths = texts_of(crops)
    shown = [
        text in [plate.text for plate in answers.sure(plates)]
        for text, plates in zip(truths, answers.close_ups, strict=True)
    ]
    right = [text == told for text, told in zip(truths, answers.cut_outs, strict=True)]
    groups = crop_groups(crops)
    return {
        figure: {name: [hits[i] for i in members] for name, members in groups.items()}
        for figure, hits in (("close_up", shown), ("cut_out", right))
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
