"""Libraries that only an extra of the package installs: one clear error where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from alpr_edge.errors import LibraryError


def require(module: str, extra: str) -> Any:
    """The imported ``module``, which ``pip install 'alpr-edge[extra]'`` installs.

    Raises:
        LibraryError: it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise LibraryError(
            f"{module} cannot be loaded ({error}); install it: pip install 'alpr-edge[{extra}]'"
        ) from error
