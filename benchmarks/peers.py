"""Other plate readers beside ours, on the same pictures: ``compare --against NAME=COMMAND``.

    python -m benchmarks compare --data DATA \
        --against "rapidocr=PEERS/bin/python -m benchmarks.adapters.rapidocr"

A COMMAND is an adapter (:mod:`benchmarks.adapters.protocol`). All readers run at once, each in its
own process, and take turns on every picture with another one first in each round; the time is from
writing the path to having the answer, so it holds decoding the file. Every reader's texts are
compared in upper case without separators.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from alpr_edge import metrics
from alpr_edge.data import PlateTruth, Sample, Split, read, spread
from alpr_edge.errors import DataError, ExitCode, UsageError
from alpr_edge.types import Plate
from benchmarks import figures, harness, isa, peers_tables, pictures, record
from benchmarks.adapters.protocol import THREADS
from benchmarks.conditions import Conditions
from benchmarks.peer import Answer, Peer, PeerFailedError
from benchmarks.peers_tables import ALL
from benchmarks.statistics import BLOCKS, paired_ratio, summary

OURS = "alpr-edge"
OUR_COMMAND = (sys.executable, "-m", "benchmarks.adapters.ours")
FIGURES = ("end_to_end", "text")
"""Found (IoU > 0.6) and read exactly; and: read exactly on any plate of the picture, for a reader
whose boxes are those of its letters. Both of all plates whose text is known."""
WARM_UP = 2
"""Pictures that each reader answers before, not counted."""
REST = 0.02
"""Seconds before each picture: some engines' threads wait for more work by spinning, which would
slow whoever is next."""


@dataclasses.dataclass(kw_only=True)
class Taken:
    """What a reader answered, picture by picture, and why it stopped, if it did."""

    name: str
    answers: list[Answer] = dataclasses.field(default_factory=list)
    failure: str = ""


def samples_of(data: Path | None, split: str, limit: int | None) -> list[Sample]:
    """The frames of a split with a plate whose text is known, at most ``limit``, evenly spread; the
    repository's demo pictures, of which nothing is known, without ``data``.

    Raises:
        DataError: there is none.
    """
    if data is None:
        samples = [Sample(path=path, dataset="demo", split=Split.VAL, width=0, height=0, plates=())
                   for path in pictures.picture_files(None)]
    else:
        samples = [s for s in read(data) if s.split == split and not s.crop
                   and any(plate.text is not None for plate in s.plates)]
    if not samples:
        raise DataError(f"{data} has no frame of split {split} with a plate whose text is known")
    return spread(samples, limit or len(samples))


def measure(
    readers: Sequence[Peer], samples: Sequence[Sample], advance: Callable[[], None] = lambda: None
) -> list[Taken]:
    """Each picture goes to each reader in turn; one that fails is left out from then on."""
    taken = [Taken(name=reader.name) for reader in readers]
    for run in range(-WARM_UP, len(samples)):
        sample = samples[run % len(samples)]
        for turn in range(len(readers)):
            who = (turn + run) % len(readers)
            if taken[who].failure:
                continue
            time.sleep(REST)
            try:
                answer = readers[who].ask(sample.path)
            except PeerFailedError as error:
                taken[who].failure = f"picture {max(run, 0) + 1}: {error}"
                continue
            if run >= 0:
                taken[who].answers.append(answer)
        advance()
    return taken


def spelled(text: str) -> str:
    """As the truths are written: upper case, without separators."""
    return "".join(filter(str.isalnum, text.upper()))


def hits(
    samples: Sequence[Sample], answers: Sequence[Answer]
) -> dict[str, dict[str, figures.Hits]]:
    """For each of :data:`FIGURES` and each set, and all, one bool a plate whose text is known; no
    ``end_to_end`` of a reader that does not say where its plates are."""
    boxed = all(answer.boxed for answer in answers)
    found: dict[str, dict[str, figures.Hits]] = {name: {} for name in FIGURES[not boxed:]}
    for sample, answer in zip(samples, answers, strict=False):
        plates = [dataclasses.replace(p, text=spelled(p.text)) for p in answer.plates]
        right = {
            "end_to_end": metrics.end_to_end_hits(sample.plates, plates),
            "text": _texts_hit(sample.plates, plates),
        }
        for name, groups in found.items():
            for group in (sample.dataset, ALL):
                groups.setdefault(group, []).extend(right[name])
    return found


def _texts_hit(truths: Sequence[PlateTruth], plates: Sequence[Plate]) -> list[bool]:
    """For each truth with a text, in order: some plate of the picture has it."""
    texts = {plate.text for plate in plates}
    return [truth.text in texts for truth in truths if truth.text is not None]


def report(taken: Sequence[Taken], samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """One entry a reader, the first of which the others are paired with."""
    return [_entry(one, taken[0], samples) for one in taken]


def _entry(one: Taken, first: Taken, samples: Sequence[Sample]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": one.name, "answered": len(one.answers), "failure": one.failure,
        "unreadable": sum(answer.unreadable for answer in one.answers),
    }
    if not one.answers:
        return entry
    times = [round(answer.ms, 4) for answer in one.answers]
    entry |= {
        "capped": all(answer.capped for answer in one.answers if not answer.unreadable),
        "latency": summary(times), "samples": times,
        "exact": {
            name: {group: figures.number(right) for group, right in groups.items()}
            for name, groups in hits(samples, one.answers).items()
        },
    }
    common = min(len(first.answers), len(one.answers))
    if one is not first and common:
        entry |= _paired(samples, first.answers[:common], one.answers[:common])
    return entry


def _paired(
    samples: Sequence[Sample], first: Sequence[Answer], second: Sequence[Answer]
) -> dict[str, Any]:
    """The second reader beside the first, on the same pictures."""
    told: dict[str, Any] = {}
    if len(second) >= BLOCKS:
        ratio = paired_ratio([answer.ms for answer in first], [answer.ms for answer in second])
        told["ratio"] = ratio.to_json()
    one, two = hits(samples, first), hits(samples, second)
    told["paired"] = {
        name: figures.paired(one[name][ALL], two[name][ALL])
        for name in FIGURES if one.get(name, {}).get(ALL) and name in two
    }
    return told


def parse(peers: Sequence[str]) -> dict[str, list[str]]:
    """``NAME=COMMAND`` as names and commands, ours first.

    Raises:
        UsageError: one is not of that form, or a name comes twice.
    """
    commands = {OURS: list(OUR_COMMAND)}
    for peer in peers:
        name, _, command = peer.partition("=")
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--against {peer!r}: {error}; quote COMMAND as in a shell") from error
        if not name or not words:
            raise UsageError(f"--against {peer!r}; needed: NAME=COMMAND, a reader and its adapter")
        if name in commands:
            raise UsageError(f"--against {name} comes twice (ours is {OURS}); rename one")
        commands[name] = words
    return commands


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    """The options of ``compare --against``."""
    parser.add_argument("--against", nargs="+", action="extend", metavar="NAME=COMMAND", default=[],
                        help="instead of two reports: other readers, side by side with ours")
    parser.add_argument("--data", type=Path,
                        help="folder of annotated pictures (default: the demo pictures, no texts)")
    parser.add_argument("--split", default=Split.VAL.value, choices=[s.value for s in Split])
    parser.add_argument("--limit", type=int, metavar="N", help="N pictures, evenly spread")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    isa.add_argument(parser)
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S",
                        help="a reader that takes longer for a picture has failed (default: 120)")
    record.add_out(parser)


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the readers and print the table; 1 where one failed.

    Raises:
        AlprEdgeError: wrong options or data; see :mod:`alpr_edge.errors`.
    """
    for name in ("limit", "threads", "timeout"):
        if (value := getattr(options, name)) is not None and not value > 0:
            raise UsageError(f"--{name} is {value}; allowed: more than 0")
    commands = parse(options.against)
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    samples = samples_of(options.data, options.split, options.limit)
    environment = isa.capped_environment(options.isa) | {THREADS: str(options.threads)}
    with harness.pinned(options.threads) as cores:
        readers = [Peer(name, command, environment, options.timeout)
                   for name, command in commands.items()]
        try:
            taken = _with_progress(readers, samples)
        finally:
            for reader in readers:
                reader.close()
    content = {
        "threads": options.threads, "pinned": cores, "split": options.split,
        "pictures": "demo" if options.data is None else "frames", "frames": len(samples),
        "readers": report(taken, samples),
    }
    words = [_public(word, commands) for word in arguments]
    found = record.record("peers", words, named, before, content)
    print(peers_tables.markdown(found))
    record.save(found, options.out)
    return ExitCode.FAILED if any(one.failure for one in taken) else ExitCode.OK


def _with_progress(readers: Sequence[Peer], samples: Sequence[Sample]) -> list[Taken]:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=WARM_UP + len(samples))
        return measure(readers, samples, lambda: progress.advance(task))


def _public(argument: str, commands: Mapping[str, Sequence[str]]) -> str:
    """A ``NAME=COMMAND`` without the places of this machine, for the report."""
    name, mark, _ = argument.partition("=")
    if not mark or name not in commands:
        return argument
    words = [Path(word).name if "/" in word else word for word in commands[name]]
    return f"{name}={shlex.join(words)}"
