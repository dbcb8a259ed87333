"""Test ``--chords keep``, and chord symbols as they are read.

A song's own harmony, its symbols or what is recognised, is planned and held to.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.musicxml import parse_musicxml
from styletransfer.formats.read import read_score
from styletransfer.model.loading import load_model
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.chord_names import chord_of_symbol, chords_of_line
from styletransfer.music.chord_symbols import looks_like_a_chord, read_symbol
from styletransfer.music.chords import ChordTable
from styletransfer.music.notes import Feel, Piece, bars_of, make_notes
from styletransfer.music.qualities import NONE
from styletransfer.tokens.codec import STEPS_PER_QUARTER
from styletransfer.tokens.kept_chords import PASSING, KeptChords
from styletransfer.tokens.plan import Plan, plan_of
from styletransfer.transfer.kept_harmony import own_chords
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.planning import add_chords, harmony_of
from styletransfer.transfer.request import Request
from styletransfer.transfer.source import find_melody
from tests.command import ONE, Run, refused
from tests.tiny import codec, short_song

PROGRESSION = (
    (48, 52, 55),
    (53, 57, 60),
    (43, 47, 50, 53),
    (45, 48, 52),
)  # C, F, G7, A minor: two quarters each


def song(feel: Feel = "score") -> Piece:
    """Make a tune in C over a chord every two quarters, struck or broken.

    Two quarters have none.
    """
    tune = [72, 76, 77, 81, 74, 79, 76, 72, 76, 72]
    rows = [(float(k), 1.0, pitch, 0) for k, pitch in enumerate(tune)]
    for number, chord in enumerate(PROGRESSION):
        for k, pitch in enumerate(chord):
            broken = number == 1
            rows.append(
                (2.0 * number + (0.5 * k if broken else 0), 0.5 if broken else 2.0, pitch, 1)
            )
    onset, length, pitch, part = np.array(rows).T
    notes = make_notes(onset, length, pitch.astype(int), part=part.astype(int), melody=part == 0)
    bars = bars_of([(0.0, 2, 4)], 10.0)
    return Piece(notes, feel, bars if feel == "score" else bars[:0], parts=("Melody", "Chords"))


def own(source: Piece) -> tuple[Piece, Plan, ChordTable, KeptChords]:
    """Return the tune of a song, its plan, and the song's own chords."""
    melody, octaves = find_melody(source)
    plan = plan_of(codec(), codec().grid(melody))
    return melody, plan, *own_chords(source, melody, octaves, plan)


def test_the_chords_of_a_song() -> None:
    """Recognised chords are planned and enforced; where only the
    melody sounds there is no chord.
    """
    melody, _, chords, harmony = own(song())
    told = list(
        zip(
            chords["start"].tolist(),
            *(chords[name].tolist() for name in ("root", "quality", "bass")),
            strict=True,
        )
    )
    names = ("C", "F", "G7", "Am", "N.C.")
    assert told == [(2.0 * k, *chord_of_symbol(name)) for k, name in enumerate(names)]

    np.testing.assert_array_equal(
        harmony_of(Request("song.mid", "bach", chords="keep"), melody, chords), chords
    )
    assert harmony.start.tolist() == [STEPS_PER_QUARTER * k for k in range(10)]

    found = [set(np.flatnonzero(row).tolist()) for row in harmony.tones]
    wanted = [{pitch % 12 for pitch in chord} for chord in PROGRESSION for _ in range(2)]
    assert found == [*wanted, *[set(range(12))] * 2]
    assert harmony.longest(0, 60) == 4 * STEPS_PER_QUARTER  # C is of C and of F
    assert harmony.longest(0, 61) == PASSING
    assert harmony.longest(6 * STEPS_PER_QUARTER, 64) > 1000
    assert harmony.allows(12).all()  # between the beats


