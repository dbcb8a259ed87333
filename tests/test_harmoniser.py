"""Test the rule-based harmoniser: obvious chords, in a pianist's register."""

from __future__ import annotations

import numpy as np
import pytest

from styletransfer.evaluation.harmoniser import (
    BASS,
    HIGH,
    LOW,
    Chord,
    best_path,
    chords_of,
    fits,
    harmonise,
    right_hand,
)
from styletransfer.evaluation.measures.harmony import segments
from styletransfer.music.key import Key
from styletransfer.music.notes import Piece, bars_of, make_notes

C_MAJOR, A_MINOR = Key(0, "major"), Key(9, "minor")


def tune(
    pitches: list[int], quarters: float = 1.0, metre: tuple[int, int] = (4, 4), start: float = 0.0
) -> Piece:
    onset = start + quarters * np.arange(len(pitches))
    notes = make_notes(onset, np.full(len(pitches), quarters), pitches, melody=True)
    return Piece(notes, "score", bars_of([(0.0, *metre)], start + quarters * len(pitches)))


def names(path: list[Chord]) -> list[str]:
    return [f"{chord.degree} {chord.shape}" for chord in path]


def test_a_cadence() -> None:
    """c e g e | f a f d | b d' b g | c' - in half bars: tonic, subdominant, dominant, tonic."""
    piece = tune([60, 64, 67, 64, 65, 69, 65, 62, 71, 74, 71, 67, 72, 72, 72, 72])
    path = best_path(piece.notes, segments(piece), chords_of(C_MAJOR))
    roots = [chord.root for chord in path]
    assert roots[:2] == [0, 0]
    assert roots[2] == 5
    assert roots[3] in (2, 5, 7)  # f and d: IV or ii, or the dominant seventh already
    assert roots[4:6] == [7, 7]
    assert roots[6:] == [0, 0]


def test_the_leading_tone_is_raised_in_minor() -> None:
    """a c' e' c' | g# b g# e | a: the second bar is E major, not E minor."""
    piece = tune([69, 72, 76, 72, 68, 71, 68, 64, 69, 69, 69, 69])
    path = best_path(piece.notes, segments(piece), chords_of(A_MINOR))
    assert names(path)[0] == "0 minor"
    assert {chord.root for chord in path[2:4]} == {4}
    assert {chord.shape for chord in path[2:4]} <= {"major", "seventh"}
    assert names(path)[-1] == "0 minor"


def test_the_seventh_is_for_a_melody_that_has_it() -> None:
    chords = chords_of(C_MAJOR)
    with_f = fits(tune([71, 65]).notes, np.array([0.0, 2.0]), chords)[0]
    by_name = dict(zip(names(list(chords)), with_f, strict=True))
    assert by_name["7 seventh"] == 1
    assert by_name["7 major"] == pytest.approx(
        1 / 3
    )  # b is struck first and counts twice: (2 - 1) / 3
    assert by_name["0 major"] == -1


def test_a_rest_keeps_its_chord() -> None:
    """Bar 2 is silent: the tonic of bar 1 stays, as there is no reason for another chord."""
    notes = make_notes([0.0, 8.0], [4.0, 4.0], [64, 72], melody=True)
    piece = Piece(notes, "score", bars_of([(0.0, 4, 4)], 12.0))
    assert {
        chord.degree for chord in best_path(piece.notes, segments(piece), chords_of(C_MAJOR))
    } == {0}


def test_voicing() -> None:
    """The right hand stays below the melody, in close position, near the chord before."""
    tonic, fourth = Chord(0, "major", "tonic", 0, 0.3), Chord(5, "major", "subdominant", 5, 0.2)
    first = right_hand(tonic, 72)
    assert first == (52, 55, 60)  # its mean is nearest to the middle of the range
    assert right_hand(fourth, 72, first) == (53, 57, 60)
    assert right_hand(tonic, 60) == (48, 52, 55)
    assert right_hand(tonic, 55) == (43, 48, 52)  # no room from C3 on: lower
    assert min(first) >= LOW
    assert max(first) <= HIGH


def test_an_arrangement() -> None:
    """Every melody note is there; the chords are below it, begin with the first full bar, and end
    with the tune.
    """
    piece = tune([67, 67, 69, 67, 72, 71, 71, 72, 74, 72, 72], metre=(3, 4), start=2.0)
    piece = Piece(piece.notes, "score", bars_of([(0.0, 3, 4)], 13.0))
    made = harmonise(piece)
    assert (
        made.melody[["onset", "duration", "pitch"]].tolist()
        == piece.notes[["onset", "duration", "pitch"]].tolist()
    )
    chords = made.notes[~made.notes["melody"]]
    assert chords["onset"].min() == 3.0  # the note at 2 is a pick-up
    assert (chords["onset"] + chords["duration"]).max() == 13.0
    assert chords["pitch"].min() >= BASS
    for note in piece.notes:
        sounding = (chords["onset"] < note["onset"] + note["duration"]) & (
            chords["onset"] + chords["duration"] > note["onset"]
        )
        assert (chords["pitch"][sounding] < note["pitch"]).all()
    for onset in np.unique(chords["onset"]):
        assert 3 <= (chords["onset"] == onset).sum() <= 5
    assert made.parts[1:] == ("Chords, right hand", "Bass, left hand")


def test_a_performance_has_chords_each_second() -> None:
    piece = tune([60, 64, 67, 72])
    performed = Piece(piece.notes, "performance")
    made = harmonise(performed)
    chords = made.notes[~made.notes["melody"]]
    assert np.unique(made.tempo.to_seconds(chords["onset"])).tolist() == [0.0, 1.0]
