"""Detector, rectification and reader as one torch module: what the option ``one-graph`` exports.

Everything between the two networks, which the runtime does in numpy and OpenCV
(:mod:`alpr_edge.geometry`, :mod:`alpr_edge.decode`), is said here in tensor operations of fixed
shapes. Rows are taken by ``index_select``, which becomes Gather; ``x[index]`` becomes the slow
GatherND.

Legend: H, W the frame's height and width, N the detector's best cells, K plates, T slots, L tokens,
C classes, S samples a side of a plate's pixel.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from alpr_edge import geometry
from alpr_edge.geometry import PAD_VALUE, PLATE_HEIGHT, PLATE_WIDTH
from alpr_edge.manifest import DetectorDecode
from training.detector.assign import box_iou

SAMPLES = 2
"""S: a large plate is averaged over at most this many samples a side of an output pixel."""
_TINY = 1e-6
_HALF = 0.501
"""Halves are rounded up whatever the order in which an engine has added their parts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameConfig:
    """What the two networks do not say themselves."""

    frame: tuple[int, int]
    """Height and width of the frame."""
    size: tuple[int, int]
    """Height and width of the detector's input."""
    plates: int
    """K, how many plates are read."""


class FrameNetwork(nn.Module):
    """From a camera's frame to the raw outputs for its K best plates."""

    def __init__(
        self, detector: nn.Module, reader: nn.Module, facts: DetectorDecode, config: FrameConfig
    ) -> None:
        super().__init__()
        self.detector, self.reader = detector, reader
        self.letterbox = Letterbox(config.frame, config.size)
        self.find = Find(config, facts, self.letterbox.mapping)

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """A frame (1, H, W, 3) uint8 BGR to ``quads`` (K, 4, 2) in its pixels, TL TR BR BL of the
        plate, ``scores`` (K,), most certain first, and the reader's ``logits`` (K, T, C), ``ctc``
        (K, L, C) and ``rows`` (K, 2).

        Where there are fewer plates, the last scores are 0 and what belongs to them means nothing.
        """
        best, boxes, corners, _ = (output[0] for output in self.detector(self.letterbox(frame)))
        quads, scores = self.find(best, boxes, corners)
        return quads, scores, *self.reader(rectify(frame, quads))


class Letterbox(nn.Module):
    """:func:`alpr_edge.geometry.letterbox` of frames of one size, rounded to whole levels too."""

    rows: Tensor
    row_weights: Tensor
    columns: Tensor
    column_weights: Tensor

    def __init__(self, frame: tuple[int, int], size: tuple[int, int]) -> None:
        super().__init__()
        _, self.mapping = geometry.letterbox(np.zeros((*frame, 3), np.uint8), *size)
        *scaled, halvings = geometry.fit(*frame, *size)
        self.margin = size[0] - scaled[0], size[1] - scaled[1]
        for name, weights, old, new in (
            ("rows", "row_weights", frame[0], scaled[0]),
            ("columns", "column_weights", frame[1], scaled[1]),
        ):
            indices, shares = taps(old, new, halvings)
            self.register_buffer(name, torch.from_numpy(indices), persistent=False)
            self.register_buffer(weights, torch.from_numpy(shares), persistent=False)

    def forward(self, frame: Tensor) -> Tensor:
        """(1, H, W, 3) uint8 to the detector's input, (1, h, w, 3) float of whole levels."""
        x = sum(  # (1, h', W, 3)
            frame.index_select(1, index).float() * share[:, None, None]
            for index, share in zip(self.rows, self.row_weights, strict=True)
        )
        x = sum(  # (1, h', w', 3)
            x.index_select(2, index) * share[:, None]
            for index, share in zip(self.columns, self.column_weights, strict=True)
        )
        below, right = self.margin
        whole = (x + _HALF).floor()  # as OpenCV averages whole numbers of pixels
        return functional.pad(whole, (0, 0, 0, right, 0, below), value=PAD_VALUE)


