"""The key of a tune alone (styletransfer.music.tune_key)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from styletransfer.formats.read import read_score
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import NoteTable, Piece, bars_of, make_notes
from styletransfer.music.tune_key import (
    estimate_tune_key,
    features,
    in_all_keys,
    key_of_tune,
    likelier_key,
    tune_key_scores,
)

MELODIES = Path(__file__).parents[1] / "eval" / "melodies"


def _tune(*pitches: int) -> NoteTable:
    """Make a note on each quarter."""
    return make_notes(np.arange(len(pitches)), np.ones(len(pitches)), np.array(pitches))


@pytest.fixture
def scale() -> NoteTable:
    """Make a scale of D major, up and down to its tonic."""
    return _tune(62, 64, 66, 67, 69, 71, 73, 74, 73, 71, 69, 67, 66, 64, 61, 62)


def test_the_scores_are_log_probabilities(scale: NoteTable) -> None:
    scores = tune_key_scores(scale, bars_of([(0.0, 4, 4)], 16.0))
    assert scores.shape == (2, 12)
    assert np.exp(scores).sum() == pytest.approx(1)


@pytest.mark.parametrize("up", range(12))
def test_a_tune_in_another_key_has_its_scores_there(scale: NoteTable, up: int) -> None:
    bars = bars_of([(0.0, 4, 4)], 16.0)
    moved = scale.copy()
    moved["pitch"] += up
    expected = np.roll(tune_key_scores(scale, bars), up, axis=1)
    assert tune_key_scores(moved, bars) == pytest.approx(expected)
    assert estimate_tune_key(moved, bars) == Key((2 + up) % 12, "major")


def test_features_count_where_a_pitch_class_sounds(scale: NoteTable) -> None:
    """Sixteen quarters in four bars; the first, fifth, ninth and thirteenth are on downbeats."""
    counted = features(scale, bars_of([(0.0, 4, 4)], 16.0))
    assert counted[0, 2] == pytest.approx(3 / 16)  # D: first, eighth and last
    downbeats = np.zeros(12)
    downbeats[[2, 9, 1, 6]] = 0.25
    assert counted[2] == pytest.approx(downbeats)
    assert counted[4].argmax() == counted[6].argmax() == 2  # the end, and the last note
    assert in_all_keys(counted)[2].reshape(-1, 12)[0, 0] == counted[0, 2]


def test_without_bars_there_are_no_downbeats(scale: NoteTable) -> None:
    counted = features(scale, bars_of([(0.0, 4, 4)], 16.0)[:0])
    assert not counted[2].any()


def test_no_note_is_in_c_major(scale: NoteTable) -> None:
    assert estimate_tune_key(scale[:0], bars_of([], 0.0)) == Key(0, "major")


def test_a_key_signature_decides_between_relatives_and_yields_to_much_likelier_keys(
    scale: NoteTable,
) -> None:
    """D major stands under its own signature and under C major's, the default of many files."""
    bars = bars_of([(0.0, 4, 4)], 16.0)
    assert likelier_key(scale, bars, 2) == Key(2, "major")
    assert likelier_key(scale, bars, 0) == Key(2, "major")
    minor = _tune(69, 71, 72, 74, 76, 77, 80, 81, 76, 72, 71, 69)
    assert likelier_key(minor, bars, 0) == Key(9, "minor")


def test_the_tunes_that_come_along_are_in_their_keys() -> None:
    """Their key fields are the truth; profiles of the whole tune get fewer right."""
    found, profiles, tunes = 0, 0, 0
    for path in sorted(MELODIES.glob("*.abc")):
        piece = read_score(path)
        if not piece.key_signatures:
            continue
        major = piece.key_signatures[0][1] * 7 % 12
        relatives = (Key(major, "major"), Key((major + 9) % 12, "minor"))
        bare: Piece = replace(piece, key_signatures=())
        tunes += 1
        found += key_of_tune(bare) in relatives
        profiles += estimate_key(piece.notes) in relatives
    assert tunes > 30
    assert found >= max(profiles, 0.9 * tunes)
