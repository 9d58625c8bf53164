"""The shipped models for a long time, and on all real validation frames (make verify)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from alpr_edge import ALPR
from alpr_edge.data.index import read_index
from alpr_edge.data.sample import Split
from alpr_edge.images import load_image

pytestmark = pytest.mark.slow
FRAMES, WARM_UP, GROWTH_MB = 600, 100, 40


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_memory_does_not_grow():
    alpr = ALPR(threads=1)
    pictures = [load_image(path) for path in sorted((ROOT / "docs" / "demo").glob("*.jpg"))]
    rng = np.random.default_rng(0)
    before = 0.0
    for number in range(FRAMES):
        if number == WARM_UP:
            before = resident_mb()
        picture = pictures[number % len(pictures)]
        height, width = (rng.integers(side // 2, side) for side in picture.shape[:2])
        alpr.predict(picture[:height, :width])
    assert resident_mb() - before < GROWTH_MB


def test_same_picture_reads_the_same_every_time():
    alpr = ALPR(threads=2)
    for path in sorted((ROOT / "docs" / "demo").glob("*.jpg")):
        first = alpr.predict(path)
        assert all(alpr.predict(path) == first for _ in range(5)), path.name


def test_all_real_validation_frames_are_read(data_dir):
    frames = [s for s in read_index(data_dir) if s.split is Split.VAL and not s.crop]
    command = [sys.executable, "-m", "alpr_edge", "read", "--format", "jsonl"]
    done = subprocess.run(
        [*command, *(str(frame.path) for frame in frames)], cwd=ROOT, capture_output=True, text=True
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert len(records) == len({frame.path for frame in frames})
    for frame, record in zip(frames, records, strict=True):
        assert (record["width"], record["height"]) == (frame.width, frame.height)
