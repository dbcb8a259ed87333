"""Test keys: those of well-known tunes, their names, signatures and notes outside."""

from __future__ import annotations

import numpy as np
import pytest

from styletransfer.music.key import Key, estimate_key, out_of_key_share
from styletransfer.music.notes import NoteTable, make_notes


def tune(pitch: list[int], duration: list[float]) -> NoteTable:
    return make_notes([float(x) for x in np.cumsum([0.0, *duration[:-1]])], duration, pitch)


HAPPY_BIRTHDAY = tune(
    [
        60,
        60,
        62,
        60,
        65,
        64,
        60,
        60,
        62,
        60,
        67,
        65,
        60,
        60,
        72,
        69,
        65,
        64,
        62,
        70,
        70,
        69,
        65,
        67,
        65,
    ],
    [0.75, 0.25, 1, 1, 1, 2] * 2 + [0.75, 0.25, 1, 1, 1, 1, 1] + [0.75, 0.25, 1, 1, 1, 2],
)
TWINKLE = tune([60, 60, 67, 67, 69, 69, 67, 65, 65, 64, 64, 62, 62, 60], [1, 1, 1, 1, 1, 1, 2] * 2)
GREENSLEEVES = tune(
    [69, 72, 74, 76, 77, 76, 74, 71, 67, 69, 71, 72, 69, 69, 68, 69, 71, 68, 64]
    + [69, 72, 74, 76, 77, 76, 74, 71, 67, 69, 71, 72, 71, 69, 68, 66, 68, 69, 69],
    [1, 2, 1, 1.5, 0.5, 1, 2, 1, 1.5, 0.5, 1, 2, 1, 1.5, 0.5, 1, 2, 1, 2]
    + [1, 2, 1, 1.5, 0.5, 1, 2, 1, 1.5, 0.5, 1, 1.5, 0.5, 1, 1.5, 0.5, 1, 3, 3],
)


@pytest.mark.parametrize(
    ("notes", "name"),
    [(HAPPY_BIRTHDAY, "F major"), (TWINKLE, "C major"), (GREENSLEEVES, "A minor")],
    ids=lambda x: str(x)[:9],
)
def test_keys_of_tunes(notes: NoteTable, name: str) -> None:
    assert estimate_key(notes).name == name


@pytest.mark.parametrize("semitones", range(-6, 6))
def test_the_key_moves_with_the_tune(semitones: int) -> None:
    moved = HAPPY_BIRTHDAY.copy()
    moved["pitch"] = moved["pitch"].astype(int) + semitones
    assert estimate_key(moved) == Key((5 + semitones) % 12, "major")


def test_names_and_signatures() -> None:
    majors = {
        "C": 0,
        "G": 1,
        "D": 2,
        "A": 3,
        "E": 4,
        "B": 5,
        "F#": 6,
        "F": -1,
        "Bb": -2,
        "Eb": -3,
        "Ab": -4,
        "Db": -5,
    }

    minors = {
        "A": 0,
        "E": 1,
        "B": 2,
        "F#": 3,
        "C#": 4,
        "G#": 5,
        "D": -1,
        "G": -2,
        "C": -3,
        "F": -4,
        "Bb": -5,
        "Eb": -6,
    }

    for mode, table in (("major", majors), ("minor", minors)):
        keys = [Key(tonic, mode) for tonic in range(12)]  # type: ignore[arg-type]  # a loop over both modes
        assert {key.name.split()[0]: key.fifths for key in keys} == table


def test_home_of_a_key() -> None:
    assert Key(5, "major").pitch_classes == {5, 7, 9, 10, 0, 2, 4}
    assert Key(9, "minor").pitch_classes == {9, 11, 0, 2, 4, 5, 7, 8}  # G sharp too


def test_out_of_key_share() -> None:
    notes = make_notes([0, 1, 2, 3], [1.0] * 4, [60, 61, 62, 66])
    assert out_of_key_share(notes, Key(0, "major")) == 0.5
    assert out_of_key_share(notes[:0], Key(0, "major")) == 0.0
    assert out_of_key_share(HAPPY_BIRTHDAY, estimate_key(HAPPY_BIRTHDAY)) == 0.0


def test_no_such_key() -> None:
    with pytest.raises(ValueError, match="no such key"):
        Key(12, "major")


def test_no_notes() -> None:
    assert estimate_key(make_notes([], [], [])) == Key(0, "major")