@pytest.mark.parametrize(
    ("feel", "plans"), [("score", True), ("score", False), ("performance", True)]
)
def test_the_accompaniment_is_held_to_them(
    feel: Feel, plans: bool, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every beat only tones of its chord begin, and none lasts into a foreign chord.

    This holds even if the model knows no plans.
    """
    monkeypatch.setattr(load_model(tiny_package).codec, "plans", plans)
    monkeypatch.setattr("styletransfer.formats.midi_in.on_beats", lambda *_: feel == "score")
    path = tmp_path / "song.mid"
    write_midi(song(feel), path)
    sampling = SamplingConfig(candidates=1, strength=1.0, temperature=3.0)
    request = Request(str(path), "bach", sampling, model=tiny_package, chords="keep")
    result = apply(request)
    assert result.report["feel"] == feel
    assert bool(result.report["harmony"]) == (plans and feel == "score")

    around = result.piece.notes[~result.piece.notes["melody"]]
    chords = [*PROGRESSION, tuple(range(12))]
    struck = 0
    for note in around:
        begin, end = float(note["onset"]), float(note["onset"] + note["duration"])
        tone, passing = (
            int(note["pitch"]) % 12,
            float(note["duration"]) <= PASSING / STEPS_PER_QUARTER + 1e-6,
        )
        touched = [
            {pitch % 12 for pitch in chords[k]}
            for k in range(5)
            if begin < 2 * k + 2 - 1e-6 and end > 2 * k + 1e-6
        ]
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
    refused(run(*common, "--chords", "keep"), "only a melody", "--chords keep")
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
        ("Calt", {0, 4, 6, 10, 1, 3, 8}),
        ("C7(no3)", {0, 7, 10}),
        ("Gm9 omit5", {7, 10, 5, 9}),
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
    found = read_symbol(symbol)
    assert found is not None
    assert (set(found.tones), len(found.tones)) == (tones, len(tones))
    assert found[1:4] == chord_of_symbol(symbol)


@pytest.mark.parametrize(
    "text",
    ["Fine", "D.C.", "Coda", "Allegro", "H", "", "Chorus", "cantabile", "7", "Verse 1", "C major"],
)
def test_words_are_no_chords(text: str) -> None:
    assert read_symbol(text) is None
    assert not looks_like_a_chord(text)


def test_a_symbol_that_is_not_understood_frees_the_harmony_and_is_reported(tmp_path: Path) -> None:
    """The previous chord was continued without a remark."""
    (tmp_path / "odd.abc").write_text('X:1\nM:4/4\nL:1/4\nK:C\n"C"cege|"Fm7/11"fagf|"Coda"c4|]\n')
    piece = read_score(tmp_path / "odd.abc")
    assert [(place, symbol.text, symbol.tones) for place, symbol in piece.chords] == [
        (0.0, "C", (0, 4, 7)),
        (4.0, "Fm7/11", ()),
    ]
    assert any("Fm7/11" in remark for remark in piece.remarks)


LEAD_SHEET = """X:1
T:Sheet
M:4/4
L:1/4
Q:1/4=120
K:C
|: "C"cdef | "Fine" g2 "G7"f2 :| "^no chord" "N.C."e4 | "Am/C"a2 g "F"f |]
"""
MUSICXML = """<?xml version="1.0"?><score-partwise version="4.0">
<part-list><score-part id="P1"><part-name>Lead</part-name></score-part></part-list>
<part id="P1"><measure number="1">
<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>
<harmony><root><root-step>F</root-step></root><kind>major</kind></harmony>
<note><pitch><step>A</step><octave>4</octave></pitch><duration>2</duration></note>
<harmony><root><root-step>C</root-step></root><kind>dominant</kind></harmony>
<note><pitch><step>G</step><octave>4</octave></pitch><duration>2</duration></note></measure>
<measure number="2"> <harmony><root><root-step>C</root-step></root><kind
text="N.C.">none</kind></harmony>
<note><pitch><step>F</step><octave>4</octave></pitch><duration>4</duration></note></measure></part></score-partwise>
"""


def test_a_lead_sheet_has_its_chords_where_they_are_played(tmp_path: Path) -> None:
    """Repeats are written out; other words above the staff aren't chords."""
    (tmp_path / "sheet.abc").write_text(LEAD_SHEET)
    piece = read_score(tmp_path / "sheet.abc")
    major, dominant = (0, 4, 7), (2, 5, 7, 11)
    assert [(place, symbol.tones) for place, symbol in piece.chords] == [
        *((0.0, major), (6.0, dominant), (8.0, major), (14.0, dominant)),
        *((16.0, ()), (20.0, (0, 4, 9)), (23.0, (0, 5, 9))),
    ]
    assert set(piece.notes["pitch"].tolist()) == {72, 74, 76, 77, 79, 81}
    (tmp_path / "sheet.musicxml").write_text(MUSICXML)
    piece = read_score(tmp_path / "sheet.musicxml")
    assert [(place, symbol.text) for place, symbol in piece.chords] == [
        (0.0, "F"),
        (2.0, "C7"),
        (4.0, "N.C."),
    ]
    assert piece.notes["pitch"].tolist() == [69, 67, 65]


