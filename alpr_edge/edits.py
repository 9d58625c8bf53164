"""How one text becomes another by inserting, deleting, replacing characters (Levenshtein 1966)."""

from __future__ import annotations


def align(text: str, truth: str) -> list[tuple[str, str]]:
    """Pairs (read, true) along a shortest edit path, in order; "" read: missed, "" true: added.

    Of equally short paths the one that pairs characters latest in the text.
    """
    rows, columns = len(text) + 1, len(truth) + 1
    cost = [[r + c if r == 0 or c == 0 else 0 for c in range(columns)] for r in range(rows)]
    for r in range(1, rows):
        for c in range(1, columns):
            change = cost[r - 1][c - 1] + (text[r - 1] != truth[c - 1])
            cost[r][c] = min(change, cost[r - 1][c] + 1, cost[r][c - 1] + 1)
    pairs = []
    r, c = len(text), len(truth)
    while r or c:
        if r and c and cost[r][c] == cost[r - 1][c - 1] + (text[r - 1] != truth[c - 1]):
            r, c = r - 1, c - 1
            pairs.append((text[r], truth[c]))
        elif c and cost[r][c] == cost[r][c - 1] + 1:
            c -= 1
            pairs.append(("", truth[c]))
        else:
            r -= 1
            pairs.append((text[r], ""))
    return pairs[::-1]


def edit_distance(text: str, truth: str) -> int:
    """The least number of insertions, deletions and substitutions."""
    return sum(read != true for read, true in align(text, truth))
