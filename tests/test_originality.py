"""Test originality: shares and runs, and notes that must not count.

They are computed by hand, and compared with sets of n-grams and with a search note by note.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from styletransfer.data.fingerprint import fingerprint, pitch_sequence
from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.evaluation.measures.fidelity import transposed
from styletransfer.evaluation.measures.originality import NgramIndex
from styletransfer.music.ngrams import (
    TOLERANCE,
    Mode,
    NoteSequence,
    accompaniment_of,
    packed_sequence,
    sequence,
    sequence_of,
)
from styletransfer.music.notes import Piece, bars_of, make_notes
from tests.tiny import random_piece

MODES: list[Mode] = ["exact", "intervals"]


def row(
    pitch: NDArray[np.integer] | list[int], melody: NDArray[np.bool_] | None = None
) -> NoteSequence:
    """Make a sequence of one note after another."""
    pitches = np.asarray(pitch)
    return sequence(np.arange(len(pitches), dtype=float), pitches, "score", melody)


def music(seed: int, notes: int = 200) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(40, 85, notes)


def index(*pieces: NDArray[np.int64], mode: Mode = "exact") -> NgramIndex:
    return NgramIndex.build(
        [f"p{k}" for k in range(len(pieces))], [row(piece) for piece in pieces], mode
    )


def test_a_quotation_by_hand() -> None:
    """20 of 60 notes are copied: 9 of 49 12-grams, 5 of 45 16-grams, none of 29 32-grams."""
    source, own = music(1), music(2, 60)
    own[10:30] = source[100:120]
    own[9], own[30] = source[99] + 1, source[120] + 1
    result = index(music(3), source).originality(row(own))
    assert result.shares == {12: 9 / 49, 16: 5 / 45, 32: 0.0}
    assert result.counts == {12: 49, 16: 45, 32: 29}
    assert (result.longest, result.longest_at, result.longest_in) == (20, 10, "p1")
    assert (result.nearest, result.nearest_share) == ("p1", 9 / 49)


def test_the_nearest_piece_shares_most_and_the_longest_run_may_be_another() -> None:
    first, second = music(1), music(2)
    own = np.concatenate(
        [
            first[:20],
            music(3, 5),
            second[:14],
            music(4, 5),
            second[50:64],
            music(5, 5),
            second[90:106],
        ]
    )
    result = index(first, second).originality(row(own))
    assert (result.longest, result.longest_in) == (20, "p0")
    assert (result.nearest, result.nearest_share) == ("p1", (3 + 3 + 5) / (len(own) - 11))
    without = index(first, second).originality(row(own), without=["p0"])
    assert (without.longest, without.longest_in) == (16, "p1")


@pytest.mark.parametrize("mode", MODES)
def test_a_piece_is_found_in_itself_and_no_run_crosses_into_the_next_piece(mode: Mode) -> None:
    first, second = music(1, 40), music(2, 40)
    both = index(first, second, mode=mode)
    whole = both.originality(row(first))
    assert (whole.shares, whole.longest, whole.nearest_share) == (
        {12: 1.0, 16: 1.0, 32: 1.0},
        40,
        1.0,
    )
    across = both.originality(row(np.concatenate([first, second])))
    assert across.longest == 40
    assert across.shares[12] == pytest.approx((29 + 29) / 69)
    assert across.longest_in == "p0"


def test_transposed_copies_are_found_by_intervals_only() -> None:
    source = music(1)
    own = row(source[50:90] + 3)
    assert index(source).originality(own).longest < 12
    found = index(source, mode="intervals").originality(own)
    assert (found.shares[12], found.longest, found.longest_in) == (1.0, 40, "p0")


@given(st.integers(0, 1000), st.integers(-12, 12))
@settings(max_examples=20, deadline=None)
def test_intervals_dont_see_transposition(seed: int, semitones: int) -> None:
    rng = np.random.default_rng(seed)
    source = index(rng.integers(58, 64, 300), mode="intervals")
    piece = rng.integers(58, 64, 80)
    assert source.originality(row(piece)) == source.originality(row(piece + semitones))


@given(st.integers(0, 10_000), st.sampled_from(MODES))
@settings(max_examples=30, deadline=None)
def test_against_a_search_note_by_note(seed: int, mode: Mode) -> None:
    """Pieces that quote each other are compared by brute force.

    Searched are every 12-gram with its 6 pitches, and every run with one of those.
    """
    rng = np.random.default_rng(seed)
    train = [rng.integers(60, 69, 60) for _ in range(3)]
    own = np.concatenate(
        [part[a : a + 25] for part, a in zip(train, rng.integers(0, 40, 3), strict=True)]
    )
    own[rng.integers(0, len(own), 3)] += 1
    result = NgramIndex.build("abc", [row(one) for one in train], mode).originality(row(own))

    def key(window: NDArray[np.int64]) -> bytes:
        return (window - (window[0] if mode == "intervals" else 0)).astype(np.int64).tobytes()

    seeds = [k for k in range(len(own) - 11) if len(set(own[k : k + 12])) >= 6]
    for n in (12, 16, 32):
        known = {key(one[k : k + n]) for one in train for k in range(len(one) - n + 1)}
        windows = [k for k in range(len(own) - n + 1) if any(k <= s <= k + n - 12 for s in seeds)]
        assert result.counts[n] == len(windows)
        found = sum(key(own[k : k + n]) in known for k in windows)
        assert result.shares[n] == pytest.approx(found / len(windows) if windows else 0.0)
    longest = 0
    for n in range(12, len(own) + 1):
        known = {key(one[k : k + n]) for one in train for k in range(len(one) - n + 1)}
        if any(
            key(own[k : k + n]) in known and any(k <= s <= k + n - 12 for s in seeds)
            for k in range(len(own) - n + 1)
        ):
            longest = n
    assert result.longest == longest


def test_seeds_are_the_fingerprints() -> None:
    """The exact seeds of a piece are as many as its fingerprint's n-grams, and its order of notes
    is the same.
    """
    piece = random_piece(3, "performance")
    onset, pitch = piece.onset_seconds, piece.notes["pitch"]
    mine = sequence_of(piece)
    assert (mine.pitch == pitch_sequence(onset, pitch, TOLERANCE["performance"])).all()
    built = NgramIndex.build(["a"], [mine])
    assert len(np.unique(built.hashes)) == len(fingerprint(onset, pitch, "performance"))
    assert mine.melody.sum() == piece.notes["melody"].sum()
    assert set(mine.pitch[mine.melody]) == set(pitch[piece.notes["melody"]])


def test_trills_dont_count_but_runs_go_through_them() -> None:
    trill = np.tile([60, 62], 20)
    source = np.concatenate([music(1, 20), trill, music(2, 20)])
    built = index(source)
    assert built.originality(row(trill)).counts == {12: 0, 16: 0, 32: 0}
    assert built.originality(row(trill)).longest == 0
    assert built.originality(row(source)).longest == 80


def test_the_input_melody_is_excluded() -> None:
    """A melody that occurs in training pieces: alone it doesn't count, but with their accompaniment
    it does.
    """
    melody = music(1, 60)
    locked = np.ones(60, bool)
    known = index(melody)
    assert known.originality(row(melody)).shares[12] == 1.0
    alone = known.originality(row(melody, locked))
    assert (alone.shares[12], alone.counts[12], alone.longest, alone.nearest) == (0.0, 0, 0, None)
    half = known.originality(row(melody, np.arange(60) < 30))
    assert half.counts[12] == 49 - 19
    assert half.shares[12] == 1.0


def harmonised(seed: int, tune: int) -> Piece:
    """Make a melody over broken chords, in eighths."""
    onset = np.arange(0, 40, 1.0)
    notes = np.concatenate(
        [
            make_notes(
                onset, np.ones(40), np.random.default_rng(tune).integers(70, 85, 40), melody=True
            ),
            make_notes(
                np.arange(80) / 2,
                np.full(80, 0.5),
                np.random.default_rng(seed).integers(40, 60, 80),
            ),
        ]
    )
    piece = Piece(notes[:0], "score", bars_of([(0.0, 4, 4)], 40.0))
    return piece.with_notes(notes)


def test_accompaniments_of_their_own() -> None:
    """A figure copied under another melody shares no n-gram of all notes with its source; its
    accompaniment does.
    """
    source, copy = harmonised(1, 1), harmonised(1, 2)
    assert (
        NgramIndex.build(["a"], [sequence_of(source)]).originality(sequence_of(copy)).longest == 0
    )
    found = NgramIndex.build(["a"], [accompaniment_of(source)]).originality(accompaniment_of(copy))
    assert (found.longest, found.shares[32]) == (80, 1.0)


def test_seconds_and_quarters_are_the_same_music() -> None:
    """A score's copy as a performance, with its chords spread by 20 ms, is found."""
    source = harmonised(1, 1)
    notes = source.notes.copy()
    notes["onset"] += np.random.default_rng(0).uniform(0, 0.04, len(notes))
    played = Piece(source.with_notes(notes).notes, "performance")
    assert (
        NgramIndex.build(["a"], [sequence_of(source)]).originality(sequence_of(played)).shares[12]
        == 1.0
    )


