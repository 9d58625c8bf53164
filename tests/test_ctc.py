"""CTC: the best path and the likelihood of a text, by hand and beside PyTorch's loss."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from alpr_edge.alphabet import PAD
from alpr_edge.ctc import best_path, log_likelihoods


def log_likelihood(log_probabilities: np.ndarray, text: tuple[int, ...]) -> float:
    return float(log_likelihoods(log_probabilities[None], [text])[0, 0])


def random_log_probabilities(seed: int, tokens: int, classes: int) -> np.ndarray:
    scores = np.random.default_rng(seed).normal(0, 2, (tokens, classes))
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


@pytest.mark.parametrize(("path", "text"), [
    ((0, 2, 2, 0, 2, 1, 1), (2, 2, 1)), ((0, 0), ()), ((3, 3, 3), (3,)), ((), ()),
])
def test_repetitions_are_joined_and_blanks_dropped(path, text) -> None:
    assert best_path(np.eye(4)[list(path)].reshape(-1, 4)) == text


@pytest.mark.parametrize("text", [(), (1,), (1, 1), (1, 2), (2, 1, 2), (2, 2, 2)])
def test_the_likelihood_is_the_sum_over_all_paths(text) -> None:
    log_probabilities = random_log_probabilities(0, 5, 3)
    total = sum(
        np.exp(log_probabilities[range(5), path].sum())
        for path in itertools.product(range(3), repeat=5)
        if best_path(np.eye(3)[list(path)]) == text
    )
    assert np.exp(log_likelihood(log_probabilities, text)) == pytest.approx(total)


def test_a_text_longer_than_the_tokens_is_impossible() -> None:
    assert log_likelihood(random_log_probabilities(1, 2, 4), (1, 2, 3)) == -np.inf
    assert log_likelihood(random_log_probabilities(1, 2, 4), (1, 1)) == -np.inf


def test_it_is_what_pytorch_computes() -> None:
    torch = pytest.importorskip("torch")
    for seed, text in enumerate([(3,), (5, 5, 1), (1, 2, 3, 4, 5, 6, 7, 8, 9, 9)]):
        log_probabilities = random_log_probabilities(seed, 48, 75)
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probabilities)[:, None], torch.tensor([text]),
            torch.tensor([48]), torch.tensor([len(text)]), blank=PAD, reduction="sum",
        )
        assert log_likelihood(log_probabilities, text) == pytest.approx(-loss.item())


def test_several_texts_of_several_rows_are_as_each_alone() -> None:
    several = np.stack([random_log_probabilities(seed, 7, 5) for seed in range(6)])
    texts = ((), (1,), (2, 2, 3), (4, 3, 2, 1), (1, 1, 1, 1))
    alone = [[log_likelihood(one, text) for one in several] for text in texts]
    np.testing.assert_allclose(log_likelihoods(several, texts), alone)
