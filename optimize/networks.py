"""What a variant runs in: PyTorch, ONNX Runtime or, as the runtime does, OpenVINO.

All three are an :class:`~alpr_edge.engine.Engine`, so that the same decoding and the same clock
judge them.
"""

from __future__ import annotations

import enum
import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr_edge import manifest as manifests
from alpr_edge.engine import Engine
from alpr_edge.manifest import MODEL_XML, Manifest
from optimize.steps import MODEL_ONNX
from training.torch_cap import check_cap


class Kind(enum.StrEnum):
    """What a variant runs in; only those of OpenVINO can be picked."""

    PYTORCH = "PyTorch"
    ONNX = "ONNX Runtime"
    OPENVINO = "OpenVINO"


def kind_of(manifest: Manifest) -> Kind:
    """Told by the model's files; a checkpoint is what is neither IR nor ONNX."""
    if MODEL_XML in manifest.files:
        return Kind.OPENVINO
    return Kind.ONNX if MODEL_ONNX in manifest.files else Kind.PYTORCH


def open_network(folder: Path | str, *, threads: int | None = None) -> Engine:
    """The network of any variant, ready to run.

    Raises:
        ModelError: the folder holds no intact model. LibraryError: PyTorch does not obey its cap.
    """
    kind = kind_of(manifests.load(folder, verify=False))
    networks = {Kind.PYTORCH: TorchNetwork, Kind.ONNX: OnnxNetwork, Kind.OPENVINO: Engine}
    return networks[kind](folder, threads=threads)


class OnnxNetwork(Engine):
    """An ONNX file in ONNX Runtime; ``run`` and ``size`` are all it has of an engine. Its kernels
    take the real CPU's instruction set: no variable caps them."""

    def __init__(self, folder: Path | str, *, threads: int | None = None) -> None:
        import onnxruntime

        self.folder, self.manifest = Path(folder), manifests.load(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self._session = onnxruntime.InferenceSession(
            self.folder / MODEL_ONNX, options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in self.manifest.outputs]

    def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Infer one uint8 NHWC batch; outputs by name."""
        values = self._session.run(self._outputs, {self.manifest.input.name: image})
        return dict(zip(self._outputs, values, strict=True))


class TorchNetwork(Engine):
    """A checkpoint in PyTorch, FP32 and not compiled; ``run`` and ``size`` are all it has of an
    engine. The number of threads is the process's."""

    def __init__(self, folder: Path | str, *, threads: int | None = None) -> None:
        import torch

        from optimize.export import run_torch
        from training.checkpoint import load_weights
        from training.networks import build

        self.folder, self.manifest = Path(folder), manifests.load(folder)
        check_cap(torch.backends.cpu.get_cpu_capability())
        if threads is not None:
            torch.set_num_threads(threads)
        [name] = self.manifest.files
        network = build(load_weights(self.folder / name))
        self._infer = functools.partial(run_torch, network, self.manifest)

    def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Infer one uint8 NHWC batch; outputs by name."""
        return dict(self._infer(image))