def taps(old: int, new: int, halvings: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """How ``old`` pixels in a row become ``new``, halved by averaging and then scaled linearly:
    pixel i is the sum over t of ``weights[t, i]`` times the old pixel ``indices[t, i]``, both
    (taps, new)."""
    size, share = old >> halvings, 1 << halvings
    centres = np.clip((np.arange(new)[:, None] + 0.5) * size / new - 0.5, 0, size - 1)
    matrix = np.clip(1 - np.abs(np.arange(size) - centres), 0, None)
    matrix[matrix < _TINY] = 0
    matrix = np.repeat(matrix, share, axis=1) / share
    first = (matrix > 0).argmax(axis=1)
    count = int(((matrix > 0).cumsum(axis=1).argmax(axis=1) - first).max()) + 1
    indices = np.minimum(first, matrix.shape[1] - count) + np.arange(count)[:, None]
    weights = np.take_along_axis(matrix, indices.T, axis=1).T
    return indices, np.ascontiguousarray(weights, np.float32)


class Find(nn.Module):
    """:func:`alpr_edge.decode.select` for the K best plates, and the way back to the frame."""

    scale: Tensor
    limits: Tensor
    whole: Tensor

    def __init__(
        self, config: FrameConfig, facts: DetectorDecode, mapping: geometry.Letterbox
    ) -> None:
        super().__init__()
        self.count, self.facts = config.plates, facts
        limits = np.array([config.frame[1], config.frame[0]], np.float32)
        buffers = {
            "limits": limits, "scale": np.array([mapping.scale_x, mapping.scale_y], np.float32),
            "whole": limits * np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32),
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, scores: Tensor, boxes: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
        """The detector's outputs (N,), (N, 4), (N, 4, 2) to quads (K, 4, 2) in the frame's pixels
        and scores (K,). Where there is no plate, the score is 0 and the quad the frame's outline.
        """
        low, high = boxes[:, :2], boxes[:, 2:] / self.scale
        inside = (torch.minimum(high, self.limits) > (low / self.scale).clamp(min=0)).all(dim=1)
        possible = inside & (scores >= self.facts.score_threshold)
        chosen, best = greedy(boxes, scores * possible, self.count, self.facts.nms_iou)
        sure = scores * (scores >= self.facts.score_threshold)
        votes = voting(chosen, boxes, sure, self.facts.nms_iou)
        quads = (votes @ corners.flatten(1)).unflatten(1, (4, 2)) / self.scale
        return torch.where(best[:, None, None] > 0, quads, self.whole), best


def greedy(boxes: Tensor, scores: Tensor, count: int, iou: float) -> tuple[Tensor, Tensor]:
    """The first ``count`` boxes that greedy non-maximum suppression keeps: their indices (count,)
    and scores (count,), best first; score 0 where no more is left. Boxes (N, 4), scores (N,) >= 0.

    Each turn takes the best and clears its doubles.
    """
    positions = torch.arange(len(scores))
    chosen, best = [], []
    for _ in range(count):
        index = scores.argmax(dim=0, keepdim=True)
        chosen.append(index)
        best.append(scores.index_select(0, index))
        gone = (box_iou(boxes.index_select(0, index), boxes) > iou) | (positions == index)
        scores = torch.where(gone, 0.0, scores)
    return torch.cat(chosen), torch.cat(best)


def voting(chosen: Tensor, boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """The votes (K, N) of boxes (N, 4) with scores (N,) on where the ``chosen`` (K,) are, as in
    :func:`alpr_edge.decode.select`: those of itself and of its doubles, 1 together."""
    doubles = box_iou(boxes.index_select(0, chosen)[:, None], boxes) > iou
    doubles = doubles | (chosen[:, None] == torch.arange(len(boxes)))
    votes = scores.square() * doubles
    return votes / votes.sum(dim=1, keepdim=True).clamp(min=_TINY)


def rectify(frame: Tensor, quads: Tensor) -> Tensor:
    """:func:`alpr_edge.geometry.rectify` of all quads (K, 4, 2) in a frame (1, H, W, 3): plates
    (K, 48, 192, 3) float, not rounded: where a level is rounded to hangs on a corner's last bit,
    and no two engines would agree. A plate that would need more than S samples a side gets S."""
    count, size = len(quads), torch.tensor([frame.shape[2], frame.shape[1]])
    offsets, shares = samples(quads)  # both (K, S)
    v = (torch.arange(PLATE_HEIGHT)[:, None] + offsets[:, None]) / PLATE_HEIGHT  # (K, 48, S)
    u = (torch.arange(PLATE_WIDTH)[:, None] + offsets[:, None]) / PLATE_WIDTH  # (K, 192, S)
    points = project(quads, u.flatten(1)[:, None], v.flatten(1)[:, :, None])
    grid = (points * 2 / size - 1).flatten(0, 1)  # (K 48 S, 192 S, 2), all plates one picture
    sampled = functional.grid_sample(
        frame.permute(0, 3, 1, 2).float(), grid[None], padding_mode="border", align_corners=False
    )
    plates = sampled.reshape(3, count, PLATE_HEIGHT, SAMPLES, PLATE_WIDTH, SAMPLES)
    plates = (plates * shares[:, None, None, None, :]).sum(dim=5)
    plates = (plates * shares[:, None, :, None]).sum(dim=3)  # (3, K, 48, 192)
    return plates.permute(1, 2, 3, 0)


def samples(quads: Tensor) -> tuple[Tensor, Tensor]:
    """For each quad (K, 4, 2) where within a plate's pixel it is sampled, 0..1, the same on both
    axes, and the samples' shares: both (K, S). A small plate is sampled once, in the middle.

    The sides are divided before they are summed up: OpenVINO 2026.4 fuses what follows a sum of
    several quads, and took the vector to divide by along the wrong axis (tests/test_one_graph.py).
    """
    sizes = torch.tensor([PLATE_WIDTH, PLATE_HEIGHT, PLATE_WIDTH, PLATE_HEIGHT])
    sides = (quads - quads.roll(-1, dims=1)) / sizes[:, None]  # (K, 4, 2)
    factors = sides.square().sum(dim=2).sqrt().amax(dim=1, keepdim=True)  # (K, 1)
    needed = (factors / 1.5).ceil().clamp(1, SAMPLES)
    numbers = torch.arange(SAMPLES)
    return (torch.minimum(numbers, needed - 1) + 0.5) / needed, (numbers < needed) / needed


def project(quads: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The points (K, ..., 2) of the quads (K, 4, 2) at u, v in 0..1 of the upright plate.

    The projective map of the unit square onto a quad in closed form: Heckbert 1989, *Fundamentals
    of Texture Mapping and Image Warping*, section 2.2.3.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (
        (corner[:, 0, None, None], corner[:, 1, None, None]) for corner in quads.unbind(dim=1)
    )
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = _not_zero(dx1 * dy2 - dx2 * dy1)
    g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
    depth = _not_zero(g * u + h * v + 1)
    x = ((x1 - x0 + g * x1) * u + (x3 - x0 + h * x3) * v + x0) / depth
    y = ((y1 - y0 + g * y1) * u + (y3 - y0 + h * y3) * v + y0) / depth
    return torch.stack([x, y], dim=-1)


def _not_zero(x: Tensor) -> Tensor:
    """So that a degenerate quad gives some picture, never a number that is none."""
    return torch.where(x.abs() < _TINY, _TINY, x)
