"""Two reports of ``stages`` side by side: is the second one slower, beyond the machine's noise?

    python -m benchmarks compare before.json after.json
    python -m benchmarks compare --against NAME=COMMAND    other readers: benchmarks.peers

Run by run, of the same pictures in the same order, the times are divided by the pace that was
measured beside them, so that a clock that was faster then is no regression now. Exit code 1 says
that a case got slower.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alpr_edge.errors import DataError, ExitCode, UsageError
from benchmarks import peers, record
from benchmarks.statistics import BLOCKS, Estimate, paired_ratio

NOISE = 0.04
"""A case is slower where even the low end of the ratio's interval lies above 1 by more than this:
smaller differences are left to the machine, whose moods the pace does not follow to the last per
cent."""
SAME: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CPU", ("machine", "cpu")), ("cores", ("machine", "usable_cores")),
    ("instruction set", ("isa", "onednn")), ("threads", ("threads",)),
    ("pictures", ("scenes",)), ("pace", ("pace",)),
    ("runs", ("runs",)), ("launches", ("launches",)),
)
"""What must be equal for two reports to compare: its name and where a report has it."""

MOOD = 0.06
"""Where the paces of two reports differ by more, the machine was not the same twice."""

Verdict = Literal["slower", "faster", "same"]
Model = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One case of one model, or of two that are named ``first → second``: ``ratio`` of the second
    report's times to the first's."""

    model: str
    case: str
    first_ms: float
    second_ms: float
    ratio: Estimate

    @property
    def verdict(self) -> Verdict:
        """Beyond :data:`NOISE`, with the whole interval."""
        if self.ratio.low > 1 + NOISE:
            return "slower"
        return "faster" if self.ratio.high < 1 - NOISE else "same"


def compare(
    first: Mapping[str, Any], second: Mapping[str, Any], *, anyway: bool = False
) -> list[Compared]:
    """All cases that both reports have, model by model in their order: of the same folder, or of
    the only model of each.

    Raises:
        UsageError: the reports are no two of ``stages``, or of different machines, settings or
            models and not ``anyway``. DataError: they have no case in common, or too few runs.
    """
    _check_comparable(first, second, anyway)
    paces = _paces(first, second)
    if differences(first, second):  # the pace is of the same settings, and would hide what they do
        paces = np.ones_like(paces[0]), np.ones_like(paces[1])
    launches = first.get("launches", 1), second.get("launches", 1)
    found = [
        _compared(one, two, case, paces, launches)
        for one, two in _pairs(first["models"], second["models"], anyway)
        for case in one["cases"] if case in two["cases"]
    ]
    if not found:
        raise DataError("the reports have no case in common; measure the same --frames, --plates")
    return found


def _pairs(
    first: Sequence[Model], second: Sequence[Model], anyway: bool
) -> list[tuple[Model, Model]]:
    """Which model of one report is compared with which of the other."""
    names = [[model["folder"] for model in models] for models in (first, second)]
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    if sorted(names[0]) != sorted(names[1]) and not anyway:
        raise UsageError(
            f"the reports are of {', '.join(names[0])} and of {', '.join(names[1])}: measure the "
            "same --models, or add --anyway to compare those that both have"
        )
    others = {model["folder"]: model for model in second}
    return [(one, others[one["folder"]]) for one in first if one["folder"] in others]


