"""Fingerprints: which differences leave two files the same piece, and which don't."""

import numpy as np
import pytest
from numpy.typing import NDArray

from styletransfer.data.fingerprint import (
    SAME_PIECE,
    containment,
    fingerprint,
    groups,
    pitch_sequence,
    shared_counts,
    similar_pairs,
)

Notes = tuple[NDArray[np.float64], NDArray[np.int64]]


def music(seed: int, chords: int = 120) -> Notes:
    """Make random chords of one to three notes, a quarter apart.

    Returned are onsets (notes,) and pitches (notes,).
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, chords)
    onset = np.repeat(np.arange(chords) * 0.5, sizes)
    pitch = np.concatenate([rng.choice(np.arange(40, 85), size, replace=False) for size in sizes])
    return onset, pitch


def performed(notes: Notes, seed: int) -> Notes:
    """Spread chords by up to 40 ms, at a tempo 7 % off, with one note in 30 wrong."""
    rng = np.random.default_rng(seed)
    onset, pitch = notes
    wrong = rng.random(len(pitch)) < 1 / 30
    return onset * 1.07 + rng.uniform(0, 0.04, len(onset)), np.where(wrong, pitch + 1, pitch)


def test_chords_are_sorted_and_tolerance_runs_from_onset_to_onset() -> None:
    onset = np.array([0.00, 0.03, 0.06, 0.50, 0.60])
    pitch = np.array([67, 60, 64, 72, 71])
    assert pitch_sequence(onset, pitch, 0.05).tolist() == [60, 64, 67, 72, 71]
    assert pitch_sequence(onset, pitch, 0.01).tolist() == [67, 60, 64, 72, 71]
    assert pitch_sequence(onset[:0], pitch[:0], 0.05).tolist() == []


def test_counts_by_hand() -> None:
    """20 ascending notes have 9 n-grams of 12; with two pitches only, none has 6 distinct ones: the
    whole is hashed.
    """
    onset = np.arange(20) / 2
    assert len(fingerprint(onset, np.arange(60, 80), "score")) == 9
    assert len(fingerprint(onset, np.tile([60, 62], 10), "score")) == 1
    assert len(fingerprint(onset[:5], np.arange(60, 65), "score")) == 1
    assert len(fingerprint(onset[:0], np.zeros(0, int), "score")) == 0
    shifted = fingerprint(onset, np.arange(61, 81), "score")
    assert containment(fingerprint(onset, np.arange(60, 80), "score"), shifted) == pytest.approx(
        8 / 9
    )


def test_a_performance_is_found_by_its_score_and_other_music_is_not() -> None:
    score = music(1)
    marks = fingerprint(*score, "score")
    assert containment(marks, fingerprint(*performed(score, 2), "performance")) > 0.5
    assert containment(marks, fingerprint(*music(3), "score")) == 0
    assert containment(marks, marks) == 1
    assert containment(marks, marks[:0]) == 0


def test_without_tolerance_a_performance_would_be_missed() -> None:
    """The exact fingerprint finds only half of ASAP's true pairs of a score and a performance:
    chords are spread.
    """
    score = music(1)
    exact = fingerprint(*performed(score, 2), "score")
    assert containment(fingerprint(*score, "score"), exact) < 0.1


def test_order_speed_and_transposition() -> None:
    onset, pitch = music(4)
    shuffled = np.random.default_rng(0).permutation(len(onset))
    marks = fingerprint(onset, pitch, "score")
    assert (marks == fingerprint(onset[shuffled], pitch[shuffled], "score")).all()
    assert (marks == fingerprint(onset * 3, pitch, "score")).all()
    assert containment(marks, fingerprint(onset, pitch + 1, "score")) == 0


def test_similar_pairs_agree_with_counting_each_pair() -> None:
    pieces = [music(seed, 40) for seed in range(6)]
    whole = (
        np.concatenate([pieces[0][0], pieces[1][0] + 30]),
        np.concatenate([pieces[0][1], pieces[1][1]]),
    )
    prints = [fingerprint(*piece, "score") for piece in [*pieces, whole]]
    prints.append(fingerprint(*performed(pieces[2], 5), "performance"))
    expected = [
        (i, j, value)
        for i in range(len(prints))
        for j in range(i + 1, len(prints))
        if (value := containment(prints[i], prints[j])) >= SAME_PIECE
    ]
    found = similar_pairs(prints)
    assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
    assert [pair[2] for pair in found] == pytest.approx([pair[2] for pair in expected])
    assert [pair[:2] for pair in found] == [(0, 6), (1, 6), (2, 7)]
    assert groups(len(prints), found).tolist() == [0, 0, 2, 3, 4, 5, 0, 2]


def test_similar_pairs_of_little() -> None:
    empty = np.zeros(0, np.uint64)
    assert similar_pairs([]) == []
    assert similar_pairs([empty]) == []
    assert similar_pairs([empty, empty]) == []
    assert groups(2, []).tolist() == [0, 1]
    assert shared_counts([empty, empty]).nnz == 0
