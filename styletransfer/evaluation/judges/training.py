"""Train judges of both families on weighted examples, and calibrate them.

Both feels are learnt together. Not all composers have scores, so the feel could give away the
composer. Therefore weights make the composers' totals within a feel as even as the data allow (see
:func:`example_weights`), and features that are higher or lower in a score than in performances of
the same piece aren't read (see :func:`feel_bias`; they are mostly rhythm, which rubato blurs, and
intervals that slips and spread chords bring).

Two kinds of made-up examples join the real ones: excerpts without their melody, so that an
accompaniment alone can be judged, and notes in random order under random labels, which teach that
noise speaks for no one.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import Library, spread
from styletransfer.evaluation.judges.blocks import BLOCKS, SIZE, block_columns
from styletransfer.evaluation.judges.features import FEWEST_NOTES, features
from styletransfer.evaluation.judges.judge import Judge, aggregate

MOST_EXCERPTS = 12
"""The most excerpts of a piece that a judge is trained on, evenly spread.

More would let long pieces drown the others.
"""

COMMON = 0.05
"""The share of the training excerpts in which a feature must occur to be used."""

EVENNESS = 0.7
"""How even the weights are.

0: every example counts the same; 1: every composer in every feel counts the same, however few
pieces there are.
"""

MOST_WEIGHT = 5.0
"""The largest weight of an example, as a multiple of the mean weight.

A composer's only score mustn't count as a hundred.
"""

MOST_BIAS = 0.6
"""The largest difference between score and performance for a feature to be used.

It is a mean, in standard deviations between scores. On validation pieces of 13 composers it cost
0.015 of accuracy, and reduced the distance of the verdicts on score and performance of one piece
from 0.17 to 0.11; that of two performances is 0.06.
"""

WITHOUT_MELODY = 0.4
"""The weight of an excerpt without its melody, relative to the whole one's."""

NOISE = 0.04
"""The share of all weight that noise has."""

SMALL_BLOCK = 150
"""The largest block that J2 reads, in features.

Those are statistics, not n-grams, so that it sees other things than J1.
"""

HIDDEN, EPOCHS, DECAY = 48, 12, 1.0
"""J2's units, passes over the data, and L2 penalty."""

BEGINNINGS = (1, 2, 4, 8, 16)
"""How many excerpts from the start of each validation piece calibration reads, too."""

Change = Callable[
    [NDArray[np.float64], NDArray[np.int64]], tuple[NDArray[np.float64], NDArray[np.int64]]
]
Rows = NDArray[np.floating]


def settings() -> dict[str, float]:
    """Collect the numbers above that change what a judge learns.

    A step that was made under others is made again.
    """
    return {
        "most_excerpts": MOST_EXCERPTS,
        "common": COMMON,
        "evenness": EVENNESS,
        "most_weight": MOST_WEIGHT,
        "most_bias": MOST_BIAS,
        "without_melody": WITHOUT_MELODY,
        "noise": NOISE,
        "small_block": SMALL_BLOCK,
        "hidden": HIDDEN,
        "epochs": EPOCHS,
        "decay": DECAY,
    }


@dataclass(frozen=True)
class Examples:
    """Excerpts of pieces.

    Attributes:
        rows: features, shape (excerpts, SIZE).
        piece: the index of each one's piece in the library, shape (excerpts,).
    """

    rows: NDArray[np.float16]
    piece: NDArray[np.int64]

    def of(
        self, pieces: Sequence[int] | NDArray[np.int64], most: int | None = None
    ) -> NDArray[np.int64]:
        """Find the excerpts of some pieces, at most ``most`` of each, evenly spread."""
        begin, end = (
            np.searchsorted(self.piece, pieces),
            np.searchsorted(self.piece, pieces, side="right"),
        )
        chosen = [list(range(a, b)) for a, b in zip(begin, end, strict=True)]
        return np.array(
            [k for pool in chosen for k in (pool if most is None else spread(pool, most))], np.int64
        )


def read_examples(
    library: Library,
    pieces: Sequence[int],
    *,
    without_melody: bool = False,
    longest: int | None = None,
    change: Change | None = None,
) -> Examples:
    """Make the features of all excerpts of some pieces, ascending by piece.

    Args:
        library: where the pieces are.
        pieces: their indices.
        without_melody: leave out the melody's notes; pieces with nothing else are left out as a
            whole.
        longest: notes from the start of a piece to read at most.
        change: what to do to (onset, pitch) first.
    """
    rows: list[NDArray[np.float16]] = []
    owner: list[int] = []
    for index in sorted(pieces):
        notes = library.notes(index)[:longest]
        if without_melody:
            notes = notes[~notes["melody"]]
        onset, pitch = notes["onset"].astype(float), notes["pitch"].astype(np.int64)
        if change is not None:
            onset, pitch = change(onset, pitch)
        if len(onset) >= FEWEST_NOTES:
            rows.append(features(onset, pitch, library.pieces[index].feel).astype(np.float16))
            owner += [index] * len(rows[-1])

    table = np.concatenate(rows) if rows else np.zeros((0, SIZE), np.float16)
    return Examples(table, np.array(owner, np.int64))


