"""Secrets come from files, of systemd's credentials first."""

from __future__ import annotations

import pytest

from alpr_edge.errors import UsageError
from alpr_edge.watch.secrets import MAX_BYTES, read_secret, readable_by_others


@pytest.mark.parametrize("content", [
    "top secret\n", "top secret", "top secret\r\n", " top secret \t\n\n",
])
def test_one_line_without_white_space_around_it(tmp_path, content):
    (tmp_path / "s").write_text(content)
    assert read_secret(tmp_path / "s", {}) == "top secret"


@pytest.mark.parametrize(("content", "message"), [
    (b"", "0 bytes in 0 lines"), (b"\n", "1 bytes in 0 lines"), (b" \n", "2 bytes in 0 lines"),
    (b"secret\nother", "in 2 lines"),
    (b"x" * (MAX_BYTES + 1), f"at most {MAX_BYTES} bytes"), (b"\xff\xfe", "no UTF-8"),
])
def test_what_is_no_secret_is_told_but_not_shown(tmp_path, content, message):
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_secret(tmp_path / "s", {})
    assert "other" not in str(caught.value)


def test_a_missing_secret(tmp_path):
    with pytest.raises(UsageError, match="No such file or directory; write it there"):
        read_secret(tmp_path / "s", {})


def test_systemd_has_the_first_word(tmp_path):
    (tmp_path / "credentials").mkdir()
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    (tmp_path / "gate").write_text("of the file")
    assert read_secret(tmp_path / "gate", environment) == "of the file"
    (tmp_path / "credentials" / "gate").write_text("of systemd")
    assert read_secret(tmp_path / "gate", environment) == "of systemd"
    assert read_secret(tmp_path / "elsewhere" / "gate", environment) == "of systemd"
    (tmp_path / "credentials" / "elsewhere_gate").write_text("of systemd's copied folder")
    assert read_secret(tmp_path / "elsewhere" / "gate", environment).endswith("folder")
    assert not readable_by_others(tmp_path / "gate", environment)


@pytest.mark.parametrize(("mode", "readable"), [(0o600, False), (0o400, False), (0o640, True),
                                                (0o604, True)])
def test_who_may_read_it(tmp_path, mode, readable):
    (tmp_path / "s").write_text("x")
    (tmp_path / "s").chmod(mode)
    assert readable_by_others(tmp_path / "s", {}) is readable
