"""Test which hand plays a note, with and without a tune in the right hand."""

from __future__ import annotations

import numpy as np

from styletransfer.music.grip import SPAN
from styletransfer.music.hands import LEFT, RIGHT, divide, split_hands, split_under
from styletransfer.music.notes import make_notes


def test_what_the_right_hand_cannot_reach_is_the_lefts() -> None:
    """Chords around middle C under a high tune all went to the right hand."""
    tune = make_notes(np.arange(16.0), np.ones(16), np.full(16, 84), melody=True)
    onset = np.repeat(np.arange(16.0), 3)
    notes = make_notes(onset, np.ones(48), np.tile([60, 64, 67], 16))
    assert (split_hands(notes) == RIGHT).mean() > 0.5
    assert (split_under(notes, tune) == LEFT).all()


def test_a_bass_and_an_inner_voice_are_two_hands() -> None:
    tune = make_notes(np.arange(16.0), np.ones(16), np.full(16, 76), melody=True)
    low = [(float(k), 1.0, 41) for k in range(16)]
    inner = [(float(k) + 0.5, 0.5, 67) for k in range(16)]
    onset, duration, pitch = zip(*low, *inner, strict=True)
    notes = make_notes(list(onset), list(duration), list(pitch))
    hands = split_under(notes, tune)
    assert (hands[notes["pitch"] == 41] == LEFT).all()
    assert (hands[notes["pitch"] == 67] == RIGHT).all()


def test_a_second_division_changes_nothing() -> None:
    """The page divides by the same rule as the tracks."""
    rng = np.random.default_rng(1)
    onset = np.sort(rng.integers(0, 64, 120)) / 2.0
    tones = [(at, at + 0.5, int(p)) for at, p in zip(onset, rng.integers(40, 72, 120), strict=True)]
    melody = [(k / 2.0, k / 2.0 + 0.5, int(rng.integers(70, 84))) for k in range(64)]
    once = divide(tones, [RIGHT] * len(tones), melody)
    assert divide(tones, once, melody) == once
    assert {LEFT, RIGHT} == set(once)


def test_without_a_tune_the_hands_still_take_all() -> None:
    notes = make_notes([0.0, 0.0, 1.0], [1.0] * 3, [40, 72, 60])
    assert split_under(notes, notes[:0]).tolist()[:2] == [LEFT, RIGHT]
    assert SPAN == 14
    assert divide([], [], []) == []


def test_a_held_note_stays_in_its_hand() -> None:
    """A bass that lasts leaves to the right hand what the left can't reach while holding it."""
    tones = [(0.0, 4.0, 43), (1.0, 1.5, 55), (2.0, 2.5, 59), (3.0, 3.5, 62)]
    tune = [(0.0, 4.0, 72)]
    assert divide(tones, [LEFT] * 4, tune) == [LEFT, LEFT, RIGHT, RIGHT]
    assert divide(tones, [LEFT] * 4, tune, held=False) == [LEFT] * 4


def test_a_tune_that_the_right_hand_cannot_reach_is_the_lefts() -> None:
    """There are chords high above a tune in the tenor."""
    tones = [(0.0, 1.0, 76), (0.0, 1.0, 79), (0.0, 1.0, 84)]
    assert divide(tones, [RIGHT] * 3, [(0.0, 1.0, 50)]) == [RIGHT] * 3
    assert divide([*tones, (0.0, 1.0, 40)], [RIGHT] * 3 + [LEFT], [(0.0, 1.0, 50)])[3] == LEFT
