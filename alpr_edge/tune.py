"""``alpr-edge tune``: time the variants of each stage on this device, and choose.

What is timed is a stage as :class:`~alpr_edge.pipeline.ALPR` runs it: finding the plates of one
picture, the closer look included; rectifying and reading one plate. One picture at a time, as
``read`` does: how many streams a service or cameras share is for them to say.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from alpr_edge import geometry, picks, tuning
from alpr_edge import manifest as manifests
from alpr_edge.cpu import BESIDE, Cpu
from alpr_edge.detector import PlateDetector, WholePicture
from alpr_edge.errors import ModelError
from alpr_edge.images import SUFFIXES, load_image
from alpr_edge.manifest import TASKS, Task
from alpr_edge.picks import Variant
from alpr_edge.reader import PlateReader
from alpr_edge.types import Detection, Image

DEMO = Path(__file__).parent.parent / "docs" / "demo"
"""The repository's rendered pictures; not part of the installed package."""
PICTURES = 16
"""At most so many pictures take turns."""
WARM_UP, LEAST_RUNS = 2, 5
"""Runs of each visit to a candidate that are not counted, and least that are."""
ALL_THREADS_UP_TO = 8
"""Up to here every number of threads is tried, beyond it doublings and all cores."""
TIE = 0.05
"""Medians this close (relative) count as equal: then fewer threads win."""

Run = Callable[[], object]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidate:
    """One variant with a number of threads."""

    task: Task
    variant: Variant
    threads: int

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of its input."""
        return self.variant.manifest.input.shape[1:3]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Timing:
    """The milliseconds of a candidate's runs."""

    candidate: Candidate
    ms: tuple[float, ...]

    @property
    def p50(self) -> float:
        """The median."""
        return float(np.percentile(self.ms, 50))

    @property
    def p90(self) -> float:
        """What nine runs of ten do not exceed."""
        return float(np.percentile(self.ms, 90))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scenes:
    """Pictures (H, W, 3) uint8 BGR, and plates with the picture that each is on; never empty."""

    pictures: tuple[Image, ...]
    plates: tuple[tuple[Image, Detection], ...]


def thread_counts(cores: int) -> list[int]:
    """The numbers of threads that are tried on ``cores`` cores, ascending."""
    doublings = itertools.takewhile(
        lambda n: n < cores, (ALL_THREADS_UP_TO * 2**i for i in itertools.count(1))
    )
    return [*range(1, min(cores, ALL_THREADS_UP_TO + 1)), *doublings, cores]


def candidates(models: Path, cpu: Cpu) -> list[Candidate]:
    """Every variant that is right on ``cpu`` (:meth:`Variant.right_on`); a detector's with every
    thread count.

    Raises:
        ModelError: picks.json or a manifest is wrong, or a stage has no variant.
    """
    found = []
    for task in TASKS:
        variants = [v for v in picks.variants(models, task) if v.right_on(cpu.kind)]
        if not variants:
            raise ModelError(f"{models} has no {task} for CPUs of class {cpu.kind}; get it anew")
        found += [
            Candidate(task=task, variant=variant, threads=threads)
            for variant in variants
            for threads in (thread_counts(cpu.cores) if task == "detector" else [BESIDE])
        ]
    return found


def load_pictures(files: Sequence[str]) -> list[Image]:
    """The first :data:`PICTURES` of ``files``; of none given the repository's demo pictures; where
    only the package is installed one drawn frame, since time hardly depends on what is seen.

    Raises:
        ImageError: a picture cannot be read.
    """
    if not files and DEMO.is_dir():
        files = sorted(str(f) for f in DEMO.iterdir() if f.suffix.lower() in SUFFIXES)
    return [load_image(file) for file in files[:PICTURES]] or [_drawn()]


