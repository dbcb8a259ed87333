"""Check the judges: leaky splits, and changes that must or mustn't matter.

They are those of :mod:`eval.judges`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.judges import training
from styletransfer.evaluation.judges.data import Data, scores, train
from styletransfer.evaluation.judges.judge import Judge
from styletransfer.evaluation.judges.measures import majority_by, measure

FOLDS = 5
SLOWER, FASTER = 1.25, 1 / 1.2
"""Factors of time at 80 % and 120 % of the speed."""

SHIFT = 5
"""Semitones by which pieces are moved up and down."""

LONGEST = 2000
"""How many notes of a piece are read under each change."""


def protocols(data: Data, label: NDArray[np.str_], strength: float) -> dict[str, Any]:
    """Cross-validate J1 on MAESTRO by content group, exact title, and excerpt.

    Of the three only the first keeps every recording of a piece in one fold; "exact title" keeps a
    title in one fold, nothing else. Values for performances come from the mean of their excerpts'
    log-probabilities; with folds of excerpts these are from five different judges.

    Args:
        data: all pieces.
        label: shape (pieces,), the composer, "" where a piece is left out.
        strength: the inverse penalty.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    source = np.array([piece.source for piece in data.library.pieces])
    pieces = np.flatnonzero((label != "") & (source == "maestro"))
    chosen = data.whole.of(pieces)
    rows, owner = data.whole.rows[chosen], data.whole.piece[chosen]
    title = np.array([f"{piece.composer}/{piece.title}" for piece in data.library.pieces])
    result: dict[str, Any] = {"pieces": len(pieces), "excerpts": len(chosen), "folds": FOLDS}
    for name, key in (
        ("content group", data.group),
        ("exact title", title),
        ("random excerpt", None),
    ):
        if key is None:
            excerpt_fold = folds(
                StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(
                    rows[:, :1], label[owner]
                )
            )
        else:
            split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(
                pieces, label[pieces], key[pieces]
            )
            excerpt_fold = folds(split)[np.searchsorted(pieces, owner)]
        names, score = training.cross_validate(
            rows, owner, label[owner], data.feel[owner], excerpt_fold, strength
        )
        found = np.exp(score)
        mean = np.stack([score[owner == piece].mean(axis=0) for piece in pieces])
        whole = np.exp(mean) / np.exp(mean).sum(axis=1, keepdims=True)
        result[name] = {
            "performances": measure(
                names, label[pieces].tolist(), whole, data.group[pieces].tolist()
            ),
            "excerpts": measure(names, label[owner].tolist(), found, data.group[owner].tolist()),
        }
        if key is data.group:
            year = [data.library.pieces[i].file.split("/")[0] for i in pieces]
            piece_fold = excerpt_fold[np.searchsorted(owner, pieces)]
            guess = majority_by(year, label[pieces].tolist(), piece_fold)
            result["year only"] = {
                "accuracy": round(float(np.mean(np.array(guess) == label[pieces])), 4)
            }
    return result


def folds(splits: Any) -> NDArray[np.int64]:
    """Return the fold of each item, from scikit-learn's (training, held-out) pairs."""
    parts = [held for _, held in splits]
    fold = np.zeros(sum(len(part) for part in parts), np.int64)
    for number, part in enumerate(parts):
        fold[part] = number
    return fold


def sanity(data: Data, judge: Judge, five: NDArray[np.str_], strength: float) -> dict[str, Any]:
    """Try changes that mustn't matter, meaningless labels, and notes without music.

    Args:
        data: all pieces.
        judge: rates changed test pieces.
        five: shape (pieces,), labels that are assigned to groups at random to train another judge.
        strength: the inverse penalty of that judge.
    """
    label = data.labels(judge.labels)
    held = np.flatnonzero((label != "") & (data.split == "test"))
    rng = np.random.default_rng(1)
    changes: dict[str, training.Change | None] = {
        "as it is": None,
        "80 % of the speed": lambda onset, pitch: (onset * SLOWER, pitch),
        "120 % of the speed": lambda onset, pitch: (onset * FASTER, pitch),
        f"{SHIFT} semitones up": lambda onset, pitch: (onset, np.minimum(pitch + SHIFT, 127)),
        f"{SHIFT} semitones down": lambda onset, pitch: (onset, np.maximum(pitch - SHIFT, 0)),
        "pitches shuffled": training.shuffled(rng),
        "noise": training.noise(rng),
    }
    result: dict[str, Any] = {"notes": LONGEST, "judge": judge.name, "changes": {}}
    plain: NDArray[np.float64] | None = None
    for name, change in changes.items():
        examples = training.read_examples(
            data.library, held.tolist(), longest=LONGEST, change=change
        )
        found = training.judged(judge, scores(examples, judge, held))
        plain = found if plain is None else plain
        result["changes"][name] = {
            "accuracy": round(
                float((np.array(judge.labels)[found.argmax(axis=1)] == label[held]).mean()), 4
            ),
            "same_verdict": round(float((found.argmax(axis=1) == plain.argmax(axis=1)).mean()), 4),
            "confidence": round(float(found.max(axis=1).mean()), 4),
        }

    pieces, test = (
        np.flatnonzero((five != "") & (data.split == split)) for split in ("train", "test")
    )
    permuted = five.copy()
    names = sorted(set(data.group[pieces]))
    turned = dict(
        zip(
            names,
            rng.permutation([five[pieces][data.group[pieces] == name][0] for name in names]),
            strict=True,
        )
    )
    permuted[pieces] = [turned[group] for group in data.group[pieces]]
    blind = train(data, "permuted", permuted, pieces, strength)
    found = training.judged(blind, scores(data.whole, blind, test))
    result["permuted"] = measure(
        blind.labels, five[test].tolist(), found, data.group[test].tolist()
    )
    return result
