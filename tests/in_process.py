"""The work of capped child processes done in this one, where the cap itself is not what is tested.

test_isa.py and test_compare.py's ``test_the_child_process_is_capped`` test the children.
"""

from __future__ import annotations

import importlib
import json

import pytest

from optimize import capped

USERS = ("optimize.compare", "optimize.evaluate", "optimize.measure", "optimize.accuracy_control")


def work_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Patch :func:`optimize.capped.run_capped`; returns the list of works, which grows."""
    works: list[str] = []

    def run(work, target, **arguments):
        works.append(work)
        home = importlib.import_module(f"optimize.{capped._HOMES[work]}")
        values = json.loads(json.dumps(arguments, default=capped._path))
        return json.loads(json.dumps(getattr(home, f"{work}_work")(**values)))

    for name in USERS:
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "run_capped", run)
        if hasattr(module, "verified"):
            monkeypatch.setattr(module, "verified", lambda target: f"{target}, not capped")
    monkeypatch.setattr("optimize.measure.settle", lambda: None)
    monkeypatch.setattr("optimize.evaluate.load_average", lambda: 0.1)
    monkeypatch.setattr(capped, "verified", lambda target: f"{target}, not capped")
    return works
