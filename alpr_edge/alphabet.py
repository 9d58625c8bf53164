"""The characters a plate text is made of, and the one mapping between texts and class indices.

Class 0 is the pad ("no character here"); classes 1..74 are :data:`CHARACTERS` in order. The
reader answers in :data:`SLOTS` slots, left to right; on a plate of two rows the upper row comes
first. Chinese plates begin with their province character (GA 36-2018).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIGITS = "0123456789"
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"
CN_SPECIAL = "警学挂港澳使领"
CHARACTERS = DIGITS + LATIN + PROVINCES + CN_SPECIAL

PAD = 0
SLOTS = 10
CLASSES = len(CHARACTERS) + 1

_INDEX = {character: index + 1 for index, character in enumerate(CHARACTERS)}


def unknown_characters(text: str) -> str:
    """The characters of ``text`` that the alphabet lacks, in order, each once."""
    return "".join(dict.fromkeys(c for c in text if c not in _INDEX))


def fits(text: str) -> bool:
    """Whether the reader could answer ``text``: 1..SLOTS characters, all in the alphabet."""
    return 0 < len(text) <= SLOTS and not unknown_characters(text)


def encode(text: str) -> NDArray[np.int64]:
    """Class indices of ``text``, padded: (SLOTS,) int64.

    Raises:
        ValueError: the text is empty, longer than SLOTS or holds an unknown character.
    """
    if not fits(text):
        raise ValueError(
            f"text {text!r} has {len(text)} characters, unknown ones: "
            f"{unknown_characters(text)!r}; allowed are 1..{SLOTS} of {CHARACTERS}"
        )
    classes = np.full(SLOTS, PAD, np.int64)
    classes[: len(text)] = [_INDEX[c] for c in text]
    return classes


def decode(classes: NDArray[np.integer]) -> str:
    """The text of one row of class indices (T,): everything before the first pad."""
    text = ""
    for index in classes:
        if index == PAD:
            break
        text += CHARACTERS[int(index) - 1]
    return text


def region_of(text: str) -> str | None:
    """``"CN"`` where the text can only be Chinese (it holds a Chinese character), else None."""
    return "CN" if any(c in PROVINCES + CN_SPECIAL for c in text) else None
