"""The detector network: contract, learning, and the same answers after export."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.data.sample import PlateTruth, Sample, Split
from alpr_edge.decode import (
    MAX_CANDIDATES,
    decode_boxes,
    decode_corners,
    grid,
    select,
)
from alpr_edge.geometry import as_quad, quad_box
from training.detector.evaluate import detect, evaluate
from training.detector.model import Detector, DetectorConfig, detector_edge

TINY = DetectorConfig(channels=16, bifpn_layers=1, head_layers=1)


@pytest.fixture(autouse=True)
def _one_thread_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pictures(count: int, height: int = 64, width: int = 96) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, height, width, 3), np.uint8))


def test_outputs_are_those_of_the_contract() -> None:
    model = Detector(TINY).eval()
    with torch.inference_mode():
        scores, boxes, corners, cells = model(pictures(2))
    count = len(grid(64, 96)[0])
    assert count < MAX_CANDIDATES  # all of them, then
    assert scores.shape == cells.shape == (2, count) and boxes.shape == (2, count, 4)
    assert corners.shape == (2, count, 4, 2)
    assert ((scores > 0) & (scores < 1)).all() and (scores.diff() <= 0).all()
    assert cells.sort().values.tolist() == 2 * [list(range(count))]
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


def test_the_best_cells_are_those_of_the_raw_outputs() -> None:
    """Two routes: the graph's choice, and all cells decoded in numpy."""
    model, images = Detector(TINY).eval(), pictures(2, 160, 192)
    points, strides = grid(160, 192)
    with torch.inference_mode():
        scores, boxes, corners, cells = (output.numpy() for output in model(images))
        logits, bins, offsets = model.raw(images)
        distances = model.expect(bins).numpy()
    assert scores.shape == (2, MAX_CANDIDATES) and len(points) > MAX_CANDIDATES
    for index in range(2):
        chosen = cells[index]
        left = np.delete(logits[index].numpy(), chosen)
        assert len(set(chosen)) == MAX_CANDIDATES
        assert logits[index].numpy()[chosen].min() >= left.max() - 1e-5
        wanted = decode_boxes(points[chosen], strides[chosen], distances[index][chosen])
        np.testing.assert_allclose(boxes[index], wanted, atol=1e-3)
        wanted = decode_corners(points[chosen], strides[chosen], offsets[index].numpy()[chosen])
        np.testing.assert_allclose(corners[index], wanted, atol=1e-3)
        np.testing.assert_allclose(scores[index], logits[index].sigmoid().numpy()[chosen])


def test_a_batch_answers_like_its_pictures_alone() -> None:
    model, images = Detector(TINY).eval(), pictures(3)
    with torch.inference_mode():
        together = model(images)
        alone = [model(image[None]) for image in images]
    for index in range(3):  # in the order of the cells: scores are nearly equal
        mine = [output[index][together[3][index].argsort()] for output in together]
        single = [output[0][alone[index][3][0].argsort()] for output in alone[index]]
        torch.testing.assert_close(mine, single, atol=1e-3, rtol=1e-4)


def test_expected_distance_by_hand() -> None:
    model = Detector(TINY)
    bins = torch.full((1, TINY.bins), -60.0)
    bins[0, 2], bins[0, 3] = np.log(0.25), np.log(0.75)
    assert model.expect(bins).item() == pytest.approx(2.75, abs=1e-5)


