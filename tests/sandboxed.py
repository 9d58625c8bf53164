"""Run a command with the system calls and socket families that a systemd unit allows.

    python tests/sandboxed.py UNIT [--no-executable-memory] [--offline] COMMAND...

systemd itself does the same by seccomp; here libseccomp does, and ``systemd-analyze`` tells which
calls a set has. The command runs as the user it did before, but without new privileges.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import os
import socket
import subprocess
from pathlib import Path

ALLOW, FORBID, KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
"""libseccomp's actions; what is forbidden fails with EPERM."""
EQUAL = 4  # SCMP_CMP_EQ
REFUSE_EXECUTABLE = 65  # PR_SET_MDWE
FAMILIES = "RestrictAddressFamilies"
CALLS = "SystemCallFilter"


class Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


def settings(unit: Path) -> dict[str, list[str]]:
    """The values of each setting of a unit, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def members(name: str) -> set[str]:
    """The system calls of a set of systemd's (``@system-service``), or the one call itself."""
    if not name.startswith("@"):
        return {name}
    printed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    inner = [line.strip() for line in printed.splitlines() if line.startswith("    ")]
    return set().union(*(members(one) for one in inner if not one.startswith("#")))


def allowed(unit: Path) -> set[str]:
    """The system calls that a unit allows."""
    calls = members("@default")
    for value in settings(unit)[CALLS]:
        taken = set().union(*map(members, value.removeprefix("~").split()))
        calls = calls - taken if value.startswith("~") else calls | taken
    return calls


def restrict(calls: set[str], families: dict[str, int]) -> None:
    """From here on this process has these system calls only, and sockets of these families, or an
    action for each."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp"), use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(FORBID))
    for call in calls - {"socket"}:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # of this machine's architecture
            library.seccomp_rule_add(context, ALLOW, number, 0)
    number = library.seccomp_syscall_resolve_name(b"socket")
    for family, action in families.items():
        equal = Comparison(0, EQUAL, getattr(socket, family), 0)  # the first argument
        library.seccomp_rule_add_array(context, action, number, 1, ctypes.byref(equal))
    if library.seccomp_load(context):
        raise OSError("the filter cannot be loaded")


def main() -> None:
    """Restrict this process and become the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("unit", type=Path)
    parser.add_argument("--no-executable-memory", action="store_true")
    parser.add_argument("--offline", action="store_true", help="an Internet socket is the end")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    libc = ctypes.CDLL(None, use_errno=True)
    if options.no_executable_memory and libc.prctl(REFUSE_EXECUTABLE, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel does not know PR_SET_MDWE (6.3 and later)")
    families = dict.fromkeys(" ".join(settings(options.unit)[FAMILIES]).split(), ALLOW)
    if options.offline:
        families |= {"AF_INET": KILL, "AF_INET6": KILL}
    restrict(allowed(options.unit), families)
    os.execvp(options.command[0], options.command)


if __name__ == "__main__":
    main()
