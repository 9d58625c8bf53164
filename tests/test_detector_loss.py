"""Assignment and losses of the detector, by hand-computed numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge import decode
from training.detector.assign import assign, box_iou
from training.detector.loss import (
    LossConfig,
    corner_loss,
    detection_loss,
    distribution_focal,
    giou_loss,
    quality_focal,
    torch_grid,
)


def owners(boxes: list[list[float]], height: int = 64, width: int = 64) -> torch.Tensor:
    points, strides = torch_grid(height, width)
    plates = torch.tensor([boxes], dtype=torch.float32)
    return assign(points, strides, plates, torch.ones(1, len(boxes), dtype=torch.bool))[0]


def test_atss_chooses_the_cells_computed_by_hand() -> None:
    # A plate of 40 x 16 round the cell at (28, 28) of stride 8, whose anchor it equals: IoU 1. Its
    # neighbours' anchors are 40 x 16 too. Of the nine nearest of stride 8 (dx, dy in -8, 0, 8):
    # IoU of dx 8: 32*16 / (2*640 - 512) = 2/3, of dy 8: 40*8 / (1280 - 320) = 1/3,
    # of both: 32*8 / (1280 - 256) = 1/4.
    # Nine of stride 16, anchors 80 x 32 round 8, 24, 40; all four of stride 32, 160 x 64, each
    # with the plate wholly inside: 640 / 10240 = 1/16.
    eight = [1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4]
    sixteen = []
    for x in (8, 24, 40):
        for y in (8, 24, 40):
            across = min(48, x + 40) - max(8, x - 40)
            down = min(36, y + 16) - max(20, y - 16)
            overlap = across * down
            sixteen.append(overlap / (640 + 2560 - overlap))
    candidates = eight + sixteen + [1 / 16] * 4
    threshold = np.mean(candidates) + np.std(candidates, ddof=1)
    assert 1 / 3 < threshold < 2 / 3  # so: the cell itself and its left and right neighbours
    found = (owners([[8, 20, 48, 36]]) >= 0).nonzero().ravel().tolist()
    assert found == [3 * 8 + 2, 3 * 8 + 3, 3 * 8 + 4]


def test_a_tiny_plate_gets_the_nearest_cell_of_the_finest_level() -> None:
    assert (owners([[15.0, 15.0, 19.0, 17.5]]) >= 0).nonzero().ravel().tolist() == [2 * 8 + 2]
    assert (owners([[16.5, 6.0, 18.5, 7.9]]) >= 0).nonzero().ravel().tolist() == [0 * 8 + 2]


def test_every_valid_plate_gets_a_cell_and_padding_none() -> None:
    rng = np.random.default_rng(0)
    points, strides = torch_grid(192, 320)
    centre = rng.uniform((20, 20), (300, 172), (8, 6, 2))
    half = np.exp(rng.uniform(np.log((2, 1)), np.log((90, 40)), (8, 6, 2)))
    boxes = torch.from_numpy(np.concatenate([centre - half, centre + half], -1)).float()
    valid = torch.from_numpy(rng.random((8, 6)) < 0.7)
    owner = assign(points, strides, boxes, valid)
    for picture in range(8):
        got = set(owner[picture].tolist()) - {-1}
        assert got == set(valid[picture].nonzero().ravel().tolist())


def test_a_shared_cell_goes_to_the_plate_it_overlaps_most() -> None:
    owner = owners([[8, 20, 48, 36], [9, 21, 51, 39]])
    assert owner[3 * 8 + 3] == 0
    assert 1 in owner.tolist()


def test_iou_is_the_runtime_s() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (2, 9, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 40, (2, 9, 2))], -1)
    got = box_iou(torch.from_numpy(boxes[0])[:, None], torch.from_numpy(boxes[1]))
    np.testing.assert_allclose(got.numpy(), decode.box_iou(boxes[0], boxes[1]), atol=1e-9)


def test_decode_and_encode_are_inverse_on_tensors() -> None:
    points, strides = torch_grid(64, 96)
    boxes = torch.cat([points - 7.0, points + 5.0], dim=1)
    corners = torch.rand(len(points), 4, 2) * 90
    distances = decode.encode_boxes(points, strides, boxes)
    offsets = decode.encode_corners(points, strides, corners)
    torch.testing.assert_close(decode.decode_boxes(points, strides, distances), boxes)
    back = decode.decode_corners(points, strides, offsets)
    torch.testing.assert_close(back, corners, atol=1e-4, rtol=1e-5)


def test_quality_focal_by_hand() -> None:
    # sigma(0) = 1/2; target 0.8: (0.3)^2 * ln 2; a perfect answer costs nothing
    got = quality_focal(torch.zeros(1), torch.tensor([0.8]))
    assert got.item() == pytest.approx(0.09 * math.log(2), abs=1e-6)
    sure = torch.logit(torch.tensor([0.8]))
    assert quality_focal(sure, torch.tensor([0.8])).item() == pytest.approx(0, abs=1e-6)


def test_distribution_focal_by_hand() -> None:
    # uniform over 4 bins: ln 4 whatever the distance; all mass on the two bins at their shares
    uniform = distribution_focal(torch.zeros(1, 4, 4), torch.tensor([[0.0, 0.4, 1.9, 9.0]]))
    torch.testing.assert_close(uniform, torch.full((1, 4), math.log(4)))
    logits = torch.full((1, 1, 4), -50.0)
    logits[0, 0, 1], logits[0, 0, 2] = math.log(0.75), math.log(0.25)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert distribution_focal(logits, torch.tensor([[1.25]])).item() == pytest.approx(entropy)


def test_giou_by_hand() -> None:
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]])
    b = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 3, 1]])
    # equal: 0; half over: IoU 2/6, hull 6 = union; apart: IoU 0, hull 3, union 2: 1 + 1/3
    torch.testing.assert_close(giou_loss(a, b), torch.tensor([0.0, 1 - 1 / 3, 1 + 1 / 3]))


def test_corner_loss_is_a_fraction_of_the_plate_s_width() -> None:
    small = torch.tensor([[[0.0, 0], [100, 0], [100, 30], [0, 30]]])
    for plate in (small, small * 3):
        width = plate[0, 1, 0]
        assert corner_loss(plate + 0.01 * width, plate).item() == pytest.approx(0.01, rel=1e-5)


def perfect(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Outputs that answer a batch exactly: logits, bins, distances, offsets."""
    points, strides = torch_grid(*batch["images"].shape[1:3])
    owner = assign(points, strides, batch["boxes"], batch["valid"])
    index = owner.clamp(min=0)
    boxes = torch.stack([b[i] for b, i in zip(batch["boxes"], index, strict=True)])
    corners = torch.stack([c[i] for c, i in zip(batch["corners"], index, strict=True)])
    distances = decode.encode_boxes(points, strides, boxes)
    offsets = decode.encode_corners(points.expand(len(boxes), -1, 2), strides, corners)
    logits = torch.where(owner >= 0, 20.0, -20.0)
    return logits, torch.zeros(*logits.shape, 4, 17), distances, offsets


