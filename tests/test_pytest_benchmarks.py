"""``pytest benchmarks/`` runs the cases of stages and keeps their percentiles."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import ROOT
from drawn import build_data

pytest.importorskip("pytest_benchmark")


def test_every_case_is_a_benchmark_with_percentiles(tmp_path, tiny_models):
    data, kept = build_data(tmp_path / "data", 2, ("val",)), tmp_path / "b.json"
    command = [sys.executable, "-m", "pytest", "benchmarks", "-q", "-p", "no:cacheprovider",
               "--models", str(tiny_models), "--data", str(data), "--threads", "1",
               "--rounds", "3", f"--benchmark-json={kept}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["name"]: one for one in json.loads(kept.read_text())["benchmarks"]}
    assert len(found) == 7
    assert found["test_picture[1080p/4]"]["stats"]["rounds"] == 3
    told = found["test_picture[1080p/4]"]["extra_info"]["ms"]
    assert {"total", "with_load", "detection", "reading"} == told.keys()
    assert told["total"]["p50"] <= told["total"]["max"] <= told["with_load"]["max"]
    assert found["test_network[reader]"]["extra_info"]["ms"]["p90"] > 0
