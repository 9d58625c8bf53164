"""Does the budget hold: detection and n readings at the 90th percentile, on a profile's terms?

    python -m benchmarks budget --profile ryzen-5700u --data DATA

A profile names a CPU, its instruction set, threads and the budget. On other hardware the run is
capped to the profile's instruction set and says so: a cap gives a CPU's kernels, not its clock.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from alpr_edge import budget, strict
from alpr_edge import isa as instruction_sets
from alpr_edge.cpu import cpu_name
from alpr_edge.errors import ExitCode, UsageError
from alpr_edge.picks import MODELS
from benchmarks import harness, isa, record
from benchmarks.cases import PLATES, Case, ModelContestant, without_load
from benchmarks.conditions import Conditions
from benchmarks.launches import check_precisions
from benchmarks.report_facts import told_noise
from benchmarks.scenes import make_scenes
from benchmarks.statistics import summary

PROFILES = Path(__file__).parent / "profiles"
FRAME = "1080p"
"""The frame that the budget is for."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A CPU and what may be spent on it: ``cpu`` is a part of the name that Linux gives it,
    ``reading_ms`` the budget of each plate, ``plates`` the numbers of plates that are judged."""

    name: str
    cpu: str
    isa: str
    threads: int
    detection_ms: float
    reading_ms: float
    plates: tuple[int, ...]

    def allowed_ms(self, plates: int) -> float:
        """The budget of a picture with so many plates."""
        return self.detection_ms + plates * self.reading_ms

    def is_this_machine(self) -> bool:
        """Whether this process runs on the profile's CPU."""
        return self.cpu.casefold() in cpu_name().casefold()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One number of plates: the 90th percentile of the whole picture without load (decode), of its
    detection and of its readings together, in milliseconds."""

    plates: int
    p90_ms: float
    detection_p90_ms: float
    reading_p90_ms: float
    allowed_ms: float

    @property
    def met(self) -> bool:
        """Whether the picture's 90th percentile is within its budget."""
        return self.p90_ms <= self.allowed_ms


def load_profile(name: str) -> Profile:
    """A shipped profile by name, or one in a TOML file.

    Raises:
        UsageError: there is none of that name, or the file is no profile.
    """
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    try:
        facts = tomllib.loads(path.read_text("utf-8"))
        profile: Profile = strict.build(Profile, facts, f"{path}: ")
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.toml")))
        raise UsageError(f"profile {name!r}: {error.strerror}; allowed: {known}, or a .toml "
                         "file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, strict.SchemaError) as error:
        raise UsageError(f"{path} is no profile ({error}); see {PROFILES.name}/*.toml") from error
    _check(profile, path)
    return profile


def _check(profile: Profile, path: Path) -> None:
    if profile.isa not in instruction_sets.ISAS:
        allowed = ", ".join(instruction_sets.ISAS)
        raise UsageError(f"{path}: isa is {profile.isa!r}; allowed: {allowed}")
    if not profile.plates or not set(profile.plates) <= set(PLATES):
        raise UsageError(f"{path}: plates are {list(profile.plates)}; allowed: of {list(PLATES)}")
    for name in ("threads", "detection_ms", "reading_ms"):
        if not getattr(profile, name) > 0:
            raise UsageError(f"{path}: {name} is {getattr(profile, name)}; allowed: above 0")


def judge(profile: Profile, taken: Mapping[Case, Sequence[Mapping[Any, float]]]) -> list[Judged]:
    """The verdict on each case that was timed."""
    found = []
    for case, runs in taken.items():
        p90 = {
            name: summary([part(ms) for ms in runs])["p90"]
            for name, part in (("p90_ms", without_load),
                               ("detection_p90_ms", budget.detection_ms),
                               ("reading_p90_ms", budget.reading_ms))
        }
        found.append(
            Judged(plates=case.plates, allowed_ms=profile.allowed_ms(case.plates), **p90)
        )
    return found


def text(profile: Profile, judged: Sequence[Judged]) -> str:
    """The verdict, a line a number of plates."""
    where = "this is it" if profile.is_this_machine() else (
        f"this machine is {cpu_name()}, capped to {profile.isa}: its kernels, not its clock"
    )
    lines = [f"budget {'MET' if all(one.met for one in judged) else 'MISSED'} for {profile.name} "
             f"({where}), {profile.threads} threads, {FRAME}, 90th percentiles without load:"]
    for one in judged:
        lines.append(
            f"- {one.plates} plates: {one.p90_ms:.1f} ms of {one.allowed_ms:.0f} ms (detection "
            f"{one.detection_p90_ms:.1f}, reading {one.reading_p90_ms:.1f}), "
            f"{one.allowed_ms / one.p90_ms:.1f} times within" + " - MISSED" * (not one.met)
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks budget``."""
    parser.add_argument("--profile", default="ryzen-5700u", metavar="NAME|FILE.toml",
                        help="ryzen-5700u, n100 or a file (default: ryzen-5700u)")
    parser.add_argument("--models", type=Path, default=MODELS, metavar="DIR", help="models folder")
    parser.add_argument("--data", type=Path, help="folder of annotated pictures (default: demo)")
    parser.add_argument("--runs", type=int, default=200, help="counted runs (default: 200)")
    record.add_out(parser)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measure and judge; 1 where the budget is missed.

    Raises:
        AlprEdgeError: wrong options, profile, data or models.
    """
    if options.runs < 1:
        raise UsageError(f"--runs is {options.runs}; allowed: 1 or more")
    profile = load_profile(options.profile)
    code = isa.respawn(profile.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(profile.isa)
    with harness.pinned(profile.threads) as cores:
        judged = judge(profile, _timed(profile, options))
    told = text(profile, judged)
    met = all(one.met for one in judged)
    content = {
        "profile": dataclasses.asdict(profile), "threads": profile.threads, "runs": options.runs,
        "pinned": cores, "pictures": "demo" if options.data is None else "val frames",
        "this_machine": profile.is_this_machine(), "met": met, "text": told,
        "cases": [dataclasses.asdict(one) | {"met": one.met} for one in judged],
    }
    found = record.record("budget", arguments, named, before, content)
    print("\n".join([*told_noise(found), told]))
    record.save(found, options.out)
    return ExitCode.OK if met else ExitCode.FAILED


def _timed(
    profile: Profile, options: argparse.Namespace
) -> Mapping[Case, Sequence[Mapping[Any, float]]]:
    """The stamps of all runs, case by case."""
    contestant = ModelContestant(options.models, profile.threads)
    for engine in contestant.engines().values():
        check_precisions(engine)
    cases = [Case(FRAME, plates) for plates in dict.fromkeys(profile.plates)]
    with tempfile.TemporaryDirectory() as folder:
        scenes = make_scenes(options.data, [FRAME], Path(folder), contestant.detector.predict)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("timing", total=harness.WARM_UP + options.runs)
            timings = harness.measure(
                [contestant], scenes, cases, options.runs, harness.unpaced,
                lambda: progress.advance(task),
            )
    return timings.taken[0]
