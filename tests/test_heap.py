"""What a picture leaves in memory is there for the next one."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(
    os.name != "posix" or not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="the C library is not glibc",
)
COUNT = """
import resource, sys
import numpy as np
from alpr_edge import heap
kept = heap.keep_freed() if sys.argv[1] == "keep" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def picture():
    several = [np.ones(6 << 20, np.uint8) for _ in range(3)]
for _ in range(3):
    picture()
before = faults()
for _ in range(20):
    picture()
print(kept, (faults() - before) // 20)
"""


def count(what: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, what], capture_output=True, text=True, check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")} | environment,
    )
    return done.stdout.split()


@glibc
def test_freed_memory_is_used_again():
    kept, faults = count("keep")
    assert kept == "True" and int(faults) < 50
    assert int(count("leave")[1]) > 500


@glibc
def test_who_tells_glibc_otherwise_is_obeyed():
    assert count("keep", MALLOC_ARENA_MAX="1")[0] == "False"
