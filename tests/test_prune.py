"""Structured pruning: what is cut equals what is switched off, and the checkpoint builds again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from drawn import build_data

torch = pytest.importorskip("torch", reason="needs the extra 'optimize'")

from alpr_edge.errors import UsageError
from optimize import prune as pruning
from optimize.__main__ import parser
from optimize.prune_groups import Member, explicit, groups_of, macs, uses
from training.checkpoint import load_weights, save_weights
from training.detector.model import Detector, DetectorConfig
from training.networks import build
from training.reader.model import Reader, ReaderConfig

READER = ReaderConfig(
    width=16, heads=2, encoder_layers=2, decoder_layers=2, stem=(16, 16, 16), dropout=0.0
)
DETECTOR = DetectorConfig(channels=16, bifpn_layers=1, head_layers=1, bins=5)


@pytest.fixture(scope="module")
def networks():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = {"reader": Reader(READER), "detector": Detector(DETECTOR)}
    for network in made.values():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return {task: network.eval() for task, network in made.items()}


def batch_of(task: str) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    if task == "reader":
        image = torch.from_numpy(rng.integers(0, 256, (2, 48, 192, 3), np.uint8))
        return {"image": image, "text": torch.full((2, 10), 3), "rows": torch.zeros(2).long()}
    box = torch.tensor([[[8.0, 8.0, 56.0, 32.0]]])
    return {
        "images": torch.from_numpy(rng.integers(0, 256, (1, 64, 64, 3), np.uint8)), "boxes": box,
        "corners": box[..., [0, 1, 2, 1, 2, 3, 0, 3]].unflatten(-1, (4, 2)),
        "valid": torch.ones(1, 1, dtype=torch.bool), "ignore": torch.zeros(1, 1, dtype=torch.bool),
        "box_weight": torch.ones(1, 1), "corner_weight": torch.ones(1, 1),
        "complete": torch.ones(1, dtype=torch.bool),
    }


def image_of(task: str) -> torch.Tensor:
    return batch_of(task)["image" if task == "reader" else "images"]


def switched_off(network, scores, counts):
    """A copy in which the gates of all units but the best ``counts`` of each group are 0."""
    copy = type(network)(network.config).eval()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for group, score, count in zip(groups_of(network), scores, counts, strict=True):
        worst = score.argsort()[: group.count - count]
        for member in (member for gate in group.gates for member in gate):
            member.unfold(state[member.name], group.count).index_fill_(member.dim + 1, worst, 0.0)
    copy.load_state_dict(state)
    return copy


@pytest.mark.parametrize("task", ["reader", "detector"])
def test_cutting_equals_switching_off(networks, task):
    network = networks[task]
    torch.manual_seed(1)
    groups = groups_of(network)
    scores = [torch.rand(group.count) for group in groups]
    counts = [max(group.pack, group.count // 2) for group in groups]
    made = pruning._rebuilt(network, groups, scores, counts, (0, 0)).network
    with torch.inference_mode():
        for wanted, got in zip(
            switched_off(network, scores, counts)(image_of(task)), made(image_of(task)), strict=True
        ):
            torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
    assert sum(p.numel() for p in made.parameters()) < sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("task", ["reader", "detector"])
def test_spelling_the_widths_out_changes_nothing(networks, task):
    network = networks[task]
    same = type(network)(explicit(network.config))
    same.load_state_dict(network.state_dict())
    assert explicit(same.config) == same.config


def test_importance_is_the_losss_derivative(networks):
    """Second route: the loss with one hidden unit scaled a little."""
    network, batch = networks["reader"], batch_of("reader")
    groups = groups_of(network)
    index = next(i for i, group in enumerate(groups) if group.field == "mlp_widths")
    told = pruning.importance(network, [batch])[index][5].item()
    weight = network.encoder.blocks[0].mlp[3].weight
    with torch.no_grad():
        original = weight[:, 5].clone()
        losses = []
        for factor in (0.9, 1.1):
            weight[:, 5] = original * factor
            losses.append(network.loss(batch)["loss"].item())
        weight[:, 5] = original
    assert told == pytest.approx(abs(losses[1] - losses[0]) / 0.2, rel=0.02, abs=1e-5)


def test_a_key_and_value_head_is_cut_in_both_halves():
    rows = torch.arange(8.0)[:, None]  # keys of heads 0, 1: 0 1, 2 3; values: 4 5, 6 7
    member = Member(name="key_value.weight", parts=2)
    assert member.cut(rows, 2, torch.tensor([1])).flatten().tolist() == [2, 3, 6, 7]
    assert member.by_unit(rows, 2).tolist() == [0 + 1 + 4 + 5, 2 + 3 + 6 + 7]


class ToPlanes(torch.nn.Module):
    def forward(self, image):
        return image.permute(0, 3, 1, 2).float()


def test_macs_by_hand():
    network = torch.nn.Sequential(
        ToPlanes(), torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.nn.Flatten(),
        torch.nn.Linear(8 * 16, 5),
    )
    used = uses(network, (1, 8, 8, 3))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert macs(shapes, used) == 16 * 8 * 27 + 16 * 8 * 9 + 5 * 128


@pytest.mark.parametrize(("task", "field"), [("reader", "mlp_widths"), ("detector", "widths")])
def test_the_least_important_units_go_until_few_enough_are_left(networks, task, field):
    network = networks[task]
    groups = groups_of(network)
    scores = [torch.ones(group.count) for group in groups]
    for group, score in zip(groups, scores, strict=True):
        if group.field == field:
            score *= 1e-4
    before = pruning.count_macs(network)
    made = pruning.cut(network, scores, round(before * 0.98))
    assert made.macs == (before, pruning.count_macs(made.network))
    assert 0.9 * before < made.macs[1] <= 0.98 * before
    changed = {
        name for name, value in dataclasses.asdict(made.network.config).items()
        if value != dataclasses.asdict(explicit(network.config))[name]
    }
    assert changed == {field}
    with pytest.raises(UsageError, match="give a lower --ratio"):
        pruning.cut(network, scores, before // 100)


def test_the_block_that_matters_least_goes(networks):
    network = networks["reader"]
    idle = Reader(READER).eval()
    idle.load_state_dict(network.state_dict())
    for part in (idle.encoder.blocks[0].attention.out, idle.encoder.blocks[0].mlp[3]):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    made = pruning._without(idle, 0, 0)
    assert made.config.encoder_layers == 1 and len(made.config.head_counts) == 5
    image = image_of("reader")
    with torch.inference_mode():
        for wanted, got in zip(idle(image), made(image), strict=True):
            torch.testing.assert_close(got, wanted)
    fewest = pruning.without_least_block(idle, [batch_of("reader")])
    losses = [pruning._mean_loss(n, [batch_of("reader")]) for n in (fewest, made)]
    assert losses[0] <= losses[1]
    alone = pruning._without(pruning._without(idle, 0, 0), 1, 1)
    with pytest.raises(UsageError, match=r"1 \+ 1 blocks"):
        pruning.without_least_block(alone, [])
    with pytest.raises(UsageError, match="detector"):
        pruning.without_least_block(networks["detector"], [])


def test_a_pruned_checkpoint_builds_again(networks, tmp_path, monkeypatch):
    root = tmp_path / "root.safetensors"
    save_weights(root, task="reader", config=READER, state=networks["reader"].state_dict(),
                 notes={"variant": "tiny", "dev": {"exact": 0.5}, "temperature": 1.5})
    monkeypatch.setattr(pruning, "BATCHES", 1)
    monkeypatch.setattr("training.distill.BATCH", 4)
    data = build_data(tmp_path / "data", splits=("train", "dev"))
    path = root
    for ratio in (0.1, 0.2):
        path = pruning.prune(path, ratio, data, tmp_path / f"{ratio}.safetensors")
    weights = load_weights(path)
    before = pruning.count_macs(networks["reader"])
    assert weights.notes["macs"] == pruning.count_macs(build(weights)) <= 0.8 * before
    assert weights.notes["root_macs"] == before and weights.notes["temperature"] == 1.5
    assert [line["step"] for line in weights.notes["lineage"]] == ["train", "prune"]
    assert weights.notes["lineage"][0]["sha256"] == load_weights(root).sha256
    assert "dev" not in weights.notes


@pytest.mark.parametrize("share", ["half", "0", "1.5", "nan"])
def test_a_share_that_is_none_says_what_is_allowed(share, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["prune", "a", "--data", "d", "--out", "o", "--ratio", share])
    assert f"{share!r}; allowed: above 0 and below 1" in capsys.readouterr().err