@pytest.mark.parametrize("mode", MODES)
def test_little_and_nothing(mode: Mode) -> None:
    built = index(music(1), np.zeros(0, int), music(2, 5), mode=mode)
    for own in (np.zeros(0, int), music(1, 1), music(1, 11)):
        result = built.originality(row(own))
        assert (result.shares[12], result.counts[12], result.longest, result.longest_in) == (
            0.0,
            0,
            0,
            None,
        )
    empty = NgramIndex.build([], [], mode)
    assert empty.originality(row(music(1))).longest == 0


@pytest.mark.parametrize("mode", MODES)
def test_saved_and_loaded(tmp_path: Path, mode: Mode) -> None:
    built = replace(index(music(1), music(2), mode=mode), about="data 1234")
    path = tmp_path / "index.safetensors"
    built.save(path)
    again = NgramIndex.load(path)
    assert (again.mode, again.ids, again.about) == (mode, ("p0", "p1"), "data 1234")
    own = row(np.concatenate([music(1, 30), music(9, 30)]))
    assert again.originality(own) == built.originality(own)
    assert [file.name for file in tmp_path.iterdir()] == ["index.safetensors"]


def test_hashes_stay_what_they_are() -> None:
    """Otherwise a saved index would silently find nothing. The first value is splitmix64's for the
    seed 0.
    """
    from styletransfer.music import ngrams

    assert ngrams._VALUES[:2].tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    pitch = np.arange(60, 72, dtype=np.uint8)
    total = (
        sum(
            int(ngrams._VALUES[p]) * pow(ngrams._BASE, k, 2**64)
            for k, p in enumerate(pitch.tolist())
        )
        % 2**64
    )
    assert index(pitch.astype(np.int64)).hashes.tolist() == [total ^ (total >> 31)]


