"""The inference engine: the only module of the project's runtime that imports OpenVINO."""

from __future__ import annotations

import copy
import functools
import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge import compile_cache
from alpr_edge import manifest as manifests
from alpr_edge.cpu import MOST_THREADS
from alpr_edge.errors import LibraryError, ModelError, UsageError

try:
    import openvino
except (ImportError, OSError) as error:
    raise LibraryError(
        f"OpenVINO cannot be loaded ({error}); install it: pip install 'openvino>=2026.4,<2027'"
    ) from error

DEVICE = "CPU"
BATCHES = (1, 4)
"""A model with a free batch is compiled for these: with the batch fixed OpenVINO copies less and
fuses more, and four plates share each weight they load."""
_LAYER_FACTS = ("layerType", "runtimePrecision", "primitiveType")
_NO_WORK = ("Input", "Output", "Const")
_NO_ARITHMETIC = ("Convert", "Gather", "Reorder", "Reshape", "Transpose")
"""Layers that move values and compute nothing: in 16 bits too a stored table stays what it is."""


class Engine:
    """One model, loaded and ready: arrays in, named arrays out, synchronous.

    The precision of the arithmetic is always the manifest's, so that a model answers the same on
    every CPU (OpenVINO would take bf16 where the CPU has it). Several threads may use one object,
    one after the other; its :meth:`twin` computes beside it with the same compiled model.

    Args:
        folder: holds model.xml, model.bin and manifest.json.
        threads: CPU threads of one inference; None leaves it to OpenVINO.
        cache_dir: where compiled models are kept to start faster (:mod:`alpr_edge.compile_cache`);
            None keeps none.
        streams: how many twins compute at the same time, each with ``threads``.

    ``load_ms`` and ``compile_ms`` tell how long it took to read the model (its hashes checked) and
    to compile it.

    Raises:
        ModelError: the model is missing, corrupt, or not what its manifest says.
        UsageError: ``threads`` or ``streams`` is no whole number of 1 to
            :data:`alpr_edge.cpu.MOST_THREADS`.
    """

    def __init__(
        self, folder: Path | str, *, threads: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None, streams: int = 1,
    ) -> None:
        for name, value in (("threads", threads), ("streams", streams)):
            if value is not None and not (isinstance(value, int) and 1 <= value <= MOST_THREADS):
                raise UsageError(
                    f"{name} is {value!r}; allowed: whole numbers from 1 to {MOST_THREADS} "
                    f"(this machine has {os.cpu_count()} cores)"
                )
        begin = time.perf_counter()
        self.folder = Path(folder)
        self.manifest = manifests.load(self.folder)
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.manifest.inference_precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": (threads or 0) * streams,
            "NUM_STREAMS": streams,
            "ENABLE_CPU_PINNING": False,  # pinned, every engine of a process sits on the same core
        }
        cache = None if cache_dir is None else compile_cache.prepare(Path(cache_dir))
        if cache is not None:
            properties["CACHE_DIR"] = str(cache)
        path = self.folder / manifests.MODEL_XML
        try:
            model = core().read_model(path)
            _check_interface(model, self.manifest, path)
            loaded = time.perf_counter()
            self._compiled = [
                core().compile_model(fixed, DEVICE, properties) for fixed in self._fixed(model)
            ]
        except RuntimeError as error:
            raise ModelError(
                f"{path} cannot be loaded by OpenVINO {openvino.__version__}: "
                f"{str(error).strip().splitlines()[-1]}; get the model anew"
            ) from error
        if cache is not None:
            compile_cache.seal(cache)
        self._names = [output.name for output in self.manifest.outputs]
        self._requests, self._turn = self._new_requests(), threading.Lock()
        self.load_ms = 1e3 * (loaded - begin)
        self.compile_ms = 1e3 * (time.perf_counter() - loaded)

    def twin(self) -> Engine:
        """Another engine on the same compiled model, which computes at the same time."""
        other = copy.copy(self)
        other._requests, other._turn = self._new_requests(), threading.Lock()
        return other

    def _new_requests(self) -> dict[int, Any]:
        """By batch, a request of its own on each compiled model."""
        return {
            int(compiled.input(0).shape[0]): compiled.create_infer_request()
            for compiled in self._compiled
        }

    def _fixed(self, model: Any) -> Iterator[Any]:
        """The model with each batch that it is to run with."""
        batch, *rest = self.manifest.input.shape
        for size in BATCHES if batch == -1 else (batch,):
            model.reshape([size, *rest])
            yield model

    def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Infer one uint8 NHWC batch of at least one; outputs by name, each an array of its own.

        Raises:
            UsageError: the array's dtype or shape is not the model's.
        """
        shape = self.manifest.input.shape
        fits = image.ndim == len(shape) and all(
            want in (-1, got) for want, got in zip(shape, image.shape, strict=True)
        )
        if image.dtype != np.uint8 or not fits or not len(image):
            raise UsageError(
                f"{self.manifest.name}: input is {image.dtype} {image.shape}; needed: uint8 "
                f"{shape} (-1: 1 or more)"
            )
        parts, begin = [], 0
        for size in batch_plan(len(image), tuple(self._requests)):
            parts.append(self._run(image[begin : begin + size], size))
            begin += size
        return parts[0] if len(parts) == 1 else {
            name: np.concatenate([part[name] for part in parts]) for name in self._names
        }

    def _run(self, image: NDArray[np.uint8], size: int) -> dict[str, NDArray[np.float32]]:
        """Infer at most ``size`` pictures as a batch of that size."""
        count, rows = len(image), slice(None)  # a pipeline has a row a plate, not a picture
        if count < size:
            image = np.concatenate([image, np.zeros((size - count, *image.shape[1:]), np.uint8)])
            rows = slice(count)
        with self._turn:
            request = self._requests[size]
            request.infer([np.ascontiguousarray(image)], share_inputs=True)
            return {name: request.get_tensor(name).data[rows].copy() for name in self._names}

    @property
    def inference_precision(self) -> str:
        """The precision hint as the compiled model reports it: f32, f16 or bf16."""
        return str(self._compiled[0].get_property("INFERENCE_PRECISION_HINT").to_string())

    @property
    def threads(self) -> int:
        """Threads of one inference as the compiled model reports them."""
        return int(self._compiled[0].get_property("INFERENCE_NUM_THREADS"))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        _, height, width, _ = self.manifest.input.shape
        return height, width

    def executed_precisions(self) -> dict[str, int]:
        """How many of the executed layers run in each precision, e.g. ``{"u8": 61, "f32": 9}``; of
        a model with a free batch those of the smallest."""
        return self._executed("runtimePrecision")

    def executed_kernels(self) -> dict[str, int]:
        """How many run by each kernel, e.g. ``{"jit_avx2_I8": 61, "ref_f32": 1}``: the ISA is in
        the name. OpenVINO's own kernels (not oneDNN's) take the CPU's ISA whatever the cap."""
        return self._executed("primitiveType")

    def layers_in(self, *precisions: str) -> list[str]:
        """Names of the layers, of all batches, that compute in any of these (``bf16``...)."""
        return [name for compiled in self._compiled for name in computing_in(compiled, precisions)]

    def _executed(self, fact: str) -> dict[str, int]:
        return executed(self._compiled[0], fact)


