"""Scores: the notation matches the sound, and follows musicians' conventions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from styletransfer.engraving.musicxml import musicxml_bytes
from styletransfer.engraving.page import Page, lay_out
from styletransfer.engraving.values import Value, written_values
from styletransfer.errors import InputError
from styletransfer.formats.musicxml import parse_musicxml
from styletransfer.formats.tunes import example
from styletransfer.music.notes import NoteTable, Piece, TempoMap, make_notes
from styletransfer.music.spelling import letter_and_alter, spell
from tests.arrangements import (
    arrangement,
    bars_equal,
    elements,
    melody_on_page,
    onsets,
    random_arrangement,
)


def page_bytes(piece: Piece, title: str = "A title") -> bytes:
    return musicxml_bytes(lay_out(piece), title)


# --- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(11, 22))
def test_what_is_written_sounds_as_the_piece(seed: int) -> None:
    """Onsets and pitches of all notes, bars, keys, and the melody's durations, in eleven metres."""
    piece = random_arrangement(seed)
    data = page_bytes(piece)
    again = parse_musicxml(data, "page")
    assert onsets(again.notes) == onsets(piece.notes)
    assert bars_equal(again.bars, piece.bars)
    assert again.key_signatures[0][1] == piece.key_signatures[0][1]
    assert again.tempo.quarters_per_minute() == pytest.approx(
        piece.tempo.quarters_per_minute(), rel=0.01
    )
    expected = [(n["onset"], n["duration"], n["pitch"]) for n in piece.melody]
    assert melody_on_page(data) == [pytest.approx(row, abs=1e-3) for row in expected]


@pytest.mark.parametrize("seed", range(22))
def test_every_bar_is_full_and_has_two_voices_a_staff_at_most(seed: int) -> None:
    page = lay_out(random_arrangement(seed))
    for staff in page.staves:
        assert len(staff.voices) == 2
        for voice in staff.voices:
            assert all(one.end <= two.start for one, two in pairwise(voice))
            for bar in page.bars:
                values = written_values(voice, bar)
                assert sum(value.length for value in values) == bar.length
                assert values[0].start == bar.start
                assert all(one.start + one.length == two.start for one, two in pairwise(values))


def test_the_same_page_has_the_same_bytes() -> None:
    piece = random_arrangement(3)
    assert page_bytes(piece) == page_bytes(piece)
    text = page_bytes(piece, "Grüße & <Küsse>").decode()
    assert "Grüße &amp; &lt;Küsse&gt;" in text
    assert "encoding-date" not in text
    assert "composer" not in text


def test_a_page_without_a_melody_keeps_all_notes() -> None:
    piece = random_arrangement(5)
    notes = piece.notes.copy()
    notes["melody"] = False
    data = page_bytes(piece.with_notes(notes))
    assert onsets(parse_musicxml(data, "page").notes) == onsets(notes)
    assert not [words for words in elements(data, "words") if words.text == "Melody"]


def test_an_uneven_melody_is_put_on_the_beats() -> None:
    """Being a few hundredths of a quarter early or late doesn't make 64th rests."""
    rng = np.random.default_rng(0)
    exact = [(float(k) / 2, 0.5, 72 + k % 5) for k in range(32)]
    played = [(max(0.0, o + float(rng.uniform(-0.03, 0.03))), 0.43, p) for o, _, p in exact]
    data = page_bytes(arrangement(played))
    assert melody_on_page(data) == [pytest.approx(row) for row in exact]
    assert {kind.text for kind in elements(data, "type")} == {"eighth"}


def test_a_beat_that_mixes_sixteenths_and_triplets_is_written_in_triplets() -> None:
    """Its notes stay distinct and move by at most a twelfth of a quarter; it was written with 32nds
    inside triplets.
    """
    rows = [(0.0, 0.25, 48), (8 / 24, 0.25, 50), (16 / 24, 0.08, 52), (18 / 24, 0.25, 53)]
    piece = arrangement([(0.0, 4.0, 79)], left=rows)
    found = parse_musicxml(page_bytes(piece), "page").notes
    low = found[found["pitch"] < 60]
    assert low["pitch"].tolist() == [48, 50, 52, 53]
    assert low["onset"].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 5 / 6], abs=1e-3)


# --- values ---------------------------------------------------------------------------------------

Q = 3360


