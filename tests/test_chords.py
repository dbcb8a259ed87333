"""``--chords keep``: the song's own harmony, found beat by beat, and an accompaniment that is held to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from styletransfer.model.settings import SamplingConfig
from styletransfer.score.notes import Feel, Piece, bars_of, make_notes
from styletransfer.score.read import read_score
from styletransfer.score.symbols import chord_tones, looks_like_a_chord
from styletransfer.score.write import write_midi
from styletransfer.tokens.chords import PASSING
from styletransfer.tokens.codec import STEPS_PER_QUARTER
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer.chords import harmony_of
from styletransfer.transfer.pipeline import apply, find_melody
from styletransfer.transfer.request import Request
from tests.command import ONE, Run, refused
from tests.tiny import codec, short_song

PROGRESSION = ((48, 52, 55), (53, 57, 60), (43, 47, 50, 53), (45, 48, 52))  # C, F, G7, A minor: two quarters each


def song(feel: Feel = "score") -> Piece:
    """A tune in C over a chord every two quarters, struck or broken, and two quarters without any."""
    tune = [72, 76, 77, 81, 74, 79, 76, 72, 76, 72]
    rows = [(float(k), 1.0, pitch, 0) for k, pitch in enumerate(tune)]
    for number, chord in enumerate(PROGRESSION):
        for k, pitch in enumerate(chord):
            broken = number == 1
            rows.append((2.0 * number + (0.5 * k if broken else 0), 0.5 if broken else 2.0, pitch, 1))
    onset, length, pitch, part = np.array(rows).T
    notes = make_notes(onset, length, pitch.astype(int), part=part.astype(int), melody=part == 0)
    bars = bars_of([(0.0, 2, 4)], 10.0)
    return Piece(notes, feel, bars if feel == "score" else bars[:0], parts=("Melody", "Chords"))


def test_the_chords_of_a_song() -> None:
    source = song()
    melody, octaves = find_melody(source)
    plan = plan_of(codec(), codec().grid(melody))
    harmony = harmony_of(source, melody, octaves, codec(), plan)
    assert harmony.start.tolist() == [STEPS_PER_QUARTER * k for k in range(10)]
    found = [set(np.flatnonzero(row).tolist()) for row in harmony.tones]
    wanted = [{pitch % 12 for pitch in chord} for chord in PROGRESSION for _ in range(2)]
    assert found == [*wanted, *[set(range(12))] * 2]
    assert harmony.longest(0, 60) == 4 * STEPS_PER_QUARTER  # C is of C and of F
    assert harmony.longest(0, 61) == PASSING
    assert harmony.longest(6 * STEPS_PER_QUARTER, 64) > 1000
    assert harmony.allows(12).all()  # between the beats


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_the_accompaniment_is_held_to_them(
    feel: Feel, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every beat only tones of its chord begin, and none lasts into a chord that it isn't of."""
    monkeypatch.setattr("styletransfer.score.midi.on_beats", lambda *_: feel == "score")
    path = tmp_path / "song.mid"
    write_midi(song(feel), path)
    sampling = SamplingConfig(candidates=1, strength=1.0, temperature=3.0)
    request = Request(str(path), "bach", sampling, model=tiny_package, chords="keep")
    result = apply(request)
    assert result.report["feel"] == feel
    around = result.piece.notes[~result.piece.notes["melody"]]
    chords = [*PROGRESSION, tuple(range(12))]
    struck = 0
    for note in around:
        begin, end = float(note["onset"]), float(note["onset"] + note["duration"])
        tone, passing = int(note["pitch"]) % 12, float(note["duration"]) <= PASSING / STEPS_PER_QUARTER + 1e-6
        touched = [{pitch % 12 for pitch in chords[k]} for k in range(5) if begin < 2 * k + 2 - 1e-6 and end > 2 * k + 1e-6]
        fits = all(tone in chord for chord in touched)
        on_beat = abs(begin - round(begin)) < 1e-6
        struck += on_beat and begin < 8
        assert fits or (passing and not on_beat), (begin, end, tone, touched)
    assert struck > 3
    free = apply(Request(str(path), "bach", sampling, model=tiny_package))
    assert free.report["chords"] == "new"
    assert free.piece.notes.tolist() != result.piece.notes.tolist()


