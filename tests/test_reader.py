"""The reader network: contract, token order, losses and data."""

from __future__ import annotations

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alpr_edge.alphabet import CLASSES, PAD, SLOTS, encode
from alpr_edge.data.index import read_index
from alpr_edge.data.sample import Split
from alpr_edge.errors import DataError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from training.augment import PLATE_RECIPE, augment
from training.reader.data import (
    PlateItem,
    PlateStream,
    ReaderDataConfig,
    StoredPlate,
    batches,
    jitter,
    load_plates,
)
from training.reader.model import (
    IGNORE,
    PatchEmbedding,
    Reader,
    ReaderConfig,
    ctc_loss,
    reader_edge,
    reader_seed,
    reader_tiny,
    rows_loss,
)


def plates(count: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, PLATE_HEIGHT, PLATE_WIDTH, 3), np.uint8))


@pytest.mark.parametrize(("variant", "steps"), [(reader_tiny, 48), (reader_edge, 96)])
def test_output_contract(variant, steps) -> None:
    with torch.inference_mode():
        logits, tokens, rows = variant().eval()(plates(2))
    assert logits.shape == (2, SLOTS, CLASSES)
    assert tokens.shape == (2, steps, CLASSES)
    assert rows.shape == (2, 2)


def test_a_tokens_steps_of_ctc_follow_each_other() -> None:
    """Token by token, within each its left step first: text order."""
    model = Reader(dataclasses.replace(reader_tiny().config, ctc_steps=2)).eval()
    with torch.inference_mode():
        tokens = model.encode(plates(1))
        _, steps, _ = model.answer(tokens)
        left, right = model.ctc(tokens).split(CLASSES, dim=-1)
    torch.testing.assert_close(steps[:, 0::2], left)
    torch.testing.assert_close(steps[:, 1::2], right)