def test_files_that_are_no_index(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(InputError, match="not an index"):
        NgramIndex.load(tmp_path / "missing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="not an index"):
        NgramIndex.load(tmp_path / "text")
    save_file({"pitch": np.zeros(3, np.uint8)}, tmp_path / "weights")
    with pytest.raises(InputError, match="version"):
        NgramIndex.load(tmp_path / "weights")


def test_the_pieces_of_a_library(tiny_data: Path) -> None:
    """Each piece of a prepared data set is found in an index of all, but not without itself."""
    library = Library.load(tiny_data)
    pieces = [
        packed_sequence(library.notes(i), library.pieces[i].feel) for i in range(len(library))
    ]
    built = NgramIndex.build([piece.id for piece in library.pieces], pieces, about=library.hash)
    for info, piece in zip(library.pieces, pieces, strict=True):
        assert built.originality(piece).nearest == info.id
        assert built.originality(piece, without=[info.id]).longest < 20
    bass = packed_sequence(library.notes(0), library.pieces[0].feel, accompaniment=True)
    assert len(bass.pitch) < len(pieces[0].pitch)


def test_transposed_notes_of_a_table() -> None:
    piece = harmonised(3, 4)
    moved = replace(piece, notes=transposed(piece.notes, 5))
    built = NgramIndex.build(["a"], [sequence_of(piece, given_melody=False)], "intervals")
    assert built.originality(sequence_of(moved)).shares[16] == 1.0
