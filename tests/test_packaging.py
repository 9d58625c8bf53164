"""The wheel: what it holds, and that it works in an environment of its own (make verify)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from alpr_edge import closer, picks

BUILT_FROM = ("alpr_edge", "pyproject.toml", "README.md", "LICENSE")
DEMO = ROOT / "docs" / "demo"


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "dist", ".", cwd=source)
    return next((source / "dist").glob("alpr_edge-*.whl"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory, wheel) -> Path:
    """The python of an environment with nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return python


def test_runtime_needs_no_training_library():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {line.split(">")[0] for line in project["dependencies"]}
    assert needed == {"numpy", "opencv-python-headless", "openvino", "rich"}
    assert {"train", "optimize", "bench", "dev"} <= project["optional-dependencies"].keys()


def test_every_file_that_is_no_module_is_packaged():
    package = ROOT / "alpr_edge"
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = config["tool"]["setuptools"]["package-data"]["alpr_edge"]
    packaged = {path for pattern in patterns for path in package.glob(pattern)
                if path.is_file()}
    files = {path for path in package.rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} == packaged


@pytest.mark.slow
def test_wheel_holds_the_runtime_with_its_models_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"alpr_edge"}
    variants = [v for task in ("detector", "reader") for v in picks.variants(picks.MODELS, task)]
    for folder in (*(variant.folder.name for variant in variants), f"detector/{closer.FOLDER}"):
        for file in ("model.xml", "model.bin", "manifest.json"):
            assert f"alpr_edge/models/{folder}/{file}" in names
    assert f"alpr_edge/models/{picks.FILENAME}" in names
    assert "alpr_edge/py.typed" in names and "alpr_edge/data/index.py" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_wheel_reads_the_demo_pictures_in_an_empty_environment(empty, tmp_path):
    script = empty.parent / "alpr-edge"
    records = json.loads(run(script, "read", DEMO, "--format", "json", cwd=tmp_path))
    assert records and all("error" not in record for record in records)
    assert any(plate["text"] for record in records for plate in record["plates"])
    assert "torch" not in run(empty, "-m", "pip", "list", cwd=tmp_path)


@pytest.mark.slow
def test_benchmarks_run_from_the_zip_in_an_empty_environment(tmp_path):
    run("make", "bench-zip", cwd=ROOT)
    zipfile.ZipFile(ROOT / "dist" / "alpr-edge-bench.zip").extractall(tmp_path)
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", *tmp_path.glob("*.whl"), cwd=tmp_path)
    assert "--threads" in run(python, "-m", "benchmarks", "stages", "--help", cwd=tmp_path)
    assert (tmp_path / "docs" / "demo").is_dir()
