"""Test how the melody is found: which evidence counts, in which order.

A mask never has two notes on one onset.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tracks import taken
from styletransfer.formats.read import read_score
from styletransfer.music.melody import (
    coverage,
    distinct,
    extract_melody,
    extract_merged,
    monophonic,
    skyline,
)
from styletransfer.music.melody_search import chords
from styletransfer.music.notes import NoteTable, Piece, bars_of, make_notes

line_notes = st.lists(
    st.tuples(st.floats(0.05, 3.0), st.floats(0.1, 1.2), st.integers(21, 108), st.integers(1, 127)),
    min_size=1,
    max_size=60,
)
any_notes = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 24), st.integers(21, 108), st.integers(1, 127)),
    min_size=1,
    max_size=80,
)


def performance(notes: NoteTable, parts: tuple[str, ...] = ("piano",)) -> Piece:
    return Piece(notes, "performance", parts=parts)


def score(notes: NoteTable, parts: tuple[str, ...] = ("piano",)) -> Piece:
    return Piece(
        notes,
        "score",
        bars=bars_of([], float((notes["onset"] + notes["duration"]).max())),
        parts=parts,
    )


def two_parts(upper: list[int], lower: list[int], names: tuple[str, str]) -> Piece:
    """Make quarter notes in two parts, the first named ``names[0]``."""
    onset = [float(i) for i in range(len(upper))] + [float(i) for i in range(len(lower))]
    part = [0] * len(upper) + [1] * len(lower)
    return score(make_notes(onset, [1.0] * len(onset), upper + lower, part=part), names)


@given(line_notes)
def test_a_line_is_its_own_melody(rows: list[tuple[float, float, int, int]]) -> None:
    step, held, pitch, velocity = (list(column) for column in zip(*rows, strict=True))
    onset = np.cumsum([0.0, *step[:-1]])
    duration = np.array(step) * np.minimum(held, 1.0)  # up to the next onset
    piece = performance(make_notes(onset, duration, pitch, velocity))
    assert extract_melody(piece).all()


def test_small_legato_overlaps_leave_a_line_whole() -> None:
    piece = performance(make_notes([0, 1, 2, 3], [1.2, 1.2, 1.2, 1.0], [72, 64, 67, 60]))
    assert extract_melody(piece).all()


@given(any_notes)
@settings(max_examples=60, deadline=None)
def test_never_two_notes_on_an_onset(rows: list[tuple[int, int, int, int]]) -> None:
    onset, duration, pitch, velocity = (list(column) for column in zip(*rows, strict=True))
    notes = make_notes([o / 12 for o in onset], [d / 12 for d in duration], pitch, velocity)
    for piece in (performance(notes), score(notes)):
        for find in (extract_melody, extract_merged, skyline):
            mask = find(piece)
            assert mask.shape == (len(notes),)
            assert mask.dtype == bool
            assert (np.diff(notes["onset"][mask]) > 0).all()


def test_a_part_called_melody_is_believed_even_below_the_rest() -> None:
    piece = two_parts([84, 86, 88, 89, 91, 88], [60, 62, 64, 65, 67, 60], ("piano", "Lead Vocal"))
    assert (extract_melody(piece) == (piece.notes["part"] == 1)).all()


def test_backing_vocals_are_not_the_melody() -> None:
    piece = two_parts(
        [72, 74, 76, 77, 79, 76], [60, 62, 64, 65, 67, 60], ("Soprano", "Backing Vocals")
    )
    assert (extract_melody(piece) == (piece.notes["part"] == 0)).all()


def test_chords_called_melody_are_not_believed() -> None:
    chord = [60, 64, 67] * 6
    onset = [float(i // 3) for i in range(18)]
    tune = [84, 83, 81, 79, 77, 76]
    notes = make_notes(
        onset + [float(i) for i in range(6)], [1.0] * 24, chord + tune, part=[0] * 18 + [1] * 6
    )
    piece = score(notes, ("Melody", "track 2"))
    assert piece.notes["pitch"][extract_melody(piece)].tolist() == tune


@pytest.mark.parametrize("names", [("spine_1", "spine_0"), ("Violin 1", "Violin 2")])
def test_of_parts_that_are_lines_the_top_one_is_believed_where_it_is_crossed(
    names: tuple[str, str],
) -> None:
    """A choir without part names, a quartet: the search among all notes switched to the alto at a
    crossing or a rest.
    """
    upper = [72, 74, 67, 65, 76, 72, 71, 72]
    lower = [60, 62, 71, 72, 64, 65, 67, 64]
    piece = two_parts(upper, lower, names)
    assert piece.notes["pitch"][extract_melody(piece)].tolist() == upper
    swapped = two_parts(lower, upper, names)
    assert piece.notes["pitch"][extract_melody(swapped)].tolist() == upper


def test_a_top_part_that_hardly_sounds_is_no_melody() -> None:
    """A trumpet plays a fanfare over a chorale."""
    fanfare, soprano, bass = (
        [84, 86, 88, 91],
        [72, 74, 76, 77, 79, 77, 76, 74, 72, 71, 69, 67],
        [48] * 12,
    )
    onset = [float(i) for line in (fanfare, soprano, bass) for i in range(len(line))]
    part = [0] * 4 + [1] * 12 + [2] * 12
    piece = score(
        make_notes(onset, [1.0] * 28, fanfare + soprano + bass, part=part), ("P1", "P2", "P3")
    )
    assert (extract_melody(piece) == (piece.notes["part"] == 1)).all()


def test_parts_with_chords_are_searched() -> None:
    """This is so if most of the melody is in a part that isn't a single line."""
    upper, lower = [72, 74, 60, 59, 58, 60, 57, 55] * 2, [60, 62, 71, 72, 74, 72, 71, 69] * 2
    onset = [float(i) for i in range(16)] * 3
    piece = score(
        make_notes(
            onset,
            [1.0] * 48,
            upper + lower + [pitch - 4 for pitch in lower],
            part=[0] * 16 + [1] * 32,
        ),
        ("P1", "P2"),
    )
    found = extract_merged(piece)
    assert (found != (piece.notes["part"] == 0)).any()
    assert (found != (piece.notes["part"] == 1)).any()
    assert (extract_melody(piece) == found).all()