def test_an_accompaniment_is_held_to_chord_symbols(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """A chord may change within a beat; under "no chord" everything is allowed."""
    (tmp_path / "sheet.abc").write_text(LEAD_SHEET.replace('"F"f', '"F"f/2 "G"e/2'))
    *_, harmony = own(read_score(tmp_path / "sheet.abc"))
    quarters = (harmony.start / STEPS_PER_QUARTER).tolist()
    assert quarters == [*map(float, range(24)), 23.5]
    named = {
        quarter: set(np.flatnonzero(row).tolist())
        for quarter, row in zip(quarters, harmony.tones, strict=True)
    }
    assert (named[1.0], named[7.0], named[9.0]) == ({0, 4, 7}, {2, 5, 7, 11}, {0, 4, 7})
    assert (named[17.0], named[21.0]) == (set(range(12)), {0, 4, 9})
    assert (named[23.0], named[23.5]) == ({0, 5, 9}, {2, 7, 11})
    done = run(
        "apply", "sheet.abc", "-s", "bach", "--model", tiny_package, "--chords", "keep", *ONE
    )
    assert done.code == 0
    told = run("inspect", "sheet.abc", "--json")
    assert '"chord_symbols": 8' in told.out


# --- a lead sheet as musicians write them ---------------------------------------------------------

SHEET = """X:1
T:Many kinds
M:4/4
L:1/4
K:C
G|:"C6"c e g e|"Gsus4"d2 "G/B"g2|1 "Bm7b5"f d "E7"e2:|2 "Am/G"a e "N.C."c2|
"F9"f a "C5"c2|"Cadd9"c2 "Cadd9"e2|]
"""
TUNE = "G3 | C4 E4 G4 E4 | D4:2 G4:2 | F4 D4 E4:2 | A4 E4 C4:2 | F4 A4 C4:2 | C4:2 E4:2"
NINTH = (
    "<degree><degree-value>9</degree-value><degree-alter>0</degree-alter>"
    "<degree-type>add</degree-type></degree>"
)
HARMONIES = {  # by bar and note: root, kind, what is printed, bass, degrees
    (1, 0): ("C", "major-sixth", "6", "", ""),
    (2, 0): ("G", "suspended-fourth", "sus4", "", ""),
    (2, 1): ("G", "major", "", "B", ""),
    (3, 0): ("B", "half-diminished", "m7b5", "", ""),
    (3, 2): ("E", "dominant", "7", "", ""),
    (4, 0): ("A", "minor", "m", "G", ""),
    (4, 2): ("", "none", "N.C.", "", ""),
    (5, 0): ("F", "dominant-ninth", "9", "", ""),
    (5, 2): ("C", "power", "5", "", ""),
    (6, 0): ("C", "major", "add9", "", NINTH),
    (6, 1): ("C", "major", "", "", NINTH),
}
TIME = (
    "<attributes><divisions>1</divisions>"
    "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
)
START, STOP = '<ending number="{}" type="start"/>', '<ending number="{}" type="stop"/>'
SIGNS = {
    "left": {1: '<repeat direction="forward"/>', 3: START.format(1), 4: START.format(2)},
    "right": {3: STOP.format(1) + '<repeat direction="backward"/>', 4: STOP.format(2)},
}
HEAD = (
    '<?xml version="1.0"?><score-partwise version="4.0">'
    '<part-list><score-part id="P1"><part-name>Lead</part-name>'
)
PAGE = HEAD + '</score-part></part-list><part id="P1">{}</part></score-partwise>'
AS_PLAYED = [
    *((1.0, "C6"), (5.0, "Gsus4"), (7.0, "G/B"), (9.0, "Bm7b5"), (11.0, "E7")),
    *((13.0, "C6"), (17.0, "Gsus4"), (19.0, "G/B"), (21.0, "Am/G"), (23.0, "N.C.")),
    *((25.0, "F9"), (27.0, "C5"), (29.0, "Cadd9"), (31.0, "Cadd9")),
]


def _harmony(root: str, kind: str, text: str, bass: str, degrees: str) -> str:
    low = f"<bass><bass-step>{bass}</bass-step></bass>" if bass else ""
    printed = f' text="{text}"' if text else ""
    named = f"<root><root-step>{root or 'C'}</root-step></root><kind{printed}>{kind}</kind>"
    return f"<harmony>{named}{low}{degrees}</harmony>"


def _bar(number: int, tune: str) -> str:
    """Write a bar of MusicXML.

    Given are its notes as letter, octave and quarters, and the elements above and next to them.
    """
    text = "" if number else TIME
    for index, note in enumerate(tune.split()):
        text += _harmony(*HARMONIES[number, index]) if (number, index) in HARMONIES else ""
        length = note.partition(":")[2] or "1"
        pitch = f"<pitch><step>{note[0]}</step><octave>{note[1]}</octave></pitch>"
        text += f"<note>{pitch}<duration>{length}</duration></note>"
    left, right = (
        f'<barline location="{side}">{signs.get(number, "")}</barline>'
        for side, signs in SIGNS.items()
    )
    return f'<measure number="{number}">{left}{text}{right}</measure>'


def sheet(kind: str, folder: Path) -> Path:
    """Write a lead sheet with a pick-up, a repeat with two endings, and many chords.

    The chords are of many kinds, the file in one of two formats.
    """
    path = folder / f"sheet.{kind}"
    measures = "".join(_bar(number, tune) for number, tune in enumerate(TUNE.split("|")))
    path.write_text(SHEET if kind == "abc" else PAGE.format(measures))
    return path


@pytest.mark.parametrize("kind", ["abc", "musicxml"])
def test_a_lead_sheets_chords_are_planned_as_they_are_written(kind: str, tmp_path: Path) -> None:
    """Gsus4 was planned as C, C6 as Am7, and G/B without its bass; a pick-up got a chord that
    wasn't written.
    """
    source = read_score(sheet(kind, tmp_path))
    assert [(place, symbol.text) for place, symbol in source.chords] == AS_PLAYED
    melody, plan, chords, _ = own(source)
    assert float(melody.bars["start"][0]) == -3.0

    told = add_chords(
        plan, harmony_of(Request("song.abc", "bach", chords="keep"), melody, chords), above=False
    )
    as_planned = {"C6": "C", "Gsus4": "G", "F9": "F7", "C5": "C", "Cadd9": "C"}
    for place, name in AS_PLAYED:
        chord = told.chord_at(round(place * STEPS_PER_QUARTER))
        if name == "N.C.":
            assert chord.quality != NONE, "the harmoniser proposes"
        else:
            assert chord[1:] == chord_of_symbol(as_planned.get(name, name)), name
    assert [len(bar) for bar in told.chords[:4]] == [1, 1, 2, 2]
    assert told.chord_at(0).quality == NONE, "a pick-up has no chord before the first symbol"


def test_accompaniment_is_held_to_what_a_symbol_names(tmp_path: Path) -> None:
    """These are the fourth of a sus4 and not its third, the sixth, and the ninth.

    A power chord has no third, and the bass is the note after a stroke.
    """
    *_, harmony = own(read_score(sheet("abc", tmp_path)))
    wanted = {
        0.0: range(12),
        1.0: (0, 4, 7, 9),
        6.0: (0, 2, 7),
        8.0: (2, 7, 11),
        22.0: (0, 4, 7, 9),
        24.0: range(12),
    }
    wanted |= {25.0: (5, 9, 0, 3, 7), 28.0: (0, 7), 32.0: (0, 2, 4, 7)}
    for quarter, tones in wanted.items():
        assert set(
            np.flatnonzero(harmony.allows(round(quarter * STEPS_PER_QUARTER))).tolist()
        ) == set(tones), quarter


def test_a_symbol_in_a_pick_up_holds_from_there(tmp_path: Path) -> None:
    """A symbol that comes late leaves the bars before it to the harmoniser."""
    (tmp_path / "sheet.abc").write_text('X:1\nM:3/4\nL:1/4\nK:G\n"D7"d|"G"g2 b|"Em"e3|]\n')
    melody, plan, chords, harmony = own(read_score(tmp_path / "sheet.abc"))
    request = Request("song.abc", "bach", chords="keep")
    kept = harmony_of(request, melody, chords)
    assert kept["start"].tolist() == [-2.0, 1.0, 4.0]
    assert [chord_of_symbol(name) for name in ("D7", "G", "Em")] == [
        tuple(row)[2:] for row in kept.tolist()
    ]
    assert set(np.flatnonzero(harmony.allows(0)).tolist()) == {0, 2, 6, 9}

    (tmp_path / "late.abc").write_text('X:1\nM:3/4\nL:1/4\nK:G\nd|g2 b|a2 f|"Em"e3|]\n')
    melody, plan, chords, _ = own(read_score(tmp_path / "late.abc"))
    told = add_chords(plan, harmony_of(request, melody, chords), above=False)
    assert [bar[0].quality == NONE for bar in told.chords] == [True, False, False, False]
    assert told.chords[3] == ((0, *chord_of_symbol("Em")),)


@pytest.mark.parametrize("kind", ["abc", "musicxml"])
def test_inspect_shows_the_symbols_of_the_file(kind: str, run: Run, tmp_path: Path) -> None:
    """They are shown as the file spells them, in their places, as a line for --chords.

    A tune alone has them, too.
    """
    line = ". | C6 | Gsus4 G/B | Bm7b5 E7 | C6 | Gsus4 G/B | Am/G N.C. | F9 C5 | Cadd9 Cadd9"
    sheet(kind, tmp_path)
    assert f"chords        {line}"[:70] in run("inspect", f"sheet.{kind}").out
    report = json.loads(run("inspect", f"sheet.{kind}", "--json").out)
    assert report["chords"] == line
    assert [(one["quarter"], one["symbol"]) for one in report["symbols"]] == AS_PLAYED
    rows = report["harmony"]
    assert [row["bar"] for row in rows] == list(range(9))
    assert rows[0]["chords"] == []
    assert rows[2]["chords"][1] == {"quarter": 2.0, "symbol": "G/B", "roman": "V6"}
    bars = read_score(f"sheet.{kind}").bars
    named = chords_of_line(report["chords"], bars)
    assert (named["root"].tolist()[:3], named["bass"].tolist()[:3]) == ([0, 7, 7], [0, 7, 11])


def test_what_a_program_prints_is_the_symbol_if_it_means_the_same() -> None:
    """MusicXML's kind counts if the text is no symbol or another chord; an empty kind leaves it to
    the text.
    """
    flat = NINTH.replace("<degree-alter>0<", "<degree-alter>-1<")
    rows = [
        ("C", "dominant", "7", "", flat),
        ("C", "dominant", "7b9", "", flat),
        ("C", "dominant", "", "", flat),
        ("C", "other", "7sus4", "", ""),
        ("C", "minor", "", "G", ""),
        ("C", "minor", "Refrain", "", ""),
        ("C", "German", "", "", ""),
        ("C", "other", "?", "", ""),
        ("C", "none", "", "", ""),
    ]

    note = "<note><pitch><step>C</step><octave>5</octave></pitch><duration>1</duration></note>"
    text = "".join(_harmony(*row) + note for row in rows)
    time = TIME.replace("<beats>4", "<beats>9")
    data = PAGE.format(f'<measure number="1">{time}{text}</measure>')
    piece = parse_musicxml(data.encode(), "sheet")

    found = [symbol for _, symbol in piece.chords]
    assert [one.text for one in found] == [
        "C7b9",
        "C7b9",
        "C7b9",
        "C7sus4",
        "Cm/G",
        "Cm",
        "CGr+6",
        "C?",
        "N.C.",
    ]
    assert [one.quality for one in found] == [4, 4, 4, 4, 1, 1, found[6].quality, NONE, NONE]
    assert (found[4].bass, found[6].tones, found[8].tones) == (7, (0, 3, 6, 8), ())
    assert piece.remarks == (
        "chord symbols that weren't understood, where the harmony is free: C?",
    )
