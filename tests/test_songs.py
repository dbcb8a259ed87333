"""Test songs of every kind and format, and the melody found in each.

The formats are MIDI, MusicXML, ABC and kern.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from styletransfer.formats.read import read_score
from styletransfer.music.notes import Piece
from styletransfer.transfer.inspection import describe
from tests.command import Run
from tests.midi_builder import meta, metre, midi, note, tempo, variable
from tests.test_kern import CHORALE
from tests.test_read import ATTRIBUTES

TUNE = (67, 69, 71, 72, 74, 72, 71, 69, 67, 71, 74, 79, 76, 74, 72, 71)
CHORDS = ((55, 59, 62), (52, 55, 60), (54, 57, 60), (55, 59, 62))


def struck(pitches: tuple[int, ...], ticks: int, channel: int) -> bytes:
    """Write a chord."""
    on = b"".join(bytes((0, 0x90 | channel, pitch, 60)) for pitch in pitches)
    off = [bytes((0x80 | channel, pitch, 0)) for pitch in pitches]
    return on + variable(ticks) + b"\x00".join(off)


def pop_song(*names: str) -> bytes:
    """Write a pop song with changes of metre and tempo.

    It has vocals in the middle of the staff, chords above and below, a bass and drums.
    """
    conductor = metre(4, 2) + tempo(500_000) + metre(3, 2, wait=1920 * 2) + tempo(400_000, wait=10)
    bend, pan = b"\x00\xe0\x00\x50", b"\x00\xb0\x0a\x20"
    vocals = meta(3, names[0].encode()) + pan + bend + b"".join(note(pitch, 480) for pitch in TUNE)
    high = tuple(tuple(pitch + 24 for pitch in chord) for chord in CHORDS)
    chords = meta(3, names[1].encode()) + b"".join(struck(chord, 1920, 1) for chord in high)
    bass = meta(3, names[2].encode()) + b"".join(
        note(chord[0] - 19, 960, channel=2) * 2 for chord in CHORDS
    )
    drums = meta(3, b"Drums") + b"".join(
        note(36, 240, channel=9) + note(42, 240, channel=9) for _ in range(16)
    )
    return midi(conductor, bass, chords, drums, vocals)


def piano_piece() -> bytes:
    """Write both hands in one track, one of type 0: a tune over broken chords."""
    events: list[tuple[int, bool, int]] = []
    for beat, pitch in enumerate(TUNE):
        events += [(480 * beat, True, pitch), (480 * (beat + 1), False, pitch)]
        low, middle, high = (pitch - 12 for pitch in CHORDS[beat // 4])
        for half, broken in enumerate(((low, high), (middle, high))[beat % 2]):
            at = 480 * beat + 240 * half
            events += [(at, True, broken), (at + 240, False, broken)]
    body, now = b"", 0
    for at, on, pitch in sorted(events):
        body += variable(at - now) + bytes((0x90, pitch, 70 if on else 0))
        now = at
    return midi(metre(4, 2) + body, kind=0)


LEAD_SHEET = (
    "X:1\nT:A song\nM:4/4\nL:1/4\nK:G\n"
    + '"G"GABc|"Am7"dcBA|"D7/F#"GBdg|"G"edcB|\nw:These are the words of a song you know\n'
)
LINE = (
    "X:1\nT:A line\nM:3/4\nL:1/8\nQ:1/4=100\nK:F\n"
    "C2|:F2 (3ABc d2-|d2 z2 c2|1 B2 A2 G2:|2 B2 G2 E2|]\n"
    "[K:D] d2 f2 a2|!segno!d'4-d'2|c'2 z4!fine!|a6!D.S.!|]\n"
)
LINE_PLAYED = [
    60,
    *(65, 69, 70, 72, 74, 72, 70, 69, 67),
    *(65, 69, 70, 72, 74, 72, 70, 67, 64),
    *(74, 78, 81, 86, 85, 81, 86, 85),
]  # fmt: skip


def read(folder: Path, name: str, data: bytes | str) -> Piece:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_score(path)


@pytest.mark.parametrize("name", ["Vocals", "Lead Vocal", "MELODY", "Soprano", "Voice"])
def test_a_pop_song(tmp_path: Path, name: str) -> None:
    """The melody isn't on top, like a man's voice under strings; its name identifies it."""
    piece = read(tmp_path, "pop.mid", pop_song(name, "Strings", "Bass"))
    report, marked = describe(piece)
    assert report["melody_tracks"] == [name]
    assert marked.melody["pitch"].tolist() == list(TUNE)
    assert report["metre"] == ["4/4", "3/4"]
    assert piece.tempo.seconds_per_quarter.tolist() == [0.5, 0.4]
    assert report["remarks"] == [
        "1 drum track was left out",
        "pitch bends were left out",
        "controllers other than pedals were left out",
    ]


def test_another_track_of_a_pop_song_may_be_taken(tmp_path: Path) -> None:
    piece = read(tmp_path, "pop.mid", pop_song("Vocals", "Strings", "Bass"))
    assert describe(piece, "bass")[1].melody["pitch"].tolist() == [
        chord[0] - 19 for chord in CHORDS for _ in range(2)
    ]
    top = describe(piece, "Strings")[1].melody["pitch"].tolist()
    assert top == [max(chord) + 24 for chord in CHORDS]


def test_a_piano_piece_with_both_hands_on_one_track(tmp_path: Path) -> None:
    report, marked = describe(read(tmp_path, "piano.mid", piano_piece()))
    assert report["parts"] == ["piano"]
    assert report["notes"] == 3 * len(TUNE)
    assert marked.melody["pitch"].tolist() == list(TUNE)


def test_a_lead_sheet(tmp_path: Path) -> None:
    """Its chord symbols and lyrics don't become notes."""
    report, marked = describe(read(tmp_path, "lead.abc", LEAD_SHEET))
    assert report["notes"] == report["melody_notes"]
    played = "".join("C.D.EF.G.A.B"[pitch % 12] for pitch in marked.melody["pitch"])
    assert played == "GABCDCBAGBDGEDCB"
    assert report["key"] == "G major"