def test_a_line_with_most_of_the_melody_is_believed_without_a_name() -> None:
    """A singer is silent in the pianist's interlude, where the search continues in the piano."""
    sung = [float(i) for i in [*range(32), *range(64, 96)]]
    played = [float(i) for i in range(96)]
    notes = make_notes(
        sung + [onset for onset in played for _ in range(3)],
        [1.0] * (64 + 3 * 96),
        [67, 69, 71, 72, 74, 72, 71, 69] * 8
        + [pitch for i in range(96) for pitch in (48, 55, 64 + i % 4)],
        part=[1] * 64 + [0] * 3 * 96,
    )
    for piece in (score(notes, ("", "Track 2")), performance(notes, ("", "Track 2"))):
        assert (extract_merged(piece) != (piece.notes["part"] == 1)).any()
        assert (extract_melody(piece) == (piece.notes["part"] == 1)).all()


def parts_of(
    *lines: tuple[str, list[tuple[float, float, int]]], sung: tuple[int, ...] = ()
) -> Piece:
    """Make a score of named parts, each of (onset, duration, pitch)."""
    rows = [(*row, part) for part, (_, line) in enumerate(lines) for row in line]
    onset, duration, pitch, part = (list(column) for column in zip(*rows, strict=True))
    notes = make_notes(onset, duration, pitch, part=part)
    return replace(score(notes, tuple(name for name, _ in lines)), sung=sung)


def line(
    pitches: list[int], start: float = 0, step: float = 1, held: float = 1
) -> list[tuple[float, float, int]]:
    return [(start + step * k, step * held, pitch) for k, pitch in enumerate(pitches)]


def chosen(piece: Piece) -> set[str]:
    return {piece.parts[part] for part in piece.notes["part"][extract_melody(piece)]}


UP = [60, 62, 64, 65, 67, 69, 71, 72]
TUNE = UP + UP[::-1]
BELLS = ("Bells", line([84, 88] * 32, step=0.5))
CHORDS = [(float(k), 1.0, pitch) for k in range(32) for pitch in (60, 64, 67)]
HANDS = (("Piano, right hand", CHORDS), ("Piano, left hand", line([36] * 32)))


@pytest.mark.parametrize("low", [False, True])
def test_the_only_line_among_chords_is_the_melody_without_a_name(low: bool) -> None:
    """It is a voice between the hands of a piano; a bass is a line, too, but the lowest part."""
    beats = np.arange(16.0)
    voice = make_notes(beats, np.full(16, 1.0), 60 + (np.arange(16) * 5) % 12, part=0)
    right = [make_notes(beats, np.full(16, 1.0), np.full(16, p), part=1) for p in (76, 79, 84)]
    left = [make_notes(beats, np.full(16, 1.0), np.full(16, p), part=2) for p in (40, 47)]
    notes = np.concatenate([voice, *right, *(left[:1] if low else left)])
    piece = score(notes[np.argsort(notes["onset"], kind="stable")], ("", "", ""))
    found = extract_melody(piece)
    assert (found == (piece.notes["part"] == 0)).all()


