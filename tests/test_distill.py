"""Learning from a teacher: the terms by hand, and runs whose checkpoints are the student's."""

from __future__ import annotations

import dataclasses
import math

import pytest
from drawn import build_data

torch = pytest.importorskip("torch")

from alpr_edge.errors import ModelError, UsageError
from training import distill
from training.checkpoint import load_weights, save_weights
from training.detector.model import Detector, DetectorConfig
from training.distill import DistillConfig, Distilled, detector_terms, feature_term, softened
from training.networks import build
from training.reader.model import Reader, ReaderConfig

TEACHER = ReaderConfig(
    width=16, heads=2, encoder_layers=1, decoder_layers=1, stem=(8, 8, 8), dropout=0.0
)
STUDENT = dataclasses.replace(TEACHER, head_counts=(1, 1, 2), mlp_widths=(24, 32))
DETECTOR = DetectorConfig(channels=8, bifpn_layers=1, head_layers=1, bins=5)


@pytest.fixture(autouse=True)
def _one_thread_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def plates() -> dict[str, torch.Tensor]:
    return {
        "image": torch.randint(0, 256, (2, 48, 192, 3), dtype=torch.uint8),
        "text": torch.full((2, 10), 3), "rows": torch.zeros(2).long(),
    }


def test_divergence_by_hand() -> None:
    """Both probabilities 1/4 and 3/4 at temperature 2: logits are twice their logarithms."""
    teacher = 2 * torch.tensor([[0.25, 0.75]]).log()
    student = 2 * torch.tensor([[0.5, 0.5]]).log()
    wanted = 4 * (0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5))
    assert softened(student, teacher, 2.0).item() == pytest.approx(wanted, rel=1e-5)
    assert softened(teacher, teacher + 5, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_a_detector_learns_boxes_only_where_its_teacher_sees_a_plate() -> None:
    teacher = torch.zeros(1, 2, 1 + 4 * 3 + 8)  # score, bins, offsets of two cells
    teacher[..., 0] = torch.tensor([[0.8, 0.05]]).logit()
    elsewhere = teacher.clone()
    elsewhere[0, 1, -8:] = 9.0
    terms = detector_terms((elsewhere,), (teacher,), DistillConfig())
    assert all(term.item() == pytest.approx(0, abs=1e-6) for term in terms.values())
    there = teacher.clone()
    there[0, 0, -8:] = 0.5
    terms = detector_terms((there,), (teacher,), DistillConfig())
    assert terms["teacher_offsets"].item() == pytest.approx(0.5 * 0.8 / 1.0)


def test_features_count_where_their_widths_agree() -> None:
    teacher = torch.full((1, 2, 4), 2.0)
    assert feature_term((torch.full((1, 2, 4), 1.0),), (teacher,)).item() == pytest.approx(0.25)
    assert feature_term((torch.ones(1, 2, 3),), (teacher,)) is None


@pytest.mark.parametrize(("student", "teacher", "task"), [
    (Reader(STUDENT), Reader(TEACHER), "reader"),
    (Detector(dataclasses.replace(DETECTOR, tower_widths=(4, 8, 4))), Detector(DETECTOR),
     "detector"),
])
def test_the_pair_is_the_student_to_others(student, teacher, task) -> None:
    pair = Distilled(student, teacher, task, DistillConfig())
    assert pair.state_dict().keys() == student.state_dict().keys()
    assert pair.config == student.config
    assert {id(p) for p in pair.parameters()} == {id(p) for p in student.parameters()}
    pair.train()
    assert student.training and not teacher.training


def test_its_loss_is_the_students_and_the_teachers_terms() -> None:
    student, teacher, batch = Reader(STUDENT), Reader(TEACHER), plates()
    config = DistillConfig(answers=0.5, features=2.0)
    losses = Distilled(student, teacher, "reader", config).eval().loss(batch)
    own = student.loss(batch)
    terms = sum(losses[f"teacher_{name}"] for name in ("slots", "ctc", "rows"))
    wanted = own["loss"] + 0.5 * terms + 2.0 * losses["teacher_features"]
    torch.testing.assert_close(losses["loss"], wanted)
    losses["loss"].backward()
    assert all(p.grad is None for p in teacher.parameters())
    same = Distilled(teacher, teacher, "reader", config).eval().loss(batch)
    assert same["teacher_slots"].item() == pytest.approx(0, abs=1e-5)


def test_tokens_of_another_number_teach_nothing() -> None:
    two = Reader(dataclasses.replace(STUDENT, ctc_steps=2))
    losses = Distilled(two, Reader(TEACHER), "reader", DistillConfig()).loss(plates())
    assert "teacher_ctc" not in losses and losses["teacher_slots"] > 0
    losses["loss"].backward()


def test_a_distilled_checkpoint_builds_and_resumes(tmp_path, monkeypatch) -> None:
    data = build_data(tmp_path / "data", count=2, splits=("train", "dev"))
    paths = {}
    for name, config in (("teacher", TEACHER), ("student", STUDENT)):
        paths[name] = tmp_path / f"{name}.safetensors"
        save_weights(paths[name], task="reader", config=config, state=Reader(config).state_dict(),
                     notes={"dev": {"exact": 0.9}, "step": 7, "temperature": 1.5})
    monkeypatch.setattr(distill, "BATCH", 2)
    loop = distill.distill_loop
    run = tmp_path / "run"
    for steps in (2, 3):
        monkeypatch.setattr(distill, "distill_loop", lambda task, minutes, steps=steps:
                            dataclasses.replace(loop(task, 9.0), steps=steps, amp=False))
        distill.run(data, run, start=paths["student"], teacher=paths["teacher"], minutes=9.0,
                    options=distill.RunOptions(threads=1, workers=0))
    weights = load_weights(run / "last.safetensors")
    assert build(weights).config == STUDENT
    assert weights.notes["step"] == 3 and weights.notes["temperature"] == 1.5
    assert weights.notes["made_by"] == "distill"
    assert weights.notes["teacher"] == load_weights(paths["teacher"]).sha256
    assert [line["file"] for line in weights.notes["lineage"]] == ["student.safetensors"]
    assert weights.notes["dev"]["exact"] == 0.0  # its own, not the student's first


def test_wrong_teachers_and_no_time_are_told(tmp_path) -> None:
    paths = []
    for task, network in (("reader", Reader(STUDENT)), ("detector", Detector(DETECTOR))):
        paths.append(tmp_path / f"{task}.safetensors")
        save_weights(paths[-1], task=task, config=network.config, state=network.state_dict(),
                     notes={})
    with pytest.raises(ModelError, match="is a detector, the student a reader"):
        distill.run(tmp_path, tmp_path, start=paths[0], teacher=paths[1], minutes=1)
    with pytest.raises(UsageError, match="give more than 0"):
        distill.run(tmp_path, tmp_path, start=paths[0], teacher=paths[0], minutes=0)
