"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Write ``path``: whoever opens it sees all of ``data``, or what was there before.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    partial = path.with_name(f".{os.getpid()}-{threading.get_ident()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
