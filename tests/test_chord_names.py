"""Test names of chords.

Each symbol is read as the chord it was written for, numerals agree with music21's, cadences are
where phrases end, and a user's line gives the chords of the song's bars.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from styletransfer.errors import InputError
from styletransfer.music.chord_names import (
    cadences,
    chord_of_symbol,
    chords_of_line,
    is_bar,
    line_of,
    roman,
    spelled,
    symbol,
)
from styletransfer.music.chords import INTERVALS, ChordTable, chord_table, tones_of
from styletransfer.music.key import Key
from styletransfer.music.notes import BarTable, bars_of
from styletransfer.music.qualities import NONE, QUALITIES

KEYS = [Key(tonic, mode) for mode in ("major", "minor") for tonic in range(12)]  # type: ignore[arg-type]
C, A_MINOR = Key(0, "major"), Key(9, "minor")
CHORDS = list(product(range(12), range(len(QUALITIES))))


def four_four(bars: int, upbeat: int = 0) -> BarTable:
    """Make bars of 4/4, and a pick-up of so many quarters before them."""
    begin = [(0.0, upbeat, 4), (float(upbeat), 4, 4)] if upbeat else [(0.0, 4, 4)]
    return bars_of(begin, float(4 * bars + upbeat))


def spans(chords: ChordTable) -> list[tuple[float, float, str]]:
    """Start, end and symbol of each chord."""
    named = [(float(row["start"]), float(row["start"] + row["length"]), row) for row in chords]
    return [
        (start, end, symbol(row["root"], row["quality"], row["bass"])) for start, end, row in named
    ]


# --- symbols ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_symbol_is_read_as_what_it_was_written_for(key: Key) -> None:
    for root, quality in CHORDS:
        for bass in (*tones_of(root, quality), (root + 1) % 12, (root + 5) % 12):
            written = symbol(root, quality, bass, key)
            assert chord_of_symbol(written) == (root, quality, bass), written
    assert chord_of_symbol(symbol(NONE, NONE, NONE, key)) == (NONE, NONE, NONE)


@pytest.mark.parametrize(
    ("text", "tonic", "mode"),
    [
        ("A7/C#", 5, "major"),  # was A7/Db
        ("F#dim7", 7, "minor"),  # was Gbdim7, in flats as the signature
        ("C#dim7/Bb", 2, "minor"),
        ("G#dim7/F", 9, "minor"),  # was Abdim7
        ("C#dim7", 0, "major"),
        ("G#m7b5", 0, "major"),
        ("Ab", 0, "major"),
        ("Db/F", 0, "major"),
        ("B#dim7", 4, "major"),
        ("Fb", 8, "major"),
        ("E#dim", 6, "major"),
        ("D", 1, "major"),  # not Ebb
        ("F7/A", 10, "major"),
        ("Bb/C", 5, "major"),
    ],
)
def test_spelling(text: str, tonic: int, mode: Any) -> None:
    """Leading tones are spelled to the sharp side, and basses as tones of the chord.

    No name has two signs.
    """
    assert symbol(*chord_of_symbol(text), Key(tonic, mode)) == text


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_basses_are_spelled_in_thirds(key: Key) -> None:
    """From the root upwards, every second letter is used where that takes at most one sign."""
    for root, quality in product(key.scale if abs(key.fifths) < 3 else (), (0, 1, 4, 5, 6)):
        letters = []
        for bass in tones_of(root, quality):
            upper, lower = spelled(root, quality, bass, key.fifths, key.mode == "minor")
            assert lower * 7 % 12 == bass
            letters.append((lower * 4 - upper * 4) % 7)
        assert letters == [0, 2, 4, 6][: len(letters)], symbol(root, quality, root, key)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        *(
            ("C6/9", "C"),
            ("C69/E", "C/E"),
            ("C6/9/E", "C/E"),
            ("Cadd9", "C"),
            ("Csus4", "C"),
            ("C5", "C"),
        ),
        *(
            ("C9", "C7"),
            ("C13#11", "C7"),
            ("C7b9", "C7"),
            ("C7(#9)", "C7"),
            ("C7sus4", "C7"),
            ("C7#5", "C7"),
        ),
        *(
            ("C7alt", "C7"),
            ("C7b5", "C7"),
            ("CM7", "Cmaj7"),
            ("C△", "Cmaj7"),
            ("Cmaj9", "Cmaj7"),
            ("C+", "Caug"),
        ),
        *(("Cm6", "Cm"), ("C-7", "Cm7"), ("Cm9", "Cm7"), ("Cmmaj7", "Cm"), ("Cm11", "Cm7")),
        *(
            ("Cø", "Cm7b5"),
            ("Cm7b5", "Cm7b5"),
            ("C°", "Cdim"),
            ("Co7", "Cdim7"),
            ("B♭7/a♭", "Bb7/Ab"),
        ),
        *(
            ("(G/B)", "G/B"),
            ("C/b", "C/B"),
            ("C/bb", "C/Bb"),
            ("n.c.", "N.C."),
            ("Cb", "B"),
            ("E#m", "Fm"),
        ),
    ],
)
def test_richer_symbols_are_read_as_what_they_enrich(text: str, plain: str) -> None:
    assert chord_of_symbol(text) == chord_of_symbol(plain)


@pytest.mark.parametrize(
    "text", ["H", "c", "F/", "C/E7", "C/H", "C//E", "7", "", "Coda", "%", "C|G", "/E"]
)
def test_what_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="isn't a chord symbol"):
        chord_of_symbol(text)


# --- numerals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "numeral"),
    [
        *(
            ("C", C, "I"),
            ("C/E", C, "I6"),
            ("C/G", C, "I64"),
            ("G7/B", C, "V65"),
            ("G7/D", C, "V43"),
        ),
        *(
            ("G7/F", C, "V42"),
            ("Bdim", C, "viio"),
            ("Bm7b5/D", C, "vii%65"),
            ("F#dim7", C, "#ivo7"),
        ),
        *(
            ("C#dim7", C, "#io7"),
            ("Ab", C, "bVI"),
            ("Eb7", C, "bIII7"),
            ("Gaug", C, "V+"),
            ("Cmaj7", C, "Imaj7"),
        ),
        *(
            ("C/D", C, "I/D"),
            ("N.C.", C, ""),
            ("Fm", C, "iv"),
            ("Bb", C, "bVII"),
            ("Db/F", C, "bII6"),
        ),
        *(("Am", A_MINOR, "i"), ("C", A_MINOR, "III"), ("F", A_MINOR, "VI"), ("G", A_MINOR, "VII")),
        *(("G#dim7", A_MINOR, "viio7"), ("G#dim/B", A_MINOR, "viio6"), ("Em", A_MINOR, "v")),
        *(
            ("F#m7b5", A_MINOR, "vi%7"),
            ("Fm", A_MINOR, "bvi"),
            ("Gm", A_MINOR, "bvii"),
            ("A", A_MINOR, "I"),
        ),
        *(
            ("E7", A_MINOR, "V7"),
            ("Bm7b5/D", A_MINOR, "ii%65"),
            ("F#", A_MINOR, "#VI"),
            ("Bb/D", A_MINOR, "bII6"),
        ),
    ],
)
def test_numerals(text: str, key: Key, numeral: str) -> None:
    assert roman(*chord_of_symbol(text), key) == numeral


@pytest.mark.parametrize("tonic", [0, 3, 6, 10])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_numerals_mean_what_music21_reads_in_them(tonic: int, mode: Any) -> None:
    """Root and bass of triads and sevenths in all inversions; a small vi or vii of minor is
    raised.
    """
    from music21.key import Key as Scale
    from music21.pitch import Pitch
    from music21.roman import Minor67Default, RomanNumeral

    scale, quality67 = Scale(Pitch(tonic).name, mode), Minor67Default.QUALITY
    for step, quality in product(range(12), (0, 1, 2, 3, 4, 8)):
        root = (tonic + step) % 12
        for bass in tones_of(root, quality):
            figure = roman(root, quality, bass, Key(tonic, mode))
            read = RomanNumeral(figure, scale, sixthMinor=quality67, seventhMinor=quality67)
            assert (read.root().pitchClass, read.inversion()) == (
                root,
                tones_of(root, quality).index(bass),
            ), figure


# --- cadences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "key", "found"),
    [
        ("C | F | G7 | C", C, {3: "authentic"}),
        ("C | F | Bdim/D | C/E", C, {3: "authentic"}),
        ("C | G7 | C | C", C, {2: "authentic"}),  # it comes a bar early
        ("G7 | C | C | C", C, {}),  # and then goes on for three bars
        ("C | F | G7 | C/G", C, {}),  # a second inversion is no close
        ("C | F | G7 | C7", C, {}),  # nor is what leads on to F
        ("C | F | C/G G | C", C, {3: "authentic"}),
        ("C | F | G G7 | C C/E", C, {3: "authentic"}),
        ("C | C | G | Am", C, {3: "deceptive"}),
        ("C | C | G | A", C, {}),
        ("C | C | Dm | G", C, {3: "half"}),
        ("C | C | G | G7", C, {2: "half"}),
        ("C | F | C | C", C, {2: "plagal"}),
        ("C | C | F | C | F | C | G | C", C, {7: "authentic"}),  # plagal only at the end
        (
            "C | F | G | C - - G7 | F | G | C | C",
            C,
            {3: "authentic", 6: "authentic"},
        ),  # G7 leads on
        ("C | F | G | C G | F | G | C | C", C, {3: "half", 6: "authentic"}),
        ("C | F | Dm | C - - G7", C, {3: "half"}),  # at the end nothing follows
        ("C | F | G7 | C | F | C", C, {3: "authentic", 5: "plagal"}),  # the rest is a phrase
        ("Am | Dm | E7 | Am", A_MINOR, {3: "authentic"}),
        ("Am | Dm | G#dim7 | A", A_MINOR, {3: "authentic"}),
        ("Am | Dm | Em | Am", A_MINOR, {}),  # a minor v isn't a dominant
        ("Am | Dm | E | F", A_MINOR, {3: "deceptive"}),
        ("Am | F | Dm | E", A_MINOR, {3: "half"}),
        ("Am | C | C | C", A_MINOR, {}),  # III was taken for I
        ("C | F | Gm | C", C, {}),
        ("C | G | Bb | C", C, {}),
        ("C | F | G7 | N.C.", C, {2: "half"}),
        ("N.C. | N.C. | N.C. | N.C.", C, {}),
    ],
)
def test_cadences(line: str, key: Key, found: dict[int, str]) -> None:
    bars = four_four(line.count("|") + 1)
    assert cadences(chords_of_line(line, bars), bars, key) == found


def test_a_pick_up_belongs_to_the_first_phrase() -> None:
    bars = four_four(8, upbeat=1)
    chords = chords_of_line("C | C | F | G7 | C | C | F | Dm | G", bars)
    assert len(bars) == 9
    assert cadences(chords, bars, C) == {4: "authentic", 8: "half"}


# --- lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("F C7 | F", [(0, 2, "F"), (2, 4, "C7"), (4, 8, "F")]),
        ("| F C7 | F |", [(0, 2, "F"), (2, 4, "C7"), (4, 8, "F")]),
        ("F - - C7 || F |", [(0, 3, "F"), (3, 4, "C7"), (4, 8, "F")]),
        ("F / / C7 | F", [(0, 3, "F"), (3, 4, "C7"), (4, 8, "F")]),
        (
            "F | - C7 | %",
            [(0, 6, "F"), (6, 8, "C7"), (8, 10, "F"), (10, 12, "C7")],
        ),  # F again, not C7
        ("F | % | % | C", [(0, 12, "F"), (12, 16, "C")]),
        ("F . | C", [(0, 2, "F"), (4, 8, "C")]),
        ("F . - C | . | -", [(0, 1, "F"), (3, 4, "C")]),  # more of what is free is free
        (". | | C", [(8, 12, "C")]),
        ("- | C", [(4, 8, "C")]),
        ("% | C", [(4, 8, "C")]),
        (
            "F | G |  \r\n  Am | F/A |\n\nC",
            [(0, 4, "F"), (4, 8, "G"), (8, 12, "Am"), (12, 16, "F/A"), (16, 20, "C")],
        ),
        ("N.C. | C", [(0, 4, "N.C."), (4, 8, "C")]),
        ("C13(#11) | B♭m7b5/A♭", [(0, 4, "C7"), (4, 8, "Bbm7b5/Ab")]),
        ("", []),
    ],
)
def test_a_line_is_the_chords_of_the_bars(
    line: str, expected: list[tuple[float, float, str]]
) -> None:
    assert spans(chords_of_line(line, four_four(5))) == expected


def test_a_pick_up_has_a_bar_where_the_line_has_one_more() -> None:
    """Chords in its bar share it; without a bar of its own in the line, it is free."""
    bars = four_four(2, upbeat=2)
    assert spans(chords_of_line("C | G", bars)) == [(2, 6, "C"), (6, 10, "G")]
    assert spans(chords_of_line("F | C | G", bars)) == [(-2, 2, "F"), (2, 6, "C"), (6, 10, "G")]
    assert spans(chords_of_line("F G | C | G", bars))[:2] == [(-2, 1, "F"), (1, 2, "G")]


def test_odd_bars_are_shared_evenly() -> None:
    bars = bars_of([(0.0, 3, 4), (3.0, 6, 8), (4.5, 4, 4)], 8.5)  # the second is cut short
    assert spans(chords_of_line("C F G | C F | G", bars)) == [
        *((0, 1, "C"), (1, 2, "F"), (2, 3, "G"), (3, 3.75, "C"), (3.75, 4.5, "F"), (4.5, 8.5, "G"))
    ]


def test_mistakes_in_a_line_are_reported() -> None:
    with pytest.raises(InputError, match="--chords: 3 bars of chords, and the song has 2"):
        chords_of_line("C | F | G", four_four(2))
    with pytest.raises(InputError, match="--chords: 'X7' isn't a chord symbol"):
        chords_of_line("C | X7", four_four(2))
    with pytest.raises(InputError, match="--chords: '%'"):
        chords_of_line("C % | C", four_four(2))
    assert all(map(is_bar, ("C", "F - C7 /", ". .", "%", "N.C.", "")))
    assert not any(map(is_bar, ("chords.txt", "new", "C %", "C H")))


METRES = ((4, 4), (3, 4), (6, 8), (2, 2), (5, 8), (12, 8))
STATES = [
    (root, quality, (root + step) % 12) for root, quality in CHORDS for step in INTERVALS[quality]
]


@st.composite
def songs(draw: st.DrawFn) -> tuple[BarTable, ChordTable, Key]:
    """Draw bars of one metre, perhaps after a pick-up, and chords.

    They begin on bar lines and on even shares of bars.
    """
    top, bottom = draw(st.sampled_from(METRES))
    upbeat = draw(st.booleans())
    begin = [(0.0, 1, bottom), (4 / bottom, top, bottom)] if upbeat else [(0.0, top, bottom)]
    count = draw(st.integers(1, 6))
    bars = bars_of(begin, count * 4.0 * top / bottom + upbeat * 4 / bottom)

    starts, named = [float(bars["start"][0])], [draw(st.sampled_from(STATES))]
    for bar in bars[upbeat:]:
        parts = draw(st.sampled_from((1, 2, 3, 4, 6)))
        for part in range(parts):
            if draw(st.booleans()):
                starts.append(float(bar["start"] + bar["length"] * part / parts))
                named.append(draw(st.sampled_from([*STATES, (NONE, NONE, NONE)])))
    keep = [k for k in range(len(starts)) if k + 1 == len(starts) or starts[k + 1] > starts[k]]
    end = float(bars["start"][-1] + bars["length"][-1])
    chords = chord_table(np.array(starts)[keep], end, np.array(named)[keep])
    return bars, chords, draw(st.sampled_from(KEYS))


@settings(max_examples=80, deadline=None)
@given(songs())
def test_a_line_that_is_written_is_read_as_the_same_chords(
    song: tuple[BarTable, ChordTable, Key],
) -> None:
    bars, chords, key = song
    again = chords_of_line(" | ".join(line_of(chords, bars, key)), bars)
    for name in ("root", "quality", "bass"):
        np.testing.assert_array_equal(again[name], chords[name])
    np.testing.assert_allclose(again["start"], chords["start"], atol=1e-4)
    np.testing.assert_allclose(again["length"], chords["length"], atol=1e-4)
