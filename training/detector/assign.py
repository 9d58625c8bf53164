"""Which cell learns which plate: adaptive training sample selection (ATSS, Zhang et al. 2020).

Legend: N batch, G plates a picture (padded), P cells. A cell's anchor is a box of a plate's usual
shape round the cell's point.
"""

from __future__ import annotations

import torch
from torch import Tensor

ANCHOR_WIDTH, ANCHOR_HEIGHT = 5.0, 2.0
"""Size of an anchor, in strides."""
CANDIDATES = 9
"""Nearest cells a plate considers on each level."""


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4) with boxes (..., 4), broadcast: (...)."""
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    intersection = sides.clamp(min=0).prod(-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return intersection / (area_a + area_b - intersection).clamp(min=1e-9)


def _candidates(distance: Tensor, strides: Tensor) -> Tensor:
    """The nearest cells of every level: (N, G, P) bool."""
    chosen, start = torch.zeros_like(distance, dtype=torch.bool), 0
    for cells in torch.unique_consecutive(strides, return_counts=True)[1].tolist():
        level = distance[..., start : start + cells]
        nearest = level.topk(min(CANDIDATES, cells), dim=-1, largest=False).indices
        chosen.scatter_(-1, nearest + start, True)
        start += cells
    return chosen


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether points (P, 2) lie in boxes (N, G, 4): (N, G, P) bool."""
    low = points - boxes[..., None, :2]
    high = boxes[..., None, 2:] - points
    return torch.cat([low, high], dim=-1).amin(-1) > 0


def assign(points: Tensor, strides: Tensor, boxes: Tensor, valid: Tensor) -> Tensor:
    """The plate each cell learns: (N, P) int64, -1 for none.

    However small a plate is, it gets a cell: where ATSS finds none, the nearest one of the finest
    level, unless that is the nearest of another such plate too.

    Args:
        points, strides: the grid, (P, 2) pixels and (P, 1).
        boxes: plates (N, G, 4) in pixels; rows where ``valid`` (N, G) is False are padding.
    """
    half = strides * strides.new_tensor([ANCHOR_WIDTH / 2, ANCHOR_HEIGHT / 2])
    anchors = torch.cat([points - half, points + half], dim=-1)
    overlap = box_iou(boxes[:, :, None], anchors)  # (N, G, P)
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    distance = (centres[:, :, None] - points).square().sum(-1)

    chosen = _candidates(distance, strides[:, 0])
    count = chosen.sum(-1, keepdim=True)
    mean = (overlap * chosen).sum(-1, keepdim=True) / count
    variance = ((overlap - mean).square() * chosen).sum(-1, keepdim=True) / (count - 1)
    positive = chosen & (overlap >= mean + variance.sqrt()) & inside(points, boxes)
    positive &= valid[..., None]

    best, owner = torch.where(positive, overlap, -1.0).max(dim=1)  # a shared cell: best overlap
    owner = torch.where(best >= 0, owner, -1)
    plates = torch.arange(boxes.shape[1], device=boxes.device)
    lonely = valid & ~(owner[:, None] == plates[:, None]).any(-1)
    finest = int((strides[:, 0] == strides[0, 0]).sum())
    for picture, plate in lonely.nonzero().tolist():
        owner[picture, distance[picture, plate, :finest].argmin()] = plate
    return owner
