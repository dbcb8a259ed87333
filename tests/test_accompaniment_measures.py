"""Measures of an accompaniment under its tune, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from styletransfer.evaluation.measures.accompaniment import (
    cadence,
    chord_measures,
    close_measures,
    concord_measures,
    contradictions,
    measures,
    texture_measures,
)
from styletransfer.evaluation.measures.passage import (
    Passage,
    passage,
    phrase_ends,
    windows,
    without_doublings,
)
from styletransfer.music.chords import CHORD_DTYPE, ChordTable
from styletransfer.music.key import Key
from styletransfer.music.notes import NoteTable, bars_of, make_notes
from styletransfer.music.qualities import QUALITIES

Rows = list[tuple[float, float, int]]
Names = list[tuple[float, float, int, str, int]]

C_MAJOR = Key(0, "major")
C5, D5, E5, F5, FIS5, G5, A5, B5 = 72, 74, 76, 77, 78, 79, 81, 83


def notes(rows: Rows) -> NoteTable:
    """Make a table of (onset, duration, pitch)."""
    return make_notes([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def spans(rows: Names) -> ChordTable:
    """Make a table of (start, length, root, quality, bass).

    "none" is a span without a chord.
    """
    index = {"none": -1} | {name: k for k, name in enumerate(QUALITIES)}
    named = [(at, length, root, index[name], bass) for at, length, root, name, bass in rows]
    return np.array(named, CHORD_DTYPE)


def made(
    tune: Rows,
    rest: Rows,
    chords: Names,
    bars: int = 2,
    metre: tuple[int, int] = (4, 4),
) -> Passage:
    """Make a passage, in C major whatever its notes."""
    table = bars_of([(0.0, *metre)], bars * 4.0 * metre[0] / metre[1])
    one = passage(notes(tune), notes(rest), table, spans(chords))
    return replace(one, key=C_MAJOR, home=C_MAJOR)


def block(start: float, *pitches: int, length: float = 4.0) -> Rows:
    return [(start, length, pitch) for pitch in pitches]


def test_doublings() -> None:
    """Unisons are left out, and octaves unless they are the bass; notes that begin at another time
    stay.
    """
    tune = notes([(0.0, 1.0, 72), (1.0, 1.0, 74), (2.0, 1.0, 76)])
    rest = notes(
        [
            (0.0, 1.0, 48),  # two octaves below
            (0.0, 1.0, 60),  # an octave below, not the lowest: a doubling
            (0.0, 1.0, 72),  # unison: a doubling
            (0.02, 1.0, 84),  # an octave above, as good as together: a doubling
            (1.0, 1.0, 62),  # an octave below and the lowest: the bass
            (2.0, 1.0, 76),  # unison and the lowest: a doubling
            (2.5, 0.5, 76),  # later
        ]
    )
    assert without_doublings(rest, tune)["pitch"].tolist() == [48, 62, 76]


def test_chords() -> None:
    """C in two positions, which are one chord; then G7, then nothing named."""
    one = made(
        tune=[(0, 1, C5), (1, 1, D5), (2, 1, E5), (4, 1, A5), (5, 1, B5), (6, 1, C5)],
        rest=[(0, 2, 48), (0, 4, 67), (2, 2, 40), (4, 2, 43), (5, 1, 57), (6, 2, 43)],
        chords=[
            (0, 2, 0, "major", 0),
            (2, 2, 0, "major", 4),
            (4, 2, 7, "dominant-seventh", 7),
            (6, 2, -1, "none", -1),
        ],
    )
    found = chord_measures(one)
    assert [chord.root for chord in one.chords] == [0, 7]
    assert one.chords[0].end == 4.0
    assert found["chords"] == 1.0
    assert found["different_chords"] == 2.0
    assert found["bass_stays"] == pytest.approx(1 / 3)  # C, E, G, G in half bars
    assert found["chord_tones"] == pytest.approx(4 / 5)  # A isn't in G7; the last G has no chord
    assert found["tune_at_chord"] == 0.5  # C in C, A not in G7
    assert found["tune_after_chord"] == pytest.approx(2 / 3)  # D no, E yes, B yes; C has no chord


def test_half_bars() -> None:
    """4/4 and 6/8 have halves; 3/4 has no middle beat, 2/4 is too short."""
    for metre, count in (((4, 4), 4), ((6, 8), 4), ((3, 4), 2), ((2, 4), 2), ((3, 8), 2)):
        length = 4.0 * metre[0] / metre[1]
        one = made([(0, 1, C5), (length, 1, C5)], [(0, 1, 48)], [], metre=metre)
        assert len(one.half_edges) == count + 1


def test_concord() -> None:
    """C E G under C; then, in an unlike bar, C sharp under C, F sharp and A flat with G."""
    one = made(
        tune=[(0, 4, C5), (4, 2, C5), (6, 1, G5)],
        rest=[*block(0, 48, 64, 67), *block(4, 61, length=2.0), *block(6, 54, 80, length=2.0)],
        chords=[],
    )
    found = concord_measures(one)
    assert found["semitones"] == pytest.approx(3 / 6)  # C sharp under C, F sharp and A flat at G
    assert found["unlike_bars"] == 0.5
    assert found["note_above"] == pytest.approx(1 / 3)  # A flat above G
    assert found["note_in_unison"] == 0.0
    assert found["rests_answered"] == 0.0  # the tune rests from 7 to 8
    assert -1.0 <= found["key_likeness"] < 1.0


def test_the_same_notes_are_in_one_key() -> None:
    """A tune has the key of the same tune two octaves lower, not of that a tritone off."""
    pitches = (72, 76, 79, 72, 74, 77, 71, 72)
    tune: Rows = [(float(k), 1.0, pitch) for k, pitch in enumerate(pitches)]
    for interval, low, high in ((24, 0.999, 1.001), (30, -1.0, 0.0)):
        rest = [(at, length, pitch - interval) for at, length, pitch in tune]
        assert low < concord_measures(made(tune, rest, []))["key_likeness"] < high


def test_rests_are_answered() -> None:
    """The tune rests for eight 16ths, in two of which a note begins."""
    one = made([(0, 2, C5), (4, 4, C5)], [(0, 4, 48), (2, 0.5, 64), (3, 1, 67)], [])
    assert concord_measures(one)["rests_answered"] == 0.25


@pytest.mark.parametrize(
    ("under", "expected"),
    [
        ([50, 57, 66], [False]),  # D major: F sharp
        ([50, 57, 65], [True]),  # D minor: F natural
        ([43, 59, 62], [False]),  # no F at all; G is another letter
    ],
)
def test_contradictions(under: list[int], expected: list[bool]) -> None:
    """F sharp, on its way to G, is altered in C major."""
    one = made([(0, 2, E5), (2, 1, FIS5), (3, 1, G5)], block(0, *under), [], bars=1)
    assert contradictions(one)[0] == expected


def test_contradictions_by_chords() -> None:
    """At F sharp the chord is G7, which has F natural; the second F sharp has no chord."""
    chords: Names = [(0, 4, 7, "dominant-seventh", 7), (4, 4, -1, "none", -1)]
    one = made([(2, 2, FIS5), (4, 4, FIS5)], block(0, 43, 59), chords)
    assert contradictions(one) == ([False, False], [True])


def test_contradictions_in_minor() -> None:
    """The leading tone of A minor is altered; G natural contradicts it, in its own bar only."""
    tune = notes([(0.0, 2.0, 81), (2.0, 2.0, 80), (4.0, 4.0, 81)])
    bars = bars_of([(0.0, 4, 4)], 8.0)
    for onset, expected in ((0.0, [True]), (4.0, [False])):
        rest = notes(block(onset, 45, 55, 60))
        one = replace(passage(tune, rest, bars, spans([])), key=Key(9, "minor"))
        assert contradictions(one)[0] == expected


ARPEGGIO: Rows = [(0, 1, 48), (1, 1, 64), (2, 1, 67), (3, 1, 64)]


def moved(rows: Rows, bar: int, semitones: int = 0) -> Rows:
    return [(at + 4.0 * bar, length, pitch + semitones) for at, length, pitch in rows]


def test_figures() -> None:
    """A figure is the same on another chord; with two of four notes new it shares 2 of 6."""
    minor: Rows = [(0, 1, 50), (1, 1, 65), (2, 1, 69), (3, 1, 65)]
    other: Rows = [(0, 1, 48), (1, 1, 64), (2, 1, 79), (3.5, 0.5, 67)]
    one = made(
        [(float(k), 1.0, 84) for k in range(12)],
        [*ARPEGGIO, *moved(minor, 1), *moved(other, 2)],
        [],
        bars=3,
    )
    found = texture_measures(one)
    assert found["figure"] == pytest.approx((1 + 2 / 6) / 2)
    assert found["rhythm"] == pytest.approx((1 + 3 / 5) / 2)  # places 0 1 2 3 and 0 1 2 3.5
    assert found["commonest_rhythm"] == pytest.approx(2 / 3)
    assert found["repeated_bars"] == 0.0


@pytest.mark.parametrize(
    ("again", "likeness"),
    [
        (4, [1 / 5, 1, 1, 1]),
        (5, [1 / 5, 1, 1, 1, 1 / 5]),
    ],
)
def test_figures_are_looked_for_four_bars_back(again: int, likeness: list[float]) -> None:
    """Bar 1's figure comes again in bar 5, where it counts, or in bar 6, where it doesn't.

    Between them is a chord of two notes, of which the figure has the lowest: 1 of 5 in common.
    """
    tune = [(float(k), 1.0, 84) for k in range(4 * again + 4)]
    bars = [ARPEGGIO if k in (0, again) else block(0.0, 41, 48) for k in range(again + 1)]
    rest = [note for k, bar in enumerate(bars) for note in moved(bar, k)]
    found = texture_measures(made(tune, rest, [], bars=again + 1))
    assert found["figure"] == pytest.approx(sum(likeness) / again)


def test_repeated_bars_and_the_bass() -> None:
    """A bar three times, an empty one and a note have two repeats of four.

    One of them is for the third time.
    """
    rest = [*ARPEGGIO, *moved(ARPEGGIO, 1), *moved(ARPEGGIO, 2), (16.0, 4.0, 67)]
    found = texture_measures(made([(float(k), 1.0, 84) for k in range(20)], rest, [], bars=5))
    assert found["repeated_bars"] == 0.5
    assert found["repeated_thrice"] == pytest.approx(1 / 3)
    assert found["without_bass"] == pytest.approx(7 / 10)  # the C in the first half of three bars
    counts = np.array([4, 4, 4, 0, 1])
    assert found["spread"] == pytest.approx(counts.std() / counts.mean())


def test_phrase_ends() -> None:
    """After the fifth note comes a rest; the tenth is long, up to a bar line."""
    quarters = [(float(k), 1.0, C5) for k in range(4)]
    tune = [*quarters, (4, 1, C5), (6, 1, C5), (7, 1, C5), (8, 1, C5)]
    tune += [(9, 1, C5), (10, 2, C5), (12, 1, C5), (13, 1, C5)]
    one = made(tune, [(0, 1, 48)], [], bars=4)
    assert phrase_ends(one) == [4, 9, 11]


def test_a_short_phrase_is_none() -> None:
    """A rest after two notes ends no phrase."""
    one = made([(0, 1, C5), (1, 1, C5), (3, 1, C5), (4, 4, C5)], [(0, 1, 48)], [])
    assert phrase_ends(one) == [3]


CLOSES = [
    ([(0, 4, 7, "dominant-seventh", 7), (4, 4, 0, "major", 0)], "root"),
    ([(0, 4, 7, "major", 7), (4, 4, 0, "minor", 0)], "root"),
    ([(0, 4, 2, "major", 2), (4, 4, 7, "major", 7)], "root"),  # in G, wherever the song began
    ([(0, 4, 7, "major", 11), (4, 4, 0, "major", 0)], "inverted"),
    ([(0, 4, 7, "major", 7), (4, 4, 0, "major", 4)], "inverted"),
    ([(0, 4, 11, "half-diminished", 11), (4, 4, 0, "major", 0)], "inverted"),
    ([(0, 4, 2, "diminished-seventh", 2), (4, 4, 0, "major", 0)], "inverted"),  # B D F A flat
    ([(0, 4, 5, "major", 5), (4, 4, 0, "major", 0)], "plagal"),
    ([(0, 4, 0, "major", 0), (4, 4, 7, "major", 7)], "other"),  # a half close, no IV-I in G
    ([(0, 4, 7, "minor", 7), (4, 4, 0, "major", 0)], "other"),
    ([(0, 4, 4, "diminished-seventh", 4), (4, 4, 0, "major", 0)], "other"),  # E G B flat D flat
    ([(0, 8, 0, "major", 0)], "other"),
    ([], "other"),
]


@pytest.mark.parametrize(("chords", "kind"), CLOSES)
def test_cadences(chords: Names, kind: str) -> None:
    one = made([(0, 4, C5), (4, 4, C5)], [(0, 4, 48), (4, 4, 48)], chords)
    assert cadence(one) == kind
    found = close_measures(one)
    assert sum(found[name] for name in found if name.startswith("cadence_")) == 1.0
    assert found[f"cadence_{kind}"] == 1.0


def test_dominants_before_phrase_ends() -> None:
    """The first phrase ends on V of C after I, the second on I after V, held in two positions."""
    tune: Rows = [(k / 2, 0.5, C5) for k in range(5)]
    tune += [(4 + at, length, pitch) for at, length, pitch in tune]
    chords: Names = [
        (0, 2, 0, "major", 0),
        (2, 2, 7, "major", 7),
        (4, 2, 7, "dominant-seventh", 7),
        (6, 1, 0, "major", 0),
        (7, 1, 0, "major", 4),
    ]
    found = close_measures(made(tune, [(0, 8, 48)], chords))
    assert found["dominant_before"] == 0.5
    assert found["ends_on_dominant"] == 0.5


def test_only_bars_under_the_tune_count() -> None:
    """A postlude changes nothing, and neither does its name."""
    tune: Rows = [(0, 4, C5), (4, 3, E5)]
    rest, chords = block(0, 48, 64), [(0, 8, 0, "major", 0)]
    short = made(tune, rest, chords)
    long = made(tune, [*rest, *block(8, 41, 47)], [*chords, (8, 8, 6, "diminished", 6)], bars=4)
    assert measures(short) == pytest.approx(measures(long), nan_ok=True)


def test_keys() -> None:
    """E D C G with E minor under it is in E minor; the tune's own key is C major in any version."""
    tune: Rows = [(0, 1, E5), (1, 1, D5), (2, 1, C5), (3, 1, G5), (4, 4, C5)]
    bars = bars_of([(0.0, 4, 4)], 8.0)
    for under, home in (([40, 55, 59, 64], Key(4, "minor")), ([36, 52, 60, 64], Key(0, "major"))):
        rest = notes([*block(0, *under), *block(4, *under)])
        one = passage(notes(tune), rest, bars, spans([]))
        assert (one.key, one.home) == (C_MAJOR, home)


