"""Certificates for tests of TLS: an authority of our own and a server's on 127.0.0.1."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Certificates:
    """PEM files."""

    authority: Path
    server: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """A new authority and a certificate of it for 127.0.0.1."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", folder / "ca.key", "-out", made.authority, "-subj", "/CN=test authority")
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", made.key, "-out", folder / "server.csr", "-subj", "/CN=server",
             "-addext", "subjectAltName=IP:127.0.0.1")
    _openssl("x509", "-req", "-in", folder / "server.csr", "-CA", made.authority,
             "-CAkey", folder / "ca.key", "-CAcreateserial", "-copy_extensions", "copy",
             "-out", made.server)
    return made


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
