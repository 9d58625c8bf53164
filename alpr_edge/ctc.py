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


def best_path(scores: NDArray[np.floating]) -> tuple[int, ...]:
    """Classes of the most probable path through ``scores`` (L, C): each token's best class,
    repetitions joined, blanks dropped."""
    return tuple(int(c) for c, _ in groupby(scores.argmax(axis=-1)) if c != PAD)


def log_likelihood(log_probabilities: NDArray[np.float64], classes: Sequence[int]) -> float:
    """Logarithm of the probability of ``classes``, summed over all paths that spell them.

    Args:
        log_probabilities: (L, C), normalised over C.
        classes: no blank among them; none at all is allowed. More than L are impossible (-inf).
    """
    states = np.full(2 * len(classes) + 1, PAD)  # a blank before, between and after
    states[1::2] = classes
    skips = np.zeros(len(states), bool)  # from the character before, over the blank between
    skips[1:2] = True  # the first character may come first
    skips[3::2] = states[3::2] != states[1:-2:2]
    blocked = np.where(skips, 0.0, _IMPOSSIBLE)
    alpha = np.full(len(states) + 2, _IMPOSSIBLE)  # two impossible states in front
    alpha[1] = 0.0  # before the first token: left of the first blank
    for row in log_probabilities[:, states]:
        stay, step, skip = alpha[2:], alpha[1:-1], alpha[:-2] + blocked
        alpha[2:] = np.logaddexp(np.logaddexp(stay, step), skip) + row
        alpha[1] = _IMPOSSIBLE  # that was the first token
    return float(np.logaddexp.reduce(alpha[-2:]))
