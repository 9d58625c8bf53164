"""Masked autoencoder: masks, loss by hand, what reaches the reader, the three phases."""

from __future__ import annotations

import copy
import dataclasses
import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.alphabet import encode
from alpr_edge.data.index import read_index
from alpr_edge.data.sample import Split
from alpr_edge.errors import DataError, ExitCode, ModelError, UsageError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from training.__main__ import main
from training.checkpoint import load_weights
from training.loop import LoopConfig, train
from training.reader import pretrain as phase_1
from training.reader import train as phase_2
from training.reader.data import load_plates
from training.reader.model import ReaderConfig, normalize, reader_edge, reader_tiny
from training.reader.pretrain import (
    GREY_LEVEL,
    AutoencoderConfig,
    MaskedAutoencoder,
    evaluator,
    freeze_encoder,
    load_all_plates,
    load_encoder,
    masked_loss,
    patches,
    random_masks,
    reconstruction_sheet,
    unpatch,
)

TINY = AutoencoderConfig(reader=reader_tiny().config)


def images(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth pictures: noise cannot be completed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 3, 6, 3), np.uint8)
    large = [cv2.resize(s, (PLATE_WIDTH, PLATE_HEIGHT), interpolation=cv2.INTER_CUBIC)
             for s in small]
    return torch.from_numpy(np.stack(large))


def one_step(model, run_dir, batch, steps: int = 1, **changes):
    config = LoopConfig(steps=steps, lr=1e-2, amp=False, choose="score", **changes)
    train(model, iter([batch] * steps), config, run_dir, lambda _: {"score": 0.0}, task="test")


def test_patches_are_the_encoders_tokens_and_have_an_inverse() -> None:
    config = ReaderConfig(width=8, heads=1, encoder_layers=0, decoder_layers=0)
    plates = torch.randn(2, 3, PLATE_HEIGHT, PLATE_WIDTH)
    values = patches(plates, config)
    assert values.shape == (2, config.tokens, 24 * 8 * 3)
    assert torch.equal(unpatch(values, config), plates)
    second_lower = plates[0, :, 24:, 8:16].permute(1, 2, 0).flatten()
    assert torch.equal(values[0, config.columns + 1], second_lower)


