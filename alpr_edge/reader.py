"""Read rectified plates: graph → probabilities → text. The method: MaskOCR (Lyu et al. 2022)."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr_edge import alphabet, ctc
from alpr_edge.ctc import log_softmax
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from alpr_edge.types import Reading

_EMPTY = {
    "logits": (0, alphabet.SLOTS, alphabet.CLASSES), "ctc": (0, 1, alphabet.CLASSES),
    "rows": (0, 2),
}
_LEAST = 1e-300
"""The probability of what is impossible, lest a share be no number."""


class PlateReader:
    """The shipped reader. ``predict`` is ``infer`` and ``decode`` in a row.

    Args:
        folder: model.xml, model.bin and manifest.json of a reader.
        threads: CPU threads of one inference; None leaves it to OpenVINO.
        load: makes the engine from folder and threads; another one than OpenVINO's computes the
            same outputs with another library.

    Raises:
        ModelError: the model is missing, corrupt, no reader, or has another alphabet.
        UsageError: ``threads`` is out of range.
    """

    def __init__(
        self, folder: Path | str, *, threads: int | None = None,
        load: Callable[..., Engine] = Engine,
    ) -> None:
        self.engine = load(folder, threads=threads)
        facts = self.engine.manifest.reader_decode
        if (facts.alphabet, facts.slots) != (alphabet.CHARACTERS, alphabet.SLOTS):
            raise ModelError(
                f"{folder}: alphabet of {len(facts.alphabet)} characters in {facts.slots} slots "
                f"differs from this alpr-edge's ({len(alphabet.CHARACTERS)} in {alphabet.SLOTS}); "
                "use the alpr-edge it was made for"
            )
        self._temperature = facts.temperature
        self.min_confidence = facts.confidence_threshold

    def twin(self) -> PlateReader:
        """The same reader for another thread (:meth:`Engine.twin`)."""
        other = copy.copy(self)
        other.engine = self.engine.twin()
        return other

    def predict(self, plates: NDArray[np.uint8]) -> list[Reading]:
        """Read N rectified plates, (N, 48, 192, 3) uint8 BGR; one Reading each, in order."""
        return self.decode(self.infer(plates))

    def infer(self, plates: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The graph's raw outputs: logits (N, 10, 75), ctc (N, L, 75), rows (N, 2); N may be 0."""
        if len(plates) == 0:
            return {name: np.empty(shape, np.float32) for name, shape in _EMPTY.items()}
        return self.engine.run(plates)

    def decode(self, outputs: dict[str, NDArray[np.float32]]) -> list[Reading]:
        """Raw outputs to one Reading a plate.

        Raises:
            ModelError: the outputs hold something that is no finite number.
        """
        self._check(outputs)
        rows = outputs["rows"].argmax(axis=-1) + 1
        return decode_logits(outputs["logits"], outputs["ctc"], rows, self._temperature)

    def spellings(self, outputs: dict[str, NDArray[np.float32]]) -> list[Spelling]:
        """Raw outputs to what the network says of each plate, to compare several looks at one.

        Raises:
            ModelError: the outputs hold something that is no finite number.
        """
        self._check(outputs)
        return spellings(outputs["logits"], outputs["ctc"], self._temperature)

    def _check(self, outputs: dict[str, NDArray[np.float32]]) -> None:
        for name in ("logits", "ctc"):
            if not np.isfinite(outputs[name]).all():
                raise ModelError(f"{self.engine.folder}: {name} not finite; get the model anew")


