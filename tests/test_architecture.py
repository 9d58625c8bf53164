"""Which package may import which, and what a user may import."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

import alpr_edge

ALLOWED = {
    "alpr_edge": {"alpr_edge"},
    "training": {"alpr_edge", "training"},
    "optimize": {"alpr_edge", "training", "optimize"},
    "benchmarks": {"alpr_edge", "benchmarks"},
}
"""The project's own packages that each may import."""
RUNTIME = {"cv2", "numpy", "openvino", "rich"}
WATCH = {"av", "httpx", "paho", "prometheus_client", "watchdog"}
SERVE = {"fastapi", "h11", "pydantic", "python_multipart", "starlette", "uvicorn"}
EXTRAS = {"watch": WATCH, "serve": WATCH | SERVE}
"""What each folder of the runtime may import beyond it: its extra of pyproject.toml."""
ONLY_IN = {"openvino": {"engine.py"}, "cv2": {"_cv2.py"}}
"""Modules of the runtime that may import a library."""


def imports(file: Path) -> Iterator[str]:
    """Top-level names of the packages that ``file`` imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield (node.module or "").split(".")[0]


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package):
    for file in sources(package):
        wrong = set(imports(file)) & ALLOWED.keys() - ALLOWED[package]
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def test_runtime_needs_its_declared_libraries_only():
    for file in sources("alpr_edge"):
        foreign = set(imports(file)) - sys.stdlib_module_names - {"alpr_edge"}
        allowed = RUNTIME | EXTRAS.get(file.parent.name, set())
        assert foreign <= allowed, f"{file.relative_to(ROOT)} imports {foreign - allowed}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_one_place_imports(library):
    users = {file.name for file in sources("alpr_edge") if library in imports(file)}
    assert users == ONLY_IN[library]


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_runtime_loads_no_training_library():
    names = loaded_after("import alpr_edge\nfor n in alpr_edge.__all__: getattr(alpr_edge, n)")
    assert {"cv2", "openvino"} <= names
    assert not names & {"torch", "onnx", "onnxruntime", "nncf", "training", "optimize"}


def test_importing_the_package_alone_needs_no_library():
    assert not loaded_after("import alpr_edge, alpr_edge.cli") & {"cv2", "openvino", "numpy"}


@pytest.mark.parametrize("code", [
    "from alpr_edge import ALPR; ALPR()", "from benchmarks import pace",
    "import os; from alpr_edge.isa import onednn_isa; onednn_isa(os.environ)",
    pytest.param("from optimize import quantize", marks=pytest.mark.skipif(
        find_spec("nncf") is None, reason="NNCF is not installed"
    )),
])
def test_nothing_is_reported_of_an_import(tmp_path, code):
    """OpenVINO and NNCF would, to Google Analytics; their ID and count show it in the home."""
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "CI": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()


def test_help_is_quick():
    loaded = loaded_after("from alpr_edge import cli\ncli._parser()")
    assert not loaded & ({"cv2", "openvino", "rich"} | WATCH | SERVE)


@pytest.mark.parametrize(("arguments", "code", "told"), [
    (["check-config"], 0, ""), (["read", "."], 2, ""),
    (["watch", "clip.mp4"], 1, "pip install 'alpr-edge[watch]'"),
    (["serve"], 3, "pip install 'alpr-edge[serve]'"),
])
def test_without_extras_the_base_works_and_the_rest_names_them(tmp_path, arguments, code, told):
    (tmp_path / "clip.mp4").write_text("")
    (tmp_path / "alpr-edge.toml").write_text("")
    script = (
        f"import sys\nfor name in {sorted(WATCH | SERVE)}: sys.modules[name] = None\n"
        f"from alpr_edge import cli\nsys.exit(cli.main({arguments}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, done.stderr
    assert told in done.stderr and "Traceback" not in done.stderr


def test_public_names():
    assert set(alpr_edge.__all__) == {
        "ALPR", "AlprEdgeError", "DataError", "Detection", "DetectorLike", "ExitCode",
        "ImageError", "LibraryError", "ModelError", "OutputError", "Plate", "PlateDetector",
        "PlateReader", "ReaderLike", "Reading", "Result", "StaleTuning", "UsageError",
        "__version__", "load_image",
    }
    assert dir(alpr_edge) == sorted(alpr_edge.__all__)
    for name in alpr_edge.__all__:
        assert getattr(alpr_edge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = alpr_edge.Nonsense


def test_exit_codes_are_one_table():
    codes = {code.name: code.value for code in alpr_edge.ExitCode}
    assert codes == {
        "OK": 0, "FAILED": 1, "USAGE": 2, "MODEL": 3, "OUTPUT": 4, "INTERRUPTED": 130
    }
    used = {
        cls.__name__: int(cls.exit_code) for cls in alpr_edge.AlprEdgeError.__subclasses__()
        if cls.__module__ == "alpr_edge.errors"
    }
    assert used == {
        "UsageError": 2, "ImageError": 1, "DataError": 2, "ModelError": 3, "OutputError": 4,
        "LibraryError": 3,
    }
