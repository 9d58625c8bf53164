"""How many pictures a second this machine serves, and how long each then takes.

    python -m benchmarks throughput --streams 1 2 4 --threads 1 2 --plot throughput.png

Each network alone: OpenVINO's asynchronous requests on a grid of streams and of threads a stream.
The whole pipeline: as many cameras as streams, each a Python thread with a pipeline of its own
(one object serves one thread) that takes its next frame as soon as the last is read. Frames are in
memory, as a camera gives them. The knee is the smallest setting within 5 % of the best.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from alpr_edge import closer, geometry
from alpr_edge.errors import ExitCode, OutputError, UsageError
from alpr_edge.images import load_image
from alpr_edge.manifest import MODEL_XML, Task
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import ALPR
from alpr_edge.tuning import Chooser
from alpr_edge.types import Image
from benchmarks import isa, plots, record, requests
from benchmarks.conditions import Conditions
from benchmarks.models import folder_name
from benchmarks.pictures import picture_files
from benchmarks.report_facts import told_noise
from benchmarks.requests import Load, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR = 0.95
"""Share of the best frames a second that the knee reaches."""
PIPELINE = "pipeline"

Grid = list[dict[str, Any]]
"""Rows: ``streams``, ``threads`` (of each stream), ``requests``, ``fps``, ``latency``, ``cpu``."""


def network_grid(
    file: Path, frames: Sequence[Image], streams: Sequence[int], threads: Sequence[int],
    seconds: float,
) -> Grid:
    """The rows of one network, with a free batch as 1. Settings for which OpenVINO decides on one
    that is known already (never more threads than cores) are left out.

    Raises:
        ModelError: the model cannot be read or compiled.
    """
    model = requests.read_model(file)
    pictures = [[picture] for picture in _inputs(model, frames)]
    grid: Grid = []
    known = set()
    for count, each in itertools.product(streams, threads):
        network = requests.compiled(
            model, Settings(hint="throughput", streams=count, threads=count * each)
        )
        requests.check_precision(network, "f32")
        taken = requests.taken(network)
        taken["threads"] //= taken["streams"]
        setting = (taken["streams"], taken["threads"])
        if setting not in known:
            known.add(setting)
            grid.append(taken | requests.at_once(network, pictures, seconds).to_json())
    return grid


def _inputs(model: Any, frames: Sequence[Image]) -> Iterator[Image]:
    """The frames as a network takes them, (1, H, W, 3); what they show changes no time."""
    _, height, width, _ = model.input(0).shape
    for frame in frames:
        yield geometry.letterbox(frame, height, width)[0][None]


def camera_grid(
    models: Path, frames: Sequence[Image], streams: Sequence[int], threads: Sequence[int],
    seconds: float,
) -> Grid:
    """The rows of the whole pipeline, one camera a stream, on the same compiled networks, as
    ``alpr-edge watch`` runs them (:mod:`alpr_edge.watch.desk`)."""
    grid: Grid = []
    for each in threads:
        for count in streams:
            alpr = ALPR(models=models, threads=each, streams=count, min_confidence=0.0,
                        reread=False, turned=False)
            pipelines = [alpr, *(alpr.twin() for _ in range(count - 1))]
            load = cameras(pipelines, frames, seconds)
            grid.append(
                {"streams": count, "threads": each, "requests": count, **load.to_json()}
            )
    return grid


def cameras(pipelines: Sequence[ALPR], frames: Sequence[Image], seconds: float) -> Load:
    """One thread a pipeline, all busy for ``seconds``; each begins at a frame of its own and reads
    at least one. A latency is that of a whole picture."""
    for pipeline in pipelines:
        pipeline.predict(frames[0])
    begin, cpu = time.perf_counter(), time.process_time()

    def camera(number: int) -> list[float]:
        offset = number * len(frames) // len(pipelines)
        times: list[float] = []
        last = time.perf_counter()
        while not times or last - begin < seconds:
            start = last
            pipelines[number].predict(frames[(offset + len(times)) % len(frames)])
            last = time.perf_counter()
            times.append((last - start) * 1e3)
        return times

    with ThreadPoolExecutor(len(pipelines)) as pool:
        latencies = list(itertools.chain(*pool.map(camera, range(len(pipelines)))))
    return Load(
        seconds=time.perf_counter() - begin, cpu_seconds=time.process_time() - cpu,
        latencies=latencies,
    )


def knee(grid: Grid) -> int:
    """Which row is the smallest setting (threads in all, then streams) within 5 % of the best."""
    enough = NEAR * max(row["fps"] for row in grid)
    near = [index for index, row in enumerate(grid) if row["fps"] >= enough]
    return min(near, key=lambda i: (grid[i]["streams"] * grid[i]["threads"], grid[i]["streams"]))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The content of a report: ``grid`` and ``knee`` of the whole pipeline, and under ``networks``
    those of each network alone.

    Raises:
        AlprEdgeError: no pictures or models.
    """
    frames = [load_image(file) for file in picture_files(options.data)]
    chooser = Chooser(models=options.models)
    setting = (frames, options.streams, options.threads, options.seconds)
    folders = {task: chooser.setting(task).folder for task in get_args(Task)}
    if (near := folders["detector"] / closer.FOLDER).is_dir():
        folders[closer.FOLDER] = near
    networks = {
        name: network_grid(folder / MODEL_XML, *setting) for name, folder in folders.items()
    }
    grid = camera_grid(options.models, *setting)
    return {
        "folder": folder_name(options.models), "pictures": len(frames),
        "seconds": options.seconds, "grid": grid, "knee": knee(grid),
        "networks": {
            task: {"grid": rows, "knee": knee(rows)} for task, rows in networks.items()
        },
    }


