"""Compare versions of the same songs, in pairs and by forests of trees.

The forests learn to distinguish the versions.

Two versions share the song, and songs differ more than versions do; so differences are taken song
by song. Intervals are 95 % percentile bootstraps over songs, as in
:mod:`styletransfer.evaluation.intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.intervals import DRAWS, class_mean

Row = dict[str, float]
"""Measures of a song, or of a window of it, by name; NaN where there is nothing to measure."""

FOLDS, TREES, LEAF = 10, 500, 3
"""Folds of songs, trees of a forest, and the fewest windows in a leaf. Set once, never tuned."""

FOUND = ("value", "reference", "difference", "low", "high", "t")
"""What a comparison holds besides the number of songs, see :func:`paired`."""

FORESTS = 3
"""Forests of different seeds whose scores are averaged: one moves the AUC by about 0.01."""


def paired(
    version: Sequence[Row],
    reference: Sequence[Row],
    songs: Sequence[str],
) -> dict[str, Row]:
    """Compare a version with a reference over the songs that have both values.

    Args:
        version: the measures of each song.
        reference: those of the same songs, in the same order.
        songs: their names.

    Returns:
        By measure: ``songs``, their number; ``value`` and ``reference``, the means; ``difference``,
        ``low`` and ``high``, of the version less the reference, with its interval; ``t``, the mean
        difference over its standard error, NaN where all differences are equal.
    """
    found: dict[str, Row] = {}
    for name in reference[0]:
        mine, theirs = (np.array([row[name] for row in rows]) for rows in (version, reference))
        known = ~np.isnan(mine - theirs)
        if not known.any():
            found[name] = {"songs": 0.0} | dict.fromkeys(FOUND, float("nan"))
            continue
        less = (mine - theirs)[known]
        chosen = [song for song, is_known in zip(songs, known, strict=True) if is_known]
        interval = class_mean(less, ["all"] * len(less), chosen).interval()
        error = float(less.std(ddof=1) / np.sqrt(len(less))) if len(less) > 1 else 0.0
        found[name] = {
            "songs": float(len(less)),
            "value": float(mine[known].mean()),
            "reference": float(theirs[known].mean()),
            "difference": interval.value,
            "low": interval.low,
            "high": interval.high,
            "t": interval.value / error if error > 1e-12 else float("nan"),
        }

    return found


def told_apart(
    version: Sequence[Sequence[Row]],
    reference: Sequence[Sequence[Row]],
    names: Sequence[str],
) -> Row:
    """Train forests to tell a version from a reference, and test them on other songs.

    A song's windows are in one fold, in both versions, so that no forest judges a song of which it
    has seen anything. A song's score is the mean over its windows.

    Args:
        version: for each song, the measures of its windows.
        reference: the same of the other version, songs in the same order.
        names: of the measures that the forests see.

    Returns:
        ``auc`` with ``low`` and ``high``, see :func:`auc`; ``songs``; ``windows`` in all.
    """
    from sklearn.ensemble import RandomForestClassifier

    both = [n for n in range(len(version)) if version[n] and reference[n]]
    rows = [
        (kind, n, row)
        for kind, part in enumerate((reference, version))
        for n in both
        for row in part[n]
    ]  # fmt: skip
    x = np.array([[row[name] for name in names] for _, _, row in rows])
    kind, song = np.array([one for one, _, _ in rows]), np.array([n for _, n, _ in rows])
    fold = np.searchsorted(both, song) % FOLDS

    score = np.zeros(len(rows))
    for k in np.unique(fold):
        for seed in range(FORESTS):
            forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, random_state=seed)
            forest.fit(x[fold != k], kind[fold != k])
            score[fold == k] += forest.predict_proba(x[fold == k])[:, 1] / FORESTS

    def of_songs(which: int) -> NDArray[np.float64]:
        return np.array([score[(song == n) & (kind == which)].mean() for n in both])

    return auc(of_songs(1), of_songs(0)) | {"songs": float(len(both)), "windows": float(len(rows))}


def auc(mine: NDArray[np.float64], theirs: NDArray[np.float64], seed: int = 0) -> Row:
    """Give the share of pairs in which a score of ``mine`` is higher; ties count half.

    That is the area under the ROC curve: 0.5 where nothing distinguishes the two. Its interval
    draws songs, and with a song both its scores, each (songs,).
    """
    wins = (mine[:, None] > theirs) + 0.5 * (mine[:, None] == theirs)
    count = len(mine)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    draws = ((weights @ wins) * weights).sum(axis=1) / count**2
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"auc": float(wins.mean()), "low": float(low), "high": float(high)}
