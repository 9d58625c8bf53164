"""Read rectified plates: graph → probabilities → text. The method: MaskOCR (Lyu et al. 2022)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr_edge import alphabet, ctc
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from alpr_edge.types import Reading

_EMPTY = {
    "logits": (0, alphabet.SLOTS, alphabet.CLASSES), "ctc": (0, 1, alphabet.CLASSES),
    "rows": (0, 2),
}


class PlateReader:
    """The shipped reader. ``predict`` is ``infer`` and ``decode`` in a row.

    Args:
        folder: model.xml, model.bin and manifest.json of a reader.
        threads: CPU threads of one inference; None leaves it to OpenVINO.
        load: makes the engine from folder and threads; another one than OpenVINO's computes the
            same outputs with another library.

    Raises:
        ModelError: the model is missing, corrupt, no reader, or has another alphabet.
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
        for name in ("logits", "ctc"):
            if not np.isfinite(outputs[name]).all():
                raise ModelError(f"{self.engine.folder}: {name} not finite; get the model anew")
        rows = outputs["rows"].argmax(axis=-1) + 1
        return decode_logits(outputs["logits"], outputs["ctc"], rows, self._temperature)


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
    slots = _log_softmax(logits / temperature)
    return [
        _reading(*plate)
        for plate in zip(slots, tokens / temperature, rows, strict=True)
    ]


def _reading(
    slots: NDArray[np.float64], tokens: NDArray[np.float32], rows: np.integer
) -> Reading:
    classes = _before_pad(slots.argmax(axis=-1))
    other, share = ctc.best_path(tokens), 1.0
    if other != classes and len(other) <= len(slots):
        paths = _log_softmax(tokens)
        mine, its = (
            float(_spelled(slots, c).sum()) + ctc.log_likelihood(paths, c) for c in (classes, other)
        )
        if its > mine:
            classes, mine, its = other, its, mine
        share = 1.0 / (1.0 + float(np.exp(its - mine)))
    certain = np.exp(_spelled(slots, classes))
    return Reading(
        text=alphabet.decode(np.array(classes, np.int64)),
        confidence=float(certain.prod()) * share,
        char_confidences=tuple(certain[: len(classes)].tolist()),
        rows=int(rows),
    )


def _log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _before_pad(classes: NDArray[np.integer]) -> tuple[int, ...]:
    ends = np.flatnonzero(classes == alphabet.PAD)
    return tuple(classes[: ends[0] if len(ends) else None].tolist())


def _spelled(slots: NDArray[np.float64], classes: tuple[int, ...]) -> NDArray[np.float64]:
    """The log-probability (T,) of each slot's class where the slots spell ``classes``."""
    padded = np.full(len(slots), alphabet.PAD)
    padded[: len(classes)] = classes
    return np.asarray(slots[np.arange(len(slots)), padded])