@pytest.mark.parametrize("name", ["Vocal", "Melody", "Mélodie", "Вокал", "Lead", "Soprano"])
@pytest.mark.parametrize(
    "tune",
    [
        line(TUNE * 2) + line([pitch + 4 for pitch in TUNE * 2]),  # in thirds
        line(TUNE * 2, held=2.5),  # held over
        line(TUNE * 2) + [(2.0 * k, 1.0, pitch + 3) for k, pitch in enumerate(TUNE)],
    ],
)
def test_a_part_that_is_named_is_believed(name: str, tune: list[tuple[float, float, int]]) -> None:
    """It may be sung in thirds, or hold its notes into the next ones."""
    piece = parts_of((name, tune), BELLS, ("Bass", line([36] * 32)))
    assert chosen(piece) == {name}
    mask = extract_melody(piece)
    assert len(set(piece.notes["onset"][mask])) == 32


@pytest.mark.parametrize("name", ["Lead Guitar", "Solo", "Vocal", "Lead", "Melody", "Voice"])
def test_a_part_with_a_handful_of_notes_is_not_believed(name: str) -> None:
    flute = ("Flute", line(TUNE * 4))
    assert chosen(
        parts_of(flute, (name, line([76, 79, 81, 79])), ("Strings", line([48] * 64)))
    ) == {"Flute"}


def test_a_named_melody_comes_before_a_lead_guitar() -> None:
    melody, chords_ = ("Melody", line(TUNE * 4, held=1.8)), ("Piano", CHORDS)
    assert chosen(parts_of(melody, ("Lead Guitar", line([76] * 40, step=0.5)), chords_)) == {
        "Melody"
    }


@pytest.mark.parametrize(
    "name", ["Trumpet in C", "Oboe", "Baritone", "Violin", "Singstimme", "part 1", "Cello"]
)
@pytest.mark.parametrize("height", [-7, 0, 12])
def test_beside_a_keyboard_a_line_of_its_own_is_the_melody(name: str, height: int) -> None:
    tune = [pitch + height for pitch in TUNE * 2]
    assert chosen(parts_of((name, line(tune)), *HANDS)) == {name}
    assert chosen(parts_of(*HANDS, (name, line(tune)))) == {name}


def test_a_bass_beside_a_keyboard_is_none() -> None:
    piece = parts_of(("Contrabass", line([36, 38, 40, 41] * 8)), *HANDS)
    assert chosen(piece) == {"Piano, right hand"}


@pytest.mark.parametrize(
    "names",
    [
        ("Voice", "Voice"),
        ("Vocal 1", "Vocal 2"),
        ("Melody", "Melody (2)"),
        ("Flute", "Violin"),
        ("a", "b"),
    ],
)
def test_a_tune_that_is_handed_on_continues(names: tuple[str, str]) -> None:
    low = ("Cello", line([48, 43] * 16))
    piece = parts_of((names[0], line(TUNE)), (names[1], line(TUNE, start=16)), low)
    assert set(piece.notes["part"][extract_melody(piece)]) == {0, 1}
    assert piece.notes["pitch"][extract_melody(piece)].tolist() == TUNE * 2


def test_an_interlude_is_no_part_of_the_tune() -> None:
    piece = parts_of(("a", line(TUNE * 2)), ("b", line(UP, start=32)), ("c", line([36] * 60)))
    assert set(piece.notes["part"][extract_melody(piece)]) == {0}


def test_what_sounds_with_the_tune_is_no_part_of_it() -> None:
    piece = parts_of(("Voice", line(TUNE)), ("Voice", line([pitch - 3 for pitch in TUNE])), *HANDS)
    assert chosen(piece) == {"Voice"}
    assert set(piece.notes["part"][extract_melody(piece)]) == {0}


def test_the_part_with_words_is_sung() -> None:
    assert chosen(parts_of(BELLS, ("x", line(TUNE * 2)), *HANDS, sung=(1,))) == {"x"}
    assert chosen(parts_of(("Melody", line(TUNE * 2)), BELLS, sung=(1,))) == {"Melody"}


def test_how_much_of_the_time_the_melody_covers() -> None:
    """Breaths count as melody; a long rest is mentioned if others
    play, but not if nothing sounds.
    """
    low = ("Bass", line([36] * 160))
    piece = parts_of(("Voice", line(TUNE) + line(TUNE, start=20)), low)
    share, told = coverage(piece, piece.notes[extract_melody(piece)])
    assert share == pytest.approx(36 / 160)
    assert told == [
        "the melody rests for 62 s from 0:18 on, where other notes are played; "
        "--melody-track takes another part"
    ]
    alone = parts_of(("Voice", line(TUNE) + line(TUNE, start=100)))
    assert coverage(alone, alone.notes) == (pytest.approx(32 / 116), [])