def one_plate() -> dict[str, torch.Tensor]:
    corners = torch.tensor([[[[9.0, 20], [48, 21], [47, 36], [8, 35]]]])
    flags = torch.ones(1, 1, dtype=torch.bool)
    return {
        "images": torch.zeros(1, 64, 64, 3, dtype=torch.uint8),
        "boxes": torch.tensor([[[8.0, 20, 48, 36]]]), "corners": corners,
        "valid": flags, "ignore": ~flags, "box_weight": torch.ones(1, 1),
        "corner_weight": torch.ones(1, 1), "complete": torch.ones(1, dtype=torch.bool),
    }


def test_perfect_outputs_cost_nothing_and_masks_mask() -> None:
    batch, config = one_plate(), LossConfig()
    logits, bins, distances, offsets = perfect(batch)
    parts = detection_loss(logits, bins, distances, offsets, batch, config)
    for name in ("score", "giou", "corners"):
        assert parts[name].item() == pytest.approx(0, abs=1e-4)
    wrong = detection_loss(logits, bins, distances * 2, offsets + 1, batch, config)
    assert wrong["giou"] > 0.1 and wrong["corners"] > 0.1
    masked = batch | {"box_weight": torch.zeros(1, 1), "corner_weight": torch.zeros(1, 1)}
    wrong = detection_loss(logits, bins, distances * 2, offsets + 1, masked, config)
    assert wrong["giou"] == 0 and wrong["bins"] == 0 and wrong["corners"] == 0


@pytest.mark.parametrize("floor", [0.1, 0.4])
def test_the_wanted_quality_is_the_iou_above_a_floor(floor: float) -> None:
    batch, config = one_plate(), LossConfig(floor=floor)
    logits, bins, distances, offsets = perfect(batch)
    distances = distances.clone()
    distances[..., 2] = distances[..., 0] = -1e-3  # no width: IoU 0 everywhere
    wanted = torch.logit(torch.tensor(floor))
    answered = torch.where(logits > 0, wanted, logits)
    assert detection_loss(answered, bins, distances, offsets, batch, config)["score"] < 1e-6
    surer = torch.where(logits > 0, wanted + 2, logits)
    assert detection_loss(surer, bins, distances, offsets, batch, config)["score"] > 1e-6


def test_false_alarms_are_excused_where_nobody_knows() -> None:
    batch, config = one_plate(), LossConfig()
    logits, *rest = perfect(batch)
    logits[0, 0] = 5.0  # a sure detection in the upper left corner
    assert detection_loss(logits, *rest, batch, config)["score"] > 0.5
    unknown = batch | {"complete": torch.zeros(1, dtype=torch.bool)}
    assert detection_loss(logits, *rest, unknown, config)["score"] < 1e-4
    ignored = {
        name: torch.cat([value, value], dim=1) if value.ndim > 1 and name != "images" else value
        for name, value in batch.items()
    }
    ignored["boxes"][0, 1] = torch.tensor([0.0, 0, 10, 10])
    ignored["valid"][0, 1], ignored["ignore"][0, 1] = False, True
    assert detection_loss(logits, *rest, ignored, config)["score"] < 1e-4


def test_a_batch_without_plates_has_a_finite_loss() -> None:
    batch = one_plate()
    batch["valid"] = torch.zeros(1, 1, dtype=torch.bool)
    logits = torch.zeros(1, 84, requires_grad=True)
    zeros = torch.zeros(1, 84, 8)
    parts = detection_loss(
        logits, torch.zeros(1, 84, 4, 17), zeros[..., :4], zeros, batch, LossConfig()
    )
    parts["loss"].backward()
    assert torch.isfinite(parts["loss"]) and torch.isfinite(logits.grad).all()