def test_the_mask_ratio_is_exact_and_masks_differ() -> None:
    assert TINY.masked == 34  # 0.7 of 48 patches
    masks = random_masks(50, TINY)
    assert masks.sum(dim=1).tolist() == [34] * 50
    assert len(masks.unique(dim=0)) == 50
    seeded = [random_masks(3, TINY, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*seeded)
    with pytest.raises(ValueError, match="masks 48 of 48"):
        AutoencoderConfig(reader=TINY.reader, mask_ratio=1.0)


def test_loss_by_hand_counts_masked_patches_only() -> None:
    values = torch.tensor([[[0.0, 2.0], [5.0, 9.0], [1.0, 1.0]]])  # normalised: ∓1, ∓1, 0
    predicted = torch.tensor([[[-1.0, 1.0], [-1.0, 3.0], [3.0, 4.0]]])  # errors: 0; 4 / 2; 25 / 2
    def loss(*mask: bool) -> float:
        return masked_loss(predicted, values, torch.tensor([mask])).item()
    near = {"abs": 2 * GREY_LEVEL}
    assert loss(True, False, False) == pytest.approx(0, **near)
    assert loss(False, True, False) == pytest.approx(2, **near)
    assert loss(True, True, False) == pytest.approx(1, **near)
    assert loss(False, True, True) == pytest.approx((2 + 12.5) / 2, **near)


def test_masked_pixels_are_unseen_and_visible_ones_are_seen() -> None:
    torch.manual_seed(0)
    model = MaskedAutoencoder(TINY).eval()
    plates = normalize(images(1))
    mask = random_masks(1, TINY)
    def changed_where(hidden: torch.Tensor) -> torch.Tensor:
        other = patches(plates, TINY.reader) + 0.5 * hidden[..., None]
        return unpatch(other, TINY.reader)
    with torch.inference_mode():
        answer = model(plates, mask)
        assert torch.equal(answer, model(changed_where(mask), mask))
        assert not torch.allclose(answer, model(changed_where(~mask), mask))


def test_tiny_autoencoder_overfits_one_batch_under_one_mask(monkeypatch) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = MaskedAutoencoder(TINY)
    mask = random_masks(2, TINY)
    monkeypatch.setattr(phase_1, "random_masks", lambda *_: mask)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    first = model.loss({"image": images(2)})["loss"].item()
    for _ in range(80):
        loss = model.loss({"image": images(2)})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2 * first


def test_a_sheet_shows_the_original_the_mask_and_the_completed_plate() -> None:
    plates = normalize(images(3))
    mask = random_masks(3, TINY)
    with torch.inference_mode():
        sheet = reconstruction_sheet(MaskedAutoencoder(TINY).eval(), plates, mask)
    assert sheet.dtype == np.uint8
    step, down = sheet.shape[1] // 3, sheet.shape[0] // 3
    original, masked, completed = (
        sheet[down : down + PLATE_HEIGHT, x : x + PLATE_WIDTH].astype(int)
        for x in (0, step, 2 * step)
    )
    assert np.array_equal(original, images(3)[1].numpy())
    hidden = unpatch(mask[1, :, None].expand(1, -1, 24 * 8 * 3), TINY.reader)[0, 0].numpy()
    assert (masked[hidden] == 128).all()
    assert np.array_equal(masked[~hidden], original[~hidden])
    assert np.array_equal(completed[~hidden], original[~hidden])


@pytest.fixture
def pretrained(tmp_path):
    """Weights of a tiny pre-training of two steps."""
    torch.manual_seed(1)
    one_step(MaskedAutoencoder(TINY), tmp_path / "phase1", {"image": images(4)}, steps=2)
    return tmp_path / "phase1" / "best.safetensors"


def test_the_encoder_loads_strictly_into_a_reader(pretrained) -> None:
    reader = reader_tiny()
    load_encoder(reader, pretrained)
    state = load_weights(pretrained).state
    for name, value in reader.encoder.state_dict().items():
        assert torch.equal(value, state[f"encoder.{name}"]), name
    with pytest.raises(ModelError, match="no encoder of this reader"):
        load_encoder(reader_edge(), pretrained)


def test_the_frozen_phase_changes_no_encoder_weight_and_the_next_one_does(
    pretrained, tmp_path
) -> None:
    recipe = dataclasses.replace(
        phase_2.edge_recipe(), encoder=pretrained, freeze_encoder=True
    )
    reader = phase_2.build_reader("tiny", recipe, None)
    before = copy.deepcopy(reader.state_dict())
    batch = {
        "image": images(2), "rows": torch.tensor([0, 1]),
        "text": torch.from_numpy(np.stack([encode("AB12"), encode("皖C345")])),
    }
    one_step(reader, tmp_path / "phase2", batch, steps=3)
    for weights in (reader.state_dict(), load_weights(tmp_path / "phase2/best.safetensors").state):
        same = {name for name, value in weights.items() if torch.equal(value, before[name])}
        assert same >= {name for name in before if name.startswith("encoder.")}
        assert not same & {"queries", "head.weight", "ctc.weight"}
    start = tmp_path / "phase2/best.safetensors"
    reader = phase_2.build_reader("tiny", phase_2.edge_recipe(), start)
    one_step(reader, tmp_path / "phase3", batch)
    moved = reader.state_dict()
    for name in ("encoder.embed.position", "encoder.embed.layers.0.1.running_mean", "queries"):
        assert not torch.equal(moved[name], before[name]), name


def test_a_frozen_reader_reads_like_before() -> None:
    reader = reader_tiny().eval()
    with torch.inference_mode():
        before = reader(images(2))[0]
        freeze_encoder(reader)
        reader.train()
        assert torch.equal(reader(images(2))[0], before)


def test_freezing_an_encoder_that_learned_nothing_is_refused(tmp_path, capsys) -> None:
    with pytest.raises(UsageError, match="--encoder WEIGHTS"):
        frozen = dataclasses.replace(phase_2.edge_recipe(), freeze_encoder=True)
        phase_2.build_reader("tiny", frozen, None)
    folders = ["--data", str(tmp_path), "--run", str(tmp_path / "run")]
    assert main(["reader", *folders, "--freeze-encoder"]) == ExitCode.USAGE
    assert main(["pretrain", *folders, "--variant", "huge"]) == ExitCode.USAGE
    assert "edge" in capsys.readouterr().err


def write_crops(root) -> None:
    rows = []
    for index, (split, text) in enumerate([
        ("train", None), ("train", "AB12"), ("train", "MORETHANTENX"), ("dev", None), ("dev", "A1"),
    ]):
        picture = images(1, index)[0].numpy()
        cv2.imwrite(str(root / f"{index}.png"), picture)
        rows.append({"image": f"{index}.png", "set": "drawn", "split": split, "text": text,
                     "width": PLATE_WIDTH, "height": PLATE_HEIGHT})
    (root / "crops.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_plates_without_a_text_are_for_pretraining_only(tmp_path) -> None:
    write_crops(tmp_path)
    everything, dropped = load_plates(read_index(tmp_path), Split.TRAIN, untexted=True)
    assert [item.text for item in everything] == ["", "", ""]
    assert not dropped
    assert [item.text for item in load_plates(read_index(tmp_path), Split.TRAIN)[0]] == ["AB12"]
    assert len(load_all_plates(tmp_path, Split.DEV, PLATE_WIDTH)) == 2
    with pytest.raises(DataError, match="no plate at least 193 pixels wide in split dev"):
        load_all_plates(tmp_path, Split.DEV, PLATE_WIDTH + 1)


def test_evaluation_repeats_itself_and_adds_a_sheet(tmp_path) -> None:
    write_crops(tmp_path)
    evaluate = evaluator(load_all_plates(tmp_path, Split.TRAIN, 10), tmp_path, batch_size=2)
    model = MaskedAutoencoder(TINY)
    one, two = evaluate(model), evaluate(model)
    assert one == two
    assert one["explained"] == pytest.approx(1 - one["loss"])
    sheets = [path.name for path in sorted(tmp_path.glob("*.png"))]
    assert sheets[-2:] == ["reconstruction_000.png", "reconstruction_001.png"]


def test_the_command_runs_and_resumes(tmp_path, monkeypatch) -> None:
    write_crops(tmp_path)
    recipe = phase_1.pretrain_recipe()
    def short(steps: int):
        loop = dataclasses.replace(recipe.loop, steps=steps, amp=False)
        data = dataclasses.replace(recipe.data, rendered=0.0)
        return lambda *_: dataclasses.replace(recipe, loop=loop, data=data, batch_size=2)
    monkeypatch.setattr(phase_1.RenderMaterial, "load", lambda *_: None)
    arguments = ["pretrain", "--data", str(tmp_path), "--run", str(tmp_path / "run"),
                 "--variant", "tiny", "--workers", "0", "--threads", "1"]
    for steps in (2, 3):
        monkeypatch.setattr(phase_1, "pretrain_recipe", short(steps))
        assert main(arguments) == ExitCode.OK
        assert load_weights(tmp_path / "run" / "last.safetensors").notes["step"] == steps
    assert len(list((tmp_path / "run").glob("reconstruction_*.png"))) == 2
