"""Measure judges: accuracy, F1, calibration, and fairness to both feels.

Definitions: the F1 of a label is the harmonic mean of its precision and recall; macro F1 is their
mean over labels that occur, weighted F1 that mean weighted by the labels' numbers of items
(scikit-learn's ``f1_score``). The expected calibration error is the mean, weighted by items, of
|accuracy - confidence| in ten equal bins of the highest probability (C. Guo et al., "On calibration
of modern neural networks", ICML 2017). Intervals are percentile bootstraps over content groups,
10,000 draws (:mod:`styletransfer.evaluation.intervals`); labels that a draw lacks are left out of
its macro F1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import PieceInfo
from styletransfer.evaluation.intervals import DRAWS, confusion_draws

SEED = 0
BINS = 10
SAME_LENGTH = 1.25
"""How many times as many notes as the other one of a pair may have.

A score and a performance that differ by more aren't of the same movements.
"""

Probabilities = NDArray[np.float64]


def measure(
    labels: Sequence[str],
    truth: Sequence[str],
    probabilities: Probabilities,
    groups: Sequence[str],
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Take all measures of probabilities, as plain data.

    Args:
        labels: names of the columns.
        truth: the right label of each item, shape (items,).
        probabilities: shape (items, labels).
        groups: content groups, which are drawn together, shape (items,).
        draws: of the bootstrap.

    Returns:
        Values with intervals are [value, low, high].
    """
    size = len(labels)
    right = np.array([labels.index(label) for label in truth])
    guess = probabilities.argmax(axis=1)
    own = np.zeros((len(right), size, size))
    own[np.arange(len(right)), right, guess] = 1
    table = own.sum(axis=0)
    drawn = confusion_draws(own, groups, np.random.default_rng(SEED), draws)
    values, resampled = scores_of(table), scores_of(drawn)
    enough = len(set(groups)) > 1

    def with_interval(name: str) -> list[float | None]:
        low, high = np.nanquantile(resampled[name], (0.025, 0.975)) if enough else (np.nan, np.nan)
        return [_plain(values[name]), _plain(low), _plain(high)]

    return {
        "items": len(right),
        "groups": len(set(groups)),
        "majority": _plain(table.sum(axis=1).max() / len(right)),
        **{name: with_interval(name) for name in ("accuracy", "weighted_f1", "macro_f1")},
        "f1": {label: _plain(values["f1"][k]) for k, label in enumerate(labels)},
        "support": {label: int(table[k].sum()) for k, label in enumerate(labels)},
        "confusion": table.astype(int).tolist(),
        "calibration_error": _plain(calibration_error(probabilities, right)),
        "log_loss": _plain(
            -np.log(np.maximum(probabilities[np.arange(len(right)), right], 1e-12)).mean()
        ),
        "labels": list(labels),
    }


def scores_of(tables: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Compute accuracy and F1 from confusion matrices of shape (..., labels, labels).

    Returns:
        Accuracy, weighted and macro F1, shape (...), and F1, shape (..., labels); the F1 of a label
        that doesn't occur is NaN.
    """
    hit = np.diagonal(tables, axis1=-2, axis2=-1)
    actual, guessed = tables.sum(axis=-1), tables.sum(axis=-2)
    f1 = np.where(actual > 0, 2 * hit / np.maximum(actual + guessed, 1e-9), np.nan)
    total = np.maximum(actual.sum(axis=-1), 1e-9)
    return {
        "accuracy": hit.sum(axis=-1) / total,
        "weighted_f1": np.nansum(f1 * actual, axis=-1) / total,
        "macro_f1": np.nansum(f1, axis=-1) / np.maximum((actual > 0).sum(axis=-1), 1),
        "f1": f1,
    }


def calibration_error(probabilities: Probabilities, truth: NDArray[np.int64]) -> float:
    """Compute the expected calibration error of probabilities (items, labels), from 0."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, right - confidence, minlength=BINS)
    return float(np.abs(gap).sum() / len(truth))


def feel_pairs(
    pieces: Sequence[PieceInfo], chosen: Sequence[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pair chosen pieces of the same content and about as many notes.

    Returns:
        Pairs of (score, performance), and pairs of two performances.
    """
    groups: dict[str, list[int]] = {}
    for index in chosen:
        groups.setdefault(pieces[index].group, []).append(index)
    across, within = [], []
    for members in groups.values():
        for i in members:
            for j in members:
                counts = sorted((pieces[i].count, pieces[j].count))
                if pieces[j].feel != "performance" or counts[1] > SAME_LENGTH * counts[0]:
                    continue
                if pieces[i].feel == "score":
                    across.append((i, j))
                elif i < j:
                    within.append((i, j))
    return across, within


def agreement(
    pairs: Sequence[tuple[int, int]], probabilities: dict[int, Probabilities]
) -> dict[str, Any]:
    """Measure how alike the two pieces of each pair are judged.

    Returns:
        The share of equal verdicts, and the mean total variation distance (0 to 1).
    """
    if not pairs:
        return {"pairs": 0, "same_verdict": None, "distance": None}
    first = np.stack([probabilities[i] for i, _ in pairs])
    second = np.stack([probabilities[j] for _, j in pairs])
    return {
        "pairs": len(pairs),
        "same_verdict": _plain((first.argmax(axis=1) == second.argmax(axis=1)).mean()),
        "distance": _plain(0.5 * np.abs(first - second).sum(axis=1).mean()),
    }


def kappa(first: NDArray[np.int64], second: NDArray[np.int64], size: int) -> float:
    """Compute Cohen's kappa of two judges' verdicts (items,): 1 agreement, 0 chance."""
    agree = float((first == second).mean())
    chance = float(
        (np.bincount(first, minlength=size) * np.bincount(second, minlength=size)).sum()
        / len(first) ** 2
    )
    return (agree - chance) / (1 - chance) if chance < 1 else 1.0


def majority_by(key: Sequence[str], labels: Sequence[str], fold: NDArray[np.int64]) -> list[str]:
    """Guess each item by the commonest label of the same key in the other folds.

    Where the key doesn't occur there, the commonest label of all is the guess.
    """
    result = []
    for item, own in zip(key, fold.tolist(), strict=True):
        outside = [
            (k, label) for k, label, f in zip(key, labels, fold.tolist(), strict=True) if f != own
        ]
        same = Counter(label for k, label in outside if k == item) or Counter(
            label for _, label in outside
        )
        result.append(min(same, key=lambda label: (-same[label], label)))
    return result


def _plain(value: Any) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 4)
