"""The models that the repository ships: what they read on pictures we know, as golden figures."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT

from alpr_edge import ALPR, closer, picks
from alpr_edge.data import Split, read
from alpr_edge.images import load_image
from alpr_edge.manifest import load
from alpr_edge.metrics import FrameResult, detection_rates, end_to_end_hits
from alpr_edge.types import Detection

DEMO = ROOT / "docs" / "demo"


@pytest.fixture(scope="module")
def alpr() -> ALPR:
    return ALPR(threads=1)


def test_demo_pictures_are_read(alpr):
    """All but at most two of the rendered plates, exactly."""
    rows = [json.loads(line) for line in (DEMO / "truth.jsonl").read_text("utf-8").splitlines()]
    right = total = 0
    for row in rows:
        found = {plate.text for plate in alpr.predict(DEMO / row["image"])}
        truths = {plate["text"] for plate in row["plates"]}
        right += len(found & truths)
        total += len(truths)
    assert total == 16
    assert right >= total - 2


@pytest.mark.parametrize("task", ["detector", "reader"])
def test_every_shipped_model_tells_its_origin(task):
    folders = [variant.folder for variant in picks.variants(picks.MODELS, task)]
    closer_looks = [f / closer.FOLDER for f in folders if (f / closer.FOLDER).exists()]
    assert closer_looks or task == "reader"
    for folder in (*folders, *closer_looks):
        manifest = load(folder)
        assert manifest.ancestors[-1].step == "train"
        assert manifest.ancestors[-1].files  # the weights file's hash
        assert manifest.trained_on


def test_ccpd_val_reaches_the_foundations_bars(alpr, data_dir):
    """Recall at IoU 0.5 at least 43/45, end to end at least 39/45."""
    frames, hits = [], []
    for sample in read(data_dir):
        if sample.dataset == "ccpd_base" and sample.split is Split.VAL:
            plates = alpr.predict(load_image(sample.path))
            detections = [
                Detection(box=p.box, corners=p.corners, confidence=p.detection_confidence)
                for p in plates
            ]
            frames.append(FrameResult(sample=sample, detections=detections))
            hits += end_to_end_hits(sample.plates, plates)
    assert detection_rates(frames, 0.5).recall.k >= 43
    assert sum(hits) >= 39
