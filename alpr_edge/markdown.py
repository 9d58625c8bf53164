"""Generated parts of the documents: what stands between two markers is written by a command."""

from __future__ import annotations

from alpr_edge.errors import DataError


def markers(name: str) -> tuple[str, str]:
    """The comments before and after the generated block ``name``."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def replace_block(text: str, name: str, block: str) -> str:
    """``text`` with what stands between the markers of ``name`` replaced.

    Raises:
        DataError: a marker is missing.
    """
    first, last = markers(name)
    head, begin, rest = text.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise DataError(f"the document lacks the markers {first} and {last}; put them back")
    return f"{head}{first}\n{block}\n{last}{tail}"
