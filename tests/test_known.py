"""The list of known plates: exact before fuzzy, deny before allow, the file read again."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from alpr_edge.errors import UsageError
from alpr_edge.watch.config import KnownPlate, PlatesConfig
from alpr_edge.watch.known import KnownPlates, plain, read_known
from alpr_edge.watch.types import Access, Known

HEAD = "text,access,label\n"


def listed(*entries: tuple[str, Access], fuzzy: bool = True) -> KnownPlates:
    known = tuple(KnownPlate(text=text, access=access) for text, access in entries)
    return KnownPlates(PlatesConfig(known=known, fuzzy=fuzzy))


def test_exact_and_fuzzy():
    known = listed(("ab-12 cde", Access.ALLOW))
    assert known.match("AB12CDE") == Known(
        text="AB12CDE", access=Access.ALLOW, label="", distance=0)
    fuzzy = known.match("ABI2CDE")
    assert fuzzy is not None
    assert fuzzy.distance == 1
    assert known.match("ABIZCDE") is None
    assert known.match("AB13CDE") is None
    assert listed(("AB12CDE", Access.ALLOW), fuzzy=False).match("ABI2CDE") is None


def test_exact_is_before_fuzzy_and_deny_before_allow():
    known = listed(("AB1", Access.DENY), ("ABI", Access.ALLOW), ("A8L", Access.ALLOW))
    assert known.match("ABI").access is Access.ALLOW  # type: ignore[union-attr]
    assert known.match("ABL").access is Access.DENY  # type: ignore[union-attr]


def test_the_file_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "known.csv"
    file.write_text(HEAD + "AB123,deny,white van\n京A12345,,\n", "utf-8")
    known = KnownPlates(PlatesConfig(known_file=file))
    assert known.match("AB123") == Known(
        text="AB123", access=Access.DENY, label="white van", distance=0)
    assert known.match("京A12345").access is Access.ALLOW  # type: ignore[union-attr]
    file.write_text(HEAD + "XY987,allow,\n", "utf-8")
    os.utime(file, ns=(1, 1))
    assert known.match("AB123") is None
    assert known.match("XY987") is not None
    with caplog.at_level(logging.WARNING):
        file.write_text(HEAD + "XY987,perhaps,\n", "utf-8")
        assert known.match("XY987") is not None
        assert known.match("XY987") is not None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "known.csv:2: access 'perhaps'; allowed: allow, deny" in caplog.text
    file.unlink()
    assert known.match("XY987") is not None


@pytest.mark.parametrize(("content", "problem"), [
    ("text,label\nAB1,x\n", ":1: column 'access' is missing"),
    (HEAD + "AB1,allow,\n+++,allow,\n", ":3: text '+++' is no plate"),
    (HEAD + "AB1,no,\n", ":2: access 'no'; allowed: allow, deny"),
    ("", ":1: column 'text' is missing"),
])
def test_wrong_files(tmp_path: Path, content: str, problem: str):
    file = tmp_path / "known.csv"
    file.write_text(content, "utf-8")
    with pytest.raises(UsageError) as error:
        read_known(file)
    assert problem in str(error.value)


def test_no_file_and_no_text(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read as a list of plates"):
        KnownPlates(PlatesConfig(known_file=tmp_path / "none.csv"))
    (tmp_path / "bin.csv").write_bytes(b"\xff\xfe\x00text")
    with pytest.raises(UsageError, match="cannot be read as a list of plates"):
        read_known(tmp_path / "bin.csv")


def test_plain():
    assert plain("b-mw 12.3") == "BMW123"
