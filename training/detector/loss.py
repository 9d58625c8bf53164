"""The detector's losses: quality focal, distribution focal and GIoU (GFL, Li et al. 2020), and a
corner loss in units of the plate's own width.

Legend: N batch, G plates a picture (padded), P cells, B bins, K positive cells of the batch.
"""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor
from torch.nn import functional

from alpr_edge.decode import decode_boxes, decode_corners, encode_boxes, grid
from training.detector.assign import assign, box_iou, inside


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the parts; ``unsure`` is the score above which a cell of an incompletely
    annotated picture is not called wrong. A cell that learns a plate has the target quality
    ``floor + (1 - floor) * IoU``: with a floor, plates whose outline is doubtful still score above
    what is no plate (GFL's quality is the IoU itself, floor 0)."""

    score: float = 1.0
    giou: float = 2.0
    bins: float = 0.25
    corners: float = 20.0
    unsure: float = 0.3
    floor: float = 0.4


@functools.lru_cache(maxsize=8)
def torch_grid(
    height: int, width: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """:func:`alpr_edge.decode.grid` as tensors."""
    points, strides = grid(height, width)
    return torch.from_numpy(points).to(device), torch.from_numpy(strides).to(device)


def quality_focal(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of every cell, weighted by its squared distance from the target quality."""
    weight = (logits.sigmoid() - target).square()
    return weight * functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def distribution_focal(bins: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy (K, 4) of bin logits (K, 4, B) with the two bins round ``distances``."""
    distances = distances.clamp(0, bins.shape[-1] - 1.001)
    left = distances.floor()
    share = distances - left
    logp = bins.log_softmax(-1)
    index = left.long()[..., None]
    low, high = logp.gather(-1, index), logp.gather(-1, index + 1)
    return -(low[..., 0] * (1 - share) + high[..., 0] * share)


def giou_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """1 - generalised IoU (Rezatofighi et al. 2019) of boxes (K, 4) with boxes (K, 4): (K,)."""
    sides = torch.minimum(boxes[:, 2:], truth[:, 2:]) - torch.maximum(boxes[:, :2], truth[:, :2])
    intersection = sides.clamp(min=0).prod(-1)
    union = (
        (boxes[:, 2:] - boxes[:, :2]).prod(-1) + (truth[:, 2:] - truth[:, :2]).prod(-1)
        - intersection
    ).clamp(min=1e-6)
    hull = (
        torch.maximum(boxes[:, 2:], truth[:, 2:]) - torch.minimum(boxes[:, :2], truth[:, :2])
    ).prod(-1).clamp(min=1e-6)
    return 1 - intersection / union + (hull - union) / hull


def corner_loss(corners: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error (K,) of corners (K, 4, 2), as a fraction of the plate's width."""
    width = (truth[:, [1, 2]] - truth[:, [0, 3]]).norm(dim=-1).mean(-1).clamp(min=1)
    return (corners - truth).abs().mean((1, 2)) / width


def _score_loss(
    logits: Tensor, quality: Tensor, owner: Tensor, points: Tensor, batch: dict[str, Tensor],
    unsure: float,
) -> Tensor:
    negative = owner < 0
    excused = (inside(points, batch["boxes"]) & batch["ignore"][..., None]).any(1)
    excused |= ~batch["complete"][:, None] & (logits.detach().sigmoid() > unsure)
    losses = quality_focal(logits, quality)
    return losses.masked_fill(negative & excused, 0).sum()


def detection_loss(
    logits: Tensor, bins: Tensor, distances: Tensor, offsets: Tensor,
    batch: dict[str, Tensor], config: LossConfig,
) -> dict[str, Tensor]:
    """The weighted losses of a batch, and under ``loss`` their sum.

    Args:
        logits, bins, distances, offsets: the network's outputs, (N, P), (N, P, 4, B),
            (N, P, 4) and (N, P, 8).
        batch: ``images`` (N, H, W, 3); ``boxes`` (N, G, 4) and ``corners`` (N, G, 4, 2) pixels;
            ``valid``, ``ignore`` (N, G) bool: a plate to find, a plate neither right nor wrong;
            ``box_weight``, ``corner_weight`` (N, G); ``complete`` (N,) bool.
    """
    points, strides = torch_grid(*batch["images"].shape[1:3], logits.device)
    owner = assign(points, strides, batch["boxes"], batch["valid"])
    picture, cell = (owner >= 0).nonzero(as_tuple=True)  # (K,)
    plate = owner[picture, cell]
    point, stride = points[cell], strides[cell]
    truth = batch["boxes"][picture, plate]

    boxes = decode_boxes(point, stride, distances[picture, cell])
    quality = torch.zeros_like(logits)
    overlap = box_iou(boxes.detach(), truth)
    quality[picture, cell] = config.floor + (1 - config.floor) * overlap
    score = _score_loss(logits, quality, owner, points, batch, config.unsure)

    weight = logits.detach()[picture, cell].sigmoid()
    total = weight.sum().clamp(min=1e-3)
    box_weight = weight * batch["box_weight"][picture, plate] / total
    corner_weight = weight * batch["corner_weight"][picture, plate] / total
    corners = decode_corners(point, stride, offsets[picture, cell])
    truth_bins = encode_boxes(point, stride, truth)
    parts = {
        "score": config.score * score / max(1, len(cell)),
        "giou": config.giou * (giou_loss(boxes, truth) * box_weight).sum(),
        "bins": config.bins
        * (distribution_focal(bins[picture, cell], truth_bins).mean(-1) * box_weight).sum(),
        "corners": config.corners
        * (corner_loss(corners, batch["corners"][picture, plate]) * corner_weight).sum(),
    }
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}
