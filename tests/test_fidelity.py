"""Test fidelity: hand-made cases and invariances.

It agrees with an independent matching and an independent subsequence.
"""

from __future__ import annotations

import math
from dataclasses import replace

import mir_eval.melody
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from styletransfer.evaluation.measures.chroma import mean_cosine, sounding_time
from styletransfer.evaluation.measures.fidelity import (
    Found,
    chroma_cosine,
    common_subsequence,
    fidelity,
    note_f1,
    subsequence,
    timed,
    transposed,
)
from styletransfer.music.notes import NoteTable, Piece, TempoMap, bars_of, make_notes

TUNE = [60, 62, 64, 65, 67, 65, 64, 62]


def line(pitch: list[int], melody: bool = True, onset: list[float] | None = None) -> NoteTable:
    """Make a line with a note per quarter."""
    return make_notes(
        onset or [float(k) for k in range(len(pitch))], [1.0] * len(pitch), pitch, melody=melody
    )


def score(*tables: NoteTable, tempo: float = 0.5) -> Piece:
    """Make a score at ``tempo`` seconds per quarter."""
    notes = np.concatenate([make_notes([], [], []), *tables])
    piece = Piece(
        notes, "score", bars_of([(0.0, 4, 4)], 16.0), TempoMap(np.zeros(1), np.full(1, tempo))
    )
    return piece.with_notes(notes)


def test_an_arrangement_that_keeps_its_melody() -> None:
    bass = line([36, 43] * 4, melody=False)
    result = fidelity(score(line(TUNE)), score(line(TUNE), bass))
    whole = Found(1.0, 1.0, 1.0)
    assert (result.melody, result.skyline, result.anywhere, result.subsequence) == (
        whole,
        whole,
        1.0,
        whole,
    )
    assert 0.5 < result.chroma < 0.9  # the bass adds pitch classes


def test_notes_by_hand() -> None:
    """Of eight notes, one is missing, one is a semitone off and one is 60 ms late; another is 40 ms
    late and still found.
    """
    onset = [0.0, 1.0, 2.0, 3.0, 4.0, 5.12, 6.08]
    found = note_f1(
        timed(score(line(TUNE)), line(TUNE)),
        timed(score(line(TUNE)), line([60, 62, 63, 65, 67, 65, 64], True, onset)),
    )
    assert found == Found(5 / 7, 5 / 8, 2 * 5 / 15)


def test_a_note_is_found_once() -> None:
    """Of two equal notes near one note of the reference, one is too many."""
    reference = line([60])
    assert note_f1(reference, line([60, 60], True, [0.0, 0.03])) == Found(0.5, 1.0, 2 / 3)


def test_the_skyline_is_what_lies_on_top() -> None:
    """Under a descant the marked melody is complete, but not the top line."""
    descant = line([84] * 4, melody=False)
    result = fidelity(score(line(TUNE)), score(line(TUNE), descant))
    assert result.melody.f1 == result.anywhere == 1.0
    assert result.skyline == Found(4 / 8, 4 / 8, 8 / 16)


def test_ornaments_keep_the_subsequence() -> None:
    """A turn after the first note adds three notes, which lower precision only."""
    ornamented = line([60, 62, 60, 59, *TUNE[1:]])
    result = fidelity(score(line(TUNE)), score(ornamented))
    assert result.subsequence == Found(8 / 11, 1.0, 16 / 19)
    assert result.melody.recall < 0.5


def test_tempo_doesnt_count_between_scores_but_does_in_performances() -> None:
    slow = score(line(TUNE), tempo=1.0)
    assert fidelity(score(line(TUNE)), slow).melody.f1 == 1.0
    played = [
        replace(piece, feel="performance", bars=piece.bars[:0])
        for piece in (score(line(TUNE)), slow)
    ]
    assert fidelity(played[0], played[1]).melody.f1 == pytest.approx(1 / 8)  # the first note alone


@pytest.mark.parametrize("semitones", [-12, -5, 3, 12])
def test_a_declared_transposition_is_undone(semitones: int) -> None:
    arrangement = score(line(TUNE), line([48] * 8, melody=False))
    moved = replace(arrangement, notes=transposed(arrangement.notes, semitones))
    assert fidelity(score(line(TUNE)), moved, semitones) == fidelity(score(line(TUNE)), arrangement)
    assert fidelity(score(line(TUNE)), moved).melody.f1 < 0.5


def test_out_of_the_range_of_midi() -> None:
    with pytest.raises(ValueError, match="range of MIDI"):
        transposed(line([120]), 8)


def test_nothing_to_find() -> None:
    nothing = score()
    assert fidelity(score(line(TUNE)), nothing).melody == Found(0.0, 0.0, 0.0)
    assert fidelity(nothing, score(line(TUNE))).skyline == Found(0.0, 0.0, 0.0)
    both = fidelity(nothing, nothing)
    assert both.melody == both.subsequence == Found(1.0, 1.0, 1.0)
    assert math.isnan(both.chroma)
    alone = fidelity(score(line([60])), score(line([60])))
    assert (alone.melody.f1, alone.chroma) == (1.0, pytest.approx(1.0))
    unmarked = fidelity(score(line(TUNE)), score(line(TUNE, melody=False)))
    assert (unmarked.melody.f1, unmarked.anywhere, unmarked.skyline.f1) == (0.0, 1.0, 1.0)


