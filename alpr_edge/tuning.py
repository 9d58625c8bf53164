"""What ``alpr-edge tune`` found on this device: its file, and whether it still holds.

The file is ``$XDG_CONFIG_HOME/alpr-edge/tune.json``, else ``~/.config/alpr-edge/tune.json``;
``ALPR_EDGE_CONFIG`` names another one, and empty says that there is none.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Literal

from alpr_edge import __version__, closer, picks, strict
from alpr_edge import manifest as manifests
from alpr_edge.cpu import BESIDE, CpuClass, this_cpu
from alpr_edge.errors import OutputError, StaleTuning, UsageError
from alpr_edge.files import replace_file
from alpr_edge.manifest import TASKS, Task
from alpr_edge.picks import MODELS, PRECISIONS, Precision

VARIABLE = "ALPR_EDGE_CONFIG"
REMEDY = "run 'alpr-edge tune' again, or delete the file"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StageTuning:
    """One stage's model folder (its name within the models folder) and threads, and how fast."""

    folder: str
    threads: int
    p50_ms: float
    p90_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What a tuning was measured under; it holds only as long as all of this is the same.

    ``models`` has the digest of every variant's manifest by folder, and the hash of picks.json.
    """

    cpu: str
    cpu_class: CpuClass
    cores: int
    alpr_edge: str
    openvino: str
    models: dict[str, str]

    @classmethod
    def of(cls, models: Path) -> Conditions:
        """Those of this process with this models folder.

        Raises:
            ModelError: picks.json or a manifest is wrong.
        """
        found = [v for task in TASKS for v in picks.variants(models, task)]
        hashes = {v.folder.name: manifests.digest(v.manifest) for v in found}
        hashes |= {
            f"{near.parent.name}/{closer.FOLDER}": manifests.hash_file(near / manifests.FILENAME)
            for near in models.glob(f"*/{closer.FOLDER}") if (near / manifests.FILENAME).is_file()
        }
        if (models / picks.FILENAME).exists():
            hashes |= manifests.hash_files(models, [picks.FILENAME])
        cpu = this_cpu()
        return cls(
            cpu=cpu.name, cpu_class=cpu.kind, cores=cpu.cores, alpr_edge=__version__,
            openvino=metadata.version("openvino"), models=hashes,
        )

    def changes(self, now: Conditions) -> list[str]:
        """What is different ``now``, for people."""
        changed = []
        for field in dataclasses.fields(self):
            then, today = getattr(self, field.name), getattr(now, field.name)
            if then != today:
                values = "" if field.name == "models" else f" from {then} to {today}"
                changed.append(field.name.replace("_", " ") + values)
        return changed


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """The content of tune.json."""

    schema: Literal[1]
    created: str
    conditions: Conditions
    detector: StageTuning
    reader: StageTuning

    def of(self, task: Task) -> StageTuning:
        """The choice of one stage."""
        return self.detector if task == "detector" else self.reader


def config_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the tuning of this user is or would be; None where :data:`VARIABLE` is empty."""
    named = environment.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    base = environment.get("XDG_CONFIG_HOME", "")
    folder = Path(base if os.path.isabs(base) else os.path.expanduser("~/.config"))
    return folder / "alpr-edge" / "tune.json"


def make_room(path: Path) -> None:
    """Make the file's folder, to know before all measuring that it can be written.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {error.strerror}; name another file with --out"
    )


def save(tuning: Tuning, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(dataclasses.asdict(tuning), indent=2, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise _unwritable(path, error) from error


def load(path: Path) -> Tuning:
    """Read the file, whether or not it still holds.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it cannot be read, or is not what ``alpr-edge tune`` writes.
    """
    try:
        tuning: Tuning = strict.load(Tuning, path)
    except strict.SchemaError as error:
        raise UsageError(f"tuning: {error}; {REMEDY}") from error
    for task in TASKS:
        stage = tuning.of(task)
        if stage.threads < 1 or stage.folder not in tuning.conditions.models:
            raise UsageError(
                f"tuning: {path}: {task} has folder {stage.folder!r} and {stage.threads} threads; "
                f"allowed: one of its models, 1 thread or more; {REMEDY}"
            )
    return tuning


def current(models: Path) -> Tuning | None:
    """The user's tuning for ``models`` if there is one that holds; a stale one is warned of.

    Raises:
        UsageError: the file is corrupt, or named by :data:`VARIABLE` and missing.
        ModelError: picks.json or a manifest is wrong.
    """
    path = config_path()
    if path is None:
        return None
    try:
        tuning = load(path)
    except FileNotFoundError:
        if VARIABLE not in os.environ:
            return None
        raise UsageError(
            f"{VARIABLE} names {path}, which does not exist; run 'alpr-edge tune', or set "
            f"{VARIABLE} to nothing"
        ) from None
    if changed := tuning.conditions.changes(Conditions.of(models)):
        what = "; ".join(changed)
        warnings.warn(
            f"the tuning in {path} is ignored, changed since: {what}; {REMEDY}",
            StaleTuning, stacklevel=2,
        )
        return None
    return tuning


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What one stage runs with, and why; ``threads`` None leaves them to OpenVINO."""

    folder: Path
    threads: int | None
    why: str


class Chooser:
    """Which model and threads each stage takes: what was asked for, else this device's tuning,
    else the pick for this CPU. Nothing is read before the first stage is asked for.

    Args:
        models: a models folder; None takes the shipped models.
        precision: one of :data:`~alpr_edge.picks.PRECISIONS`.
        threads: CPU threads of one inference.

    The tuning counts only where all three are None.

    Raises:
        UsageError: ``precision`` is unknown.
    """

    def __init__(
        self, *, models: str | os.PathLike[str] | None = None,
        precision: Precision | None = None, threads: int | None = None,
    ) -> None:
        if precision is not None and precision not in PRECISIONS:
            raise UsageError(f"precision is {precision!r}; allowed: {', '.join(PRECISIONS)}")
        self.models = MODELS if models is None else Path(models)
        self._tunable = models is None and precision is None and threads is None
        self._precision: Precision = precision or "auto"
        self._threads = threads

    @functools.cached_property
    def tuning(self) -> Tuning | None:
        """The tuning that is followed, if any; raises what :func:`current` raises."""
        return current(self.models) if self._tunable else None

    def setting(self, task: Task) -> Setting:
        """What ``task`` runs with.

        Raises:
            ModelError: picks.json or a manifest is wrong.
            UsageError: the tuning is corrupt, or there is no variant of the asked precision.
        """
        if self.tuning is not None:
            tuned = self.tuning.of(task)
            why = f"tuned on this device on {self.tuning.created}: {tuned.p50_ms:.1f} ms"
            threads = _threads(task, tuned.threads)
            return Setting(folder=self.models / tuned.folder, threads=threads, why=why)
        cpu = this_cpu()
        pick = picks.choose(self.models, task, cpu, self._precision)
        why = pick.why if self._precision != "auto" else f"pick for {cpu.kind}: {pick.why}"
        threads = _threads(task, self._threads)
        return Setting(folder=self.models / pick.folder, threads=threads, why=why)


def _threads(task: Task, asked: int | None) -> int | None:
    return BESIDE if task == "reader" else asked