def test_a_chorale_in_four_parts(tmp_path: Path) -> None:
    report, marked = describe(read(tmp_path, "chorale.krn", CHORALE))
    assert len(report["parts"]) == 4
    assert len(report["melody_tracks"]) == 1
    beginning = [69, 74, 81, 77, 70, 72, 74]  # with a grace note before the f
    assert marked.melody["pitch"].tolist() == [*beginning, *beginning, 67, 69]


def test_a_line_with_all_that_a_line_may_have(tmp_path: Path) -> None:
    """A pick-up, triplets, ties, rests, endings, a segno, a fine and a change of key."""
    report, marked = describe(read(tmp_path, "line.abc", LINE))
    assert report["pick_up_quarters"] == 1.0
    assert marked.melody["pitch"].tolist() == LINE_PLAYED
    onset, duration = marked.melody["onset"], marked.melody["duration"]
    assert onset[:5].round(4).tolist() == [0, 1, 2, 2.3333, 2.6667]
    assert duration[:6].round(4).tolist() == [
        1,
        1,
        0.3333,
        0.3333,
        0.3333,
        2,
    ]  # a tie over the bar line
    assert [key[1:] for key in marked.key_signatures] == [(-1, False), (2, False)]
    assert duration[-2:].tolist() == [3, 1]


def bars_of_xml(steps: str, begins: dict[int, str], ends: dict[int, str]) -> str:
    """Write MusicXML in 1/4, a note per bar.

    There is something before some notes and after others.
    """
    attributes = ATTRIBUTES.format(1)
    bars = "".join(
        f"<measure number='{n}'>{attributes if n == 1 else ''}{begins.get(n, '')}"
        f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>1</duration></note>"
        f"{ends.get(n, '')}</measure>"
        for n, step in enumerate(steps, 1)
    )
    players = "<part-list><score-part id='P1'><part-name>A</part-name></score-part></part-list>"
    return f"<score-partwise>{players}<part id='P1'>{bars}</part></score-partwise>"


def sign(name: str) -> str:
    return (
        f"<direction><direction-type><{name}/></direction-type><sound {name}='{name}'/></direction>"
    )


def words(text: str) -> str:
    return f"<direction><direction-type><words>{text}</words></direction-type></direction>"


BACK = '<barline location="right"><repeat direction="backward"/></barline>'


@pytest.mark.parametrize(
    ("steps", "begins", "ends", "played"),
    [
        ("CDE", {}, {3: words("D.C.")}, "CDECDE"),
        ("CDE", {}, {1: BACK, 2: words("Fine"), 3: words("D.C. al Fine")}, "CCDECD"),
        ("CDEF", {2: sign("segno")}, {3: words("Fine"), 4: words("D.S. al Fine")}, "CDEFDE"),
        ("CDEFG", {5: sign("coda")}, {3: words("To Coda"), 4: words("D.C. al Coda")}, "CDEFCDEG"),
        (
            "CDEFG",
            {2: sign("segno"), 5: sign("coda")},
            {3: sign("coda"), 4: words("D.S. al Coda")},
            "CDEFDEG",
        ),
    ],
)
def test_words_in_musicxml_send_the_player_back(
    tmp_path: Path, steps: str, begins: dict[int, str], ends: dict[int, str], played: str
) -> None:
    piece = read(tmp_path, "words.musicxml", bars_of_xml(steps, begins, ends))
    assert "".join("C.D.EF.G.A.B"[pitch % 12] for pitch in piece.notes["pitch"]) == played
    assert piece.remarks == ()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("pop.mid", pop_song("Vocals", "Strings", "Bass")),
        ("piano.mid", piano_piece()),
        ("lead.abc", LEAD_SHEET.encode()),
        ("chorale.krn", CHORALE.encode()),
        ("line.abc", LINE.encode()),
    ],
)
def test_inspect_shows_what_is_taken(run: Run, tmp_path: Path, name: str, data: bytes) -> None:
    """It is shown as text, as values and as a picture, before anything is generated."""
    (tmp_path / name).write_bytes(data)
    outcome = run("inspect", name, "--plot", "taken.png")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "taken.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads(run("inspect", name, "--json").out)
    rows = dict(
        line.split(maxsplit=1)
        for line in outcome.out.splitlines()
        if line.startswith(("melody ", "key "))
    )
    assert rows["melody"].split()[0] in {"G4", "C4", "A4"}
    assert len(report["melody"]) == report["melody_notes"] > 0
    for remark in report["remarks"]:
        assert remark in outcome.out.splitlines()
