"""Plates as keyed hashes: HMAC-SHA256 (RFC 2104), so that only who has the key can compare them.

A plain hash would tell the plate to anybody who tries all plates; without the key nobody can.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from pathlib import Path

from alpr_edge.watch.secrets import read_key
from alpr_edge.watch.types import Event


class PlateHasher:
    """Replaces plates by 64 hexadecimal digits; the same plate and key always give the same."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> PlateHasher:
        """With the key in a file (``[privacy] hash_key_file``).

        Raises:
            UsageError: see :func:`~alpr_edge.watch.secrets.read_key`.
        """
        return cls(read_key(path).encode())

    def text(self, plate: str) -> str:
        """The hash of a plate's text, 64 digits; nothing stays nothing."""
        if not plate:
            return plate
        return hmac.new(self._key, plate.encode(), hashlib.sha256).hexdigest()

    def event(self, event: Event) -> Event:
        """The event without its plate: hashed in ``text``, ``correction.read`` and ``known.text``.

        ``char_confidences`` is empty, because its length would tell the plate's; ``file`` is
        None, because a name may have the plate in it.
        """
        correction, known = event.correction, event.known
        if correction is not None:
            correction = dataclasses.replace(correction, read=self.text(correction.read))
        if known is not None:
            known = dataclasses.replace(known, text=self.text(known.text))
        return dataclasses.replace(event, text=self.text(event.text), char_confidences=(),
                                   correction=correction, known=known, file=None)
