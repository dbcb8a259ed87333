"""Test the judges' features by hand, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.evaluation.judges.blocks import BLOCKS, NAMES, REGISTER, SIZE, block_columns
from styletransfer.evaluation.judges.features import FEWEST_NOTES, features, piece_features
from styletransfer.music.notes import Piece, bars_of, make_notes
from tests.tiny import random_piece


def shares(row: NDArray[np.float32], block: str) -> dict[str, float]:
    """Return a histogram's contents as shares by label."""
    labels = next(one for one in BLOCKS if one.name == block).labels
    values = row[block_columns(block)] ** 2
    return {labels[k]: round(float(values[k]), 4) for k in np.flatnonzero(values)}


def played(onset: list[float], pitch: list[int]) -> NDArray[np.float32]:
    return features(np.array(onset), np.array(pitch), "score")[0]


def test_names_are_different_and_cover_all_columns() -> None:
    assert len(NAMES) == SIZE == len(set(NAMES))
    assert [
        block_columns(block.name).stop - block_columns(block.name).start for block in BLOCKS
    ] == [b.size for b in BLOCKS]


def test_alberti_bass_under_a_melody() -> None:
    """C E G E comes twice under C5 and D5: intervals of both hands, chord and rhythm."""
    onset = [0, 0, 1, 2, 3, 4, 4, 5, 6, 7]
    row = played(onset, [48, 72, 55, 52, 55, 48, 74, 55, 52, 55])
    assert shares(row, "melody interval") == {"+2": 1.0}
    assert shares(row, "bass interval") == {"+7": 0.2857, "-3": 0.2857, "+3": 0.2857, "-7": 0.1429}
    assert shares(row, "interval above the bass") == {"24": 0.5, "26": 0.5}
    assert shares(row, "notes on an onset") == {"1": 0.75, "2": 0.25}
    assert shares(row, "distance of onsets") == {"1": 1.0}
    assert shares(row, "distance of melody notes") == {"4": 1.0}
    assert shares(row, "rhythm") == {"same same same": 1.0}
    assert shares(row, "gap between the hands") == {"24": 0.5, "26": 0.5}
    assert shares(row, "degree") == {
        "0 in major": 0.3,
        "2 in major": 0.1,
        "4 in major": 0.2,
        "7 in major": 0.4,
    }


def test_chords_are_named_from_their_bass_and_from_the_key() -> None:
    """I, IV, V7, I in D major as block chords."""
    chords = [(50, 66, 69, 74), (43, 67, 71, 74), (45, 67, 73, 76), (50, 66, 69, 74)]
    onset = [4.0 * k for k, chord in enumerate(chords) for _ in chord]
    row = played(onset, [pitch for chord in chords for pitch in chord])
    found = shares(row, "tones above the bass")
    assert found == {"bass 4 7": 0.75, "bass 4 7 10": 0.25}
    assert shares(row, "degree in the bass") == {
        "0 in major": 0.5,
        "5 in major": 0.25,
        "7 in major": 0.25,
    }
    assert shares(row, "outer motion")["bass down top stays"] == pytest.approx(1 / 3, abs=1e-3)


def test_a_spread_chord_of_a_performance_is_one_onset() -> None:
    """Notes within 50 ms of each other, and a copy of one pitch: what the score of the same music
    has.
    """
    onset = np.repeat(np.arange(6.0), 3)
    pitch = np.tile([48, 64, 67], 6) + np.repeat([0, 5, 7, 0, 2, 0], 3)
    spread = np.append(onset + np.tile([0, 0.02, 0.04], 6), 0.03)
    one, other = (
        features(onset, pitch, "score"),
        features(spread, np.append(pitch, 48), "performance"),
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), speed=st.floats(0.8, 1.2), shift=st.integers(-5, 5))
def test_order_tempo_and_key_do_not_matter(seed: int, speed: float, shift: int) -> None:
    """Only the register features change with a transposition, and only a little; a change of speed
    changes nothing.

    Onsets are multiples of 0.4, so that no change of speed brings two of them within the tolerance.
    """
    rng = np.random.default_rng(seed)
    onset, pitch = 0.4 * rng.integers(0, 200, 300), rng.integers(40, 90, 300)
    base = features(onset, pitch, "performance")
    order = rng.permutation(300)
    np.testing.assert_array_equal(features(onset[order], pitch[order], "performance"), base)
    np.testing.assert_allclose(features(onset * speed, pitch, "performance"), base, atol=1e-6)
    moved = features(onset, pitch + shift, "performance")
    still = np.ones(SIZE, bool)
    for name in REGISTER:
        still[block_columns(name)] = False
        assert float(np.abs(moved - base)[:, block_columns(name)].max()) < 0.7
    # A tie between two keys may fall to the other one: degrees are compared where the best key is
    # clear.
    keyed = [block.name for block in BLOCKS if "in major" in " ".join(block.labels)]
    for name in keyed:
        still[block_columns(name)] = False
    np.testing.assert_allclose(moved[:, still], base[:, still], atol=1e-5)


def test_velocities_durations_and_parts_are_not_read() -> None:
    piece = random_piece(3, "performance", 64)
    notes = piece.notes.copy()
    notes["velocity"], notes["duration"], notes["part"], notes["melody"] = 64, 0.1, 0, False
    np.testing.assert_array_equal(
        piece_features(piece), piece_features(Piece(notes, "performance"))
    )


def test_excerpts_are_equal_parts() -> None:
    """700 notes are three excerpts; as histograms are of shares, a piece played twice has the
    features of one.
    """
    onset, pitch = np.arange(700.0), 60 + np.arange(700) % 7
    assert features(onset, pitch, "score").shape == (3, SIZE)
    assert features(onset[:300], pitch[:300], "score").shape == (1, SIZE)
    rows = features(np.arange(2240.0), 60 + np.arange(2240) % 7, "score", segment=280)
    np.testing.assert_allclose(
        rows[3, block_columns("degree")], rows[5, block_columns("degree")], atol=1e-6
    )


def test_histograms_have_length_one_or_are_empty() -> None:
    rows = piece_features(random_piece(5, "score", 200))
    for block in BLOCKS[:-2]:
        total = (rows[:, block_columns(block.name)] ** 2).sum(axis=1)
        assert ((np.abs(total - 1) < 1e-4) | (total == 0)).all(), block.name
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    "pitch",
    [[60] * 40, list(range(40, 80)), [40, 90] * 20, [60 + 12 * (k % 2) for k in range(40)]],
    ids=["one pitch", "scale", "two lines", "octaves"],
)
def test_strange_music_has_features_too(pitch: list[int]) -> None:
    """Lines without a bass, one pitch only and everything at once lead to no division by zero."""
    assert np.isfinite(played([0.5 * k for k in range(40)], pitch)).all()
    assert np.isfinite(played([0.0] * 40, pitch)).all()


def test_removed_notes_are_not_heard() -> None:
    piece = random_piece(1, "score", 60)
    rest = Piece(piece.notes[~piece.notes["melody"]], "score", piece.bars)
    np.testing.assert_array_equal(
        piece_features(piece, piece.notes["melody"]), piece_features(rest)
    )


def test_too_few_notes_are_refused() -> None:
    notes = make_notes(list(range(FEWEST_NOTES - 1)), [1.0] * 7, [60] * 7)
    with pytest.raises(InputError, match="too few"):
        piece_features(Piece(notes, "score", bars_of([(0.0, 4, 4)], 8.0)))