def text(report: Mapping[str, Any]) -> str:
    """The report for people: its noise first, then a row a setting, the knees in bold."""
    lines = [
        *told_noise(report),
        f"{report['folder']}, {report['pictures']} pictures, {report['seconds']:g} s a setting; "
        "bold: the knee",
        "", "| what | streams | threads each | a second | p50 ms | p90 ms | p99 ms | CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, part in (*report["networks"].items(), (PIPELINE, report)):
        for index, row in enumerate(part["grid"]):
            rate = f"{row['fps']:.1f}"
            cells = [
                name, str(row["streams"]), str(row["threads"]),
                f"**{rate}**" if index == part["knee"] else rate,
                *(f"{row['latency'][p]:.1f}" for p in ("p50", "p90", "p99")), f"{row['cpu']:.0%}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(report: Mapping[str, Any], path: Path) -> None:
    """Write what :func:`draw` draws.

    Raises:
        OutputError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    draw(report, figure)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be written: {error}; choose another .png") from error


def draw(report: Mapping[str, Any], figure: Figure) -> None:
    """Draw the pipeline's frames a second and p90 over its streams, two lines a thread count."""
    axes = figure.add_subplot()
    latency = axes.twinx()
    for each in sorted({row["threads"] for row in report["grid"]}):
        rows = [row for row in report["grid"] if row["threads"] == each]
        streams = [row["streams"] for row in rows]
        color = f"C{each}"
        axes.plot(streams, [row["fps"] for row in rows], marker="o", color=color,
                  label=f"threads each: {each}")
        latency.plot(streams, [row["latency"]["p90"] for row in rows], linestyle=":", color=color)
    best = report["grid"][report["knee"]]
    axes.axvline(best["streams"], color="grey", alpha=0.4, label="knee")
    axes.set_xticks(sorted({row["streams"] for row in report["grid"]}))
    axes.set(xlabel="camera streams", ylabel="frames a second (solid)", ylim=(0, None))
    latency.set(ylabel="p90 of a frame, ms (dotted)", ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=4, frameon=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m benchmarks throughput``."""
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4], metavar="N",
                        help="inferences, or cameras, at once (default: 1 2 4)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N",
                        help="CPU threads of each stream (default: 1 2)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each setting (default: 5)")
    parser.add_argument("--models", type=Path, default=MODELS, metavar="DIR", help="models folder")
    parser.add_argument("--data", type=Path, help="folder of annotated pictures (default: demo)")
    isa.add_argument(parser)
    record.add_out(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the pipeline's lines")


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measure every setting of the grids.

    Raises:
        AlprEdgeError: wrong options, data or models.
    """
    for name in ("streams", "threads"):
        if min(values := getattr(options, name)) < 1:
            raise UsageError(f"--{name} is {values}; allowed: 1 or more each")
    if not options.seconds > 0:
        raise UsageError(f"--seconds is {options.seconds}; allowed: more than 0")
    if options.plot:
        plots.check("--plot")
    code = isa.respawn(options.isa, arguments)
    if code is not None:
        return code
    before = Conditions.now()
    named = isa.asked_and_proven(options.isa)
    report = record.record("throughput", arguments, named, before, measure(options))
    print(text(report))
    record.save(report, options.out)
    if options.plot:
        plot(report, options.plot)
    return ExitCode.OK
