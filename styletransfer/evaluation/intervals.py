"""Compute bootstrap intervals over groups of pieces.

They are of ratios, of means over classes, and of their differences. A mean that weighs every note
alike is a ratio of two sums over pieces. Its interval is the percentile bootstrap (B. Efron and R.
Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13) over *groups* of pieces:
performances of one piece by several pianists are no independent evidence, so they are drawn
together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """A value with its interval, NaN where there is one group only."""

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
    """Divide two sums over pieces, with a bootstrap interval over groups.

    Args:
        numerator: shape (pieces,).
        denominator: shape (pieces,).
        groups: of each piece, which are drawn together.
        rng: draws the groups.
        draws: how many.
        level: of the interval.
    """
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


@dataclass(frozen=True)
class Resampled:
    """A statistic with its bootstrap draws, shape (draws,).

    So differences and ratios of statistics have intervals, too. They are paired where both come
    from the same groups and the same seed: then draw k of both has the same groups.
    """

    value: float
    draws: NDArray[np.float64]
    groups: int

    def __sub__(self, other: Resampled) -> Resampled:
        return Resampled(
            self.value - other.value, self.draws - other.draws, min(self.groups, other.groups)
        )

    def over(self, other: Resampled) -> Resampled:
        """Divide by another; NaN in draws, and as the value, where that isn't positive."""
        below = np.where(other.draws > 0, other.draws, np.nan)
        value = self.value / other.value if other.value > 0 else float("nan")
        return Resampled(value, self.draws / below, min(self.groups, other.groups))

    def interval(self, level: float = 0.95) -> Interval:
        """Give the percentile interval; NaN for one group, or where a draw has no value."""
        if self.groups < 2 or np.isnan(self.draws).any():
            return Interval(self.value, float("nan"), float("nan"), self.groups)
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return Interval(self.value, float(low), float(high), self.groups)


def class_mean(
    values: NDArray[np.float64],
    classes: Sequence[Hashable],
    groups: Sequence[Hashable],
    seed: int = 0,
    draws: int = DRAWS,
) -> Resampled:
    """Average over classes the mean of ``values`` in each class.

    Where a value is 1 for a hit, that is macro accuracy. Groups are drawn together across classes
    (the arrangements of one melody in several styles). Where every group lies in one class (real
    pieces, each by one composer), they are drawn within their class, so that no class is ever
    empty; a class of a single group has no interval, and neither has the mean.

    Args:
        values: shape (n,); NaN values are left out.
        classes: of each value, shape (n,).
        groups: of each value, shape (n,).
        seed: of the draws; statistics of the same groups and seed are paired.
        draws: how many.
    """
    known = ~np.isnan(values)
    if not known.any():
        return Resampled(float("nan"), np.full(draws, np.nan), 0)
    kinds, kind = np.unique(np.array([str(one) for one in classes])[known], return_inverse=True)
    names, member = np.unique(np.array([str(one) for one in groups])[known], return_inverse=True)
    total, count = np.zeros((len(names), len(kinds))), np.zeros((len(names), len(kinds)))
    np.add.at(total, (member, kind), values[known])
    np.add.at(count, (member, kind), 1.0)
    value = float((total.sum(axis=0) / count.sum(axis=0)).mean())
    rng = np.random.default_rng(seed)
    strata = [np.arange(len(names))]
    if len(kinds) > 1 and ((count > 0).sum(axis=1) == 1).all():
        strata = [np.flatnonzero(count[:, column]) for column in range(len(kinds))]
    if min(map(len, strata)) < 2:  # a class of one group would seem certain
        return Resampled(value, np.full(draws, np.nan), len(names))
    above, below = np.zeros((draws, len(kinds))), np.zeros((draws, len(kinds)))
    for rows in strata:
        weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws)
        above += weights @ total[rows]
        below += weights @ count[rows]

    means = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    present = np.maximum((below > 0).sum(axis=1), 1)  # a draw of few melodies may lack a class
    return Resampled(value, np.nansum(means, axis=1) / present, len(names))


def confusion_draws(
    counts: NDArray[np.float64],
    groups: Sequence[Hashable],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> NDArray[np.float64]:
    """Draw confusion matrices of resampled groups, shape (draws, labels, labels).

    Args:
        counts: each item's own matrix, shape (items, labels, labels): rows are the truth, columns
            the prediction.
        groups: items that are drawn together, shape (items,).
        rng: draws the groups.
        draws: how many.
    """
    _, member = np.unique([str(group) for group in groups], return_inverse=True)
    flat = counts.reshape(len(counts), -1)
    table = np.zeros((member.max() + 1, flat.shape[1]))
    np.add.at(table, member, flat)
    weights = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=draws)
    return np.asarray((weights @ table).reshape(draws, *counts.shape[1:]), np.float64)
