"""The folder in which OpenVINO keeps compiled networks, to start faster.

OpenVINO compiles anew where a file of it was cut short, but does not notice bytes that changed, and
would answer wrongly. So their hashes are kept beside them, and what has another one is taken away.
"""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

from alpr_edge import manifest as manifests
from alpr_edge import strict
from alpr_edge.files import replace_file

HASHES = "hashes.json"
_COMPILED = "*.blob"
_log = logging.getLogger(__name__)
_told: set[Path] = set()
"""Folders that cannot be used: said once, not by each network."""


def prepare(folder: Path) -> Path | None:
    """The folder, made if there is none, without the files that are not as :func:`seal` saw them.

    None, and one line logged, where it cannot be written: the work goes on without, only the start
    takes longer.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        _remove_changed(folder)
    except OSError as error:
        if folder not in _told:
            _told.add(folder)
            _log.warning(
                "no compiled networks are kept, each start takes longer: %s cannot be used (%s); "
                "make it writable or name another folder", folder, error.strerror,
            )
        return None
    return folder


def seal(folder: Path) -> None:
    """Keep the hashes of what is in the folder now; without them it would be compiled anew."""
    try:
        hashes = manifests.hash_files(folder, [path.name for path in folder.glob(_COMPILED)])
        replace_file(folder / HASHES, (json.dumps(hashes, indent=2) + "\n").encode())
    except OSError as error:
        _log.warning("compiled networks are not kept in %s: %s", folder, error.strerror)


def _remove_changed(folder: Path) -> None:
    try:
        known = strict.load(dict[str, str], folder / HASHES)
    except (FileNotFoundError, strict.SchemaError):
        known = {}
    for path in folder.glob(_COMPILED):
        if manifests.hash_file(path) != known.get(path.name):
            _log.warning("%s is compiled anew: it is not what was kept", path)
            path.unlink()
