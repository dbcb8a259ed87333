"""Check the ranker's measures by hand.

The music is a tune of four quarters in C major, over good and bad accompaniments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from eval import ranker
from eval.ranker import chord_counts
from styletransfer.music.key import Key
from styletransfer.music.notes import NoteTable, bars_of, make_notes
from styletransfer.transfer.ranking import rank
from styletransfer.transfer.ranking.rank import (
    FULL_RATE,
    LABELS,
    LIKELY,
    MEASURES,
    OPENING,
    PRIOR,
    USUAL_NOTES,
    WEIGHTS,
    Measure,
    Music,
    bare,
    clarity,
    clash,
    covering,
    crowding,
    dissonance,
    emptiness,
    fifths,
    muddy,
    open_end,
    piano_roll,
    progression,
    progressions,
    repeated,
    rush,
    same_bars,
    score,
    still,
    stretch,
    thinness,
)

C = Key(0, "major")


def notes(*rows: tuple[float, float, int], melody: bool = False) -> NoteTable:
    """Make notes of (onset, duration, pitch)."""
    onset, duration, pitch = zip(*rows, strict=True)
    return make_notes(onset, duration, pitch, melody=melody)


TUNE = notes((0, 1, 72), (1, 1, 76), (2, 1, 79), (3, 1, 72), melody=True)
NOTHING = TUNE[:0]


def measured(accompaniment: NoteTable, style: float, base: float) -> dict[str, float]:
    """Measure an accompaniment to the tune, with two log-probabilities."""
    return score(Music(TUNE, accompaniment, style_logprob=style, base_logprob=base))


def test_dissonance_counts_onsets_struck_together() -> None:
    assert dissonance(TUNE, notes((0, 1, 60), (1, 1, 55), (2.5, 1, 54))) == 0
    assert dissonance(TUNE, notes((0, 1, 60), (1, 1, 65))) == 0.5  # F under E: a major seventh
    assert dissonance(TUNE, NOTHING) == 0


def test_emptiness_is_the_silent_share_of_the_tune() -> None:
    assert emptiness(TUNE, notes((0, 4, 48))) == 0
    assert emptiness(TUNE, notes((0, 1, 48))) == pytest.approx(0.75, abs=0.02)
    assert emptiness(TUNE, NOTHING) == 1


def test_an_accompaniment_that_begins_after_the_opening_is_late() -> None:
    tune = notes(*((beat, 1, 72) for beat in range(8)))
    assert emptiness(tune, notes((4, 4, 48)), OPENING) == 1
    assert emptiness(tune, notes((1, 1, 48)), OPENING) == pytest.approx(0.75, abs=0.02)
    soon, late = (score(Music(tune, notes((start, 3, 48), (7, 1, 48)))) for start in (0, 4))
    assert (soon["late"], late["late"]) == (pytest.approx(0.25, abs=0.02), 1)
    assert soon["total"] > late["total"]


def test_bare_is_what_has_no_third_tone() -> None:
    """The tune is C E G C, a quarter each."""
    assert bare(TUNE, NOTHING) == 1
    assert bare(TUNE, notes((0, 4, 48))) == 1
    assert bare(TUNE, notes((0, 2, 48), (0, 2, 55))) == 0.75  # E with C and G
    assert bare(TUNE, notes((0, 0.5, 52), (0.5, 0.5, 55), (2, 2, 52), (2, 2, 45))) == pytest.approx(
        0.25
    )
    assert bare(NOTHING, NOTHING) == 0


def test_covering_is_what_begins_above_the_tune() -> None:
    assert covering(TUNE, notes((0, 4, 48), (0, 4, 52))) == 0
    assert (
        covering(TUNE, notes((0, 1, 100), (0.5, 1, 100), (5, 1, 100), (1, 1, 48))) == 0.5
    )  # after the tune there is room
    assert covering(TUNE, NOTHING) == covering(NOTHING, TUNE) == 0


def test_muddy_is_what_is_close_and_low() -> None:
    assert muddy(notes((0, 1, 36), (0, 1, 43), (1, 1, 60), (1, 1, 61))) == 0
    assert muddy(
        notes((0, 1, 36), (0, 1, 40), (1, 1, 60), (2, 1, 48), (2, 1, 51))
    ) == pytest.approx(1 / 3)  # Eb3 is not low
    assert muddy(NOTHING) == 0


def test_same_bars_are_those_before_again() -> None:
    bars = bars_of([(0.0, 2, 4)], 8.0)
    assert same_bars(notes(*((k, 1, 48) for k in range(8))), bars) == 1
    assert same_bars(notes((0, 1, 48), (2, 1, 48), (4, 1, 50), (6, 2, 50)), bars) == pytest.approx(
        2 / 3
    )
    assert same_bars(NOTHING, bars) == same_bars(TUNE, bars[:0]) == 0


def test_still_is_a_bass_that_stays() -> None:
    assert still(
        notes((0, 1, 48), (1, 1, 60), (2, 1, 48), (4, 1, 50), (6, 1, 52))
    ) == pytest.approx(1 / 3)
    assert still(notes((0, 1, 48), (8, 1, 48))) == still(NOTHING) == 0


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((48, 52, 55), 0.0),
        ((40, 48), 0.5),
        ((48, 53), 0.5),
        ((47, 53), 1.0),
        ((50,), 1.0),
        ((60, 64), 5 / 12),
        ((72, 76), 0.5),
    ],
)
def test_a_close_has_the_tonic_below_and_its_triad(last: Sequence[int], expected: float) -> None:
    """Notes that ended before it don't count."""
    assert open_end(
        TUNE, notes((0, 1, 49), *((3, 1, pitch) for pitch in last)), C
    ) == pytest.approx(expected)


