"""Where real plates of two rows end their upper row: their labels do not tell, a reader can."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alpr_edge import ctc
from alpr_edge.alphabet import PAD, encode
from alpr_edge.geometry import as_quad
from alpr_edge.reader import spellings
from alpr_edge.rows import alone
from alpr_edge.types import Image
from training.reader.answers import BATCH, outputs_of
from training.reader.data import Plate, plain
from training.reader.model import Reader


def with_uppers(model: Reader, plates: Sequence[Plate]) -> list[Plate]:
    """``plates``, those labelled to have two rows with the number of characters in the upper one.

    It is told where two looks agree on the division of the label that is most probable: the whole
    plate's tokens, whose first half sees the upper row, and each row alone. Plates on which they
    do not agree stay as they are, as do all of a reader whose tokens see both rows.
    """
    numbers = [
        number for number, plate in enumerate(plates)
        if plate.rows == 1 and not plate.upper and len(plate.text) > 1
    ]
    told = list(plates)
    if model.config.bands != 2:
        return told
    for first in range(0, len(numbers), BATCH):
        part = numbers[first : first + BATCH]
        pictures = [picture for number in part for picture in _looks(plates[number])]
        logits, tokens, _ = outputs_of(model, np.stack(pictures))
        paths = [said.paths for said in spellings(logits, tokens, 1.0)]
        for number, whole, upper, lower in zip(part, *(paths[k::3] for k in range(3)), strict=True):
            text, half = plates[number].text, len(whole) // 2
            place = _division(text, whole[:half], whole[half:])
            if place == _division(text, upper, lower):
                told[number] = dataclasses.replace(plates[number], upper=place)
    return told


def _looks(plate: Plate) -> tuple[Image, Image, Image]:
    """The whole plate, its upper and its lower row, (48, 192, 3) uint8 each."""
    whole = plain(plate)
    upper, lower = alone(plate.image, as_quad(plate.quads[0]), whole, 2)
    return whole, upper, lower


def _division(
    text: str, upper: NDArray[np.float64], lower: NDArray[np.float64]
) -> int:
    """How many of the text's characters are most probably in the upper row, at least one in either;
    by the log-probabilities of each row's tokens (L, C)."""
    classes = [int(one) for one in encode(text) if one != PAD]
    places = range(1, len(classes))
    above = ctc.log_likelihoods(upper[None], [classes[:place] for place in places])[:, 0]
    below = ctc.log_likelihoods(lower[None], [classes[place:] for place in places])[:, 0]
    return 1 + int(np.argmax(above + below))
