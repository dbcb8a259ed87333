"""Train and measure a judge on a prepared data set.

This is what :mod:`eval.judges` does for each set of labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import Library
from styletransfer.evaluation.judges import training as training
from styletransfer.evaluation.judges.judge import Judge
from styletransfer.evaluation.judges.measures import agreement, feel_pairs, measure

FROM_ONE_PIECE = 3
"""The most excerpts of one piece without its melody that a judge is trained on."""

MOST_PERFORMANCES = 3
"""The most performances of one score that are read to see what the feel changes."""


@dataclass(frozen=True)
class Data:
    """A library with the features of its excerpts.

    Attributes:
        library: the pieces.
        split: of each piece, shape (pieces,).
        feel: of each piece, shape (pieces,).
        group: the content group of each piece, shape (pieces,).
        whole: excerpts of all pieces.
        accompaniment: excerpts without the melody's notes.
        noise: excerpts of notes that are no longer music.
    """

    library: Library
    split: NDArray[np.str_]
    feel: NDArray[np.str_]
    group: NDArray[np.str_]
    whole: training.Examples
    accompaniment: training.Examples
    noise: training.Examples

    @cached_property
    def fair(self) -> NDArray[np.bool_]:
        """Mark the features that are alike in scores and performances of a piece.

        Returns:
            Shape (SIZE,), from the training pieces; all are marked where no piece has both feels.
        """
        pairs, _ = feel_pairs(self.library.pieces, np.flatnonzero(self.split == "train").tolist())
        if not pairs:
            return np.ones(self.whole.rows.shape[1], bool)

        def mean(pieces: list[int]) -> NDArray[np.float64]:
            each = [
                self.whole.rows[self.whole.of([piece])].astype(np.float64).mean(axis=0)
                for piece in pieces
            ]
            return np.asarray(np.mean(each, axis=0), np.float64)

        played: dict[int, list[int]] = {}
        for score, performance in pairs:
            played.setdefault(score, []).append(performance)
        scores = np.stack([mean([score]) for score in played])
        performances = np.stack([mean(one[:MOST_PERFORMANCES]) for one in played.values()])
        return np.asarray(training.feel_bias(scores, performances) <= training.MOST_BIAS)

    def labels(self, labels: tuple[str, ...]) -> NDArray[np.str_]:
        """Give the composer or era of each piece that is among the labels, "" for others.

        Returns:
            Shape (pieces,).
        """
        known = [{piece.composer, piece.era} & set(labels) for piece in self.library.pieces]
        return np.array([found.pop() if found else "" for found in known])


def train(
    data: Data,
    name: str,
    label: NDArray[np.str_],
    pieces: NDArray[np.int64],
    strength: float,
    network: bool = False,
) -> Judge:
    """Train a judge, and calibrate it on validation pieces.

    Args:
        data: all pieces.
        name: of the judge.
        label: shape (pieces of the library,), the label of each.
        pieces: the training pieces.
        strength: the inverse penalty of a linear judge.
        network: whether to train a network instead.
    """
    whole, bare = (
        data.whole.of(pieces, training.MOST_EXCERPTS),
        data.accompaniment.of(pieces, FROM_ONE_PIECE),
    )
    owner, bare_owner = data.whole.piece[whole], data.accompaniment.piece[bare]
    rng = np.random.default_rng(0)
    names = np.unique(label[pieces])
    made_up = rng.choice(names, len(data.noise.piece))
    weight = training.example_weights(
        label[owner].tolist(), data.feel[owner].tolist(), owner.tolist()
    )
    bare_weight = training.example_weights(
        label[bare_owner].tolist(), data.feel[bare_owner].tolist(), bare_owner.tolist()
    )
    share = np.full(len(made_up), training.NOISE * weight.sum() / max(len(made_up), 1))
    rows = np.concatenate([data.whole.rows[whole], data.accompaniment.rows[bare], data.noise.rows])
    weights = np.concatenate([weight, training.WITHOUT_MELODY * bare_weight, share])
    labels = np.concatenate([label[owner], label[bare_owner], made_up])
    judge = (
        training.train_network(name, rows, labels, weights, data.fair)
        if network
        else training.train_linear(name, rows, labels, weights, strength, data.fair)
    )
    held = np.flatnonzero((data.split == "validation") & np.isin(label, names))
    card = {
        "kind": "network on statistics" if network else "multinomial logistic regression",
        "data_hash": data.library.hash,
        "training": {
            "pieces": len(pieces),
            "groups": len(set(data.group[pieces])),
            "excerpts": len(whole),
        },
        "validation_pieces": len(held),
    }
    return training.calibrated(judge, scores(data.whole, judge, held), label[held].tolist(), card)


def scores(
    examples: training.Examples, judge: Judge, pieces: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Give the log-probabilities of each piece, shape (excerpts, labels)."""
    return [
        judge.log_probabilities(examples.rows[examples.of([piece])]) for piece in pieces.tolist()
    ]


def measured(
    data: Data, judge: Judge, label: NDArray[np.str_]
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Measure a judge on test pieces and on their excerpts, by feel.

    Returns:
        The report, and the probabilities of the test pieces, shape (pieces, labels).
    """
    held = np.flatnonzero((data.split == "test") & np.isin(label, judge.labels))
    excerpts = scores(data.whole, judge, held)
    found = training.judged(judge, excerpts)
    result: dict[str, Any] = {
        "card": judge.card,
        "sharpness": judge.sharpness,
        "growth": judge.growth,
    }
    result["columns"] = len(judge.columns)

    def report(
        rows: NDArray[np.bool_], probabilities: NDArray[np.float64], owner: NDArray[np.int64]
    ) -> dict[str, Any]:
        return measure(
            judge.labels,
            label[owner[rows]].tolist(),
            probabilities[rows],
            data.group[owner[rows]].tolist(),
        )

    singles = np.concatenate(
        [training.judged(judge, [row[None] for row in one]) for one in excerpts]
    )
    owner = np.repeat(held, [len(one) for one in excerpts])
    bare = np.array([i for i in held.tolist() if len(data.accompaniment.of([i]))], np.int64)
    alone = training.judged(judge, scores(data.accompaniment, judge, bare))
    for feel in ("all", "score", "performance"):
        result[feel] = {
            "pieces": report(
                np.isin(
                    data.feel[held], (feel, *(("score", "performance") if feel == "all" else ()))
                ),
                found,
                held,
            ),
            "excerpts": report((data.feel[owner] == feel) | (feel == "all"), singles, owner),
        }
    result["without_melody"] = report(np.ones(len(bare), bool), alone, bare)
    both = np.flatnonzero(
        np.isin(data.split, ("validation", "test")) & np.isin(label, judge.labels)
    )
    known = dict(
        zip(both.tolist(), training.judged(judge, scores(data.whole, judge, both)), strict=True)
    )
    across, within = feel_pairs(data.library.pieces, both.tolist())
    result["score_and_performance"], result["two_performances"] = (
        agreement(across, known),
        agreement(within, known),
    )
    return result, found


def with_results(judge: Judge, result: dict[str, Any]) -> Judge:
    """Put a judge's results on test pieces into its card."""
    kept = {"test": result["all"], "score_and_performance": result["score_and_performance"]}
    return replace(judge, card=judge.card | kept)