def signs(piece: Piece, bar: int = 0, voice: int = 0) -> list[tuple[float, float, int]]:
    """Return a bar of the upper staff.

    A row is (place in the bar, notated length, in quarters; number of pitches).
    """
    page = lay_out(piece)
    values = written_values(page.staves[0].voices[voice], page.bars[bar])
    return [((v.start - page.bars[bar].start) / Q, v.written / Q, len(v.pitches)) for v in values]


def values_of(piece: Piece, bar: int = 0) -> list[Value]:
    page = lay_out(piece)
    return written_values(page.staves[0].voices[0], page.bars[bar])


@pytest.mark.parametrize(
    ("metre", "note", "expected"),
    [
        ((4, 4), (0.0, 4.0), [4.0]),
        ((4, 4), (0.0, 3.0), [3.0]),
        ((4, 4), (1.0, 2.0), [2.0]),  # a syncopation within the bar is one sign
        ((4, 4), (0.5, 1.0), [1.0]),  # and within half a bar
        ((4, 4), (1.5, 1.0), [0.5, 0.5]),  # the middle of the bar is shown
        ((4, 4), (0.5, 2.0), [1.5, 0.5]),
        ((4, 4), (0.0, 2.5), [2.0, 0.5]),
        ((4, 4), (0.25, 0.5), [0.5]),
        ((4, 4), (0.75, 0.5), [0.25, 0.25]),
        ((3, 4), (0.0, 3.0), [3.0]),
        ((3, 4), (1.0, 2.0), [2.0]),
        ((3, 4), (1.0, 1.5), [1.5]),
        ((3, 4), (0.5, 1.5), [1.5]),
        ((6, 8), (0.0, 3.0), [3.0]),
        ((6, 8), (0.0, 2.0), [1.5, 0.5]),  # dotted beats are shown
        ((6, 8), (1.0, 1.0), [0.5, 0.5]),
        ((6, 8), (0.5, 1.0), [1.0]),
        ((6, 8), (0.0, 0.75), [0.75]),
        ((6, 8), (0.75, 0.75), [0.75]),
        ((9, 8), (0.0, 4.5), [3.0, 1.5]),
        ((12, 8), (0.0, 6.0), [6.0]),
        ((2, 2), (0.0, 4.0), [4.0]),
        ((5, 4), (3.0, 2.0), [2.0]),
        ((6, 4), (3.0, 3.0), [3.0]),
    ],
)
def test_values_show_the_beats(
    metre: tuple[int, int], note: tuple[float, float], expected: list[float]
) -> None:
    piece = arrangement([(*note, 72), (note[0] + note[1] + 0.0, 8.0, 74)], metres=[(0.0, *metre)])
    page = lay_out(piece)
    pieces = [
        v
        for bar in page.bars
        for v in written_values(page.staves[0].voices[0], bar)
        if v.pitches == (72,)
    ]
    assert [v.written / Q for v in pieces] == expected
    assert [bool(v.tied_to) for v in pieces] == [True] * (len(pieces) - 1) + [False]
    assert [bool(v.tied_from) for v in pieces] == [False] + [True] * (len(pieces) - 1)


def test_a_note_over_the_bar_line_is_tied() -> None:
    piece = arrangement([(0.0, 3.0, 72), (3.0, 2.0, 74), (5.0, 3.0, 76)])
    assert signs(piece, 0) == [(0.0, 3.0, 1), (3.0, 1.0, 1)]
    assert signs(piece, 1) == [(0.0, 1.0, 1), (1.0, 3.0, 1)]
    first, second = values_of(piece, 0)[1], values_of(piece, 1)[0]
    assert (first.tied_to, second.tied_from) == ({74}, {74})
    ties = [(tie.get("type"),) for tie in elements(page_bytes(piece), "tie")]
    assert ties == [("start",), ("stop",)]


def test_rests_stand_on_beats() -> None:
    piece = arrangement([(0.0, 0.5, 72), (3.5, 0.5, 74), (8.0, 1.0, 76)])
    assert signs(piece, 0) == [
        (0.0, 0.5, 1),
        (0.5, 0.5, 0),
        (1.0, 1.0, 0),
        (2.0, 1.0, 0),
        (3.0, 0.5, 0),
        (3.5, 0.5, 1),
    ]
    assert values_of(piece, 1) == [Value(4 * Q, 4 * Q, 4 * Q, whole=True)]
    compound = arrangement([(0.0, 0.5, 72), (1.0, 0.5, 74)], metres=[(0.0, 6, 8)])
    assert signs(compound, 0) == [(0.0, 0.5, 1), (0.5, 0.5, 0), (1.0, 0.5, 1), (1.5, 1.5, 0)]