NOTES = st.lists(st.tuples(st.integers(0, 60), st.integers(60, 63)), max_size=20)


def table(rows: list[tuple[int, int]]) -> NoteTable:
    """Make notes on a grid of 20 ms, many within the tolerance of several others."""
    return make_notes([a * 0.02 - 0.2 for a, _ in rows], [0.1] * len(rows), [b for _, b in rows])


def greedy(reference: NoteTable, estimate: NoteTable) -> int:
    """Count notes matched pitch by pitch, earliest first.

    For intervals of one length that is a maximum matching.
    """
    matched = 0
    for pitch in range(128):
        a = sorted(reference["onset"][reference["pitch"] == pitch].tolist())
        b = sorted(estimate["onset"][estimate["pitch"] == pitch].tolist())
        while a and b:
            if abs(a[0] - b[0]) <= 0.05:
                matched += 1
                a.pop(0), b.pop(0)
            else:
                (a if a[0] < b[0] else b).pop(0)
    return matched


@given(NOTES, NOTES)
@settings(deadline=None)
def test_the_matching_is_a_maximum(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    found = note_f1(table(a), table(b))
    if a and b:
        matched = greedy(table(a), table(b))
        assert found == pytest.approx(
            Found(matched / len(b), matched / len(a), 2 * matched / (len(a) + len(b)))
        )


@given(st.lists(st.integers(0, 4), max_size=24), st.lists(st.integers(0, 4), max_size=24))
@settings(deadline=None)
def test_the_subsequence_is_the_tables(a: list[int], b: list[int]) -> None:
    """It agrees with the textbook table of dynamic programming."""
    length = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            length[i + 1, j + 1] = (
                length[i, j] + 1 if x == y else max(length[i, j + 1], length[i + 1, j])
            )
    assert common_subsequence(np.array(a, int), np.array(b, int)) == length[-1, -1]


def test_subsequence_by_hand() -> None:
    assert subsequence(np.array([1, 2, 3, 4]), np.array([2, 9, 4])) == Found(2 / 3, 2 / 4, 4 / 7)


def test_chroma_by_hand() -> None:
    """C against C and G: the cosine is 1/sqrt 2; against D it is 0; silence on one side counts
    0.
    """
    c, fifth = line([60]), make_notes([0.0, 0.0], [1.0, 1.0], [48, 67])
    assert chroma_cosine(c, fifth, 1.0) == pytest.approx(1 / math.sqrt(2))
    assert chroma_cosine(c, line([62]), 1.0) == 0.0
    assert chroma_cosine(line([60, 60, 60, 60]), c, 1.0) == pytest.approx(
        2 / 5
    )  # windows -1..1, 0..2 of five
    assert chroma_cosine(c, c[:0], 1.0) == 0.0


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_chroma_agrees_with_pretty_midi_and_its_cosine_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    onset, duration = rng.integers(0, 80, 30) / 10, rng.integers(1, 30, 30) / 10
    notes = make_notes(onset, duration, rng.integers(30, 90, 30))
    theirs = pretty_midi.Instrument(0)
    theirs.notes = [
        pretty_midi.Note(
            1, int(n["pitch"]), float(n["onset"]) + 1e-6, float(n["onset"] + n["duration"]) + 1e-6
        )
        for n in notes
    ]
    mine = sounding_time(notes, np.arange(0, 12, 0.1))
    chroma = theirs.get_chroma(fs=10).T
    assert mine[: len(chroma)] * 10 == pytest.approx(chroma, abs=1e-6)
    other = rng.permutation(mine, axis=1)
    silent = (mine.sum(axis=1) < 1e-9) & (other.sum(axis=1) < 1e-9)
    cosine = np.diag(cosine_similarity(mine, other))[~silent]
    assert mean_cosine(mine, other) == pytest.approx(cosine.mean())


@given(st.lists(st.integers(50, 80), min_size=2, max_size=12), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_note_recall_agrees_with_raw_pitch_accuracy(pitch: list[int], seed: int) -> None:
    """On one grid of notes without rests, recall of notes is mir_eval.melody's raw pitch accuracy
    of frames.
    """
    rng = np.random.default_rng(seed)
    changed = [int(p) + int(rng.integers(0, 2)) for p in pitch]
    hertz = [440.0 * 2 ** ((np.array(values, float) - 69) / 12) for values in (pitch, changed)]
    cents = [mir_eval.melody.hz2cents(values) for values in hertz]
    voiced = np.ones(len(pitch))
    theirs = mir_eval.melody.raw_pitch_accuracy(
        voiced, cents[0], voiced, cents[1], cent_tolerance=49
    )
    assert note_f1(line(pitch), line(changed)).recall == pytest.approx(theirs)
