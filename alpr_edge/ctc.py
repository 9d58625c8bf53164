"""Connectionist temporal classification (Graves et al. 2006): texts from a row of tokens.

Class 0 is the blank, which is :data:`alpr_edge.alphabet.PAD` too. Legend: L tokens, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from alpr_edge.alphabet import PAD

_IMPOSSIBLE = -np.inf


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithms of the shares along the last axis, in double precision."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def best_path(scores: NDArray[np.floating]) -> tuple[int, ...]:
    """Classes of the most probable path through ``scores`` (L, C): each token's best class,
    repetitions joined, blanks dropped."""
    return tuple(int(c) for c, _ in groupby(scores.argmax(axis=-1)) if c != PAD)


def log_likelihoods(
    log_probabilities: NDArray[np.float64], texts: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Logarithms of the probabilities of ``texts``, each summed over all paths that spell it:
    (K, N).

    Args:
        log_probabilities: (N, L, C), normalised over C.
        texts: K times classes, no blank among them; none at all is allowed. More than L are
            impossible (-inf).
    """
    states = np.full((len(texts), 2 * max(map(len, texts)) + 1), PAD)
    skips = np.zeros(states.shape, bool)  # from the character before, over the blank between
    for state, over, text in zip(states, skips, texts, strict=True):
        end = 2 * len(text)
        state[1:end:2] = text  # a blank before, between and after; what is beyond counts no more
        over[1:2] = True  # the first character may come first
        over[3:end:2] = state[3:end:2] != state[1 : max(end - 2, 1) : 2]
    blocked = np.where(skips, 0.0, _IMPOSSIBLE)
    rows = np.moveaxis(log_probabilities[..., states], 1, 0)  # (L, N, K, states)
    alpha = np.full((*rows.shape[1:3], states.shape[1] + 2), _IMPOSSIBLE)  # two impossible in front
    alpha[..., 1] = 0.0  # before the first token: left of the first blank
    for row in rows:
        stay, step, skip = alpha[..., 2:], alpha[..., 1:-1], alpha[..., :-2] + blocked
        alpha[..., 2:] = np.logaddexp(np.logaddexp(stay, step), skip) + row
        alpha[..., 1] = _IMPOSSIBLE  # that was the first token
    ends = [2 * len(text) + 2 for text in texts]
    return np.array([
        np.logaddexp(alpha[:, number, end], alpha[:, number, end - 1])
        for number, end in enumerate(ends)
    ])
