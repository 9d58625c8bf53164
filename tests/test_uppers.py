"""training.reader.uppers: how many characters of real plates are in the upper row."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from alpr_edge.alphabet import CLASSES, PAD, SLOTS, encode
from alpr_edge.geometry import box_quad
from training.reader import uppers
from training.reader.data import PlateItem
from training.reader.model import IGNORE

TOKENS = 24


def plate(text: str = "59X12345", rows: int = 1) -> PlateItem:
    quad = np.array(box_quad((0, 0, 60, 40)), np.float32)
    return PlateItem(image=np.full((40, 60, 3), 128, np.uint8), quads=(quad,), text=text, rows=rows,
                     dataset="x")


def spelled(text: str, length: int) -> np.ndarray:
    """CTC logits (length, C) that spell ``text``, evenly spread, with blanks between."""
    tokens = np.zeros((length, CLASSES), np.float32)
    classes = [one for one in encode(text) if one != PAD]
    path = np.full(length, PAD)
    path[np.linspace(0, length - 1, 2 * len(classes) + 1).astype(int)[1::2]] = classes
    tokens[np.arange(length), path] = 8.0
    return tokens


def told(
    monkeypatch: pytest.MonkeyPatch, plates: list[PlateItem],
    whole: tuple[str, str], rows: tuple[str, str], bands: int = 2,
) -> list[int]:
    """The upper rows of ``plates``, all seen as the texts ``whole`` and ``rows``."""
    seen = [np.concatenate([spelled(text, TOKENS) for text in whole]),
            *(spelled(text, 2 * TOKENS) for text in rows)]

    def outputs_of(_: Any, pictures: np.ndarray) -> Sequence[np.ndarray]:
        count = len(pictures)
        assert count % 3 == 0
        return (np.zeros((count, SLOTS, CLASSES), np.float32), np.stack(seen * (count // 3)),
                np.zeros((count, 2), np.float32))

    monkeypatch.setattr(uppers, "outputs_of", outputs_of)
    model: Any = SimpleNamespace(config=SimpleNamespace(bands=bands))
    return [item.upper for item in uppers.with_uppers(model, plates)]


def test_tells_where_both_looks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = ("59X1", "2345"), ("59X1", "2345")
    assert told(monkeypatch, [plate()] * 70, *agreed) == [4] * 70
    assert told(monkeypatch, [plate()], ("59X1", "2345"), ("59X", "12345")) == [0]


def test_a_misread_row_is_still_divided_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, [plate()], ("59X1", "2345"), ("59K1", "2348")) == [4]


def test_leaves_other_plates_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plates = [plate(rows=0), plate(rows=IGNORE), plate("A"), plate()]
    assert told(monkeypatch, plates, ("59X1", "2345"), ("59X1", "2345")) == [0, 0, 0, 4]


def test_a_reader_with_tokens_of_both_rows_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = ("59X1", "2345"), ("59X1", "2345")
    assert told(monkeypatch, [plate()], *agreed, bands=1) == [0]