def test_the_shipped_network_costs_what_was_agreed() -> None:
    model, cost = detector_edge().eval(), 0

    def count(module: torch.nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal cost
        cost += output.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        model(pictures(1, 384, 640))
    assert cost < 1.3e9


def scene() -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Two pictures with one bright, slightly turned plate each, as a batch; the corners."""
    corners = np.array(
        [[[20, 24], [66, 28], [64, 46], [18, 42]], [[40, 60], [100, 52], [102, 74], [42, 82]]],
        np.float32,
    )
    images = np.full((2, 128, 128, 3), 60, np.uint8)
    for image, quad in zip(images, corners, strict=True):
        cv2.fillPoly(image, [quad.astype(np.int32)], (240, 200, 180))
    flags = torch.ones(2, 1, dtype=torch.bool)
    batch = {
        "images": torch.from_numpy(images),
        "boxes": torch.tensor([[quad_box(quad)] for quad in corners], dtype=torch.float32),
        "corners": torch.from_numpy(corners)[:, None], "valid": flags, "ignore": ~flags,
        "box_weight": torch.ones(2, 1), "corner_weight": torch.ones(2, 1),
        "complete": torch.ones(2, dtype=torch.bool),
    }
    return batch, corners


def test_a_tiny_network_learns_one_batch() -> None:
    batch, corners = scene()
    model = Detector(TINY)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(100):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (100 - step) / 50)
        loss = model.loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for module in model.modules():  # two pictures are no statistics: use the batch's own
        if isinstance(module, torch.nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = None
    with torch.inference_mode():
        outputs = [output.numpy() for output in model.eval()(batch["images"])]
    for index, quad in enumerate(corners):
        boxes, found, scores = select(
            *(o[index] for o in outputs[:3]), min_score=0.3, iou=0.5
        )
        assert len(scores) == 1 and scores[0] > 0.5
        np.testing.assert_allclose(boxes[0], quad_box(quad), atol=3)
        np.testing.assert_allclose(found[0], quad, atol=3)


class Oracle(torch.nn.Module):
    """Answers with one cell that sees a plate exactly, whatever the picture."""

    def __init__(self, corners: np.ndarray) -> None:
        super().__init__()
        self.corners = torch.from_numpy(corners)[None, None]

    def forward(self, _: torch.Tensor) -> tuple[torch.Tensor, ...]:
        box = torch.tensor([[quad_box(self.corners[0, 0].numpy())]])
        return torch.tensor([[0.9]]), box, self.corners, torch.tensor([[0]])


def test_evaluation_of_a_perfect_detector_is_perfect(tmp_path: Path) -> None:
    corners = np.array([[200, 100], [300, 104], [298, 134], [198, 130]], np.float32)
    model = Oracle(corners)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((768, 1280, 3), np.uint8))  # twice the network's size
    truth = PlateTruth(box=quad_box(corners * 2), corners=as_quad(corners * 2))
    sample = Sample(
        path=path, dataset="ccpd_base", split=Split.DEV, width=1280, height=768,
        plates=(truth,),
    )
    got = evaluate(model, [sample])
    assert got["recall"] == got["precision"] == got["ap"] == got["tight_recall_70"] == 1
    assert got["corner_median"] < 1e-4


def test_detections_are_cut_off_at_the_pictures_edge_as_by_the_runtime() -> None:
    image = np.zeros((600, 1280, 3), np.uint8)  # the frame of 384 x 640 ends at row 300
    over = np.array([[-20, 280], [100, 280], [100, 320], [-20, 320]], np.float32)
    [found] = detect(Oracle(over).eval(), image)
    assert found.box == (0, 560, 200, 600) and found.corners[0] == (-40, 560)
    below = np.array([[20, 310], [90, 310], [90, 340], [20, 340]], np.float32)
    assert detect(Oracle(below).eval(), image) == []


def test_torch_onnx_and_openvino_answer_alike(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    model, image = Detector(TINY).eval(), pictures(1)
    with torch.inference_mode():
        expected = [output.numpy() for output in model(image)]
    names = ["scores", "boxes", "corners", "cells"]
    program = torch.onnx.export(
        model, (image,), dynamo=True, input_names=["image"], output_names=names, verbose=False
    )
    path = tmp_path / "model.onnx"
    program.save(path)
    onnx = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [output.name for output in onnx.get_outputs()] == names
    compiled = openvino.compile_model(
        openvino.convert_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    answers = compiled(image.numpy())
    order = expected[3][0].argsort()
    for other in (onnx.run(None, {"image": image.numpy()}), [answers[i] for i in range(4)]):
        theirs = other[3][0].argsort()
        for want, got in zip(expected, other, strict=True):
            np.testing.assert_allclose(got[0][theirs], want[0][order], atol=1e-3)