def executed(network: Any, fact: str) -> dict[str, int]:
    """How many layers of a compiled network run with each value of one of their facts."""
    return dict(Counter(facts[fact] for _, facts in executed_layers(network)).most_common())


@functools.cache
def core() -> Any:
    """OpenVINO's core, one for the process and never freed: its CPU plugin gives the thread that
    loads it a signal stack, and freed in another thread it leaves that one without: the next signal
    would crash the process."""
    return openvino.Core()


def executed_layers(compiled: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and facts of every layer that does work, in the order of execution."""
    for op in compiled.get_runtime_model().get_ordered_ops():
        info = op.get_rt_info()
        facts = {fact: str(info[fact].astype(str)) for fact in _LAYER_FACTS}
        if facts["layerType"] not in _NO_WORK:
            yield op.get_friendly_name(), facts


def computing_in(compiled: Any, precisions: Collection[str]) -> list[str]:
    """Names of the executed layers that compute in any of ``precisions``."""
    return [
        name for name, facts in executed_layers(compiled)
        if facts["runtimePrecision"] in precisions and facts["layerType"] not in _NO_ARITHMETIC
    ]


def batch_plan(count: int, sizes: tuple[int, ...]) -> list[int]:
    """Batches of ``sizes`` (1 among them, or one size alone) that take ``count`` pictures, the
    largest first; the last one may have room left, where single ones would take longer."""
    plan: list[int] = []
    for size in sorted(sizes, reverse=True):
        full, rest = divmod(count, size)
        full += rest > size // 2
        plan += [size] * full
        count -= size * full
        if count <= 0:
            break
    return plan


def runtime_version() -> str:
    """The version of OpenVINO in use."""
    return str(openvino.__version__)


def _check_interface(model: Any, manifest: manifests.Manifest, path: Path) -> None:
    """The graph's input and outputs must be those of the manifest."""
    spec = manifest.input
    if len(model.inputs) != 1 or spec.name not in model.inputs[0].names:
        raise ModelError(f"{path}: the graph needs one input named {spec.name!r}")
    node = model.inputs[0]
    shape = tuple(-1 if d.is_dynamic else d.get_length() for d in node.partial_shape)
    dtype = node.element_type.to_string()
    if shape != spec.shape or dtype != "u8":
        raise ModelError(f"{path}: input is {dtype} {shape}, its manifest says u8 {spec.shape}")
    names = {name for output in model.outputs for name in output.names}
    if missing := [output.name for output in manifest.outputs if output.name not in names]:
        raise ModelError(f"{path}: no output {missing[0]!r}; the graph has {sorted(names)}")