def test_windows() -> None:
    """Five bars have two windows of two; the second one has no tune and is left out.

    The key is the song's.
    """
    tune: Rows = [(0, 4, C5), (4, 4, FIS5), (16, 4, C5)]
    one = made(tune, block(0, 48, 55, length=20.0), [(0, 20, 0, "major", 0)], bars=5)
    parts = list(windows(one, 2))
    assert [part.edges.tolist() for part in parts] == [[0.0, 4.0, 8.0]]
    assert parts[0].key == parts[0].home == C_MAJOR
    assert parts[0].spans["length"].tolist() == [8.0]


def lively(rng: np.random.Generator, quarters: int) -> Rows:
    pitches = rng.integers(48, 68, (quarters, 2))
    return [(float(k), 1.0, int(p)) for k, pair in enumerate(pitches) for p in np.unique(pair)]


@pytest.mark.parametrize("shift", [-5, -1, 1, 6])
def test_transposed_music_measures_the_same(shift: int) -> None:
    """Only the bass, which lies below a fixed note, and names, which depend on the key, change."""
    rng = np.random.default_rng(7)
    tune = [(float(k), 1.0, int(p)) for k, p in enumerate(rng.integers(70, 82, 32))]
    rest, roots = lively(rng, 32), rng.integers(0, 12, 8)
    first = [(4.0 * k, 4.0, int(root), "major", 0) for k, root in enumerate(roots)]
    second = [(at, length, (root + shift) % 12, name, 0) for at, length, root, name, _ in first]
    table = bars_of([(0.0, 4, 4)], 32.0)

    def up(rows: Rows, by: int) -> NoteTable:
        return notes([(at, length, pitch + by) for at, length, pitch in rows])

    a = measures(passage(up(tune, 0), up(rest, 0), table, spans(first)))
    b = measures(passage(up(tune, shift), up(rest, shift), table, spans(second)))
    for name in a.keys() - {"without_bass", "naturals_in_bar", "naturals_in_chord"}:
        assert a[name] == pytest.approx(b[name], nan_ok=True), name


def test_no_accompaniment_is_no_error() -> None:
    """A bar of silence has nothing to measure."""
    found = measures(made([(0, 4, C5)], [], [], bars=1))
    assert math.isnan(found["figure"])
    assert found["without_bass"] == 1.0
    assert found["cadence_other"] == 1.0