def test_a_close_without_accompaniment_is_the_openest() -> None:
    assert open_end(TUNE, NOTHING, C) == open_end(TUNE, notes((2, 1, 48)), C) == 1.5


def test_minor_closes_on_its_own_triad() -> None:
    assert open_end(TUNE, notes((3, 1, 45), (3, 1, 48)), Key(9, "minor")) == 0
    assert open_end(TUNE, notes((3, 1, 45), (3, 1, 49)), Key(9, "minor")) == 0.5


def test_a_roll_has_what_sounds_up_to_the_last_end() -> None:
    roll = piano_roll(notes((0.5, 1, 60), (1, 1.25, 60), (2, 0.25, 64)))
    assert roll.shape == (128, 36)
    assert np.flatnonzero(roll[60]).tolist() == list(range(6, 27))
    assert np.flatnonzero(roll[64]).tolist() == [24, 25, 26]
    assert piano_roll(NOTHING).shape == (128, 0)


def test_clash_is_the_share_of_semitones() -> None:
    """It is the share of the time in which two such pitches sound, in any octaves.

    Notes struck one after the other don't clash.
    """
    assert clash(piano_roll(notes((0, 2, 60), (0, 2, 64), (2, 1, 71), (3, 1, 60)))) == 0
    assert clash(piano_roll(notes((0, 2, 60), (1, 1, 61), (2, 1, 59)))) == 1
    assert clash(piano_roll(notes((0, 4, 48), (0, 3, 55), (3, 1, 73)))) == 0.25
    assert clash(piano_roll(notes((0, 1, 48), (0, 1, 71)))) == 1  # the seventh
    assert clash(piano_roll(NOTHING)) == 0


def chords(*rows: tuple[int, ...]) -> np.ndarray:
    """Draw the roll of one chord per quarter."""
    return piano_roll(notes(*((k, 1, pitch) for k, row in enumerate(rows) for pitch in row)))


C_MAJOR, G_SEVENTH, A_MINOR, F_MAJOR = (48, 52, 55), (55, 59, 62, 65), (57, 60, 64), (53, 57, 60)
F_SHARP, D_FLAT, D_MINOR = (54, 58, 61), (49, 53, 56), (50, 53, 57)


def test_clarity_is_what_belongs_to_a_windows_best_chord() -> None:
    assert clarity(chords(C_MAJOR, C_MAJOR, G_SEVENTH)) == 1  # the last window is half as long
    assert clarity(chords(C_MAJOR, A_MINOR)) == pytest.approx(5 / 6)  # five of six are of A minor
    assert clarity(chords(C_MAJOR, (), G_SEVENTH, (), (48, 49))) == pytest.approx((1 + 1 + 0.5) / 3)
    assert clarity(piano_roll(NOTHING)) == 0