def test_triplets_are_tuplets() -> None:
    third = 1 / 3
    piece = arrangement(
        [
            (0.0, third, 72),
            (third, third, 74),
            (2 * third, third, 76),
            (1.0, 2 * third, 77),
            (5 / 3, third, 79),
        ]
    )
    found = [(v.written / Q, v.tuplet, v.edge) for v in values_of(piece)[:5]]
    assert found == [
        (0.5, (3, 2), "start"),
        (0.5, (3, 2), ""),
        (0.5, (3, 2), "stop"),
        (1.0, (3, 2), "start"),
        (0.5, (3, 2), "stop"),
    ]
    data = page_bytes(piece)
    assert [(e[0].text, e[1].text) for e in elements(data, "time-modification")] == [("3", "2")] * 5
    assert [e.get("type") for e in elements(data, "tuplet")] == ["start", "stop"] * 2


def test_a_triplet_over_two_beats_is_of_quarters() -> None:
    piece = arrangement([(0.0, 2 / 3, 72), (2 / 3, 2 / 3, 74), (4 / 3, 2 / 3, 76), (2.0, 2.0, 77)])
    assert [(v.written / Q, v.tuplet) for v in values_of(piece)] == [(1.0, (3, 2))] * 3 + [
        (2.0, None)
    ]


def test_a_quintuplet() -> None:
    piece = arrangement([*((k / 5, 1 / 5, 72 + k) for k in range(5)), (1.0, 3.0, 79)])
    assert [(v.written / Q, v.tuplet) for v in values_of(piece)] == [(0.25, (5, 4))] * 5 + [
        (3.0, None)
    ]


# --- bars, keys, tempo ----------------------------------------------------------------------------


def test_a_pick_up_is_bar_nought_and_a_change_of_metre_and_key_is_written() -> None:
    melody = [
        (0.0, 1.0, 67),
        *((1.0 + k, 1.0, 69 + k % 3) for k in range(10)),
        (11.0, 0.5, 70),
        (11.5, 1.5, 72),
    ]
    metres = [(0.0, 1, 4), (1.0, 3, 4), (10.0, 6, 8)]
    piece = arrangement(melody, metres=metres, keys=((0.0, 1, False), (10.0, -3, True)))
    data = page_bytes(piece)
    measures = elements(data, "measure")
    assert [(m.get("number"), m.get("implicit")) for m in measures[:2]] == [
        ("0", "yes"),
        ("1", "no"),
    ]
    assert [(e.find("beats").text, e.find("beat-type").text) for e in elements(data, "time")] == [
        ("3", "4"),
        ("6", "8"),
    ]
    assert [e.find("fifths").text for e in elements(data, "key")] == ["1", "-3"]
    again = parse_musicxml(data, "page")
    assert bars_equal(again.bars, piece.bars)
    assert onsets(again.notes) == onsets(piece.notes)


def test_a_pick_up_may_begin_inside_a_triplet() -> None:
    piece = arrangement([(0.0, 1 / 3, 72), (1 / 3, 4.0, 76)], metres=[(0.0, 1, 12), (1 / 3, 4, 4)])
    again = parse_musicxml(page_bytes(piece), "page")
    assert again.notes["onset"].tolist() == pytest.approx([0.0, 1 / 3], abs=1e-3)


def test_the_key_is_estimated_where_a_file_has_none_or_the_usual_default() -> None:
    scale = [
        (float(k), 1.0, 64 + step) for k, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0, 4))
    ]  # E major
    for keys in ((), ((0.0, 0, False),)):
        assert lay_out(arrangement(scale, keys=keys)).keys == [(0, 4, False)]
    assert lay_out(arrangement(scale, keys=((0.0, 1, False),))).keys == [
        (0, 1, False)
    ]  # what is stated is believed
    assert lay_out(example("greensleeves")).keys == [(0, 0, True)]