def _drawn() -> Image:
    """Smoothed noise of 1080 x 1920 pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (1080 // 8, 1920 // 8, 3), np.uint8)
    return noise.repeat(8, axis=0).repeat(8, axis=1)


def find_plates(pictures: Sequence[Image], detector: PlateDetector) -> Scenes:
    """The pictures with the plates found on them; where there is none, a whole picture is one."""
    plates = [(image, plate) for image in pictures for plate in detector.predict(image)]
    if not plates:
        plates = [(pictures[0], WholePicture().predict(pictures[0])[0])]
    return Scenes(pictures=tuple(pictures), plates=tuple(plates))


def prepare(candidate: Candidate, scenes: Scenes) -> Run:
    """Load the candidate's model; each call of what is returned runs its stage once, on the next
    picture or plate.

    Raises:
        ModelError: the model is missing, corrupt or not what its manifest says.
    """
    folder, threads = candidate.variant.folder, candidate.threads
    if candidate.task == "detector":
        detector = PlateDetector(folder, threads=threads)
        pictures = itertools.cycle(scenes.pictures)
        return lambda: detector.predict(next(pictures))
    reader = PlateReader(folder, threads=threads)
    plates = itertools.cycle(scenes.plates)

    def read() -> object:
        image, plate = next(plates)
        return reader.predict(geometry.rectify(image, plate.corners)[None])

    return read


def measure(
    found: Sequence[Candidate], prepare: Callable[[Candidate], Run], seconds: float, *,
    tick: Callable[[], None], clock: Callable[[], float] = time.perf_counter,
) -> list[Timing]:
    """Time the candidates for about ``seconds``, loading included; ``tick`` after each visit.

    Each is visited twice, the second time in reverse order, so that a device that grows hot and
    slow is unfair to none; the time that is left is shared evenly by the visits that are left.
    Every visit has :data:`LEAST_RUNS`, whatever the time.
    """
    visits = [*range(len(found)), *reversed(range(len(found)))]
    times: list[list[float]] = [[] for _ in found]
    end = clock() + seconds
    for number, index in enumerate(visits):
        now = clock()
        until = now + (end - now) / (len(visits) - number)
        times[index] += _visit(prepare(found[index]), until, clock)
        tick()
    return [Timing(candidate=c, ms=tuple(ms)) for c, ms in zip(found, times, strict=True)]


def _visit(run: Run, until: float, clock: Callable[[], float]) -> list[float]:
    for _ in range(WARM_UP):
        run()
    ms: list[float] = []
    while len(ms) < LEAST_RUNS or clock() < until:
        begin = clock()
        run()
        ms.append((clock() - begin) * 1e3)
    return ms


def best(timings: Sequence[Timing], size: tuple[int, ...] | None) -> Timing:
    """Of one stage's timings the fastest by median, with as few threads as :data:`TIE` allows.

    ``size`` keeps to variants of that input size (a smaller one finds fewer small plates); None
    allows all.
    """
    allowed = [t for t in timings if size in (None, t.candidate.size)]
    limit = min(t.p50 for t in allowed) * (1 + TIE)
    return min(
        (t for t in allowed if t.p50 <= limit), key=lambda t: (t.candidate.threads, t.p50)
    )


def tune(
    models: Path, cpu: Cpu, files: Sequence[str], seconds: float, *, any_size: bool,
    progress: Callable[[int, int], None],
) -> tuple[list[Timing], dict[Task, Timing]]:
    """Time all candidates of ``models`` and choose one a stage; ``progress(done, of)`` meanwhile.

    Raises:
        ImageError: a picture cannot be read.
        ModelError: a model, its manifest or picks.json is wrong.
    """
    picked = {task: models / picks.choose(models, task, cpu).folder for task in TASKS}
    found = candidates(models, cpu)
    scenes = find_plates(load_pictures(files), PlateDetector(picked["detector"]))
    done = itertools.count(1)
    timings = measure(
        found, functools.partial(prepare, scenes=scenes), seconds,
        tick=lambda: progress(next(done), 2 * len(found)),
    )
    chosen = {}
    for task in TASKS:
        size = None if any_size else manifests.load(picked[task]).input.shape[1:3]
        chosen[task] = best([t for t in timings if t.candidate.task == task], size)
    return timings, chosen


def as_tuning(chosen: dict[Task, Timing], models: Path) -> tuning.Tuning:
    """What is stored of a choice for ``models`` made in this process."""
    stages = {
        task: tuning.StageTuning(
            folder=timing.candidate.variant.folder.name, threads=timing.candidate.threads,
            p50_ms=round(timing.p50, 3), p90_ms=round(timing.p90, 3),
        )
        for task, timing in chosen.items()
    }
    return tuning.Tuning(
        schema=1, created=manifests.now(), conditions=tuning.Conditions.of(models),
        detector=stages["detector"], reader=stages["reader"],
    )


def table(timings: Sequence[Timing], chosen: dict[Task, Timing]) -> Table:
    """One row a candidate, the chosen ones marked."""
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("stage", "model", "precision", "input"):
        rows.add_column(name)
    for name in ("threads", "runs", "p50 ms", "p90 ms"):
        rows.add_column(name, justify="right")
    rows.add_column("")
    for timing in timings:
        candidate = timing.candidate
        variant = candidate.variant
        rows.add_row(
            candidate.task, variant.folder.name, variant.manifest.precision,
            "x".join(map(str, candidate.size)), str(candidate.threads), str(len(timing.ms)),
            f"{timing.p50:.2f}", f"{timing.p90:.2f}",
            "chosen" if timing is chosen[candidate.task] else "",
        )
    return rows
