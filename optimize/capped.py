"""Work done in a child process whose instruction set is capped to the target, and proven so.

    run_capped("evaluate", target, folder=..., data=...)

calls ``evaluate_work`` of :mod:`optimize.evaluate` in a new process; arguments and result travel as
JSON.
"""

from __future__ import annotations

import functools
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from alpr_edge import isa
from alpr_edge.cpu import BUSY, load_average
from alpr_edge.errors import AlprEdgeError
from training.torch_cap import environment

_ROOT = Path(__file__).parent.parent
_HOMES = {
    "compare": "compare", "control": "accuracy_control", "evaluate": "evaluate",
    "routes": "two_routes", "time": "evaluate",
}
"""Module of each work: only what is needed is loaded."""
_PATIENCE, _LOOK = 150.0, 5.0
"""Seconds; the load average is computed anew every 5."""


class ChildError(AlprEdgeError):
    """A child process was killed or broke down: nothing is known of what it worked on."""


@functools.cache
def verified(target: str) -> str:
    """:func:`alpr_edge.isa.verify_isa`, once a process.

    Raises:
        UsageError: the target is unknown, or this CPU cannot execute it.
        LibraryError: the cap is not effective.
    """
    return isa.verify_isa(target)


def run_capped(work: str, target: str, **arguments: Any) -> Any:
    """The result of ``work`` (:data:`_HOMES`), computed at ``target``; paths among the arguments
    become absolute.

    Raises:
        UsageError: this CPU cannot execute the target. LibraryError: the cap is not effective.
        AlprEdgeError: the work's own error, of its class. ChildError: the child process was killed
            or broke down.
    """
    name = verified(target)
    text = json.dumps(arguments, default=_path)
    ran = subprocess.run(
        [sys.executable, "-m", "optimize.capped", work, text], cwd=_ROOT,
        env=environment(target), capture_output=True, text=True, check=False,
    )
    if ran.returncode:
        how = "was killed" if ran.returncode < 0 else "broke down"
        raise ChildError(
            f"{work} at {name} {how} ({ran.returncode}), perhaps for want of memory; end other "
            f"programs, or give a smaller --limit. It told: {ran.stderr.strip() or 'nothing'}"
        )
    told = json.loads(ran.stdout.splitlines()[-1])
    if "error" in told:
        raise _error_class(told["error"])(f"{work} at {name}: {told['message']}")
    return told["result"]


def _error_class(name: str) -> type[AlprEdgeError]:
    """An error by its name, so that it ends this process as it would have ended the child's."""
    kinds = {kind.__name__: kind for kind in AlprEdgeError.__subclasses__()}
    return kinds.get(name, AlprEdgeError)


def settle() -> None:
    """Wait for the load average that the work before has left to fall below :data:`BUSY`; no longer
    where it does not fall, because others work too."""
    until, load = time.monotonic() + _PATIENCE, load_average()
    while load > BUSY and time.monotonic() < until:
        time.sleep(_LOOK)
        before, load = load, load_average()
        if load > before:
            return


def _path(value: Any) -> str:
    if not isinstance(value, Path):
        raise TypeError(f"{value!r} is no JSON value and no path")
    return str(value.resolve())


def main(arguments: list[str]) -> int:
    """The child process: print the result, or the work's own error, as the last line."""
    work, text = arguments
    function = getattr(importlib.import_module(f"optimize.{_HOMES[work]}"), f"{work}_work")
    try:
        told = {"result": function(**json.loads(text))}
    except AlprEdgeError as error:
        told = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
