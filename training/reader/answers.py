"""What a reader that is being trained answers, by the runtime's decoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from alpr_edge import rereading
from alpr_edge.geometry import as_quad
from alpr_edge.reader import decode_logits, spellings
from alpr_edge.types import Reading
from training.options import device_of
from training.reader.data import Plate, plain

BATCH = 64


@torch.inference_mode()
def outputs_of(model: nn.Module, plates: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """``logits`` (N, T, C), ``ctc`` (N, L, C) and ``rows`` (N, 2) of plates (N, 48, 192, 3)."""
    model.eval()
    device = device_of(model)
    answers = [model(part.to(device)) for part in torch.from_numpy(plates).split(BATCH)]
    return tuple(
        torch.cat(parts).float().cpu().numpy() for parts in zip(*answers, strict=True)
    )


def readings_of(
    model: nn.Module, plates: NDArray[np.uint8], temperature: float = 1.0
) -> list[Reading]:
    """One reading for each of the plates (N, 48, 192, 3) uint8 BGR."""
    logits, tokens, rows = outputs_of(model, plates)
    return decode_logits(logits, tokens, rows.argmax(-1) + 1, temperature)


def reread(
    model: nn.Module, items: Sequence[Plate], outputs: Sequence[NDArray[np.float32]],
    temperature: float = 1.0,
) -> list[Reading]:
    """The readings of ``items``, whose plain plates gave ``outputs``, the uncertain ones read again
    as the runtime does (:mod:`alpr_edge.rereading`)."""
    logits, tokens, rows = outputs
    readings = decode_logits(logits, tokens, rows.argmax(-1) + 1, temperature)
    again = [
        rereading.views(item.image, as_quad(item.quads[0]), plain(item), reading)
        if reading.confidence < rereading.ALONE else rereading.Again()
        for item, reading in zip(items, readings, strict=True)
    ]
    plates = [picture for views in again for picture in views.pictures]
    if not plates:
        return readings
    more = outputs_of(model, np.stack(plates))[:2]
    looks = (spellings(*raw, temperature) for raw in ((logits, tokens), more))
    return rereading.settled(readings, again, *looks)
