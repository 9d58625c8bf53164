"""Which of the data a run learns from, and what a published network tells of it.

Lists of pseudo-labels and of texts on frames add texts, a list of corrections takes wrong labels
away or puts right ones in their place, whole sets can be held out, and a fast run takes some of
each set. The lists are written by :mod:`training.pseudo`, :mod:`training.frame_texts` and
:mod:`training.suspects`; a person decides what is wrong and adds what is right.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alpr_edge.alphabet import fits
from alpr_edge.data import Sample, Split, read
from alpr_edge.data.corrections import corrected, read_corrections
from alpr_edge.data.lists import read_list, relative
from alpr_edge.errors import DataError, UsageError
from alpr_edge.manifest import hash_file
from training.checkpoint import load_weights
from training.frame_texts import with_frame_texts

RENDERED = "rendered"
UNTEXTED = "_untexted"
"""What the plates of a set that have no text are called after the set's own name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """What to learn from. In splits calib, dev and val it changes no more than the texts that
    ``frame_texts`` tells of dev; a text of train that another split has is not learned
    where a list tells either of the two."""

    pseudo: Path | None = None
    """Texts for the plates without one."""
    frame_texts: Path | None = None
    """Texts for plates of frames, of split dev to judge by."""
    corrections: Path | None = None
    """Wrong labels: these cut-outs are learned with the text ``right`` of their line, or not at
    all where it has none."""
    leave_out: tuple[str, ...] = ()
    """Sets not learned from at all, with their parts without a text."""
    limit: int | None = None
    """So many labelled pictures of each set only; its pseudo-labels are a set of their own. Of a
    detector so many frames."""
    missed: Path | None = None
    """Plates that nobody annotated (:mod:`training.missed`), to be ignored by a detector, and
    among ``places``."""
    places: Path | None = None
    """A reader's: what a detector takes for plates and is none (:mod:`training.reader.nothing`)."""

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each list that there is, by its name.

        Raises:
            DataError: a list cannot be read.
        """
        values = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        try:
            return {name: hash_file(path) for name, path in values if isinstance(path, Path)}
        except OSError as error:
            raise DataError(f"a list cannot be read: {error}; check its path") from error


EVERYTHING = Selection()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selected:
    """What a :class:`Selection` leaves of the samples, and what it did."""

    samples: list[Sample]
    """Of all splits; with a ``limit`` labelled train samples alone."""
    pseudo_sets: tuple[str, ...]
    """Sets whose texts are pseudo-labels, by the names that the data gives them."""
    notes: dict[str, Any]
    """For config.json."""


def select(data: Path, selection: Selection) -> Selected:
    """The samples under ``data`` that are left, with the texts and sets they are learned with.

    Raises:
        UsageError: no set has a name in ``leave_out``. DataError: the data or a list cannot be
            read, or a list names pictures that the data lacks.
    """
    samples = list(read(data))
    labelled, measured = samples, samples
    changed, dropped, pseudo_sets = 0, 0, set()
    if selection.corrections is not None:
        right = read_corrections(data, samples, selection.corrections)
        measured = [*samples, *corrected(samples, right)]
        before, samples = samples, list(corrected(samples, right, Split.TRAIN))
        dropped = len(before) - len(samples)
        changed = len({id(sample) for sample in samples} - {id(sample) for sample in before})
    if selection.pseudo is not None:
        before, samples = samples, list(with_pseudo(samples, data, selection.pseudo))
        pseudo_sets = {
            new.dataset for old, new in zip(before, samples, strict=True) if old is not new
        }
    told = 0
    if selection.frame_texts is not None:
        before, samples = samples, list(with_frame_texts(samples, data, selection.frame_texts))
        told = _learned(samples) - _learned(before)
    before, samples = samples, list(apart(samples, labelled, measured))
    shared = _learned(before) - _learned(samples)
    samples = without_sets(samples, selection.leave_out)
    if selection.limit is not None:
        samples = some_of_each_set(samples, selection.limit)
    learned = {sample.dataset for sample in samples if sample.split is Split.TRAIN}
    return Selected(
        samples=[dataclasses.replace(s, dataset=own_set(s.dataset)) for s in samples],
        pseudo_sets=tuple(sorted(pseudo_sets & learned)),
        notes={
            "pseudo": selection.pseudo is not None, "frame_texts": told,
            "labels_dropped": dropped, "labels_corrected": changed, "in_other_splits": shared,
            "left_out": list(selection.leave_out), "limit": selection.limit,
            "places": selection.places is not None,
        },
    )


def apart(
    samples: Iterable[Sample], labelled: Iterable[Sample], measured: Iterable[Sample]
) -> Iterator[Sample]:
    """``samples`` without the texts of train that another split has, where lists tell either:
    splits are apart by text. ``labelled`` are the samples without the lists, ``measured`` those
    whose texts of other splits count."""
    known = {(sample.path, plate.text) for sample in labelled for plate in sample.plates}
    others = {
        (sample.path, plate.text) for sample in (*measured, *samples)
        if sample.split is not Split.TRAIN for plate in sample.plates if plate.text
    }
    texts, told = ({text for _, text in pairs} for pairs in (others, others - known))
    for sample in samples:
        plates = tuple(
            dataclasses.replace(plate, text=None) if plate.text in told
            or (plate.text in texts and (sample.path, plate.text) not in known) else plate
            for plate in sample.plates
        )
        if sample.split is not Split.TRAIN or plates == sample.plates:
            yield sample
        elif not sample.crop:
            yield dataclasses.replace(sample, plates=plates)


def _learned(samples: Iterable[Sample]) -> int:
    """How many texts there are to learn."""
    train = (sample for sample in samples if sample.split is Split.TRAIN)
    return sum(bool(plate.text) for sample in train for plate in sample.plates)


def some_of_each_set(samples: Iterable[Sample], limit: int) -> list[Sample]:
    """At most ``limit`` labelled train samples of each set, evenly spaced over it, and nothing
    else."""
    sets: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.split is Split.TRAIN and any(plate.text for plate in sample.plates):
            sets[sample.dataset].append(sample)
    return [
        members[index]
        for members in sets.values()
        for index in np.linspace(0, len(members) - 1, min(limit, len(members))).astype(int)
    ]


def own_set(name: str) -> str:
    """The set that plates without a text belong to: its name without :data:`UNTEXTED`."""
    return name.removesuffix(UNTEXTED)


def without_sets(samples: list[Sample], names: Sequence[str]) -> list[Sample]:
    """``samples`` without those of split train that belong to one of the sets ``names``.

    Raises:
        UsageError: no sample belongs to one of them.
    """
    known = {own_set(sample.dataset) for sample in samples}
    for name in names:
        if name not in known:
            raise UsageError(f"--leave-out {name}: the data has no such set; it has "
                             f"{', '.join(sorted(known))}")
    return [s for s in samples if s.split is not Split.TRAIN or own_set(s.dataset) not in names]


def with_pseudo(samples: Iterable[Sample], data: Path, pseudo: Path) -> Iterator[Sample]:
    """``samples`` of ``data``; the train cut-outs without a text that ``pseudo`` lists have its
    text and rows.

    Raises:
        DataError: ``pseudo`` cannot be read or lists what is no such cut-out.
    """
    texts = dict(read_list(
        pseudo, _text, needed="image, text of our alphabet, and rows 1, 2 or null",
        made_by="python -m training pseudo",
    ))
    for sample in samples:
        untexted = sample.crop and sample.split is Split.TRAIN and not sample.plates[0].text
        known = texts.pop(relative(sample.path, data), None) if untexted else None
        if known is not None:
            plate = dataclasses.replace(sample.plates[0], text=known[0], rows=known[1])
            sample = dataclasses.replace(sample, plates=(plate,))
        yield sample
    if texts:
        raise DataError(
            f"{pseudo}: {len(texts)} listed pictures, such as {next(iter(texts))}, are no train "
            f"cut-outs without a text in {data}; list them anew with python -m training pseudo"
        )


def _text(row: dict[str, Any]) -> tuple[str, tuple[str, int | None]]:
    text, rows = row["text"], row["rows"]
    if not fits(text) or rows not in (None, 1, 2):
        raise ValueError(f"text {text!r}, rows {rows!r}")
    return str(row["image"]), (text, rows)


def trained_on(
    sets: Iterable[str], *, pseudo_sets: Iterable[str] = (), rendered: bool,
    earlier: Iterable[Path | None] = (),
) -> list[str]:
    """What a network learned from, for its notes: ``sets``, those with pseudo-labels marked as
    such, and what the weights it began with (``earlier``) say of themselves."""
    lines = {*sets, *(f"{name} (pseudo-labels)" for name in pseudo_sets)}
    if rendered:
        lines.add(RENDERED)
    for path in earlier:
        if path is not None:
            unknown = [f"what {path.name} learned from (not recorded)"]
            lines |= set(load_weights(path).notes.get("trained_on", unknown))
    return sorted(lines)
