"""Test chords of accompaniments and the six measures of melody on harmony.

They are computed by hand, with their invariances.
"""

from __future__ import annotations

import math
from dataclasses import astuple, replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from styletransfer.evaluation.measures.chroma import tonal_centroid, tonal_distance
from styletransfer.evaluation.measures.fidelity import transposed
from styletransfer.evaluation.measures.harmony import (
    CHORDS,
    TEMPLATES,
    chord_distance,
    chord_entropy,
    chord_name,
    chord_tone_ratio,
    estimate_chords,
    harmony,
    melody_chord_distance,
    pitch_consonance,
    segments,
)
from styletransfer.music.notes import NoteTable, Piece, bars_of, make_notes
from tests.tiny import random_piece

C, F, G = (CHORDS.index(("major", root)) for root in (0, 5, 7))
A_MINOR = CHORDS.index(("minor", 9))
BARS = np.arange(5) * 4.0


def chords_of(*chords: list[int], length: float = 4.0) -> NoteTable:
    """Block chords in a row."""
    rows = [(k * length, length, pitch) for k, chord in enumerate(chords) for pitch in chord]
    return make_notes([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def tune(pitch: list[int], duration: float = 1.0) -> NoteTable:
    return make_notes(
        [k * duration for k in range(len(pitch))], [duration] * len(pitch), pitch, melody=True
    )


def score(*tables: NoteTable, metre: tuple[int, int] = (4, 4)) -> Piece:
    notes = np.concatenate(tables)
    end = float((notes["onset"] + notes["duration"]).max()) if len(notes) else 4.0
    return Piece(notes[:0], "score", bars_of([(0.0, *metre)], end)).with_notes(notes)


@pytest.mark.parametrize(
    ("pitches", "name"),
    [
        ([48, 52, 55], "C major"),
        ([52, 55, 60], "C major"),
        ([57, 60, 64], "A minor"),
        ([47, 50, 53], "B diminished"),
        ([48, 52, 56], "C augmented"),
        ([52, 56, 60], "E augmented"),  # the same three pitch classes: the lowest is the root
        ([48, 55], "C major"),  # major and minor alike: the earlier
        ([45, 57, 60], "A minor"),  # A and C: A minor by its bass, not F major
        ([43, 47, 50, 55], "G major"),
        (
            [43, 47, 50, 53],
            "G major",
        ),  # the seventh ties with B diminished, whose root isn't the lowest
    ],
)
def test_chords_by_hand(pitches: list[int], name: str) -> None:
    assert chord_name(int(estimate_chords(chords_of(pitches), BARS[:2])[0])) == name


def test_chords_of_broken_ones_and_of_silence() -> None:
    alberti = make_notes([k / 2 for k in range(8)], [0.5] * 8, [48, 55, 52, 55] * 2)
    held = make_notes(
        [8.0, 10.0], [8.0, 2.0], [41, 69]
    )  # F into the fourth bar, A in the third: no chord in the second
    chords = estimate_chords(np.concatenate([alberti, held]), BARS)
    assert [chord_name(int(chord)) for chord in chords] == ["C major", "none", "F major", "F major"]
    assert len(estimate_chords(alberti, BARS[:1])) == 0
    assert estimate_chords(alberti[:0], BARS).tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("metre", "borders"),
    [
        ((4, 4), [0, 2, 4, 6, 8]),
        ((2, 2), [0, 2, 4, 6, 8]),
        ((2, 4), [0, 2, 4, 6, 8]),
        ((3, 4), [0, 3, 6, 9]),
        ((6, 8), [0, 1.5, 3, 4.5, 6, 7.5, 9]),
        ((9, 8), [0, 1.5, 3, 4.5, 6, 7.5, 9]),
    ],
)
def test_segments(metre: tuple[int, int], borders: list[float]) -> None:
    assert segments(score(tune([60] * 8), metre=metre)).tolist() == borders


def test_segments_of_a_performance_are_seconds() -> None:
    played = Piece(make_notes([1.0, 6.0], [1.0, 1.0], [60, 62]), "performance")  # 0.5 to 3.5 s
    assert segments(played).tolist() == [0.5, 1.5, 2.5, 3.5]


def test_entropy_by_hand() -> None:
    assert chord_entropy(np.array([C, C, F, G])) == pytest.approx(1.5 * math.log(2))
    assert chord_entropy(np.array([C, -1, C])) == 0.0
    assert math.isnan(chord_entropy(np.array([-1])))


@given(st.lists(st.integers(0, 47), min_size=1, max_size=40))
@settings(deadline=None)
def test_entropy_agrees_with_scipy_and_scikit_learn(chords: list[int]) -> None:
    """The entropy of labels is their mutual information with themselves."""
    values = np.array(chords)
    assert chord_entropy(values) == pytest.approx(
        scipy.stats.entropy(np.bincount(values)), abs=1e-12
    )
    assert chord_entropy(values) == pytest.approx(mutual_info_score(chords, chords), abs=1e-9)


def test_tonal_space_by_hand() -> None:
    """C is (0, 1, 0, 1, 0, .5); a tritone away fifths and minor thirds turn round, major thirds
    stay.
    """
    c, f_sharp = np.eye(12)[0], np.eye(12)[6]
    assert tonal_centroid(c) == pytest.approx([0, 1, 0, 1, 0, 0.5])
    assert tonal_distance(c, f_sharp) == pytest.approx(2 * math.sqrt(2))
    assert tonal_distance(c, 7 * c) == pytest.approx(0)
    assert tonal_centroid(np.zeros(12)) == pytest.approx(np.zeros(6))
    distance = tonal_distance(TEMPLATES[C], TEMPLATES)
    assert distance[G] == pytest.approx(distance[F])  # a fifth up or down
    assert distance[A_MINOR] < distance[G] < distance[CHORDS.index(("major", 6))]


def test_chord_distance_by_hand() -> None:
    """C to G with r = 1, 1, 1/2 is computed with Harte's formula, outside this package."""
    classes = np.arange(12)
    phi = np.array(
        [
            np.exp(1j * np.pi * 7 / 6 * classes),
            np.exp(1.5j * np.pi * classes),
            np.exp(2j * np.pi / 3 * classes) / 2,
        ]
    )
    step = phi[:, [7, 11, 2]].mean(axis=1) - phi[:, [0, 4, 7]].mean(axis=1)
    expected = math.sqrt((np.abs(step) ** 2).sum())
    assert chord_distance(np.array([C, G])) == pytest.approx(expected)
    assert chord_distance(np.array([C, C, -1, G])) == pytest.approx(expected / 2)
    assert math.isnan(chord_distance(np.array([C, -1])))


def test_chord_tones_by_hand() -> None:
    """Over C: C and E belong, D steps on to E, F leaps to C and is neither; B comes last."""
    edges = np.array([0.0, 8.0])
    assert chord_tone_ratio(tune([60, 62, 64, 65, 60]), np.array([C]), edges) == 4 / 5
    assert chord_tone_ratio(tune([60, 71]), np.array([C]), edges) == 1 / 2
    assert (
        chord_tone_ratio(tune([62, 62, 64]), np.array([C]), edges) == 1.0
    )  # a repeated note steps on as its last does
    assert (
        chord_tone_ratio(tune([71, 84]), np.array([C]), edges) == 1 / 2
    )  # B to c''' is no step, though the classes are
    assert math.isnan(chord_tone_ratio(tune([60]), np.array([-1]), edges))
    assert math.isnan(chord_tone_ratio(tune([]), np.array([C]), edges))


def test_consonance_by_hand() -> None:
    """Over C: C is 1 and a minor sixth above E (1) and a fourth above G (0); D is -1, -1, 1;
    weights are durations.
    """
    edges = np.array([0.0, 4.0])
    assert pitch_consonance(tune([60]), np.array([C]), edges) == pytest.approx(2 / 3)
    assert pitch_consonance(tune([62]), np.array([C]), edges) == pytest.approx(-1 / 3)
    both = make_notes([0.0, 3.0], [3.0, 1.0], [60, 62])
    assert pitch_consonance(both, np.array([C]), edges) == pytest.approx((3 * 2 / 3 - 1 / 3) / 4)
    assert math.isnan(pitch_consonance(tune([60]), np.array([-1]), edges))
    assert math.isnan(pitch_consonance(tune([]), np.array([C]), edges))


def test_a_note_over_two_chords_counts_for_both() -> None:
    """C held over C major, then F major, of which it is the fifth: a fifth, a minor sixth (A) and a
    unison.
    """
    note = make_notes([0.0], [4.0], [72])
    edges = np.array([0.0, 2.0, 4.0])
    assert pitch_consonance(note, np.array([C, F]), edges) == pytest.approx(
        (2 / 3 + (1 + 1 + 1 - 0) / 3) / 2
    )
    expected = (
        tonal_distance(np.eye(12)[0], TEMPLATES[C]) + tonal_distance(np.eye(12)[0], TEMPLATES[F])
    ) / 2
    assert melody_chord_distance(note, np.array([C, F]), edges) == pytest.approx(float(expected))
    assert melody_chord_distance(note, np.array([C, -1]), edges) == pytest.approx(
        float(tonal_distance(np.eye(12)[0], TEMPLATES[C]))
    )


def test_a_whole_piece() -> None:
    piece = score(tune([60, 64, 67, 64, 69, 65, 69, 65]), chords_of([48, 52, 55], [41, 48, 57]))
    result = harmony(piece)
    assert result.chord_entropy == pytest.approx(math.log(2))
    assert (result.chord_coverage, result.chord_tones) == (2, 1.0)
    assert result.chord_distance == pytest.approx(chord_distance(np.array([C, F])) / 3)  # C C F F


def test_the_melody_doesnt_make_its_own_chords() -> None:
    """A wrong melody over right chords must not change the chords that it is measured against."""
    chords = chords_of([48, 52, 55], [43, 47, 50])
    right, wrong = (
        harmony(score(tune([60, 64, 67, 60]), chords)),
        harmony(score(tune([61, 66, 61, 66]), chords)),
    )
    assert (right.chord_entropy, right.chord_distance) == (
        wrong.chord_entropy,
        wrong.chord_distance,
    )
    assert right.chord_tones > wrong.chord_tones
    assert right.consonance > 0 > wrong.consonance
    assert right.melody_distance < wrong.melody_distance


def test_nothing_to_measure() -> None:
    alone = harmony(score(tune([60, 62])))
    assert [value for value in astuple(alone) if not math.isnan(value)] == [0]  # the coverage
    unsung = harmony(score(chords_of([48, 52, 55], [43, 47, 50])))
    assert unsung.chord_coverage == 2
    assert math.isnan(unsung.chord_tones)
    empty = harmony(Piece(make_notes([], [], []), "performance"))
    assert empty.chord_coverage == 0
    assert math.isnan(empty.melody_distance)


@given(st.integers(0, 10_000), st.integers(-12, 12), st.sampled_from(["score", "performance"]))
@settings(max_examples=30, deadline=None)
def test_transposition_changes_nothing(seed: int, semitones: int, feel: str) -> None:
    piece = random_piece(seed, feel)  # type: ignore[arg-type]  # a draw from both feels
    notes = piece.notes.copy()
    notes["duration"] *= np.random.default_rng(seed).uniform(0.5, 4, len(notes))
    piece = replace(piece, notes=notes)
    moved = replace(piece, notes=transposed(notes, semitones))
    edges = segments(piece)
    chords, higher = estimate_chords(piece.notes, edges), estimate_chords(moved.notes, edges)
    quality, root = chords // 12, chords % 12
    tunes = piece.melody, moved.melody
    lifted = np.where(chords < 0, -1, quality * 12 + (root + semitones) % 12)
    assert (higher == lifted).all()
    for measure in (chord_tone_ratio, pitch_consonance, melody_chord_distance):
        assert measure(tunes[0], chords, edges) == pytest.approx(
            measure(tunes[1], lifted, edges), nan_ok=True
        )
    assert chord_distance(chords) == pytest.approx(chord_distance(lifted), nan_ok=True)
    assert chord_entropy(chords) == pytest.approx(chord_entropy(lifted), nan_ok=True)