def test_a_tune_alone_has_none(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    short_song(tmp_path / "song.mid")
    common = ("apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE)
    refused(run(*common, "--chords", "keep"), "melody alone", "--chords keep")
    refused(run(*common, "--chords", "some"), "--chords some")
    assert run(*common).code == 0
    common = ("apply", "song-bach.mid", "-s", "bach", "--model", tiny_package, *ONE)
    assert run(*common, "--bars", "1", "--chords", "keep", "-o", "again.mid").code == 0
    assert run("replay", "again.json", "--check").code == 0


@pytest.mark.parametrize(
    ("symbol", "tones"),
    [
        ("C", {0, 4, 7}),
        ("Am", {9, 0, 4}),
        ("A-", {9, 0, 4}),
        ("G7", {7, 11, 2, 5}),
        ("G/B", {7, 11, 2}),
        ("C/D", {0, 2, 4, 7}),
        ("F#dim", {6, 9, 0}),
        ("Bb", {10, 2, 5}),
        ("B♭maj7", {10, 2, 5, 9}),
        ("CM7", {0, 4, 7, 11}),
        ("CΔ", {0, 4, 7, 11}),
        ("C△", {0, 4, 7, 11}),
        ("C^7", {0, 4, 7, 11}),
        ("C7alt", {0, 4, 6, 10, 1, 3, 8}),
        ("Cm(maj7)", {0, 3, 7, 11}),
        ("Am7b5", {9, 0, 3, 7}),
        ("Bø", {11, 2, 5, 9}),
        ("Bdim7", {11, 2, 5, 8}),
        ("Dsus4", {2, 7, 9}),
        ("Asus2", {9, 11, 4}),
        ("E+", {4, 8, 0}),
        ("C6/9", {0, 2, 4, 7, 9}),
        ("D9", {2, 6, 9, 0, 4}),
        ("G7b9", {7, 11, 2, 5, 8}),
        ("G7#5", {7, 11, 3, 5}),
        ("F5", {5, 0}),
        ("N.C.", set()),
    ],
)
def test_chord_symbols(symbol: str, tones: set[int]) -> None:
    found = chord_tones(symbol)
    assert found is not None
    assert (set(found), len(found)) == (tones, len(tones))


@pytest.mark.parametrize("text", ["Fine", "D.C.", "Coda", "Allegro", "H", "", "Chorus", "cantabile", "7", "Verse 1", "C major"])
def test_words_are_no_chords(text: str) -> None:
    assert chord_tones(text) is None
    assert not looks_like_a_chord(text)


def test_a_symbol_that_is_not_understood_frees_the_harmony_and_is_told(tmp_path: Path) -> None:
    """The chord before it held on, without a word."""
    (tmp_path / "odd.abc").write_text('X:1\nM:4/4\nL:1/4\nK:C\n"C"cege|"Fm7/11"fagf|"Coda"c4|]\n')
    piece = read_score(tmp_path / "odd.abc")
    assert piece.chords == ((0.0, (0, 4, 7)), (4.0, ()))
    assert any("Fm7/11" in remark for remark in piece.remarks)


LEAD_SHEET = """X:1
T:Sheet
M:4/4
L:1/4
Q:1/4=120
K:C
|: "C"cdef | "Fine" g2 "G7"f2 :| "^no chord" "N.C."e4 | "Am/C"a2 g "F"f |]
"""
MUSICXML = """<?xml version="1.0"?><score-partwise version="4.0"><part-list><score-part id="P1"><part-name>Lead</part-name>
</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions><time><beats>4</beats>
<beat-type>4</beat-type></time></attributes>
<harmony><root><root-step>F</root-step></root><kind>major</kind></harmony>
<note><pitch><step>A</step><octave>4</octave></pitch><duration>2</duration></note>
<harmony><root><root-step>C</root-step></root><kind>dominant</kind></harmony>
<note><pitch><step>G</step><octave>4</octave></pitch><duration>2</duration></note></measure>
<measure number="2"><harmony><root><root-step>C</root-step></root><kind text="N.C.">none</kind></harmony>
<note><pitch><step>F</step><octave>4</octave></pitch><duration>4</duration></note></measure></part></score-partwise>"""


def test_a_lead_sheet_has_its_chords_where_they_are_played(tmp_path: Path) -> None:
    """Repeats are played out; other words over the staff are no chords."""
    (tmp_path / "sheet.abc").write_text(LEAD_SHEET)
    piece = read_score(tmp_path / "sheet.abc")
    major, dominant = (0, 4, 7), (2, 5, 7, 11)
    assert piece.chords == (
        *((0.0, major), (6.0, dominant), (8.0, major), (14.0, dominant)),
        *((16.0, ()), (20.0, (0, 4, 9)), (23.0, (0, 5, 9))),
    )
    assert set(piece.notes["pitch"].tolist()) == {72, 74, 76, 77, 79, 81}
    (tmp_path / "sheet.musicxml").write_text(MUSICXML)
    piece = read_score(tmp_path / "sheet.musicxml")
    assert piece.chords == ((0.0, (0, 5, 9)), (2.0, (0, 4, 7, 10)), (4.0, ()))
    assert piece.notes["pitch"].tolist() == [69, 67, 65]


def test_an_accompaniment_is_held_to_chord_symbols(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    """Also where a chord changes within a beat; under "no chord" all is allowed."""
    (tmp_path / "sheet.abc").write_text(LEAD_SHEET.replace('"F"f', '"F"f/2 "G"e/2'))
    source = read_score(tmp_path / "sheet.abc")
    melody, octaves = find_melody(source)
    harmony = harmony_of(source, melody, octaves, codec(), plan_of(codec(), codec().grid(melody)))
    quarters = (harmony.start / STEPS_PER_QUARTER).tolist()
    assert quarters == [*map(float, range(24)), 23.5]
    named = {quarter: set(np.flatnonzero(row).tolist()) for quarter, row in zip(quarters, harmony.tones, strict=True)}
    assert (named[1.0], named[7.0], named[9.0]) == ({0, 4, 7}, {2, 5, 7, 11}, {0, 4, 7})
    assert (named[17.0], named[21.0]) == (set(range(12)), {0, 4, 9})
    assert (named[23.0], named[23.5]) == ({0, 5, 9}, {2, 7, 11})
    done = run("apply", "sheet.abc", "-s", "bach", "--model", tiny_package, "--chords", "keep", *ONE)
    assert done.code == 0
    told = run("inspect", "sheet.abc", "--json")
    assert '"chord_symbols": 8' in told.out