def test_a_batch_reads_like_its_plates_one_by_one() -> None:
    model = reader_tiny().eval()
    images = plates(3)
    with torch.inference_mode():
        together = model(images)[0]
        alone = torch.cat([model(image[None])[0] for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_seed_is_the_origins_size() -> None:
    config = reader_seed().config
    assert (config.width, config.encoder_layers, config.decoder_layers, config.heads) == (
        624, 8, 6, 12,
    )
    assert config.dropout == 0.25
    assert config.bands == 1


def test_upper_band_comes_first() -> None:
    """A change in the upper half moves only the first half of the tokens, left ones first."""
    config = ReaderConfig(width=8, heads=1, encoder_layers=0, decoder_layers=0)
    embed = PatchEmbedding(config)
    blank = torch.zeros(1, 3, PLATE_HEIGHT, PLATE_WIDTH)
    marked = blank.clone()
    marked[..., : PLATE_HEIGHT // 2, : config.patch_width] = 1.0
    changed = (embed(marked) - embed(blank)).abs().sum(-1)[0] > 1e-6
    assert changed.nonzero().flatten().tolist() == [0]
    marked = blank.clone()
    marked[..., PLATE_HEIGHT // 2 :, -config.patch_width :] = 1.0
    changed = (embed(marked) - embed(blank)).abs().sum(-1)[0] > 1e-6
    assert changed.nonzero().flatten().tolist() == [config.tokens - 1]


def test_configuration_errors_name_the_numbers() -> None:
    with pytest.raises(ValueError, match="width 10 is no multiple of heads 3"):
        ReaderConfig(width=10, heads=3, encoder_layers=1, decoder_layers=1)
    with pytest.raises(ValueError, match="2 stem stages make patches 4"):
        ReaderConfig(width=8, heads=1, encoder_layers=1, decoder_layers=1, stem=(4, 4))


def test_ctc_of_two_tokens_by_hand() -> None:
    """One character, two uniform tokens: paths 'aa', 'a-', '-a' of CLASSES**2 equal ones."""
    text = torch.full((1, SLOTS), PAD)
    text[0, 0] = 5
    loss = ctc_loss(torch.zeros(1, 2, CLASSES), text)
    assert loss.item() == pytest.approx(-math.log(3 / CLASSES**2), rel=1e-5)


def test_rows_loss_counts_only_known_plates() -> None:
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    assert rows_loss(logits, torch.tensor([IGNORE, IGNORE])).item() == 0
    assert rows_loss(logits, torch.tensor([1, IGNORE])).item() == pytest.approx(math.log(2))


def test_tiny_reader_learns_two_plates() -> None:
    torch.manual_seed(0)
    model = reader_tiny()
    texts = ["AB12", "皖C345"]
    batch = {
        "image": plates(2),
        "text": torch.from_numpy(np.stack([encode(text) for text in texts])),
        "rows": torch.tensor([0, 1]),
    }
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    first = model.loss(batch)["loss"].item()
    for _ in range(60):
        loss = model.loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2 * first


def test_augmentation_keeps_shape_and_is_off_at_zero() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 192, 3), np.uint8)
    assert augment(image, rng, PLATE_RECIPE, 0.0) is image
    for strength in (0.3, 1.0, 2.0):
        for step, _ in PLATE_RECIPE:
            out = step(image, rng, strength)
            assert out.shape == image.shape, step.__name__
            assert out.dtype == np.uint8, step.__name__


def test_augmentation_is_seeded() -> None:
    image = np.random.default_rng(1).integers(0, 256, (48, 192, 3), np.uint8)
    one = [augment(image, np.random.default_rng(s), PLATE_RECIPE) for s in range(20)]
    two = [augment(image, np.random.default_rng(s), PLATE_RECIPE) for s in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_jitter_is_small_and_grows_with_strength() -> None:
    quad = np.array([[0, 0], [200, 0], [200, 50], [0, 50]], np.float32)
    rng = np.random.default_rng(0)
    def spread(strength: float) -> float:
        moved = [jitter(quad, rng, strength) - quad for _ in range(300)]
        return float(np.median(np.linalg.norm(moved, axis=-1)))
    weak, strong = spread(0.5), spread(1.5)
    assert weak < strong
    assert spread(1.0) < 0.1 * 200


def test_leaning_plates_keep_their_centre_and_height_and_lean_along_the_plate() -> None:
    quad = np.array([[0, 0], [200, 20], [195, 70], [-5, 50]], np.float32)
    along = (quad[1] - quad[0]) / np.linalg.norm(quad[1] - quad[0])
    leans = []
    for seed in range(200):
        straight = jitter(quad, np.random.default_rng(seed), 1e-9)
        moved = jitter(quad, np.random.default_rng(seed), 1e-9, 0.25 / 1e-9) - straight
        np.testing.assert_allclose(moved[:2], -moved[2:][::-1], atol=0.05)
        np.testing.assert_allclose(moved @ [-along[1], along[0]], 0, atol=0.05)
        leans.append(float(moved[0] @ along) / (np.linalg.norm(quad[3] - quad[0]) / 2))
    share = np.mean(np.abs(leans) > 1e-3)
    assert 0.2 < share < 0.4 and 0.15 < np.std([one for one in leans if one]) < 0.5


def write_index(root, rows: list[dict], name: str) -> None:
    (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def row(image: str, **facts) -> dict:
    return {"image": image, "set": "drawn", "split": "train", "width": 200, "height": 100, **facts}


def test_plates_come_from_crops_and_frames_and_drops_are_counted(tmp_path) -> None:
    picture = np.full((100, 200, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    quad = [[80, 40], [120, 42], [120, 60], [80, 58]]
    plate = {"box": [80, 40, 120, 60], "corners": quad, "text": "AB12"}
    write_index(tmp_path, [row("a.png", plates=[plate])], "frames.jsonl")
    crops = [
        row("a.png", text="皖A12345", rows=1),
        row("a.png", text="MORETHANTENX"),
        row("a.png", text=None),
        row("a.png", text="AB1", split="val"),
        row("missing.png", text="AB1"),
    ]
    write_index(tmp_path, crops, "crops.jsonl")
    items, dropped = load_plates(read_index(tmp_path), Split.TRAIN)
    assert [(item.text, item.rows) for item in items] == [("AB12", IGNORE), ("皖A12345", 0)]
    assert sum(dropped.values()) == 2
    frame, crop = items
    np.testing.assert_allclose(frame.quads[0] + [70, 35], quad)  # cut with a quarter of margin
    assert frame.image.shape[:2] == (30, 60)
    np.testing.assert_allclose(crop.quads[0], [[0, 0], [200, 0], [200, 100], [0, 100]])


def test_a_picture_that_is_cut_short_is_no_plate(tmp_path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    _, whole = cv2.imencode(".jpg", picture)
    (tmp_path / "a.jpg").write_bytes(whole.tobytes()[: len(whole) // 2])
    write_index(tmp_path, [row("a.jpg", text="AB12")], "crops.jsonl")
    items, dropped = load_plates(read_index(tmp_path), Split.TRAIN)
    assert (items, dropped) == ([], {"drawn: unreadable picture": 1})
    (drawn,), _ = load_plates(read_index(tmp_path), Split.TRAIN, memory=0)
    with pytest.raises(DataError, match="cut short.*training check"):
        _ = drawn.image


@pytest.mark.parametrize(("facts", "told"), [
    ({"text": 123456}, "text 123456; allowed: a text in quotation marks"),
    ({"text": "AB1", "rows": 3}, "rows 3; allowed: 1, 2 or null"),
])
def test_texts_that_are_numbers_and_third_rows_are_named(tmp_path, facts, told) -> None:
    write_index(tmp_path, [row("a.png", **facts)], "crops.jsonl")
    with pytest.raises(DataError, match=f"crops.jsonl:1: .*{told}"):
        list(read_index(tmp_path))


def test_stream_is_seeded_and_makes_batches(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 200, 3), 90, np.uint8))
    write_index(tmp_path, [row("a.png", text="AB12", rows=2)], "crops.jsonl")
    items, _ = load_plates(read_index(tmp_path), Split.TRAIN)
    config = ReaderDataConfig(rendered=0.0, apart=0.0)
    one, two = (next(batches(PlateStream(items, None, config, 3), 4, 0)) for _ in range(2))
    assert torch.equal(one["image"], two["image"])
    assert one["image"].shape == (4, PLATE_HEIGHT, PLATE_WIDTH, 3)
    assert one["text"][0, :5].tolist() == [*encode("AB12")[:4], PAD]
    assert one["rows"].tolist() == [1] * 4


def test_plates_beyond_the_memory_are_cut_when_drawn_alike(tmp_path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    plates = [{"box": [x, 40, x + 40, 60], "corners": None, "text": "AB12"} for x in (20, 120)]
    write_index(tmp_path, [row("a.png", plates=plates)], "frames.jsonl")
    write_index(tmp_path, [row("a.png", text="AB13")], "crops.jsonl")
    size = 2 * 60 * 30 * 3 + 200 * 100 * 3  # both plates with their margins, and the cut-out
    held, drawn = (
        load_plates(read_index(tmp_path), Split.TRAIN, memory=memory)[0]
        for memory in (size, size - 1)
    )
    assert all(isinstance(plate, PlateItem) for plate in held)
    assert all(isinstance(plate, StoredPlate) for plate in drawn)
    config = ReaderDataConfig(rendered=0.0)
    one, two = (next(batches(PlateStream(p, None, config, 3), 8, 0)) for p in (held, drawn))
    for name in one:
        assert torch.equal(one[name], two[name])
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="training check"):
        _ = drawn[0].image