def mood(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """How many times as long the pace's work took, by its medians."""
    one, two = (float(np.median(report["pace_ms"])) for report in (first, second))
    return two / one


def _check_comparable(
    first: Mapping[str, Any], second: Mapping[str, Any], anyway: bool
) -> None:
    kinds = [report.get("kind") for report in (first, second)]
    if kinds != ["stages", "stages"]:
        raise UsageError(f"reports of {kinds[0]} and {kinds[1]}; allowed: two of stages")
    other = differences(first, second)
    if other and not anyway:
        raise UsageError(
            f"the reports differ in {'; '.join(other)}: their times say nothing of the build. "
            "Measure both alike, or add --anyway"
        )


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """In what the machines or settings of two reports differ, for people."""
    return [f"{name} {a!r} and {b!r}" for name, a, b in _facts(first, second) if a != b]


def _facts(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for name, keys in SAME:
        yield name, _fact(first, keys), _fact(second, keys)


def _fact(report: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """What a report has there; None where it is too old to have it."""
    value: Any = report
    for key in keys:
        value = None if value is None else value.get(key)
    return value


Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def _paces(first: Mapping[str, Any], second: Mapping[str, Any]) -> Pair:
    """What each run's times are divided by, 1 on average over both reports."""
    if any("pace_ms" not in report for report in (first, second)):
        raise DataError("a report is too old to have the machine's pace beside its times; measure "
                        "it anew")
    one, two = (np.asarray(report["pace_ms"], float) for report in (first, second))
    usual = float(np.median(np.concatenate([one, two])))
    return one / usual, two / usual


def _compared(
    one: Mapping[str, Any], two: Mapping[str, Any], case: str, paces: Pair,
    launches: tuple[int, int],
) -> Compared:
    """Of the runs that both have, in as many blocks as processes made them."""
    samples = [np.asarray(m["cases"][case]["samples"], float) for m in (one, two)]
    runs = min(map(len, samples))
    processes = [_processes(len(times), number, runs)
                 for times, number in zip(samples, launches, strict=True) if number > 1]
    blocks = min(processes, default=BLOCKS)
    if blocks == 1:
        raise DataError(f"{case}: the {runs} runs that both reports have are of one process of "
                        f"{max(launches)}; measure with more --runs")
    samples = [times[:runs] for times in samples]
    paced = [times / pace[:runs] for times, pace in zip(samples, paces, strict=True)]
    try:
        ratio = paired_ratio(*paced, blocks)
    except ValueError as error:
        raise DataError(f"{case}: {error}; measure with more --runs") from error
    names = dict.fromkeys((one["folder"], two["folder"]))
    return Compared(
        model=" → ".join(names), case=case, ratio=ratio,
        first_ms=float(np.median(samples[0])), second_ms=float(np.median(samples[1])),
    )


def _processes(all_runs: int, launches: int, runs: int) -> int:
    """How many of ``launches`` processes that shared ``all_runs`` made the first ``runs``."""
    shares = np.array_split(np.arange(all_runs), launches)
    return sum(bool((share < runs).any()) for share in shares)


def table(found: Sequence[Compared]) -> str:
    """One row a case, as Markdown."""
    lines = ["| model | frame/plates | first | second | ratio, 95 % interval | |", "|---" * 6 + "|"]
    for one in found:
        mark = {"slower": "**slower**", "faster": "faster", "same": ""}[one.verdict]
        lines.append(
            f"| {one.model} | {one.case} | {one.first_ms:.2f} ms | {one.second_ms:.2f} ms | "
            f"{one.ratio.value:.3f} ({one.ratio.low:.3f} to {one.ratio.high:.3f}) | {mark} |"
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks compare``."""
    parser.add_argument("reports", type=Path, nargs="*", metavar="REPORT.json", help="two of them")
    parser.add_argument("--anyway", action="store_true",
                        help="compare reports of different machines or settings too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    peers.add_arguments(parser.add_argument_group("other readers"))


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Print the comparison; 1 where a case got slower, or another reader failed.

    Raises:
        UsageError, DataError: see :func:`compare` and :func:`benchmarks.peers.main`.
    """
    if len(options.reports) != (0 if options.against else 2):
        raise UsageError(f"{len(options.reports)} reports; needed: two to compare, or none and "
                         "--against NAME=COMMAND")
    if options.against:
        return peers.main(options, arguments)
    reports = [record.load(path) for path in options.reports]
    found = compare(*reports, anyway=options.anyway)
    for path, report in zip(options.reports, reports, strict=True):
        for reason in report["conditions"]["noise"]:
            print(f"noisy: {path.name}: {reason}", file=sys.stderr)
    if (other := differences(*reports)) and not options.json:
        print(f"the reports differ in {'; '.join(other)}: ratios are of the times as they are")
    elif abs(changed := mood(*reports) - 1) > MOOD and not options.json:
        print(f"the machine's own pace changed by {changed:+.0%}: what is left of it in the times "
              "may be some per cent; measure again when it is as it was")
    told = json.dumps([dataclasses.asdict(o) | {"verdict": o.verdict} for o in found], indent=1)
    print(told if options.json else table(found))
    record.write(told, options.out)
    slower = any(one.verdict == "slower" for one in found)
    return ExitCode.FAILED if slower else ExitCode.OK
