"""The learnt recogniser names chords with their spans, in every key and metre."""

from __future__ import annotations

import numpy as np
import pytest

from styletransfer.data.library import PACKED_NOTE_DTYPE
from styletransfer.music.chords import CHORD_DTYPE, ChordTable, recognise, tones_of
from styletransfer.music.notes import BAR_DTYPE, BarTable, NoteTable, make_notes
from styletransfer.music.qualities import NONE

MAJOR, MINOR, SEVENTH = 0, 1, 4


def bars_in(count: int, numerator: int = 4, denominator: int = 4) -> BarTable:
    length = 4 * numerator / denominator
    return np.array([(k * length, length, numerator, denominator) for k in range(count)], BAR_DTYPE)


def spans(table: ChordTable) -> list[tuple[float, float, int, int, int]]:
    return [tuple(row) for row in table.tolist()]


def cadence(key: int) -> NoteTable:
    """Make two bars I, IV, V7, I and repeat them: four voices, half notes."""
    chords = [(48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 65), (48, 60, 64, 67)] * 2
    rows = [(2.0 * k, pitch + key) for k, chord in enumerate(chords) for pitch in chord]
    return make_notes([onset for onset, _ in rows], [2.0] * len(rows), [pitch for _, pitch in rows])


@pytest.mark.parametrize("key", [-5, 0, 3, 6])
def test_a_cadence_is_named_with_its_exact_spans(key: int) -> None:
    found = spans(recognise(cadence(key), bars_in(4)))
    tonic, fourth, fifth = (key + 0) % 12, (key + 5) % 12, (key + 7) % 12
    assert found == [
        (0, 2, tonic, MAJOR, tonic),
        (2, 2, fourth, MAJOR, fourth),
        (4, 2, fifth, SEVENTH, fifth),
        (
            6,
            4,
            tonic,
            MAJOR,
            tonic,
        ),  # the second cadence goes on with the chord that ends the first
        (10, 2, fourth, MAJOR, fourth),
        (12, 2, fifth, SEVENTH, fifth),
        (14, 2, tonic, MAJOR, tonic),
    ]


def alberti(chords: list[tuple[int, int, int]], tune: list[int]) -> NoteTable:
    """Put a bar of broken chord in eighths under each note of a tune."""
    low = [
        (4 * k + 0.5 * i, 0.5, chord[j])
        for k, chord in enumerate(chords)
        for i, j in enumerate([0, 2, 1, 2] * 2)
    ]
    rows = low + [(4.0 * k, 4.0, pitch) for k, pitch in enumerate(tune)]
    onset, duration, pitch = (list(column) for column in zip(*rows, strict=True))
    return make_notes(onset, duration, [int(one) for one in pitch])


def test_an_alberti_bass_is_one_chord_a_bar_with_its_lowest_note_as_the_bass() -> None:
    notes = alberti([(48, 52, 55), (47, 50, 55), (48, 52, 55), (45, 48, 52)], [76, 74, 72, 72])
    assert spans(recognise(notes, bars_in(4))) == [
        (0, 4, 0, MAJOR, 0),
        (4, 4, 7, MAJOR, 11),
        (8, 4, 0, MAJOR, 0),
        (12, 4, 9, MINOR, 9),
    ]


def random_music(seed: int, count: int = 400) -> NoteTable:
    rng = np.random.default_rng(seed)
    onset = rng.integers(0, 256, count) / 4
    return make_notes(onset, rng.integers(1, 9, count) / 4, rng.integers(40, 80, count))


@pytest.mark.parametrize("semitones", [1, 7, -4])
def test_transposed_notes_have_transposed_chords(semitones: int) -> None:
    notes = random_music(0)
    moved = notes.copy()
    moved["pitch"] = (notes["pitch"].astype(int) + semitones).astype(np.uint8)
    here, there = recognise(notes, bars_in(17)), recognise(moved, bars_in(17))
    assert (here["start"] == there["start"]).all()
    assert (here["quality"] == there["quality"]).all()
    for name in ("root", "bass"):
        assert ((here[name].astype(int) + semitones) % 12 == there[name]).all()


@pytest.mark.parametrize("metre", [(4, 4), (3, 8), (5, 8), (12, 8), (7, 16), (2, 2)])
def test_chords_tile_the_bars_and_neighbours_differ(metre: tuple[int, int]) -> None:
    bars = bars_in(40, *metre)
    bars["start"] -= bars["length"] / 2  # a pick-up
    table = recognise(random_music(1), bars)
    assert table.dtype == CHORD_DTYPE
    assert table["start"][0] == bars["start"][0]
    assert np.allclose(table["start"][1:], (table["start"] + table["length"])[:-1])
    assert table["start"][-1] + table["length"][-1] == pytest.approx(
        bars["start"][-1] + bars["length"][-1]
    )
    named = np.column_stack([table["root"], table["quality"], table["bass"]])
    assert (named[1:] != named[:-1]).any(axis=1).all()
    assert all(
        bass in tones_of(root, quality)
        for _, _, root, quality, bass in spans(table)
        if quality != NONE
    )


def test_a_bar_of_silence_has_no_chord_and_a_shorter_rest_has_its_neighbours() -> None:
    notes = make_notes([0.0] * 3 + [12.0] * 3, [3.0] * 6, [48, 52, 55, 43, 47, 50])
    assert spans(recognise(notes, bars_in(4))) == [
        (0, 3, 0, MAJOR, 0),
        (3, 9, NONE, NONE, NONE),
        (12, 4, 7, MAJOR, 7),
    ]


def test_music_without_notes_or_bars_is_no_error() -> None:
    nothing = make_notes([], [], [])
    assert spans(recognise(nothing, bars_in(2))) == [(0, 8, NONE, NONE, NONE)]
    assert len(recognise(nothing, bars_in(0))) == 0


def test_a_tune_alone_has_chords_in_either_kind_of_note_table() -> None:
    tune = make_notes([0, 1, 2, 3, 4], [1, 1, 1, 1, 4], [60, 64, 67, 64, 60], melody=True)
    packed = np.zeros(len(tune), PACKED_NOTE_DTYPE)
    for name in ("onset", "duration", "pitch", "melody"):
        packed[name] = tune[name]
    assert (
        spans(recognise(tune, bars_in(2)))
        == spans(recognise(packed, bars_in(2)))
        == [(0, 8, 0, MAJOR, 0)]
    )


def test_in_compound_metre_chords_begin_on_any_eighth() -> None:
    """Each bar of 6/8 has two dotted quarters; the last bar's second chord is an eighth late."""
    chords = [
        (0.0, 1.5, (48, 55, 64)),
        (1.5, 1.5, (55, 62, 65, 71)),
        (3.0, 2.0, (48, 55, 64)),
        (5.0, 1.0, (53, 57, 60)),
    ]
    chords += [(6.0, 1.5, (55, 62, 65, 71)), (7.5, 1.5, (48, 55, 64))]
    rows = [(onset, length, pitch) for onset, length, chord in chords for pitch in chord]
    onset, duration, pitch = (list(column) for column in zip(*rows, strict=True))
    table = recognise(make_notes(onset, duration, [int(one) for one in pitch]), bars_in(3, 6, 8))
    assert table["start"].tolist() == [0, 1.5, 3, 5, 6, 7.5]
    assert table["root"].tolist() == [0, 7, 0, 5, 7, 0]
