"""Tests that need a program are skipped without it, and say what brings it."""

from __future__ import annotations

from types import SimpleNamespace

import external
import pytest
from conftest import ROOT


def item(*programs: str) -> SimpleNamespace:
    marks = [SimpleNamespace(args=programs)]
    return SimpleNamespace(iter_markers=lambda name: marks if name == "external" else [])


def test_an_absent_program_skips_and_names_its_package(monkeypatch):
    monkeypatch.setattr(external, "present", lambda program: program != "mosquitto")
    external.skip_if_absent(item("chromium"))
    with pytest.raises(pytest.skip.Exception, match="no mosquitto: apt install mosquitto"):
        external.skip_if_absent(item("chromium", "mosquitto"))


def test_a_program_nobody_knows_is_a_mistake():
    with pytest.raises(KeyError):
        external.skip_if_absent(item("mosquito"))


def test_what_is_skipped_is_listed_by_reason():
    reports = [SimpleNamespace(longrepr=("file", 1, f"Skipped: {reason}"))
               for reason in ("no chromium", "no a", "no chromium")]
    assert external.lines(reports) == ["1 not run: no a", "2 not run: no chromium"]


def test_the_readme_names_every_package():
    line, = (line for line in (ROOT / "README.md").read_text("utf-8").splitlines()
             if "apt install" in line)
    listed = line.split("apt install")[1].split()
    needed = {package for packages in external.PACKAGES.values() for package in packages.split()}
    assert set(listed) == needed - {"systemd"}  # Debian has it
