"""Countries' plate layouts: they re-rank characters that look alike, and change nothing else.

A layout has one mark a character: ``a`` any letter, ``l`` a letter but I and O, ``n`` a digit,
``x`` a digit or a letter but I and O, ``p`` a Chinese province, ``g`` what begins or ends a Chinese
green plate's number; everything else is itself. ``a{1,3}`` stands for one to three letters.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Sequence

import numpy as np

from alpr_edge.alphabet import CHARACTERS, DIGITS, LATIN, PROVINCES, SLOTS
from alpr_edge.errors import UsageError
from alpr_edge.watch.confusable import lookalikes
from alpr_edge.watch.types import Correction
from alpr_edge.watch.vote import Vote

_CLEAR = "".join(c for c in LATIN if c not in "IO")
_MARKS = {"a": LATIN, "l": _CLEAR, "n": DIGITS, "x": DIGITS + _CLEAR, "p": PROVINCES,
          "g": "ABCDEFGHJK"}
_LAYOUTS = {
    "br": "aaannnn aaanann",
    "cn": "plxxxxx plgxnnnn plnnnnng plxxxx警 plxxxx挂 plxxxx学 plxxxx港 plxxxx澳 plxxxx领 "
          "llnnnnn WJpnnnnx 使nnnnnn",
    "de": "a{2,5}n{1,4} a{2,5}n{1,3}E a{2,5}n{1,3}H",
    "fr": "llnnnll n{1,4}l{2,3}nn",
    "gb": "aannaaa an{1,3}aaa aaan{1,3}a a{1,3}n{1,4} n{1,4}a{1,3}",
    "id": "a{1,2}n{1,4}a{0,3}",
    "in": "aannaa{0,2}nnnn aana{1,3}nnnn nnBHnnnna{1,2}",
    "nl": "aannnn nnnnaa nnaann aannaa aaaann nnaaaa nnaaan naaann aannna annnaa aaanna naannn "
          "nnnaan aaannn",
    "tn": "n{1,3}Tn{1,4}",
    "us": "lllnnnn nlllnnn nnnlll lllnnn llnnnnn nnnnnl nlllnn llnnll lnnlll",
    "vn": "nnlnnnn nnlnnnnn nnlnnnnnn nnllnnnnn",
}
GRAMMARS = tuple(_LAYOUTS)
"""Names: ISO 3166 codes in small letters."""
MOST_ODDS = 1000.0
"""A character is not changed that an average read finds so many times likelier than the other."""


@functools.cache
def layouts(name: str) -> frozenset[str]:
    """A country's layouts, one mark a character.

    Raises:
        UsageError: no grammar of that name.
    """
    if name not in _LAYOUTS:
        raise UsageError(f"grammar {name!r} is unknown; allowed: {', '.join(GRAMMARS)}")
    expanded = itertools.chain.from_iterable(map(_expanded, _LAYOUTS[name].split()))
    return frozenset(layout for layout in expanded if len(layout) <= SLOTS)


def _expanded(layout: str) -> list[str]:
    """``a{1,2}n`` as ``an`` and ``aan``."""
    parts = re.findall(r"(.)(?:\{(\d),(\d)\})?", layout)
    choices = [
        [mark * count for count in range(int(low or 1), int(high or 1) + 1)]
        for mark, low, high in parts
    ]
    return ["".join(choice) for choice in itertools.product(*choices)]


def _allowed(mark: str) -> str:
    return _MARKS.get(mark, mark)


def fits(text: str, name: str) -> bool:
    """Whether the text has one of the country's layouts."""
    return any(_fits(text, layout) for layout in layouts(name))


def _fits(text: str, layout: str) -> bool:
    return len(text) == len(layout) and all(
        character in _allowed(mark) for character, mark in zip(text, layout, strict=True)
    )


def corrected(
    vote: Vote, names: Sequence[str]
) -> tuple[str, tuple[float, ...], Correction | None]:
    """The vote's text, its characters' confidences, and what a grammar changed.

    A text that has a layout of one of the grammars stays. Otherwise the most probable text of any
    layout that differs by lookalikes only is taken; a changed character's confidence is its share
    among those that the layout allows there.

    Raises:
        UsageError: no grammar of that name.
    """
    best: tuple[float, str, str] | None = None
    if not any(fits(vote.text, name) for name in names):
        for name in names:
            for layout in layouts(name):
                text = _reranked(vote, layout)
                if text is not None:
                    found = _log_probability(vote, text), text, name
                    best = found if best is None else max(best, found)
    if best is None:
        return vote.text, vote.char_confidences, None
    _, text, name = best
    certain = tuple(
        before if c == was else _certainty(vote, place, c)
        for place, (c, was, before) in enumerate(
            zip(text, vote.text, vote.char_confidences, strict=True))
    )
    return text, certain, Correction(read=vote.text, grammar=name)


def _reranked(vote: Vote, layout: str) -> str | None:
    """The text with lookalikes in place of what the layout does not allow; None: there are none,
    or the reader is too sure."""
    if len(layout) != len(vote.text):
        return None
    text = ""
    for place, (character, mark) in enumerate(zip(vote.text, layout, strict=True)):
        if character in _allowed(mark):
            text += character
            continue
        chances = {c: float(vote.average[place, CHARACTERS.index(c)])
                   for c in lookalikes(character) if c in _allowed(mark)}
        own = float(vote.average[place, CHARACTERS.index(character)])
        other = max(chances, key=lambda c: chances[c], default=None)
        if other is None or own - chances[other] > math.log(MOST_ODDS):
            return None
        text += other
    return text


def _log_probability(vote: Vote, text: str) -> float:
    return float(sum(vote.average[i, CHARACTERS.index(c)] for i, c in enumerate(text)))


def _certainty(vote: Vote, place: int, character: str) -> float:
    """A changed character's share among the lookalikes of the kind it is: letters or digits."""
    kind = next(part for part in (DIGITS, LATIN, CHARACTERS) if character in part)
    rivals = [c for c in lookalikes(character) if c in kind]
    columns = [CHARACTERS.index(c) for c in (character, *rivals)]
    shares = np.exp(vote.average[place, columns])
    return float(shares[0] / shares.sum())
