"""Random plate texts by pattern, and the texts of Chinese plates.

A pattern's small letters stand for random characters: ``a`` a letter, ``n`` a digit, ``p`` one
but 0, ``c`` a consonant, ``l`` any letter but I and O, which nobody could tell from 1 and 0 where
no format says which it is, and which many issuers leave out; ``x`` a digit or such a letter.
Everything else is itself; space ``-`` ``.`` ``*`` (a seal) are separators and ``|`` begins the
second row.
"""

from __future__ import annotations

import numpy as np

from alpr_edge.alphabet import DIGITS, LATIN, PROVINCES

STUTTER = 0.12
"""Share of the texts in which characters repeat."""
SEPARATORS = " -.*|"
CN_LETTERS = "".join(c for c in LATIN if c not in "IO")
_CONSONANTS = "".join(c for c in LATIN if c not in "AEIOU")
_CLASSES = {"a": LATIN, "n": DIGITS, "p": DIGITS[1:], "c": _CONSONANTS, "l": CN_LETTERS,
            "x": DIGITS + CN_LETTERS}


def pick(rng: np.random.Generator, options: str) -> str:
    """One random character of a string."""
    return options[rng.integers(len(options))]


def from_pattern(rng: np.random.Generator, pattern: str, without: str = "") -> str:
    """A random text with its separators, none of its random characters one of ``without``.

    A share :data:`STUTTER` repeats a character often (XXXX, 1122): a reader must count them.
    """
    stutter = 0.5 if rng.random() < STUTTER else 0.0
    text = ""
    for c in pattern:
        allowed = _CLASSES.get(c, c)
        if without and len(allowed) > 1:
            allowed = "".join(one for one in allowed if one not in without)
        if text and text[-1] in allowed and rng.random() < stutter:
            text += text[-1]
        else:
            text += pick(rng, allowed)
    return text


def plain(text: str) -> str:
    """The text without separators: what a reader should answer."""
    return "".join(c for c in text if c not in SEPARATORS)


def chinese_serial(rng: np.random.Generator, length: int, letters: int = 2) -> str:
    """Digits with up to ``letters`` letters (never I, O) anywhere; now and then one digit only."""
    if rng.random() < 0.04:
        return pick(rng, DIGITS) * length
    serial = [pick(rng, DIGITS) for _ in range(length)]
    for position in rng.permutation(length)[: rng.integers(letters + 1)]:
        serial[position] = pick(rng, CN_LETTERS)
    return "".join(serial)


def chinese_prefix(rng: np.random.Generator) -> str:
    """Province and city letter, every province equally often."""
    return pick(rng, PROVINCES) + pick(rng, CN_LETTERS)