def test_of_two_hands_the_top_of_the_right_one() -> None:
    piece = two_parts([60, 62, 64, 65], [72, 74, 76, 77], ("right hand", "left hand"))
    assert (extract_melody(piece) == (piece.notes["part"] == 0)).all()


def test_skyline_leaves_out_notes_under_a_held_one() -> None:
    notes = make_notes([0, 0, 1, 2, 3], [3, 1, 1, 1, 1], [72, 60, 64, 65, 70])
    assert notes["pitch"][skyline(score(notes))].tolist() == [72, 70]


def test_a_tune_over_arpeggios_is_found() -> None:
    tune = [72, 74, 76, 77, 79, 77, 76, 74] * 4
    bass = [48, 55, 60, 55] * 32
    notes = make_notes(
        [i * 1.0 for i in range(32)] + [i * 0.25 for i in range(128)],
        [1.0] * 32 + [0.25] * 128,
        tune + bass,
        velocity=[90] * 32 + [60] * 128,
    )
    found = notes[extract_merged(score(notes))]
    assert found["pitch"].tolist() == tune


def test_chords_split_a_long_chain() -> None:
    onset = np.linspace(0, 0.57, 20)  # each is close to the next, the last far from the first
    group = chords(onset, 0.035)
    assert group[0] == 0
    assert (np.diff(group) >= 0).all()
    assert max(np.ptp(onset[group == g]) for g in np.unique(group)) <= 0.07 + 1e-9


def test_monophonic_cuts_and_keeps_positions() -> None:
    notes = make_notes([0, 0, 1, 3], [2.0, 2.0, 1.0, 1.0], [60, 64, 62, 65])
    line = monophonic(notes)
    assert line["pitch"].tolist() == [64, 62, 65]
    assert line["duration"].tolist() == [1.0, 1.0, 1.0]
    assert line["onset"].tolist() == [0.0, 1.0, 3.0]


def test_copies_count_once() -> None:
    notes = make_notes([0, 0, 1], [0.5, 1.0, 1.0], [60, 60, 62])
    assert notes["duration"][distinct(notes)].tolist() == [1.0, 1.0]
    mask = extract_melody(score(notes))
    assert mask.sum() == 2
    assert notes["duration"][mask].tolist() == [1.0, 1.0]


def test_no_notes_no_melody() -> None:
    assert extract_melody(performance(make_notes([], [], []))).shape == (0,)


def pop909_folder() -> Path:
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("STYLETRANSFER_DATA", root / "data"))
    found = next(
        (f for f in (folder / "pop909-dev", folder) if sorted(f.glob("[0-9][0-9][0-9].mid"))), None
    )
    if found is None:
        pytest.skip(
            f"POP909 is not in {folder}: set STYLETRANSFER_DATA to the folder that holds pop909-dev"
        )
    return found


def test_pop909_melodies_are_found_better_than_by_the_skyline() -> None:
    """Songs that the networks were not fitted on: every second one by name, see
    benchmarks/melody.py.
    """
    benchmark = pytest.importorskip("benchmarks.melody", reason="mir_eval is not installed")
    songs = benchmark.load_pop909(pop909_folder(), songs=20)
    ours, simple = (
        np.mean(
            [benchmark.note_f1(song, find(song.piece))[2] for song in songs if not song.trained_on]
        )
        for find in (extract_merged, benchmark.plain_skyline)
    )
    assert ours > 0.65
    assert ours > simple + 0.12


def test_of_pop_songs_the_melody_track_is_taken() -> None:
    """It is in 99 of the first 100 files.

    In the other one, a quarter of the melody's notes are held far into the next ones.
    """
    files = sorted(pop909_folder().glob("[0-9][0-9][0-9].mid"))[:100]
    assert len(files) == 100
    assert sum(set(taken(read_score(file))) == {"MELODY"} for file in files) >= 95


def test_of_pop_songs_the_melody_track_is_taken_without_its_name() -> None:
    """It is in 94 of the first 100 files; the first twenty are read here, for time.

    See benchmarks/tracks.md for more.
    """
    files = sorted(pop909_folder().glob("[0-9][0-9][0-9].mid"))[:20]
    assert sum(set(taken(read_score(file), named=False)) == {"MELODY"} for file in files) >= 17
