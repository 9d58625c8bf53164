"""Memory that one picture leaves is kept for the next one, whichever thread needs it."""

from __future__ import annotations

import ctypes
import os

MMAP_BYTES, TRIM_BYTES = 32 * 2**20, 64 * 2**20
"""Pieces smaller than the first (the most that glibc takes) come from the heap; as much as the
second is kept free at its end. A decoded 4K picture has 25 million bytes. There is one heap for all
threads, else each keeps what it once needed."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_freed() -> bool:
    """Have glibc keep what is freed, where nobody told it otherwise by its environment variables;
    whether it does.

    Else each picture's memory goes back to the system and comes back page by page, cleared.
    """
    told = [name for name in os.environ if name.startswith(("MALLOC_", "GLIBC_TUNABLES"))]
    if told or os.name != "posix":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    wanted = (_M_MMAP_THRESHOLD, MMAP_BYTES), (_M_TRIM_THRESHOLD, TRIM_BYTES), (_M_ARENA_MAX, 1)
    return all(mallopt(*each) for each in wanted)