class Spelling:
    """What the network says of one plate: each text's probability, by its slots and by its tokens.

    Args:
        slots: log-probabilities of the slots, (T, C).
        tokens: CTC logits, (L, C), divided by the temperature.
    """

    def __init__(self, slots: NDArray[np.float64], tokens: NDArray[np.floating]) -> None:
        self._slots, self._tokens = slots, tokens

    @functools.cached_property
    def texts(self) -> tuple[tuple[int, ...], ...]:
        """Classes of the text that the slots spell and, where it is another one, of the tokens'."""
        mine = _before_pad(self._slots.argmax(axis=-1))
        other = ctc.best_path(self._tokens)
        return (mine,) if other == mine or len(other) > len(self._slots) else (mine, other)

    def above(self, lower: Spelling) -> Spelling:
        """What is said of a plate whose upper row is this one, and whose lower one ``lower``; of
        each at least one character is there."""
        upper, under = _something(self._slots), _something(lower._slots)
        count, length = len(upper), len(_before_pad(upper.argmax(axis=-1)))
        both = np.concatenate([upper[:length], under])
        slots, beyond = both[:count].copy(), both[count:]
        slots[length : length + 1] += upper[length:, alphabet.PAD].sum()  # it ends there
        slots[-1] += beyond[:, alphabet.PAD].sum()
        between = _blank(1, self.paths.shape[1])
        return Spelling(slots, np.concatenate([self.paths, between, lower.paths]))

    def certain(self, classes: tuple[int, ...]) -> NDArray[np.float64]:
        """The probability (T,) of each slot's class where the slots spell ``classes``."""
        padded = np.full(len(self._slots), alphabet.PAD)
        padded[: len(classes)] = classes
        return np.asarray(np.exp(self._slots[np.arange(len(self._slots)), padded]))

    @functools.cached_property
    def paths(self) -> NDArray[np.float64]:
        """Log-probabilities of the tokens, (L, C)."""
        return log_softmax(self._tokens)

    def reading(self, classes: tuple[int, ...], share: float, rows: int | None) -> Reading:
        """``classes`` as a reading: its confidence is that of the slots times ``share``."""
        certain = self.certain(classes)
        return Reading(
            text=alphabet.decode(np.array(classes, np.int64)),
            confidence=float(certain.prod()) * share,
            char_confidences=tuple(certain[: len(classes)].tolist()),
            rows=rows,
        )


def joint(
    looks: Sequence[Spelling], texts: Sequence[tuple[int, ...]]
) -> NDArray[np.float64]:
    """Logarithms of the products of both probabilities of each text in each look: (texts, looks),
    finite."""
    slots = np.array([[look.certain(classes).prod() for look in looks] for classes in texts])
    longest = max(len(look.paths) for look in looks)
    paths = [
        np.concatenate([look.paths, _blank(longest - len(look.paths), look.paths.shape[1])])
        for look in looks
    ]
    tokens = ctc.log_likelihoods(np.stack(paths), texts)
    least = np.log(_LEAST)
    return np.asarray(np.log(np.maximum(slots, _LEAST)) + np.maximum(tokens, least))


def decode_logits(
    logits: NDArray[np.float32], tokens: NDArray[np.float32], rows: NDArray[np.integer],
    temperature: float,
) -> list[Reading]:
    """Readings from the slots' logits (N, T, C) and the tokens' CTC logits (N, L, C), both divided
    by ``temperature``, and row counts (N,).

    Slots and tokens each spell a text. Where the two differ, the one with the greater product of
    both probabilities is the answer, and its confidence is that of the slots times its share of
    the two products.
    """
    said = spellings(logits, tokens, temperature)
    return [_reading(*plate) for plate in zip(said, rows, strict=True)]


def spellings(
    logits: NDArray[np.float32], tokens: NDArray[np.float32], temperature: float
) -> list[Spelling]:
    """What the network says of each plate; see :func:`decode_logits`."""
    slots = log_softmax(logits / temperature)
    return [Spelling(*plate) for plate in zip(slots, tokens / temperature, strict=True)]


def _reading(said: Spelling, rows: np.integer) -> Reading:
    texts, shares = said.texts, np.ones(1)
    if len(texts) > 1:
        both = joint([said], texts)[:, 0]
        shares = np.exp(both - np.logaddexp.reduce(both))
    best = int(shares.argmax())
    return said.reading(texts[best], float(shares[best]), int(rows))


def _blank(length: int, classes: int) -> NDArray[np.float64]:
    """Tokens (length, C) that are blank for certain: they spell nothing."""
    paths = np.full((length, classes), np.log(_LEAST))
    paths[:, alphabet.PAD] = 0.0
    return paths


def _something(slots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities of slots (T, C) where the first one is not empty."""
    known = slots.copy()
    known[0, alphabet.PAD] = np.log(_LEAST)
    known[0] -= np.logaddexp.reduce(known[0])
    return known


def _before_pad(classes: NDArray[np.integer]) -> tuple[int, ...]:
    ends = np.flatnonzero(classes == alphabet.PAD)
    return tuple(classes[: ends[0] if len(ends) else None].tolist())
