"""The machine's pace: a fixed piece of work timed beside every run of ``stages``.

A machine that others share has moods: for minutes two threads meet later and the common cache
answers later, and inference takes a tenth longer, while one thread that only counts is as fast as
ever. So what is timed is a network of its own with the same threads: some convolutions that stay in
a core's cache, and many small linear layers whose weights do not. Running sums on one thread come
first, each of which waits for the one before: a quarter, as much as of the pipeline is outside its
networks.
"""

from __future__ import annotations

import time

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from alpr_edge.engine import DEVICE, core

WHAT = "running sums, 8 convolutions 3x3 of 32x40x40, 48 linear layers of 4x512 on 12 matrices, f32"
"""What a report says was timed; a report of another piece of work is not to be compared."""
_SEED, _SCALE = 5700, 0.05
_SUMMED, _SUMS = np.linspace(-1.0, 1.0, 32768), 8


def network() -> openvino.Model:
    """The network of :data:`WHAT`: inputs (1, 32, 40, 40) and (4, 512) float32, two outputs of the
    same shapes. Its weights are random, of a fixed seed."""
    rng = np.random.default_rng(_SEED)

    def weights(*shape: int) -> openvino.Node:
        return ops.constant((_SCALE * rng.standard_normal(shape)).astype(np.float32))

    image = x = ops.parameter([1, 32, 40, 40], np.float32)
    for _ in range(8):
        x = ops.relu(ops.convolution(x, weights(32, 32, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1]))
    tokens = y = ops.parameter([4, 512], np.float32)
    matrices = [weights(512, 512) for _ in range(12)]
    for matrix in matrices * 4:
        y = ops.add(y, ops.softmax(ops.matmul(y, matrix, False, False), 1))
    return openvino.Model([ops.result(x), ops.result(y)], [image, tokens])


class Pace:
    """Times the sums on one thread and the network with ``threads``."""

    def __init__(self, threads: int) -> None:
        compiled = core().compile_model(network(), DEVICE, {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False,
        })
        self._request = compiled.create_infer_request()
        rng = np.random.default_rng(_SEED)
        for port in compiled.inputs:
            tensor = openvino.Tensor(rng.standard_normal(tuple(port.shape)).astype(np.float32))
            self._request.set_tensor(port, tensor)

    def __call__(self) -> float:
        """Milliseconds of the work, done once."""
        sums = np.empty_like(_SUMMED)
        begin = time.perf_counter_ns()
        for _ in range(_SUMS):
            np.cumsum(_SUMMED, out=sums)
        self._request.infer()
        return (time.perf_counter_ns() - begin) / 1e6

    def outputs(self) -> list[NDArray[np.float32]]:
        """What the network answers: (1, 32, 40, 40) and (4, 512)."""
        return list(self._request.infer().values())
