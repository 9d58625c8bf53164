"""``alpr-edge serve``."""

from __future__ import annotations

from typing import Any


def add_command(commands: Any) -> None:
    """Add the parser (``argparse``'s sub-parsers)."""
