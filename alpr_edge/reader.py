"""Read rectified plates: graph → probabilities → text. The method: MaskOCR (Lyu et al. 2022)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr_edge import alphabet
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from alpr_edge.types import Reading

MAX_BATCH = 32
"""Plates of one inference; more are read in several, so that a crowd needs no more memory."""
_EMPTY = {"logits": (0, alphabet.SLOTS, alphabet.CLASSES), "rows": (0, 2)}


class PlateReader:
    """The shipped reader. ``predict`` is ``infer`` and ``decode`` in a row.

    Args:
        folder: model.xml, model.bin and manifest.json of a reader.
        threads: CPU threads of one inference; None leaves it to OpenVINO.

    Raises:
        ModelError: the model is missing, corrupt, no reader, or has another alphabet.
    """

    def __init__(self, folder: Path | str, *, threads: int | None = None) -> None:
        self.engine = Engine(folder, threads=threads)
        facts = self.engine.manifest.reader_decode
        if (facts.alphabet, facts.slots) != (alphabet.CHARACTERS, alphabet.SLOTS):
            raise ModelError(
                f"{folder}: alphabet of {len(facts.alphabet)} characters in {facts.slots} slots "
                f"differs from this alpr-edge's ({len(alphabet.CHARACTERS)} in {alphabet.SLOTS}); "
                "use the alpr-edge it was made for"
            )
        self._temperature = facts.temperature
        self.min_confidence = facts.confidence_threshold

    def predict(self, plates: NDArray[np.uint8]) -> list[Reading]:
        """Read N rectified plates, (N, 48, 192, 3) uint8 BGR; one Reading each, in order."""
        return self.decode(self.infer(plates))

    def infer(self, plates: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The graph's raw outputs: logits (N, 10, 75) and rows (N, 2); N may be 0."""
        if len(plates) == 0:
            return {name: np.empty(shape, np.float32) for name, shape in _EMPTY.items()}
        batches = (plates[i : i + MAX_BATCH] for i in range(0, len(plates), MAX_BATCH))
        outputs = [self.engine.run(batch) for batch in batches]
        return {name: np.concatenate([part[name] for part in outputs]) for name in outputs[0]}

    def decode(self, outputs: dict[str, NDArray[np.float32]]) -> list[Reading]:
        """Raw outputs to one Reading a plate.

        Raises:
            ModelError: the outputs hold something that is no finite number.
        """
        logits = outputs["logits"]
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.engine.folder}: logits are not finite; get the model anew")
        rows = outputs["rows"].argmax(axis=-1) + 1
        return decode_logits(logits, rows, self._temperature)


def decode_logits(
    logits: NDArray[np.float32], rows: NDArray[np.integer], temperature: float
) -> list[Reading]:
    """Readings from logits (N, T, C) divided by ``temperature``, and row counts (N,)."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities = exponentials.max(axis=-1) / exponentials.sum(axis=-1)  # (N, T)
    readings = []
    for classes, best, count in zip(logits.argmax(axis=-1), probabilities, rows, strict=True):
        text = alphabet.decode(classes)
        readings.append(
            Reading(
                text=text,
                confidence=float(best.prod()),
                char_confidences=tuple(best[: len(text)].tolist()),
                rows=int(count),
            )
        )
    return readings