def shuffled(rng: np.random.Generator) -> Change:
    """Make a change that puts the pitches in random order."""
    return lambda onset, pitch: (onset, rng.permutation(pitch))


def noise(rng: np.random.Generator) -> Change:
    """Make a change to notes at random times and pitches, as dense as the piece.

    There are as many as in the piece.
    """

    def change(
        onset: NDArray[np.float64], pitch: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return rng.uniform(onset.min(), onset.max() + 1e-3, len(onset)), rng.integers(
            28, 97, len(pitch)
        )

    return change


def example_weights(
    labels: Sequence[str], feels: Sequence[str], pieces: Sequence[int]
) -> NDArray[np.float64]:
    """Weigh examples, with a mean weight of 1: shape (excerpts,).

    A piece counts as the square root of its number of excerpts. A label's examples in one feel are
    divided by the total of such examples to the power of ``EVENNESS``.
    """
    _, member, count = np.unique(np.asarray(pieces), return_inverse=True, return_counts=True)
    weight = count[member] ** -0.5
    _, cell = np.unique(
        [f"{label}/{feel}" for label, feel in zip(labels, feels, strict=True)], return_inverse=True
    )
    weight = weight * np.bincount(cell, weight)[cell] ** -EVENNESS
    return np.asarray(np.minimum(weight / weight.mean(), MOST_WEIGHT), np.float64)


def feel_bias(
    scores: NDArray[np.floating], performances: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Measure how much each feature gives away the feel.

    Args:
        scores: means of the scores, shape (pairs, SIZE).
        performances: means of performances of the same pieces, of the same shape.

    Returns:
        The mean difference in standard deviations of the scores, shape (SIZE,); infinite where no
        score has a feature that performances have.
    """
    difference = np.abs((scores.astype(float) - performances).mean(axis=0))
    deviation = scores.astype(float).std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(difference > 0, difference / deviation, 0.0), np.float64)


def common_columns(
    rows: Rows, small: bool = False, fair: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Choose the columns in which enough of the rows have anything.

    Args:
        rows: features, shape (excerpts, SIZE).
        small: whether to choose from small blocks only.
        fair: shape (SIZE,), the features to choose from.
    """
    common = (rows != 0).mean(axis=0) >= COMMON
    if fair is not None:
        common &= fair
    if small:
        for block in BLOCKS:
            if block.size > SMALL_BLOCK:
                common[block_columns(block.name)] = False
    return np.flatnonzero(common)


def train_linear(
    name: str,
    rows: Rows,
    labels: NDArray[np.str_],
    weight: NDArray[np.float64],
    strength: float = 1.0,
    fair: NDArray[np.bool_] | None = None,
) -> Judge:
    """Train J1: multinomial logistic regression on centred features.

    All are divided by one number so that a row's mean square is 1.

    Args:
        name: of the judge.
        rows: features, shape (excerpts, SIZE).
        labels: shape (excerpts,).
        weight: shape (excerpts,).
        strength: scikit-learn's C, the inverse of the L2 penalty.
        fair: shape (SIZE,), features that may be read; None for all.
    """
    from sklearn.linear_model import LogisticRegression

    columns = common_columns(rows, fair=fair)
    inputs = rows[:, columns].astype(np.float32)
    mean = inputs.mean(axis=0)
    inputs -= mean
    scale = float(np.sqrt(np.einsum("ij,ij->", inputs, inputs) / len(inputs)))
    inputs /= np.float32(scale)
    model = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(
        inputs, labels, sample_weight=weight
    )
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes
        coefficients, intercept = (
            np.stack([-0.5 * coefficients[0], 0.5 * coefficients[0]]),
            intercept[0] * np.array([-0.5, 0.5]),
        )
    layer = (np.ascontiguousarray(coefficients.T, np.float32), np.asarray(intercept, np.float32))
    return Judge(
        name, tuple(str(label) for label in model.classes_), columns, mean, scale, (layer,)
    )


def train_network(
    name: str,
    rows: Rows,
    labels: NDArray[np.str_],
    weight: NDArray[np.float64],
    fair: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Judge:
    """Train J2: a network of one hidden layer of rectified linear units.

    It reads the small blocks only.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    columns = common_columns(rows, small=True, fair=fair)
    inputs = rows[:, columns].astype(np.float32)
    mean = inputs.mean(axis=0)
    inputs -= mean
    scale = float(np.sqrt(np.mean(inputs**2)))
    inputs /= np.float32(scale)
    model = MLPClassifier(
        (HIDDEN,), alpha=DECAY, batch_size=128, max_iter=EPOCHS, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of passes is the point
        model.fit(inputs, labels, sample_weight=weight)
    if len(model.classes_) < 3:
        raise ValueError("a network needs at least three labels")
    layers = tuple(
        (w.astype(np.float32), b.astype(np.float32))
        for w, b in zip(model.coefs_, model.intercepts_, strict=True)
    )
    return Judge(name, tuple(str(label) for label in model.classes_), columns, mean, scale, layers)


def calibration(scores: Sequence[NDArray[np.float64]], truth: Sequence[int]) -> tuple[float, float]:
    """Fit sharpness and growth to pieces and their beginnings.

    They have the least negative log-likelihood; each piece counts the same.

    Args:
        scores: log-probabilities of each piece, shape (excerpts, labels).
        truth: the numbers of their labels, shape (pieces,).
    """
    parts: list[tuple[int, NDArray[np.float64], int, float]] = []
    for score, label in zip(scores, truth, strict=True):
        lengths = sorted({min(length, len(score)) for length in (*BEGINNINGS, len(score))})
        parts += [
            (length, score[:length].mean(axis=0), label, 1 / len(lengths)) for length in lengths
        ]

    count = np.array([part[0] for part in parts], float)
    mean = np.stack([part[1] for part in parts])
    right, weight = np.array([part[2] for part in parts]), np.array([part[3] for part in parts])
    best = (np.inf, 1.0, 0.0)
    for growth in np.linspace(0, 1, 11):
        for sharpness in np.geomspace(0.2, 5, 33):
            logits = mean * (sharpness * count**growth)[:, None]
            top = logits.max(axis=1)
            loss = (
                np.log(np.exp(logits - top[:, None]).sum(axis=1))
                + top
                - logits[np.arange(len(right)), right]
            )
            best = min(best, (float(weight @ loss), float(sharpness), float(growth)))

    return best[1], best[2]


def cross_validate(
    rows: Rows,
    pieces: NDArray[np.int64],
    labels: NDArray[np.str_],
    feels: NDArray[np.str_],
    fold: NDArray[np.int64],
    strength: float = 1.0,
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Judge each excerpt by the J1 that was trained without its fold.

    All arguments but the last have shape (excerpts, …). Training reads at most ``MOST_EXCERPTS`` of
    a piece's excerpts in its folds, and all features: within one feel none is unfair.

    Returns:
        The labels, and log-probabilities of shape (excerpts, labels).
    """
    result: NDArray[np.float64] = np.zeros((len(rows), len(np.unique(labels))))
    names: tuple[str, ...] = ()
    for number in np.unique(fold):
        outside, inside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        chosen = np.concatenate(
            [outside[spread(list(pool), MOST_EXCERPTS)] for pool in _runs(pieces[outside])]
            or [np.zeros(0, np.int64)]
        )
        weight = example_weights(
            labels[chosen].tolist(), feels[chosen].tolist(), pieces[chosen].tolist()
        )
        judge = train_linear("fold", rows[chosen], labels[chosen], weight, strength)
        names = tuple(np.unique(labels).tolist())
        known = np.array([names.index(label) for label in judge.labels])
        result[np.ix_(inside, np.setdiff1d(np.arange(len(names)), known))] = -np.inf
        result[np.ix_(inside, known)] = judge.log_probabilities(rows[inside])

    return names, result


def _runs(values: NDArray[np.int64]) -> list[range]:
    """Find stretches of equal values, as ranges of positions."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [range(a, b) for a, b in itertools.pairwise(edges)] if len(values) else []


def calibrated(
    judge: Judge, scores: Sequence[NDArray[np.float64]], truth: Sequence[str], card: dict[str, Any]
) -> Judge:
    """Calibrate a judge on validation pieces, and put a card into it."""
    sharpness, growth = calibration(scores, [judge.labels.index(label) for label in truth])
    return Judge(
        judge.name,
        judge.labels,
        judge.columns,
        judge.mean,
        judge.scale,
        judge.layers,
        sharpness,
        growth,
        card,
    )


def judged(judge: Judge, scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Give calibrated probabilities of pieces, shape (pieces, labels).

    Args:
        judge: the judge.
        scores: the log-probabilities of each piece's excerpts.
    """
    return np.stack([aggregate(score, judge.sharpness, judge.growth) for score in scores])
