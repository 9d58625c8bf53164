"""A models folder with several variants of a stage, made of tiny models."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import tiny

from alpr_edge import manifest as manifests
from alpr_edge import picks
from alpr_edge.cpu import Cpu

AVX2 = Cpu(name="old", cores=2, kind="avx2", why="its flags are old")
VNNI = Cpu(name="new", cores=2, kind="vnni", why="its flags are new")
FOLDERS = {"avx2": "detector-fp32", "vnni": "detector-int8"}


def as_int8(folder: Path) -> Path:
    """The manifest then says INT8; the graph stays what it is."""
    manifest = manifests.load(folder)
    manifests.save(dataclasses.replace(manifest, precision="INT8"), folder)
    return folder


def write_picks(models: Path, **changes: object) -> None:
    stages = {
        "detector": {c: {"folder": f, "why": f"fastest on {c}"} for c, f in FOLDERS.items()},
        "reader": {c: {"folder": "reader", "why": "the only one"} for c in FOLDERS},
    }
    (models / picks.FILENAME).write_text(json.dumps({"schema": 1} | stages | changes))


def build(folder: Path) -> Path:
    """Two detectors, of FP32 for AVX2 and of INT8 for VNNI (sure to 0.9 and 0.8); one reader."""
    tiny.build_detector(folder / "detector-fp32")
    as_int8(tiny.build_detector(folder / "detector-int8", score=0.8))
    tiny.build_reader(folder / "reader")
    write_picks(folder)
    return folder
