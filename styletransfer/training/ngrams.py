"""Model token ids by n-grams: the baselines that a network has to beat.

Interpolated modified Kneser-Ney smoothing (R. Kneser and H. Ney, "Improved backing-off for m-gram
language modeling", ICASSP 1995; its interpolated form with three discounts: S. F. Chen and J.
Goodman, "An empirical study of smoothing techniques for language modeling", Computer Speech and
Language 13, 1999, sections 2.7 and 3):

    p_k(w | h) = max(c(hw) - D(c(hw)), 0) / c(h) + g(h) p_{k-1}(w | h'),   h' = h without its oldest
    token,

where c counts occurrences at the highest order and distinct left neighbours below it, and g(h)
gives away what the discounts took. The recursion ends in the uniform distribution over the
vocabulary; a context that was never seen is left out of it.

Only *scored* tokens are counted and predicted, as in :mod:`styletransfer.training.likelihood`;
their contexts are the tokens before them in the sequence, whatever those are. Known deviations:
where the data is so small that no n-gram was seen exactly once, twice, three or four times, all
counts have one discount, as in Kneser and Ney's first form; and discounts stay within their counts.

N-grams are packed into int64, ``BITS`` a token, the newest token lowest, and kept in sorted arrays
with binary search rather than in dictionaries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = 10  # a vocabulary of at most 1,024 tokens
HIGHEST_ORDER = 6  # 60 bits

Keys = NDArray[np.int64]


def packed(ids: NDArray[np.integer], scored: NDArray[np.bool_], order: int) -> Keys:
    """Return keys of the n-grams that end at the scored positions, in their order.

    Raises:
        ValueError: where a scored position has fewer than ``order - 1`` tokens before it.
    """
    if scored[: order - 1].any():
        raise ValueError(f"a scored token has fewer than {order - 1} tokens before it")
    keys = np.zeros(max(len(ids) - order + 1, 0), np.int64)
    for offset in range(order):
        keys <<= BITS
        keys |= ids[offset : offset + len(keys)]
    return keys[scored[order - 1 :]]


class Counts:
    """How often each n-gram was seen.

    ``keys``, which are sorted, and ``counts`` have shape (n-grams,).
    """

    def __init__(self, order: int) -> None:
        if not 1 <= order <= HIGHEST_ORDER:
            raise ValueError(f"the order lies between 1 and {HIGHEST_ORDER}")
        self.order = order
        self.keys: Keys = np.zeros(0, np.int64)
        self.counts = np.zeros(0, np.int32)

    def add(self, keys: Keys) -> None:
        """Count more n-grams; few large portions are cheaper than many small ones."""
        found, times = np.unique(keys, return_counts=True)
        if len(self.keys):
            union = np.union1d(self.keys, found)
            counts = np.zeros(len(union), np.int32)
            counts[np.searchsorted(union, self.keys)] = self.counts
            counts[np.searchsorted(union, found)] += times.astype(np.int32)
            self.keys, self.counts = union, counts
        else:
            self.keys, self.counts = found, times.astype(np.int32)


@dataclass(frozen=True)
class _Level:
    """One order of the model.

    ``share``: the discounted relative frequency of each n-gram. ``passed``: what each context
    passes on to the order below.
    """

    keys: Keys
    share: NDArray[np.float32]
    contexts: Keys
    passed: NDArray[np.float32]


class KneserNey:
    """An n-gram model over ``vocabulary`` tokens, of the same order as its counts."""

    def __init__(self, counts: Counts, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.levels: list[_Level] = []
        keys, times = counts.keys, counts.counts
        for order in range(counts.order, 0, -1):
            self.levels.append(_level(keys, times))
            if order > 1:
                keys, distinct = np.unique(keys & _mask(order - 1), return_counts=True)
                times = distinct.astype(np.int32)
        self.levels.reverse()

    def bits(self, keys: Keys) -> NDArray[np.float64]:
        """Return the bits of each n-gram's last token, given those before it.

        Args:
            keys: of the n-grams, shape (n-grams,).

        Returns:
            Shape (n-grams,).
        """
        queries, inverse = np.unique(keys, return_inverse=True)
        probability = np.full(len(queries), 1.0 / self.vocabulary)
        for order, level in enumerate(self.levels, 1):
            gram = queries & _mask(order)
            passed = _lookup(level.contexts, level.passed, gram >> BITS, 1.0)
            probability = _lookup(level.keys, level.share, gram, 0.0) + passed * probability
        result: NDArray[np.float64] = -np.log2(probability)[inverse]
        return result


def _level(keys: Keys, counts: NDArray[np.int32]) -> _Level:
    once, twice, thrice, four = (int((counts == n).sum()) for n in (1, 2, 3, 4))
    rate = once / max(once + 2 * twice, 1)
    if min(once, twice, thrice, four):
        discount = np.array(
            [
                0,
                1 - 2 * rate * twice / once,
                2 - 3 * rate * thrice / twice,
                3 - 4 * rate * four / thrice,
            ]
        )
    else:
        discount = np.array([0, rate, rate, rate])
    discount = np.clip(discount, [0, 0.01, 0.01, 0.01], [0, 0.99, 1.99, 2.99])

    context = keys >> BITS
    begin = np.flatnonzero(np.diff(context, prepend=-1))
    total = np.add.reduceat(counts, begin, dtype=np.int64) if len(keys) else np.zeros(0, np.int64)
    taken = discount.astype(np.float32)[np.minimum(counts, 3)]
    length = np.diff(begin, append=len(keys))
    share = (counts - taken) / np.repeat(total, length).astype(np.float32)
    passed = np.add.reduceat(taken, begin, dtype=np.float64) / total if len(keys) else np.zeros(0)
    return _Level(keys, share.astype(np.float32), context[begin], passed.astype(np.float32))


def _mask(order: int) -> int:
    return (1 << BITS * order) - 1


def _lookup(
    keys: Keys, values: NDArray[np.float32], wanted: Keys, default: float
) -> NDArray[np.float64]:
    if not len(keys):
        return np.full(len(wanted), default)
    index = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[index] == wanted
    return np.where(found, values[index].astype(np.float64), default)