def test_tempo_marks_count_beats() -> None:
    compound = replace(
        arrangement([(0.0, 6.0, 72)], metres=[(0.0, 6, 8)]),
        tempo=TempoMap(np.zeros(1), np.array([60 / 84])),
    )
    data = page_bytes(compound)
    assert [e.text for e in elements(data, "per-minute")] == ["56"]
    assert len(elements(data, "beat-unit-dot")) == 1
    rubato = TempoMap(np.array([0.0, 4.0, 8.0, 12.0]), np.array([0.5, 0.52, 0.5, 1.0]))
    marks = lay_out(replace(arrangement([(0.0, 16.0, 72)]), tempo=rubato)).tempos
    assert marks == [(0, 120.0), (3, 60.0)]


def test_music_without_beats_is_refused() -> None:
    notes = make_notes([0.0], [1.0], [60])
    with pytest.raises(InputError, match="without beats"):
        lay_out(Piece(notes, "performance"))


# --- hands and voices -----------------------------------------------------------------------------


def pitches(page: Page, staff: int, voice: int) -> list[tuple[int, ...]]:
    return [sound.pitches for sound in page.staves[staff].voices[voice]]


def test_the_melody_is_the_upper_voice_and_marked() -> None:
    piece = arrangement([(0.0, 4.0, 76)], [(0.0, 2.0, 67), (2.0, 2.0, 65)], [(0.0, 4.0, 48)])
    page = lay_out(piece)
    assert pitches(page, 0, 0) == [(76,)]
    assert pitches(page, 0, 1) == [(67,), (65,)]
    assert pitches(page, 1, 0) == [(48,)]
    data = page_bytes(piece)
    assert [e.text for e in elements(data, "words")] == ["Melody"]
    notes = [e for e in elements(data, "note") if e.find("pitch") is not None]
    assert [(n.find("staff").text, n.find("voice").text) for n in notes] == [
        ("1", "1"),
        ("1", "2"),
        ("1", "2"),
        ("2", "5"),
    ]
    assert [n.findtext("stem") for n in notes[:3]] == [None, "down", "down"] or notes[0].findtext(
        "stem"
    ) == "up"


def test_notes_go_to_the_staff_of_their_register() -> None:
    """The right hand's low chord, out of its reach below the melody, and the left hand's high
    one.
    """
    piece = arrangement(
        [(0.0, 4.0, 81), (4.0, 4.0, 81)], [(0.0, 4.0, 48)], [(4.0, 4.0, 72), (4.0, 4.0, 69)]
    )
    page = lay_out(piece)
    assert pitches(page, 1, 0) == [(48,)]
    assert pitches(page, 0, 1) == [(69, 72)]


def test_a_held_bass_has_a_voice_of_its_own() -> None:
    left = [(0.0, 4.0, 36), *((float(k), 1.0, 50 + k) for k in range(4))]
    page = lay_out(arrangement([(0.0, 4.0, 76)], left=left))
    assert pitches(page, 1, 0) == [(50,), (51,), (52,), (53,)]
    assert pitches(page, 1, 1) == [(36,)]


def test_what_begins_together_is_a_chord_and_one_voice_is_enough() -> None:
    left = [(float(k), 0.9, pitch) for k in range(4) for pitch in (43, 47, 50)]
    page = lay_out(arrangement([(0.0, 4.0, 76)], left=left))
    assert pitches(page, 1, 0) == [(43, 47, 50)] * 4
    assert pitches(page, 1, 1) == []
    assert [s.end - s.start for s in page.staves[1].voices[0]] == [
        Q
    ] * 4  # a tenth of a quarter is no rest


def test_a_note_that_is_struck_again_ends_there() -> None:
    page = lay_out(arrangement([(0.0, 8.0, 76)], left=[(0.0, 8.0, 45), (4.0, 4.0, 45)]))
    assert [(s.start / Q, s.end / Q, s.tied) for s in page.staves[1].voices[0]] == [
        (0, 4, frozenset()),
        (4, 8, frozenset()),
    ]


def test_a_chord_that_is_tied_in_part_is_read_so() -> None:
    """If one note of a chord was tied, the reader treated all as tied, and lost the others' second
    onset.
    """
    right = [(0.0, 2.0, 69), (0.0, 1.0, 65), (1.0, 1.0, 65)]
    piece = arrangement([(0.0, 4.0, 76)], right)
    data = page_bytes(piece)
    assert Counter(tie.get("type") for tie in elements(data, "tie")) == {"start": 1, "stop": 1}
    found = parse_musicxml(data, "page").notes
    assert onsets(found) == [(0, 65), (0, 69), (0, 76), (96, 65)]
    assert found[found["pitch"] == 69]["duration"].tolist() == [2.0]


