"""Test structureness and style profiles.

They are computed by hand, compared with an independent tracing of paths, and measured on music with
and without form.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_similarity

from styletransfer.evaluation.measures.fidelity import transposed
from styletransfer.evaluation.measures.profiles import duration_profile, interval_profile, style_fit
from styletransfer.evaluation.measures.structure import (
    KEPT,
    MOST_FRAMES,
    PENALTY,
    fitness,
    frames,
    self_similarity,
    structureness,
)
from styletransfer.music.notes import NoteTable, Piece, bars_of, make_notes
from tests.tiny import random_piece


def traced(matrix: NDArray[np.float64], start: int, length: int) -> float:
    """Compute the fitness of one segment by tracing its paths back.

    They are traced from the table of scores, cell by cell.
    """
    size = len(matrix)
    score = np.full((size, length + 1), -np.inf)
    score[0, 0], score[0, 1] = 0.0, matrix[0, start]
    origin: dict[tuple[int, int], tuple[int, int]] = {}
    for n in range(1, size):
        origin[n, 0] = (n - 1, length) if score[n - 1, length] > score[n - 1, 0] else (n - 1, 0)
        score[n, 0] = score[origin[n, 0]]
        origin[n, 1] = (n, 0)
        score[n, 1] = score[n, 0] + matrix[n, start]
        for m in range(2, length + 1):
            steps = [
                (i, j)
                for i, j in ((n - 1, m - 1), (n - 2, m - 1), (n - 1, m - 2))
                if i >= 0 and j >= 1
            ]
            origin[n, m] = max(steps, key=lambda cell: score[cell])
            score[n, m] = score[origin[n, m]] + matrix[n, start + m - 1]

    cell = (size - 1, 0) if score[size - 1, length] < score[size - 1, 0] else (size - 1, length)
    best, rows, paths = score[cell], [], []
    while True:
        if cell[1]:
            rows.append(cell[0])
        if cell[1] == 1:
            paths.append(rows)
            rows = []
        if cell not in origin:
            break
        cell = origin[cell]

    mean = max(best - length, 0) / max(sum(map(len, paths)), 1)
    coverage = max(sum(max(path) - min(path) + 1 for path in paths) - length, 0) / size
    return 2 * mean * coverage / (mean + coverage) if mean + coverage else 0.0


@given(st.integers(0, 10_000), st.integers(4, 12))
@settings(max_examples=25, deadline=None)
def test_fitness_agrees_with_paths_that_are_traced(seed: int, size: int) -> None:
    matrix = np.random.default_rng(seed).uniform(-1, 1, (size, size))
    matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 1.0)
    for length in range(1, size + 1):
        expected = [traced(matrix, start, length) for start in range(size - length + 1)]
        assert fitness(matrix, length) == pytest.approx(np.array(expected))
        assert fitness(matrix, length, 2) == pytest.approx(np.array(expected[::2]))


def test_fitness_by_hand() -> None:
    """A segment of 4 that comes three times, exactly: score 12, 12 cells, all 12 rows: (8/12, 8/12)
    gives 2/3.
    """
    matrix = np.where(np.equal.outer(np.arange(12) % 4, np.arange(12) % 4), 1.0, PENALTY)
    assert fitness(matrix, 4)[[0, 4, 8]] == pytest.approx(2 / 3)
    assert fitness(matrix, 4)[1] == pytest.approx(
        0.448
    )  # twice, and three frames more: means of 0.4 and 0.5
    assert fitness(matrix, 12) == pytest.approx(0.0)  # the whole piece explains nothing but itself
    alone = np.where(np.eye(12) > 0, 1.0, PENALTY)
    assert fitness(alone, 4) == pytest.approx(0.0)


def test_self_similarity() -> None:
    chroma = np.random.default_rng(0).random((40, 12))
    chroma /= np.linalg.norm(chroma, axis=1, keepdims=True)
    matrix = self_similarity(chroma)
    assert (np.diag(matrix) == 1).all()
    assert matrix.max() <= 1
    assert (matrix > PENALTY).mean() == pytest.approx(KEPT, abs=0.01)
    assert self_similarity(np.roll(chroma, 3, axis=1)) == pytest.approx(matrix)


def tune(pitch: NDArray[np.int64]) -> Piece:
    notes = make_notes(np.arange(len(pitch)) / 2, np.full(len(pitch), 0.5), pitch)
    return Piece(notes, "score", bars_of([(0.0, 4, 4)], len(pitch) / 2))


def test_music_that_comes_back() -> None:
    """Eight bars twice, the second time a fourth higher, have more structure at their length than
    bars that never return.
    """
    rng = np.random.default_rng(5)
    theme, other = rng.integers(55, 80, 64), rng.integers(55, 80, 64)
    form, none = (
        structureness(tune(np.concatenate([theme, theme + 5]))),
        structureness(tune(np.concatenate([theme, other]))),
    )
    assert form.long > none.long + 0.1
    assert form.medium > none.medium


def test_too_short_for_a_range() -> None:
    short = structureness(tune(np.arange(60, 92)))  # 16 frames: segments of at most 8
    assert not math.isnan(short.short)
    assert math.isnan(short.medium)
    assert math.isnan(structureness(Piece(make_notes([], [], []), "performance")).short)


def test_frames() -> None:
    """C for a quarter, then silence, then D: each window is two quarters long; silence is even."""
    notes = make_notes([1.0, 5.0], [1.0, 1.0], [60, 62])
    rows = frames(Piece(notes, "score", bars_of([(0.0, 4, 4)], 6.0)))
    assert rows.shape == (5, 12)
    assert rows[0] == pytest.approx(np.eye(12)[0])
    assert rows[[1, 2]] == pytest.approx(np.full((2, 12), 1 / math.sqrt(12)))
    assert rows[[3, 4]] == pytest.approx(np.tile(np.eye(12)[2], (2, 1)))
    assert len(frames(tune(np.full(400, 60)))) == MOST_FRAMES


def bar(*notes: tuple[float, float, int]) -> NoteTable:
    return make_notes([n[0] for n in notes], [n[1] for n in notes], [n[2] for n in notes])


def score(notes: NoteTable) -> Piece:
    return Piece(notes, "score", bars_of([(0.0, 4, 4)], 8.0))


def test_interval_profile_by_hand() -> None:
    """C and E together, G a beat later, B two beats after that: pairs are C-E at 0, C-G and E-G at
    1; B is too far.
    """
    found = interval_profile([score(bar((0, 1, 60), (0, 1, 64), (1, 1, 67), (3, 1, 71)))])
    expected = np.zeros((12, 41))
    expected[0, 24] = expected[6, 27] = expected[6, 23] = 1 / 3
    assert found == pytest.approx(expected)
    assert interval_profile([score(bar((0, 1, 40), (1, 1, 61)))]).sum() == 0  # 21 semitones
    pair = score(bar((0, 1, 60), (1, 1, 62)))
    assert interval_profile([pair, pair]) == pytest.approx(interval_profile([pair]))


def test_duration_profile_by_hand() -> None:
    """On beat 1 a quarter and a whole note, in the second bar an eighth on the half of beat 2."""
    found = duration_profile([score(bar((0, 1, 60), (0, 4, 48), (5.5, 0.5, 64)))])
    expected = np.zeros((36, 12))
    expected[0, 6] = expected[0, 11] = expected[9, 3] = 1 / 3
    assert found == pytest.approx(expected)
    played = duration_profile([Piece(bar((0.3, 1, 60)), "performance")])  # half a second, a beat
    assert played[0, 6] == 1.0


def test_style_fit_by_hand() -> None:
    a, b = np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])
    assert style_fit(a, b) == pytest.approx(1 / math.sqrt(2))
    assert style_fit(b, b) == pytest.approx(1.0)
    assert math.isnan(style_fit(a, np.zeros((1, 2))))


@given(st.integers(0, 1000), st.integers(-12, 12), st.sampled_from(["score", "performance"]))
@settings(max_examples=20, deadline=None)
def test_profiles_against_all_pairs_and_scikit_learn(seed: int, semitones: int, feel: str) -> None:
    """Against a loop over all pairs; transposition changes nothing; the cosine is
    scikit-learn's.
    """
    piece, other = random_piece(seed, feel), random_piece(seed + 1, feel)  # type: ignore[arg-type]  # a draw from both feels
    moved = replace(piece, notes=transposed(piece.notes, semitones))
    profile = interval_profile([piece])
    assert profile == pytest.approx(interval_profile([moved]))
    assert duration_profile([piece]) == pytest.approx(duration_profile([moved]))
    beats = piece.notes["onset"] if feel == "score" else piece.onset_seconds * 2
    rows = sorted(zip(beats.tolist(), piece.notes["pitch"].tolist(), strict=True))
    total = np.zeros((12, 41))
    for i, (a, p) in enumerate(rows):
        for b, q in rows[i + 1 :]:
            if b - a < 2 - 2e-3 and abs(q - p) <= 20:
                total[int((b - a) * 6 + 6e-3), q - p + 20] += 1
    assert profile == pytest.approx(total / total.sum())
    both = interval_profile([other])
    assert style_fit(profile, both) == pytest.approx(
        float(cosine_similarity(profile.reshape(1, -1), both.reshape(1, -1))[0, 0])
    )
