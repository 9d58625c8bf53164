"""Every error the runtime raises on purpose, and the exit code each one ends a command with.

    AlprEdgeError
    ├── UsageError          wrong option, configuration or argument            exit 2
    ├── ImageError          a picture that cannot be read (also ValueError)    exit 1
    ├── DataError           a data folder or index that cannot be read         exit 2
    ├── ModelError          model missing, corrupt, wrong hash or schema       exit 3
    ├── OutputError         a result that cannot be written                    exit 4
    └── LibraryError        a library this machine cannot load                 exit 3

A configuration that no longer fits is a warning, :class:`StaleTuning`: the work goes on without.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """The exit codes of every command of the project."""

    OK = 0
    """Everything ran and every bar was met."""
    FAILED = 1
    """It ran, but something failed or a bar was missed (unreadable input, budget, regression)."""
    USAGE = 2
    """Wrong usage or configuration, or no input."""
    MODEL = 3
    """A model is missing, corrupt or has the wrong hash, or its engine cannot be loaded."""
    OUTPUT = 4
    """The output cannot be written."""
    INTERRUPTED = 130
    """Interrupted; what was finished before is kept."""


class AlprEdgeError(Exception):
    """Base of all errors raised on purpose; its message says what was got, allowed, and to do."""

    exit_code = ExitCode.FAILED


class UsageError(AlprEdgeError):
    """A wrong option, configuration or argument."""

    exit_code = ExitCode.USAGE


class ImageError(AlprEdgeError, ValueError):
    """A picture that cannot be read or has a wrong dtype or shape."""

    exit_code = ExitCode.FAILED


class DataError(AlprEdgeError):
    """A data folder, index or annotation that cannot be read."""

    exit_code = ExitCode.USAGE


class ModelError(AlprEdgeError):
    """A model or manifest that is missing, corrupt, of a wrong hash or an unknown schema."""

    exit_code = ExitCode.MODEL


class OutputError(AlprEdgeError):
    """A result that cannot be written (full disk, no permission)."""

    exit_code = ExitCode.OUTPUT


class LibraryError(AlprEdgeError):
    """A library (OpenCV, OpenVINO) that this machine cannot load."""

    exit_code = ExitCode.MODEL


class StaleTuning(UserWarning):
    """What ``alpr-edge tune`` stored is ignored: the CPU, a version or the models changed."""
