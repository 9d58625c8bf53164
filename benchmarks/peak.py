"""What a large product reaches here: the peak that a network's share is told of.

It is measured, not looked up: a dense convolution, of the same settings as the network under
load and in the same process, so under the same cap of the instruction set and at the same clock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from alpr_edge.count import count_macs
from benchmarks import requests
from benchmarks.requests import Settings

CHANNELS, SIDE, KERNEL = 256, 48, 3
"""256 channels to 256 over 48 x 48 by 3 x 3: 1.36 GMAC, of 16 MAC a byte and more."""


def dense(eight_bits: bool) -> Any:
    """The convolution as a model; in 8 bits its factors are quantized as NNCF does it."""
    rng = np.random.default_rng(0)
    shape = (CHANNELS, CHANNELS, KERNEL, KERNEL)
    picture = ops.parameter([1, CHANNELS, SIDE, SIDE], np.float32, name="picture")
    factor: Any = picture
    if eight_bits:
        low, high = np.float32(0), np.float32(255)
        factor = ops.fake_quantize(picture, low, high, low, high, 256)
        bytes_ = ops.convert(ops.constant(rng.integers(-127, 128, shape).astype(np.int8)), "f32")
        kernel = ops.multiply(bytes_, ops.constant(np.full((CHANNELS, 1, 1, 1), 0.01, np.float32)))
    else:
        kernel = ops.constant(rng.standard_normal(shape, np.float32))
    one, pad = [1, 1], [KERNEL // 2] * 2
    product = ops.convolution(factor, kernel, one, pad, pad, one)
    return openvino.Model([product], [picture], "dense convolution")


def macs_a_second(settings: Settings, eight_bits: bool, seconds: float) -> float:
    """Multiply-accumulates a second of :func:`dense`, all requests busy."""
    model = dense(eight_bits)
    network = requests.compiled(model, settings)
    load = requests.at_once(network, [requests.random_inputs(network)], seconds)
    return load.fps * count_macs(model).total