def test_the_lower_staff_changes_its_clef_for_high_music() -> None:
    melody = [(4.0 * k, 4.0, 88) for k in range(12)]
    left = [(float(k), 1.0, 45 if k < 16 else 69 + k % 3) for k in range(48)]
    right = [(4.0 * k, 4.0, 81) for k in range(12)]
    page = lay_out(arrangement(melody, right, left))
    clefs = page.staves[1].clefs
    high = [
        bar
        for bar in range(12)
        if any(
            p >= 69 and page.bars[bar].start <= s.start < page.bars[bar].end
            for s in page.staves[1].voices[0]
            for p in s.pitches
        )
    ]
    assert clefs[0] == "bass"
    assert all(clefs[bar] == "treble" for bar in high)
    assert page.staves[0].clefs == ["treble"] * 12


# --- spelling -------------------------------------------------------------------------------------


def names(notes: NoteTable, fifths: int) -> str:
    spelled = spell(notes, np.full(len(notes), fifths))
    letters = [letter_and_alter(name) for name in spelled.tolist()]
    return " ".join(
        letter + ("#" * alter if alter > 0 else "b" * -alter) for letter, alter in letters
    )


@pytest.mark.parametrize(
    ("pitches", "fifths", "expected"),
    [
        ((60, 61, 62, 64), 0, "C C# D E"),
        ((64, 63, 62, 60), 0, "E Eb D C"),
        ((69, 68, 69, 71), 0, "A G# A B"),
        ((67, 66, 67), -2, "G F# G"),
        ((61, 63, 65, 66, 68, 70, 72), -5, "Db Eb F Gb Ab Bb C"),
        ((61, 63, 65, 66, 68, 70, 72), 7, "C# D# E# F# G# A# B#"),
        ((66, 65, 66), 6, "F# E# F#"),
        ((70, 68, 67), -1, "Bb Ab G"),
    ],
)
def test_names_follow_the_key_and_the_line(
    pitches: tuple[int, ...], fifths: int, expected: str
) -> None:
    notes = make_notes([float(k) for k in range(len(pitches))], [1.0] * len(pitches), list(pitches))
    assert names(notes, fifths) == expected
    assert [p % 12 for p in pitches] == [
        (int(k) * 7) % 12 for k in spell(notes, np.full(len(notes), fifths))
    ]


def test_accidentals_are_printed_where_they_are_needed() -> None:
    """Once per bar, again in the next bar, as a reminder when they are cancelled, and not on tied
    notes.
    """
    melody = [
        (0.0, 1.0, 66),
        (1.0, 1.0, 66),
        (2.0, 1.0, 65),
        (3.0, 1.0, 64),
        (4.0, 2.0, 68),
        (6.0, 4.0, 68),
        (10.0, 2.0, 67),
    ]

    piece = arrangement(melody, keys=((0.0, 0, True),))
    printed = [
        (note.findtext("pitch/step"), note.findtext("accidental"))
        for note in elements(page_bytes(piece), "note")
        if note.find("pitch") is not None
    ]

    assert printed == [
        ("F", "sharp"),
        ("F", None),
        ("F", "natural"),
        ("E", None),
        ("G", "sharp"),
        ("G", None),
        ("G", None),  # tied over the bar line
        ("G", "natural"),
    ]


def test_rests_under_a_note_that_sounds_are_not_printed() -> None:
    """Whole beats of rest in an inner voice float between the staves; shorter ones show a beat."""
    piece = arrangement(
        [(0.0, 4.0, 79)], [(2.0, 1.0, 64), (3.5, 0.5, 65)], [(0.0, 4.0, 48), (4.0, 4.0, 43)]
    )
    rests = {
        (note.findtext("voice"), note.findtext("type"), note.get("print-object", "yes"))
        for note in elements(page_bytes(piece), "note")
        if note.find("rest") is not None and note.findtext("staff") == "1"
    }
    assert ("2", "half", "no") in rests
    assert ("2", "eighth", "yes") in rests


def test_the_tempo_stands_above_the_staff() -> None:
    piece = arrangement([(0.0, 4.0, 79)])
    [mark] = [
        one
        for one in elements(page_bytes(piece), "direction")
        if one.find(".//metronome") is not None
    ]
    assert mark.get("placement") == "above"
