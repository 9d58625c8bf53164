"""One network under OpenVINO with settings that are told, inferred one by one or many at once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino
from numpy.typing import NDArray

from alpr_edge.cpu import usable_cores
from alpr_edge.engine import DEVICE, computing_in, core
from alpr_edge.errors import AlprEdgeError, ModelError, UsageError
from benchmarks.statistics import summary

Hint = Literal["latency", "throughput"]
Precision = Literal["f32", "bf16", "native"]
SUFFIXES = (".xml", ".onnx")
_SEED = 5700
_FREE = -1


SIXTEEN_BITS = ("bf16", "f16")
"""Precisions that no layer of a network in f32 may run in."""


class PrecisionError(AlprEdgeError):
    """Layers run in another precision than was asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How OpenVINO is to run a network; None leaves it to OpenVINO. ``threads`` are those of all
    streams together, ``native`` takes whatever precision OpenVINO prefers on this CPU."""

    hint: Hint = "latency"
    streams: int | None = None
    threads: int | None = None
    precision: Precision = "f32"

    def properties(self) -> dict[str, Any]:
        """The same as OpenVINO's properties.

        Raises:
            UsageError: a number is below 1.
        """
        found: dict[str, Any] = {"PERFORMANCE_HINT": self.hint.upper()}
        for name, key in (("streams", "NUM_STREAMS"), ("threads", "INFERENCE_NUM_THREADS")):
            if (value := getattr(self, name)) is not None:
                if value < 1:
                    raise UsageError(f"{name} is {value}; allowed: 1 or more")
                found[key] = value
        if self.precision != "native":
            found["INFERENCE_PRECISION_HINT"] = self.precision
        return found


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What came of keeping the machine busy for ``seconds``: the latency of each picture in ms,
    and the CPU time of this process."""

    seconds: float
    cpu_seconds: float
    latencies: Sequence[float]
    batch: int = 1

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return len(self.latencies) * self.batch / self.seconds

    def to_json(self) -> dict[str, Any]:
        """``fps``, ``latency`` (a summary) and ``cpu``, the busy share of the usable cores."""
        busy = self.cpu_seconds / self.seconds / usable_cores()
        return {
            "fps": round(self.fps, 2), "latency": summary(self.latencies), "cpu": round(busy, 3),
        }


def read_model(path: Path, batch: int | None = None) -> Any:
    """An OpenVINO model of an .xml or .onnx file with all shapes fixed; a free batch becomes
    ``batch`` (None: 1).

    Raises:
        ModelError: the file is missing, no model, or has other free sides than the batch.
        UsageError: the batch is not free, and another one.
    """
    _check_files(path)
    try:
        model = core().read_model(path)
        for node in model.inputs:
            _check_shape(path, node, batch)
        model.reshape({
            node: [batch or 1, *list(node.partial_shape)[1:]] if _free(node) else node.partial_shape
            for node in model.inputs
        })
        model.set_friendly_name(str(path))
    except RuntimeError as error:
        raise _unusable(path, error) from error
    return model


def _check_files(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise ModelError(f"{path} is no model file; allowed: {' or '.join(SUFFIXES)}")
    weights = [path.with_suffix(".bin")] if path.suffix == ".xml" else []
    for file in (path, *weights):
        if not file.is_file():
            raise ModelError(f"{file} does not exist; name an .xml with its .bin, or an .onnx file")


def _free(node: Any) -> list[int]:
    """Which sides of an input are free."""
    return [i for i, side in enumerate(node.partial_shape) if side.is_dynamic]


def _check_shape(path: Path, node: Any, batch: int | None) -> None:
    if node.partial_shape.rank.is_dynamic or _free(node) not in ([], [0]):
        raise ModelError(
            f"{path}: input {node.any_name} is {node.partial_shape}; only its batch, the first "
            "side, may be free; export it with fixed sizes"
        )
    fixed = not _free(node) and len(node.partial_shape)
    if fixed and batch is not None and node.shape[0] != batch:
        raise UsageError(f"--batch is {batch}, but {path} has a fixed batch of {node.shape[0]}")


def _unusable(path: Path, error: RuntimeError) -> ModelError:
    reason = str(error).strip().splitlines()[-1]
    return ModelError(
        f"{path} cannot be loaded by OpenVINO {openvino.__version__}: {reason}; get the model "
        "anew, or choose another precision"
    )


def compiled(model: Any, settings: Settings, *, profiled: bool = False) -> Any:
    """A compiled model; with ``profiled`` one whose requests tell the time of each layer, which
    slows them.

    Raises:
        ModelError: OpenVINO cannot compile it. UsageError: the settings are out of range.
    """
    properties = settings.properties() | ({"PERF_COUNT": True} if profiled else {})
    try:
        return core().compile_model(model, DEVICE, properties)
    except RuntimeError as error:
        raise _unusable(Path(model.friendly_name), error) from error


def taken(network: Any) -> dict[str, int]:
    """The streams, threads of all streams, and requests at once that OpenVINO decided on: never
    more threads than cores, nor more streams than threads."""
    names = {"streams": "NUM_STREAMS", "threads": "INFERENCE_NUM_THREADS",
             "requests": "OPTIMAL_NUMBER_OF_INFER_REQUESTS"}
    return {name: int(network.get_property(key)) for name, key in names.items()}


def check_precision(network: Any, asked: Precision) -> None:
    """
    Raises:
        PrecisionError: f32 was asked for, and a layer runs in bf16 or f16.
    """
    lower = computing_in(network, SIXTEEN_BITS)
    if asked == "f32" and lower:
        raise PrecisionError(
            f"f32 was asked for, but {len(lower)} layers run in 16 bits, first {lower[0]}; ask for "
            "--precision bf16 or native, or export the model in f32"
        )


def random_inputs(network: Any) -> list[NDArray[Any]]:
    """An array for each input: numbers of 0..255 from a fixed seed, in the input's type."""
    rng = np.random.default_rng(_SEED)
    return [
        rng.integers(0, 256, tuple(node.shape), np.uint8).astype(node.element_type.to_dtype())
        for node in network.inputs
    ]


def one_by_one(network: Any, inputs: Sequence[NDArray[Any]], seconds: float) -> list[float]:
    """Milliseconds of each inference, the next begun when the last is done; at least one."""
    request = network.create_infer_request()
    request.infer(list(inputs))
    times: list[float] = []
    begin = last = time.perf_counter()
    while not times or last - begin < seconds:
        start = time.perf_counter()
        request.infer(share_outputs=True)
        last = time.perf_counter()
        times.append((last - start) * 1e3)
    return times


def at_once(network: Any, pictures: Sequence[Sequence[NDArray[Any]]], seconds: float) -> Load:
    """As many asynchronous requests as OpenVINO finds best, all busy for ``seconds``; each takes
    the next of ``pictures`` (of one array an input), which are not copied."""
    queue = openvino.AsyncInferQueue(network)
    for _ in range(len(queue)):
        queue.start_async(list(pictures[0]), share_inputs=True)
    queue.wait_all()
    latencies: list[float] = []
    begun: set[int] = set()
    begin, cpu, count = time.perf_counter(), time.process_time(), 0
    while not count or time.perf_counter() - begin < seconds:
        request = queue.get_idle_request_id()
        if request in begun:
            latencies.append(queue[request].latency)
        begun.add(request)
        queue.start_async(list(pictures[count % len(pictures)]), share_inputs=True)
        count += 1
    queue.wait_all()
    elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
    latencies += [queue[request].latency for request in begun]
    return Load(
        seconds=elapsed, cpu_seconds=cpu, latencies=latencies, batch=len(pictures[0][0])
    )
