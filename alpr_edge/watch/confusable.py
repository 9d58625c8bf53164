"""Characters that plates make look alike, and how alike two texts are."""

from __future__ import annotations

GROUPS = ("0ODQ", "1IL", "8B", "5S", "2Z", "6G", "7T", "4A", "VY")
"""Each group's characters are taken for each other; a character may be in one group only."""
_GROUP = {character: group for group in GROUPS for character in group}


def lookalikes(character: str) -> str:
    """The other characters that this one is taken for; empty for most."""
    return _GROUP.get(character, character).replace(character, "")


def canonical(text: str) -> str:
    """The text with the first of its group in place of each confusable character: equal for texts
    that differ by confusable characters only."""
    return "".join(_GROUP.get(character, character)[0] for character in text)


def confusions(text: str, other: str) -> int | None:
    """How many characters differ, each by a confusable one; None where another one does, or the
    texts differ in length."""
    if len(text) != len(other):
        return None
    differing = [(a, b) for a, b in zip(text, other, strict=True) if a != b]
    return len(differing) if all(b in lookalikes(a) for a, b in differing) else None
