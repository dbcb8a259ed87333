"""Bootstrap intervals of ratios over groups of pieces.

A mean that weighs every note alike is a ratio of two sums over pieces. Its interval is the percentile bootstrap
(B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13) over *groups* of pieces: performances
of one piece by several pianists are no independent evidence, so they are drawn together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """A ratio with its interval, NaN where there is one group only."""

    value: float
    low: float
    high: float
    groups: int


def ratio_interval(
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
    groups: Sequence[Hashable],
    rng: np.random.Generator,
    draws: int = DRAWS,
    level: float = 0.95,
) -> Interval:
    """The sum of ``numerator`` over that of ``denominator``, both (pieces,), with a bootstrap interval over groups."""
    _, member = np.unique([str(group) for group in groups], return_inverse=True)
    above = np.bincount(member, numerator)
    below = np.bincount(member, denominator)
    value = float(above.sum() / below.sum())
    count = len(above)
    if count < 2:
        return Interval(value, float("nan"), float("nan"), count)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    ratios = (weights @ above) / (weights @ below)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), count)
