"""What the documents say exists, and the commands in them are accepted."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from alpr_edge import ExitCode, Plate, cli
from alpr_edge.stages import Stage

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def commands(program: str) -> list[str]:
    """Lines of code in the documents that begin with ``program``."""
    lines = {
        line.strip().removeprefix("$ ").split("#")[0].strip()
        for document in DOCUMENTS
        for line in re.sub(r"\\\n *", "", document.read_text("utf-8")).splitlines()
        if line.startswith("    ") or line.startswith(program)
    }
    return sorted(line for line in lines if line.startswith(f"{program} "))


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = {word for line in commands("make") for word in line.split()[1:] if "=" not in word}
    assert {"demo", "test", "kit", "verify", "bench-zip", "lint"} <= targets
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("line", commands("alpr-edge"))
def test_alpr_edge_commands_are_accepted(line):
    words = shlex.split(line.split(">")[0])
    assert cli._parser().parse_args(words[1:])


def test_module_commands_are_accepted():
    """The subcommand exists and its help names every option that is used."""
    for line in commands("python -m"):
        check_module_command(line)


def check_module_command(line: str) -> None:
    words = shlex.split(line.split(">")[0])
    module, rest = words[2], words[3:]
    name = [rest[0]] if rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]) else []
    done = subprocess.run(
        [sys.executable, "-m", module, *name, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for word in rest:
        if word.startswith("--"):
            assert word.split("=")[0] in done.stdout, f"{line}: no option {word}"


def test_readme_opens_with_the_two_commands():
    lines = [line.strip() for line in (ROOT / "README.md").read_text("utf-8").splitlines()]
    assert [line for line in lines if line][1:3] == ["make demo", "make test"]


def test_readme_names_every_exit_code_field_and_stage():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)] == [
        code.value for code in ExitCode
    ]
    for field in dataclasses.fields(Plate):
        assert f"`{field.name}`" in readme and f'"{field.name}"' in readme
    for stage in Stage:
        assert f'"{stage}"' in readme


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_help_names_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "130 interrupted" in " ".join(capsys.readouterr().out.split())