def test_fifths_are_counted_among_the_changes_of_root() -> None:
    """Neither a silence between two chords nor a seventh added to a triad is a change."""
    assert fifths(chords(C_MAJOR, C_MAJOR, F_MAJOR, G_SEVENTH, (), C_MAJOR)) == pytest.approx(2 / 3)
    assert fifths(chords((55, 59, 62), G_SEVENTH, C_MAJOR)) == 1
    assert (
        fifths(chords(C_MAJOR, A_MINOR))
        == fifths(chords(C_MAJOR))
        == fifths(piano_roll(NOTHING))
        == 0
    )


def test_progressions_are_likelier_as_composers_have_them() -> None:
    """A close, then a leap to a remote chord, are computed by hand from the counts.

    A drone is no likelier than composers' music.
    """
    counts = np.array(
        json.loads((resources.files("styletransfer") / "assets" / "chords.json").read_text())[
            "counts"
        ]["major"]
    )
    assert counts.shape == (36, 36)

    usual = (counts.sum(0) + 0.5) / (counts.sum(0) + 0.5).sum()
    fifth, second, flat = 24 + 7, 12 + 2, 1
    expected = [
        np.log((counts[a, b] + PRIOR * usual[b]) / (counts[a].sum() + PRIOR))
        for a, b in ((second, fifth), (fifth, flat))
    ]
    found = progression(chords(D_MINOR, G_SEVENTH, D_FLAT), C)
    assert found == pytest.approx(np.mean(expected))
    assert found < LIKELY
    assert progression(chords(*[G_SEVENTH, C_MAJOR] * 4), C) > progression(
        chords(*[F_SHARP, C_MAJOR] * 4), C
    )
    assert progression(chords(*[C_MAJOR] * 8), C) == LIKELY
    assert progression(chords(D_MINOR, F_SHARP), C) != progression(
        chords(D_MINOR, F_SHARP), Key(0, "minor")
    )
    assert (
        progression(chords(C_MAJOR), C)
        == progression(piano_roll(NOTHING), C)
        == pytest.approx(-np.log(36))
    )

    for table in progressions().values():
        np.testing.assert_allclose(np.exp(table).sum(1), 1)


@pytest.mark.parametrize("shift", range(12))
def test_harmony_is_the_same_in_every_key(shift: int) -> None:
    """This holds even where several chords fit equally well."""
    rows = [(48,), (53,), (48, 52), (52, 55), (55, 62), C_MAJOR]
    moved = chords(*(tuple(pitch + shift for pitch in row) for row in rows))
    assert (clarity(moved), fifths(moved)) == (clarity(chords(*rows)), fifths(chords(*rows)))
    assert progression(moved, Key(shift, "major")) == progression(chords(*rows), C)


def test_crowding_counts_halvings_down_to_the_fullest() -> None:
    """It counts notes per second: the same notes are crowded at twice the tempo."""
    every = notes(*((k / 8, 0.1, 40) for k in range(32)))  # 8 a quarter under a tune of four
    assert crowding(TUNE, every, 60 * FULL_RATE / 8) == 0
    assert crowding(TUNE, every, 120 * FULL_RATE / 8) == pytest.approx(1)
    assert crowding(NOTHING, every, 60) == crowding(TUNE, NOTHING, 60) == 0


def test_thinness_counts_doublings_up_to_the_usual() -> None:
    """The ranker preferred basses in quarters to anything that moved."""
    every = notes(*((k / 8, 0.125, 50) for k in range(32)))
    assert thinness(TUNE, every) == 0
    assert thinness(TUNE, every[:4]) == pytest.approx(np.log2(USUAL_NOTES))
    assert thinness(TUNE, every[:2]) == pytest.approx(np.log2(USUAL_NOTES) + 1)
    assert thinness(TUNE, NOTHING) == pytest.approx(np.log2(USUAL_NOTES * 4 / 0.5))
    assert thinness(NOTHING, NOTHING) == 0


