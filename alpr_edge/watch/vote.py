"""Many reads of one plate → one text: a vote over characters, weighted by their probabilities.

Every read is evidence for each of its characters: with probability p it is the one that was read,
otherwise more likely one that looks like it than any other. The evidence of a read counts as much
as the probability of its whole text. Reads of another length are laid beside the others along a
shortest edit path. A picture from where the one before was taken shows the same dirt in the same
light: only what moved is new evidence, and all reads together count as :data:`INDEPENDENT` ones at
most.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from alpr_edge.alphabet import CHARACTERS
from alpr_edge.ctc import log_softmax
from alpr_edge.edits import align
from alpr_edge.types import Plate
from alpr_edge.watch.confusable import lookalikes

INDEPENDENT = 3.0
_CONFUSED = 0.6
"""Share of the wrong reads of a character that are one of its lookalikes."""
_SUREST = 1 - 1e-6
_MOST_TEXTS = 64
"""Different texts of one plate that are kept; the least certain go first."""
_COLUMN = {character: column for column, character in enumerate(CHARACTERS)}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """What a plate's reads say together.

    ``agreeing`` of ``reads`` reads spell exactly ``text``. ``average`` (len(text), characters)
    holds log-probabilities of :data:`~alpr_edge.alphabet.CHARACTERS`, as one average read has them;
    ``rows`` is the most certain agreeing read's.
    """

    text: str
    confidence: float
    char_confidences: tuple[float, ...]
    reads: int
    agreeing: int
    rows: int | None
    average: NDArray[np.float64] = dataclasses.field(repr=False, compare=False)


class _Said:
    """All reads of one text: ``own`` and ``other`` (len(text),) are the weighted sums of the
    logarithms of p and 1 - p."""

    def __init__(self, text: str) -> None:
        self.count, self.weight, self.surest = 0, 0.0, 0.0
        self.rows: int | None = None
        self.own, self.other = np.zeros(len(text)), np.zeros(len(text))

    def add(self, plate: Plate) -> None:
        certain = np.minimum(plate.char_confidences, _SUREST)
        self.count += 1
        self.weight += plate.confidence
        self.own += plate.confidence * np.log(np.maximum(certain, 1 - _SUREST))
        self.other += plate.confidence * np.log(1 - certain)
        if plate.confidence > self.surest:
            self.surest, self.rows = plate.confidence, plate.rows


class Ballot:
    """Collects the reads of one plate in bounded memory."""

    def __init__(self) -> None:
        self.reads = 0
        self._independent = 0.0
        self._said: dict[str, _Said] = {}
        self._vote: Vote | None = None

    def add(self, plate: Plate, new: float = 1.0) -> None:
        """Count a read, of which a share ``new``, 0..1, is evidence that no other read gave; the
        first is all new. One without a text counts nothing."""
        if not plate.text or plate.confidence <= 0:
            return
        self._independent += new if self.reads else 1.0
        self.reads += 1
        self._vote = None
        self._said.setdefault(plate.text, _Said(plate.text)).add(plate)
        if len(self._said) > _MOST_TEXTS:
            kept = sorted(self._said, key=lambda text: -self._said[text].weight)
            self._said = {text: self._said[text] for text in kept[: _MOST_TEXTS // 2]}

    def absorb(self, earlier: Ballot) -> None:
        """Count the reads of ``earlier``, the same plate's, too."""
        self.reads += earlier.reads
        self._independent += earlier._independent
        self._vote = None
        for text, theirs in earlier._said.items():
            mine = self._said.setdefault(text, _Said(text))
            mine.count += theirs.count
            mine.weight += theirs.weight
            mine.own += theirs.own
            mine.other += theirs.other
            if theirs.surest > mine.surest:
                mine.surest, mine.rows = theirs.surest, theirs.rows

    @property
    def leader(self) -> str:
        """The single text with the most evidence; empty without reads. Cheaper than a vote."""
        return max(self._said, key=lambda text: self._said[text].weight, default="")

    @property
    def surest(self) -> float:
        """The greatest confidence of a read of :attr:`leader`; 0 without reads."""
        return self._said[self.leader].surest if self._said else 0.0

    def vote(self) -> Vote | None:
        """The vote of all reads; None without reads."""
        if self._vote is None and self._said:
            self._vote = self._count()
        return self._vote

    def _count(self) -> Vote:
        lengths: defaultdict[int, float] = defaultdict(float)
        for text, said in self._said.items():
            lengths[len(text)] += said.weight
        length = max(lengths, key=lambda n: lengths[n])
        weight = sum(lengths.values())
        pivot = max((text for text in self._said if len(text) == length),
                    key=lambda text: self._said[text].weight)
        scores = np.zeros((length, len(CHARACTERS)))
        for text, said in self._said.items():
            places, indices = _places(text, pivot)
            scores[places] += _evidence(text, said)[indices]
        chosen, most = scores.argmax(axis=1), min(INDEPENDENT, self._independent)
        text = "".join(CHARACTERS[column] for column in chosen)
        certain = np.exp(log_softmax(scores * min(1.0, most / weight)).max(axis=1))
        same = self._said.get(text)
        return Vote(
            text=text, confidence=float(certain.prod()) * lengths[length] / weight,
            char_confidences=tuple(certain.tolist()), reads=self.reads,
            agreeing=same.count if same else 0,
            rows=(same or self._said[pivot]).rows, average=log_softmax(scores / weight),
        )


@functools.lru_cache(maxsize=4096)
def _places(text: str, pivot: str) -> tuple[list[int], list[int]]:
    """Places of the pivot, and the indices of the text's characters that vote for them."""
    if len(text) == len(pivot):
        return list(range(len(text))), list(range(len(text)))
    pairs, index, place = [], 0, 0
    for read, other in align(text, pivot):
        if read and other:
            pairs.append((place, index))
        index += bool(read)
        place += bool(other)
    return [place for place, _ in pairs], [index for _, index in pairs]


def _evidence(text: str, said: _Said) -> NDArray[np.float64]:
    """What all reads of a text say of every character at each of its places, (len(text),
    characters): sums of log-probabilities."""
    columns = [_COLUMN[character] for character in text]
    scores = said.other[:, None] + said.weight * _MISTAKEN[columns]
    scores[np.arange(len(text)), columns] = said.own
    return np.asarray(scores)


def _mistaken(character: str) -> list[float]:
    """Logarithms of the probabilities that a character read wrongly is each of the others."""
    alike = lookalikes(character)
    rest = (1 - _CONFUSED if alike else 1.0) / (len(CHARACTERS) - 1 - len(alike))
    return [math.log(_CONFUSED / len(alike) if other in alike else rest) for other in CHARACTERS]


_MISTAKEN = np.array([_mistaken(character) for character in CHARACTERS])
