"""training.dropout: as torch's, with cheaper masks."""

from __future__ import annotations

import torch

from training.dropout import Dropout, random_bytes


def test_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropped = Dropout(0.25)(torch.ones(1000, 1001))
    assert abs(float((dropped == 0).float().mean()) - 0.25) < 0.002
    assert dropped.unique().tolist() == [0.0, torch.tensor(1 / 0.75).item()]


def test_gradient_passes_where_the_value_did() -> None:
    values = torch.ones(5, 7, requires_grad=True)
    dropped = Dropout(0.5)(values)
    dropped.sum().backward()
    assert values.grad is not None and torch.equal(values.grad, dropped.detach())


def test_keeps_the_type_of_mixed_precision() -> None:
    assert Dropout(0.1)(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_does_nothing_in_evaluation_and_at_zero() -> None:
    values = torch.randn(64)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)


def test_drops_everything_at_one() -> None:
    assert not Dropout(1.0)(torch.ones(64)).any()


def test_a_seed_repeats_it() -> None:
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(Dropout(0.1)(torch.ones(1001)))
    assert torch.equal(*draws)


def test_random_bytes_are_uniform() -> None:
    torch.manual_seed(0)
    counts = torch.bincount(random_bytes(2**20 + 3).long(), minlength=256)
    assert int(counts.sum()) == 2**20 + 3
    expected = 2**20 / 256
    assert float(((counts - expected) ** 2 / expected).sum()) < 350  # chi-squared, 255 degrees