def test_stretch_is_the_share_of_onsets_that_no_hand_can_strike() -> None:
    """The left hand has two onsets, the right one four.

    A note in the middle is out of reach of both under the G.
    """
    assert stretch(TUNE, notes((0, 1, 43), (2, 1, 43), (2, 1, 59))) == 0  # a tenth
    assert stretch(TUNE, notes((0, 1, 43), (2, 1, 42), (2, 1, 60))) == pytest.approx(1 / 6)
    assert stretch(NOTHING, NOTHING) == 0


def test_rush_is_what_no_finger_can_play() -> None:
    """The left hand plays eight notes, the last three in thirty-seconds."""
    left = notes(*((k, 0.125, 48) for k in (0, 1, 2, 3, 3.5, 3.625, 3.75, 3.875)))
    assert rush(np.concatenate([TUNE, left]), 100) == 0  # 0.075 s
    assert rush(np.concatenate([TUNE, left]), 150) == pytest.approx(3 / 12)  # 0.05 s
    assert rush(NOTHING, 100) == 0


def test_the_choice_among_so_many_is_the_mean_over_all_choices(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is compared with each subset of five candidates, of three songs."""
    rng = np.random.default_rng(0)
    values, near = rng.normal(size=(3, 6, len(ranker.MEASURES))), rng.random((3, 5))
    monkeypatch.setattr(ranker, "arrangements", lambda path: (values, near))
    monkeypatch.setattr(ranker, "USUAL", 4)
    found = ranker.count(tmp_path)
    totals = values @ np.array([WEIGHTS.get(name, 0.0) for name in ranker.MEASURES])
    assert list(found["counts"]) == ["1", "2", "4"]

    for size, row in found["counts"].items():
        drawn = [list(one) for one in combinations(range(5), int(size))]
        best = [[one[totals[song, 1:][one].argmax()] for one in drawn] for song in range(3)]
        assert row["agreement"] == pytest.approx(
            np.mean([near[song, best[song]] for song in range(3)]), abs=1e-4
        )
        assert row["total"] == pytest.approx(
            np.mean([totals[song, 1:][best[song]] for song in range(3)]), abs=1e-4
        )
        clashes = [
            values[song, 1:, ranker.MEASURES.index("clash")][best[song]] for song in range(3)
        ]
        assert row["clash"] == pytest.approx(np.mean(clashes), abs=1e-4)
    assert found["counts"]["4"]["gain"] == 0
    assert found["composers"]["fifths"] == pytest.approx(values[:, 0, 2].mean(), abs=1e-4)


def test_every_weight_counts_in_the_total_of_an_excerpt() -> None:
    """Measures that were added to the ranker later were left out of it."""
    assert set(WEIGHTS) <= {*ranker.MEASURES, *ranker.UNSEEN}
    assert len(set(ranker.MEASURES)) == len(ranker.MEASURES)
    values = np.eye(len(ranker.MEASURES))
    totals = dict(zip(ranker.MEASURES, ranker.totals_of(values), strict=True))
    assert {name: total for name, total in totals.items() if total} == {
        name: weight for name, weight in WEIGHTS.items() if name not in ranker.UNSEEN
    }


def test_what_choices_are_worth_by_hand() -> None:
    rng = np.random.default_rng(1)
    values, near, weights = (
        rng.normal(size=(4, 6, len(ranker.MEASURES))),
        rng.random((4, 5)),
        rng.normal(size=len(ranker.FITTED)),
    )
    found = ranker.worth(values, near, weights)
    totals = values @ np.array([WEIGHTS.get(name, 0.0) for name in ranker.MEASURES])
    idiom = WEIGHTS["idiom"] * values[..., ranker.MEASURES.index("idiom")]

    def chosen(scores: np.ndarray) -> float:
        return float(np.mean([near[song, scores[song, 1:].argmax()] for song in range(4)]))

    ships, without = found["the weights that ship"], found["these, without the idiom"]
    assert ships["agreement"] == pytest.approx(chosen(totals), abs=1e-4)
    assert without["agreement"] == pytest.approx(chosen(totals - idiom), abs=1e-4)
    assert ships["by the idiom"] == pytest.approx(chosen(totals) - chosen(totals - idiom), abs=1e-4)
    assert ships["gain"] == pytest.approx(chosen(totals) - near.mean(), abs=1e-4)
    assert ships["behind"] == pytest.approx(np.mean(totals[:, :1] > totals[:, 1:]), abs=1e-4)
    assert found["clash alone"]["agreement"] == pytest.approx(
        chosen(-values[..., ranker.MEASURES.index("clash")]), abs=1e-4
    )


def test_what_is_repeated_is_a_drone() -> None:
    moving = notes(*((k, 1, 48 + k) for k in range(4)))
    drone = notes(*((k, 1, pitch) for k in range(4) for pitch in (48, 55)))
    half = notes(*((k, 1, pitch) for k in range(4) for pitch in (48, 55 + k)))
    assert [repeated(one) for one in (NOTHING, moving, half, drone)] == [0, 0, 0.5, 1]
    assert repeated(notes(*((k, 1, 48 + 7 * (k % 2)) for k in range(4)))) == pytest.approx(
        2 / 3
    )  # two pitches in turn


def test_the_total_is_the_weighted_sum() -> None:
    found = measured(notes((0, 2, 48), (2, 2, 49), (3, 1, 42)), -0.8, -0.9)
    assert found["contrast"] == pytest.approx(0.1)
    assert found["likelihood"] == -0.8
    assert found["open_end"] == 1
    assert found["total"] == pytest.approx(
        sum(weight * found[name] for name, weight in WEIGHTS.items()), abs=1e-3
    )
    better = measured(notes((0, 2, 48), (2, 2, 48), (3, 1, 52)), -0.8, -0.9)
    assert better["total"] > found["total"]
    assert measured(NOTHING, -0.8, 0.0)["contrast"] == 0


def test_each_measure_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report has the rows in order, then the total; an added row is reported, too."""
    found = measured(notes((0, 4, 48)), -0.8, -0.9)
    assert list(found) == [*(one.name for one in MEASURES), "total"]
    assert len(set(LABELS.values())) == len(MEASURES)
    assert all(one.weight for one in MEASURES if one.fitted)
    assert all(one.more_is_better == (one.weight > 0) for one in MEASURES if one.weight)

    more = Measure("lowest", 0.0, "lowest pitch", lambda m: float(m.notes["pitch"].min()))
    monkeypatch.setattr(rank, "MEASURES", (*MEASURES, more))
    assert measured(notes((0, 4, 48)), -0.8, -0.9) == found | {"lowest": 48.0}


def test_walking_eighths_rank_above_a_bass_in_quarters() -> None:
    """Happy Birthday in Bach's style got the bass in quarters, the likelier of the two."""
    walking = notes(
        *((k / 2, 0.5, pitch) for k, pitch in enumerate((48, 50, 52, 53, 55, 53, 52, 48)))
    )
    assert measured(walking, -0.7, -0.8)["total"] > measured(walking[::4], -0.4, -0.5)["total"]


def test_chords_are_counted_in_the_key_of_their_stretch() -> None:
    """I, IV, V7, I under a tune in C, and in A flat 32 quarters later, are the same.

    Other splits don't count.
    """
    tune = [72, 77, 79, 72, 76, 77, 74, 72]
    rows = [(beat / 2, 0.5, pitch) for beat, pitch in enumerate(tune)]
    under = [
        (beat, 1.0, pitch)
        for beat, chord in enumerate((C_MAJOR, F_MAJOR, G_SEVENTH, C_MAJOR))
        for pitch in chord
    ]
    piece = np.concatenate([notes(*rows, melody=True), notes(*under)])
    later = piece.copy()
    later["onset"], later["pitch"] = later["onset"] + 32, later["pitch"] - 4
    both = np.concatenate([piece, later])
    library = SimpleNamespace(
        select=lambda split, feel: [0] if (split, feel) == ("train", "score") else [],
        notes=lambda _: both,
    )
    counts = chord_counts(library)  # type: ignore[arg-type]
    assert counts["minor"].sum() == 0

    found = {
        (int(a), int(b)): int(counts["major"][a, b])
        for a, b in zip(*np.nonzero(counts["major"]), strict=True)
    }
    assert found == {(0, 5): 2, (5, 24 + 7): 2, (24 + 7, 0): 2}
