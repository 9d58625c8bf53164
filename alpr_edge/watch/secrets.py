"""Passwords, tokens and keys: each in a file of its own, never in the configuration.

Under systemd a unit's ``LoadCredential=secrets:/etc/alpr-edge/secrets`` hands a service copies of
files that only root may read, in the folder ``$CREDENTIALS_DIRECTORY``: ``secrets/token`` is
``secrets_token`` there (``LoadCredential=token:...`` makes it ``token``). A secret that is there is
taken from there, so that the same configuration works by hand and as a service.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from alpr_edge.errors import UsageError

CREDENTIALS = "CREDENTIALS_DIRECTORY"
MAX_BYTES = 4096
"""A larger file is no secret but a mistake."""


MIN_KEY = 16
"""Characters of a key or token: who may try as often as he likes finds a shorter one."""


def read_secret(path: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The secret in a file, without white space around it; the message never has any of it.

    Raises:
        UsageError: the file is missing, unreadable, empty, too large or no text.
    """
    file = located(path, environment)
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        secret = content.decode("utf-8").strip()
    except OSError as error:
        raise UsageError(
            f"secret {file}: {error.strerror}; write it there, readable by this user alone"
        ) from error
    except UnicodeDecodeError:
        raise UsageError(f"secret {file} is no UTF-8 text; write one line of text") from None
    if not secret or "\n" in secret or len(content) > MAX_BYTES:
        raise UsageError(
            f"secret {file} has {len(content)} bytes in {len(secret.splitlines())} lines; allowed: "
            f"one line, at most {MAX_BYTES} bytes"
        )
    return secret


def read_key(path: Path) -> str:
    """The key or token in a file.

    Raises:
        UsageError: see :func:`read_secret`, or it is shorter than :data:`MIN_KEY`.
    """
    key = read_secret(path)
    if problem := weakness(key, path):
        raise UsageError(problem)
    return key


def read_token(path: Path) -> str:
    """The token in a file, as the header ``Authorization`` has it.

    Raises:
        UsageError: see :func:`read_secret`, or no header can have it.
    """
    token = read_secret(path)
    if problem := no_header(token, path):
        raise UsageError(problem)
    return token


def no_header(token: str, path: Path) -> str | None:
    """What is wrong with a token that no header can have."""
    if token.isascii() and token.isprintable():
        return None
    return (
        f"the token in {path} has characters that no header can have; printable ASCII is allowed, "
        "for example of 'openssl rand -hex 32'"
    )


def weakness(key: str, path: Path) -> str | None:
    """What is wrong with a key or token that is too short."""
    if len(key) >= MIN_KEY:
        return None
    return (
        f"{path} has {len(key)} characters; at least {MIN_KEY} are needed, for example of "
        "'openssl rand -hex 32'"
    )


def located(path: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The file that a secret, or what lies with the secrets, is read from: systemd's copy where
    there is one."""
    folder = environment.get(CREDENTIALS)
    names = (f"{path.absolute().parent.name}_{path.name}", path.name)
    copies = [Path(folder, name) for name in names] if folder else []
    return next((copy for copy in copies if copy.exists()), path)


def readable_by_others(path: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether users other than the owner may read the file (systemd's copies they may not)."""
    file = located(path, environment)
    return file == path and bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
