"""Test MusicXML by its standard.

Tested are repeats and jumps, measures of parts, offsets, cues, tempos, divisions, dialects, ties,
drums.
"""

from __future__ import annotations

import io
import re
import time
import zipfile

import pytest

from styletransfer.errors import InputError
from styletransfer.formats.musicxml import parse_musicxml
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece

STEPS = "C.D.EF.G.A.B"
BACK = '<barline location="right"><repeat direction="backward"/></barline>'


def note(
    step: str,
    quarters: float = 1,
    more: str = "",
    chord: bool = False,
    staff: int = 0,
    voice: int = 1,
) -> str:
    """Write a note, such as C4, or R for a rest; in fourths of a quarter."""
    height = (
        "<rest/>"
        if step == "R"
        else f"<pitch><step>{step[0]}</step><octave>{step[1:] or 4}</octave></pitch>"
    )
    at = f"<staff>{staff}</staff>" if staff else ""
    chorded = "<chord/>" if chord else ""
    before, after = (more, "") if more.startswith(("<cue", "<grace")) else ("", more)
    length = "" if "<grace" in before else f"<duration>{round(quarters * 4)}</duration>"
    return f"<note>{before}{chorded}{height}{length}{after}<voice>{voice}</voice>{at}</note>"


def notes(steps: str, quarters: float = 1) -> str:
    return "".join(note(step, quarters) for step in steps.split())


def attributes(metre: tuple[int, int] | None = (4, 4), more: str = "", divisions: int = 4) -> str:
    time = (
        f"<time><beats>{metre[0]}</beats><beat-type>{metre[1]}</beat-type></time>" if metre else ""
    )
    return f"<attributes><divisions>{divisions}</divisions>{time}{more}</attributes>"


def score(*parts: tuple[str, list[str]], listed: str = "") -> bytes:
    """Write a score of (name, the contents of measures).

    The first measure has its attributes already.
    """
    players = "".join(
        f'<score-part id="P{k}"><part-name>{name}</part-name>{listed}</score-part>'
        for k, (name, _) in enumerate(parts)
    )
    music = "".join(
        f'<part id="P{k}">'
        + "".join(f'<measure number="{n}">{m}</measure>' for n, m in enumerate(bars, 1))
        + "</part>"
        for k, (_, bars) in enumerate(parts)
    )
    inside = f"<part-list>{players}</part-list>{music}"
    return f'<score-partwise version="4.0">{inside}</score-partwise>'.encode()


def read(*parts: tuple[str, list[str]], listed: str = "") -> Piece:
    return parse_musicxml(score(*parts, listed=listed), "a.musicxml")


def rows(piece: Piece, part: int | None = None) -> list[tuple[float, int]]:
    found = piece.notes if part is None else piece.notes[piece.notes["part"] == part]
    return [(round(float(n["onset"]), 4), int(n["pitch"])) for n in found]


def says(words: str = "", sound: str = "", sign: str = "") -> str:
    shown = f"<{sign}/>" if sign else f"<words>{words}</words>"
    played = f"<sound {sound}/>" if sound else ""
    return f"<direction><direction-type>{shown}</direction-type>{played}</direction>"


@pytest.mark.parametrize(
    ("upper", "lower", "last", "bars"),
    [
        (
            [notes("C D E F"), notes("G")],
            [note("C3", 4), notes("D3 E3 F3 G3")],
            (7, 55),
            2,
        ),  # the last measure
        (
            [note("C", 4), note("D", 4)],
            [note("C3", 4), note("D3", 4), note("E3", 4), note("F3", 4)],
            (12, 53),
            4,
        ),
        (
            [notes("C D E F"), notes("G A B C")],
            [notes("C3 D3"), notes("E3 F3")],
            (7, 60),
            2,
        ),  # a short one in between
        (
            [note("C", 4), note("D"), note("E", 4)],
            [note("C3", 4), notes("D3 E3 F3 G3"), note("A3", 4)],
            (8, 64),
            3,
        ),
        ([notes("C D E F"), ""], [note("C3", 4), notes("D3 E3 F3 G3")], (7, 55), 2),
        ([note("C", 4), note("D", 4)], [note("C3", 4)], (4, 62), 2),
    ],
)
def test_parts_of_unequal_length(
    upper: list[str], lower: list[str], last: tuple[float, int], bars: int
) -> None:
    """All parts begin each measure together, and the score ends with the longest part."""
    for order in (1, -1):
        parts = [
            ("A", [attributes() + upper[0], *upper[1:]]),
            ("B", [attributes() + lower[0], *lower[1:]]),
        ][::order]
        piece = read(*parts)
        assert last in rows(piece)
        assert rows(piece)[-1][0] == last[0]
        assert len(piece.bars) == bars
        assert len(piece.notes) == "".join(upper + lower).count("<pitch>")


def test_parts_without_some_measures_are_laid_by_their_numbers() -> None:
    data = score(
        ("A", [attributes() + note("C", 4), note("D", 4), note("E", 4)]),
        ("B", [attributes() + note("C3", 4), note("E3", 4)]),
    )
    head, _, tail = data.decode().rpartition('<measure number="2">')
    piece = parse_musicxml(f'{head}<measure number="3">{tail}'.encode(), "a")
    assert rows(piece, 1) == [(0, 48), (8, 52)]


def test_notes_that_cross_to_the_other_staff() -> None:
    """A voice that changes to the lower staff in the middle of the measure takes its time there."""
    bar = (
        note("C5", 1, staff=1)
        + note("D5", 1, staff=1)
        + note("E3", 1, staff=2)
        + note("F3", 1, staff=2)
    )
    low = "<backup><duration>16</duration></backup>" + note("C2", 4, staff=2, voice=5)
    for more, expected in (("", 4), (low, 5)):
        piece = read(("Piano", [attributes(more="<staves>2</staves>") + bar + more, bar + more]))
        assert len(piece.notes) == 2 * expected
        assert piece.parts == ("Piano, right hand", "Piano, left hand")
        assert {(2, 52), (3, 53), (6, 52), (7, 53)} <= set(rows(piece, 1))
        assert piece.bars["start"].tolist() == [0, 4]


@pytest.mark.parametrize("whole", [1.0, 4.0])
def test_a_pick_up_in_one_part_while_others_rest(whole: float) -> None:
    rest = f'<note><rest measure="yes"/><duration>{round(whole * 4)}</duration></note>'
    upper = [attributes() + rest.replace(">16<", ">4<"), notes("G A B C5")]
    piece = read(("Voice", upper), ("Piano", [attributes() + note("G3"), notes("C3 E3", 2)]))
    assert rows(piece, 0)[0] == (1, 67)
    assert rows(piece, 1) == [(0, 55), (1, 48), (3, 52)]
    assert piece.bars["start"].tolist() == [-3, 1]


def test_silence_beyond_the_metre_makes_no_measure_longer() -> None:
    """Some files have two whole rests in a measure of one part."""
    piece = read(
        ("A", [attributes() + notes("C D E F"), note("G", 4)]),
        ("B", [attributes() + note("R", 4) * 2, note("C3", 4)]),
    )
    assert (4, 48) in rows(piece)
    assert piece.bars["start"].tolist() == [0, 4]
    alone = read(("A", [attributes() + note("C", 4) + note("R", 2), note("G", 4)]))
    assert rows(alone) == [(0, 60), (6, 67)]


@pytest.mark.parametrize("offset", ["90", "-90", "3", "-1", "x"])
def test_offsets_move_no_notes(offset: str) -> None:
    """Offsets of directions and of chord symbols don't; the latter stay in their measure."""
    at = f"<offset>{offset}</offset>"
    marks = (
        f"<direction><direction-type><dynamics><f/></dynamics></direction-type>{at}</direction>"
        f"<direction><direction-type><words>dolce</words></direction-type>{at}"
        "<sound tempo='100'/></direction>"
        f"<harmony><root><root-step>G</root-step></root><kind>dominant</kind>{at}</harmony>"
    )
    piece = read(("A", [attributes() + marks + notes("C D E F"), notes("G A B C5")]))
    assert [onset for onset, _ in rows(piece)] == list(range(8))
    assert piece.bars["start"].tolist() == [0, 4]
    assert piece.tempo.quarters.tolist() == [0]
    assert [(place, symbol.text) for place, symbol in piece.chords] == [
        (0.75 if offset == "3" else 0.0, "G7")
    ]


def test_cues_are_silent() -> None:
    """In the part's own voice they take their time, with chords and graces among them; in another
    one they take none.
    """
    cue = (
        note("G", 2, "<cue/>")
        + note("B", 2, "<cue/>", chord=True)
        + note("A", 2, "<cue/>")
        + note("B", 0, "<grace/><cue/>")
    )
    piece = read(("Flute", [attributes() + notes("C D E F"), cue, note("G", 4)]))
    assert rows(piece) == [(0, 60), (1, 62), (2, 64), (3, 65), (8, 67)]
    assert piece.remarks == ("4 silent cue notes were left out",)
    back = "<backup><duration>16</duration></backup>"
    other = read(
        (
            "Flute",
            [attributes() + note("C", 4) + back + note("E", 4, "<cue/>", voice=2), note("G", 4)],
        )
    )
    assert rows(other) == [(0, 60), (4, 67)]
    assert other.remarks == ("1 silent cue note was left out",)


def metronome(text: str, beat: str = "quarter", more: str = "", sound: str = "") -> str:
    mark = (
        f"<metronome><beat-unit>{beat}</beat-unit>{more}<per-minute>{text}</per-minute></metronome>"
    )
    return f"<direction><direction-type>{mark}</direction-type>{sound}</direction>"


@pytest.mark.parametrize(
    ("mark", "tempo"),
    [
        (metronome("90"), 90),
        (metronome("c. 108"), 108),
        (metronome("ca. 40", "half"), 80),
        (metronome("60", "quarter", "<beat-unit-dot/>"), 90),
        (metronome("108-112"), 108),
        (metronome("66,5"), 66.5),
        (metronome("", "quarter"), 120),
        (metronome("90", sound='<sound tempo="77.5"/>'), 77.5),
        ('<sound tempo="52"/>' + metronome("90"), 52),
        (metronome("90") + '<sound tempo="52"/>', 52),
        (metronome("90", sound='<offset>4</offset><sound tempo="90"/>'), 90),
        ('<sound tempo="0"/>' + metronome("70"), 70),
        ('<sound tempo="fast"/>', 120),
    ],
)
def test_tempos(mark: str, tempo: float) -> None:
    piece = read(("A", [attributes() + mark + notes("C D E F")]))
    assert piece.tempo.quarters_per_minute() == pytest.approx(tempo, rel=1e-5)
    assert len(piece.tempo.quarters) == 1


def test_a_tempo_changes_where_it_sounds() -> None:
    late = says("rit.", 'tempo="60"').replace("<sound", '<offset sound="yes">8</offset><sound')
    piece = read(
        (
            "A",
            [
                attributes()
                + '<sound tempo="120"/>'
                + late
                + notes("C D")
                + '<sound tempo="90"/>'
                + notes("E F")
            ],
        )
    )
    assert piece.tempo.quarters.tolist() == [0, 2]


WITH_TYPES = "".join(note(step, 0.25, "<type>quarter</type>") for step in "CDEF")


@pytest.mark.parametrize(
    "bar",
    [
        WITH_TYPES,  # a quarter lasts a division
        WITH_TYPES.replace("<duration>1<", "<duration>7<"),
        "".join(note(step, 1) for step in "CD")
        + attributes()
        + "".join(note(step, 1) for step in "EF"),
        attributes(divisions=0) + WITH_TYPES,
        attributes().replace(">4</div", ">four</div") + WITH_TYPES,
        re.sub("<duration>.*?</duration>", "", WITH_TYPES),
        attributes() + WITH_TYPES.replace("<duration>1<", "<duration>4.0<"),
    ],
)
def test_divisions_that_are_missing_or_late(bar: str) -> None:
    assert rows(read(("A", [bar]))) == [(0, 60), (1, 62), (2, 64), (3, 65)]


def test_divisions_that_are_too_coarse_for_a_note() -> None:
    """Sixteenths of 4 of 17 divisions, as in a quartet by Schumann, made bars too short."""
    sixteenths = "".join(note(step, 1, "<type>16th</type>") for step in "CDEFGABC" * 2)
    piece = read(("A", [attributes((4, 4), divisions=17) + sixteenths, notes("C", 17)]))
    assert piece.notes["onset"].tolist() == [k / 4 for k in range(16)] + [4]
    assert piece.bars["start"].tolist() == [0, 4]


def test_without_divisions_and_types_it_is_refused() -> None:
    with pytest.raises(InputError, match="how long its notes last"):
        read(("A", [notes("C D E F")]))


def test_a_metre_that_is_never_stated_is_that_of_the_measures() -> None:
    piece = read(("A", [attributes(None) + notes("C D E"), notes("F G A")]))
    assert piece.bars.tolist() == [(0, 3, 3, 4), (3, 3, 3, 4)]
    assert read(("A", [attributes(None) + notes("C D E", 0.5)])).bars[
        ["numerator", "denominator"]
    ].tolist() == [(3, 8)]


@pytest.mark.parametrize(
    ("time", "metre"),
    [
        ("<beats>3+2</beats><beat-type>8</beat-type>", (5, 8)),
        (
            "<beats>2</beats><beat-type>4</beat-type><beats>3</beats><beat-type>8</beat-type>",
            (7, 8),
        ),
        ("<senza-misura/>", (5, 8)),
        ("<beats>0</beats><beat-type>4</beat-type>", (5, 8)),
        ("<beats>99999999</beats><beat-type>0</beat-type>", (5, 8)),
    ],
)
def test_metres(time: str, metre: tuple[int, int]) -> None:
    length = 4 * metre[0] / metre[1]
    piece = read(
        (
            "A",
            [
                attributes(None).replace("</divisions>", f"</divisions><time>{time}</time>")
                + note("C", length)
            ],
        )
    )
    assert piece.bars[["length", "numerator", "denominator"]].tolist() == [(length, *metre)]


def test_timewise_scores() -> None:
    bars = {
        "A": [attributes() + notes("C D E F"), note("G", 4)],
        "B": [attributes() + note("C3", 4), note("D3", 4)],
    }
    players = "".join(f'<score-part id="{k}"><part-name>{k}</part-name></score-part>' for k in bars)
    music = "".join(
        f'<measure number="{n}">'
        + "".join(f'<part id="{k}">{bars[k][n]}</part>' for k in bars)
        + "</measure>"
        for n in (0, 1)
    )
    piece = parse_musicxml(
        f"<score-timewise><part-list>{players}</part-list>{music}</score-timewise>".encode(), "a"
    )
    plain = read(*bars.items())
    assert rows(piece) == rows(plain)
    assert piece.parts == plain.parts == ("A", "B")


def zipped(data: bytes, name: str = "s.xml", container: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        if container:
            archive.writestr("META-INF/container.xml", container)
        archive.writestr(name, data)
    return buffer.getvalue()


PLAIN = score(("Flöte", [attributes() + notes("C D E F")])).decode()
TITLED = '<?xml version="1.0" encoding="{}"?>' + PLAIN
PREFIXED = re.sub(r"<(/?)(?=\w)", r"<\1m:", PLAIN)
CONTAINER = '<container xmlns="urn:c"><rootfile full-path="a/b.musicxml"/></container>'
BAD_REST = "<note><rest><display-step>=</display-step></rest><duration>0</duration></note>"
BAD_WORDS = "<type>crotchet</type><stem>sideways</stem><accidental>?</accidental>"
BAD_KEY = "<key><fifths>many</fifths><mode>odd</mode></key>"
DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" '
    '"http://nowhere.invalid/partwise.dtd">'
)


@pytest.mark.parametrize(
    "data",
    [
        TITLED.format("UTF-8").encode(),
        TITLED.format("UTF-16").encode("utf-16"),
        TITLED.format("UTF-8").encode("utf-16"),  # it claims UTF-8, wrongly
        TITLED.format("utf-8").encode("utf-8-sig"),
        TITLED.format("ISO-8859-1").encode("latin-1"),
        TITLED.format("UTF-8").encode("latin-1"),
        b"\n\n  " + TITLED.format("UTF-8").encode(),
        PLAIN.replace("<score-partwise", '<score-partwise xmlns="urn:m"').encode(),
        PREFIXED.replace("<m:score-partwise", '<m:score-partwise xmlns:m="urn:m"').encode(),
        DOCTYPE.encode() + PLAIN.encode(),
        DOCTYPE.encode() + PLAIN.replace("</part-name>", "&nbsp;</part-name>").encode(),
        zipped(PLAIN.encode()),
        zipped(PLAIN.encode(), "a/b.musicxml", CONTAINER),
        PLAIN.replace("<note>", f"{BAD_REST}<note>", 1).encode(),
        PLAIN.replace("<voice>", f"{BAD_WORDS}<voice>").encode(),
        PLAIN.replace("<divisions>", f"{BAD_KEY}<divisions>").encode(),
    ],
)
def test_dialects(data: bytes) -> None:
    """Encodings, namespaces, document types, archives; and nonsense that affects only the printed
    page.
    """
    piece = parse_musicxml(data, "a")
    assert rows(piece) == [(0, 60), (1, 62), (2, 64), (3, 65)]
    assert piece.parts == ("Flöte",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]>' + PLAIN, "entities of its own"),
        (
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
            + PLAIN.replace("Flöte", "&a;"),
            "entities of its own",
        ),
        (
            "<score-partwise>" + "<part>" * 100 + "</part>" * 100 + "</score-partwise>",
            "nested too deeply",
        ),
        (score(*[("A", [attributes() + note("C")])] * 201).decode(), "more than 200 parts"),
        (score(("A", [attributes() + note("C")] + [""] * 20_000)).decode(), "20,000 bars or more"),
        (PLAIN[:-30], "cut short or not XML"),
        ("<opus/>", "not a MusicXML score"),
    ],
)
def test_what_is_refused(data: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        parse_musicxml(data.encode(), "a.xml")
    assert str(error.value).startswith("a.xml: ")


def test_what_stands_between_the_notes_of_a_chord_does_not_break_it() -> None:
    between = (
        says("x"),
        "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>",
        "<print/>",
        attributes(None),
    )
    for what in between:
        bar = (
            note("A")
            + what
            + note("F", chord=True)
            + what
            + note("D", chord=True)
            + note("B")
            + note("C5", 2)
        )
        piece = read(("A", [attributes() + bar]))
        assert rows(piece) == [(0, 62), (0, 65), (0, 69), (1, 71), (2, 72)]


START, STOP = '<tie type="start"/>', '<tie type="stop"/>'


@pytest.mark.parametrize("other", ["E C5 E F", "C5 C5 C5 C5", "C5 E C5 E"])
def test_a_tie_joins_its_own_notes(other: str) -> None:
    """Another voice of the part may play anything meanwhile."""
    back = "<backup><duration>16</duration></backup>"
    lower = "".join(note(step, 1, voice=2) for step in other.split())
    upper = note("C5", 2, START) + note("C5", 2, STOP)
    for bar in (upper + back + lower, lower + back + upper):
        piece = read(("A", [attributes() + bar]))
        held = piece.notes[(piece.notes["pitch"] == 72) & (piece.notes["onset"] == 0)]
        assert held["duration"].tolist() == [4]


def test_ties_over_bar_lines_and_into_another_voice() -> None:
    bars = [
        attributes() + note("C", 3) + note("G", 1, START),
        note("G", 4, STOP + START, voice=2),
        note("G", 1, STOP) + note("A", 3),
    ]
    piece = read(("A", bars))
    assert [tuple(n)[:3] for n in piece.notes[["onset", "duration", "pitch"]]] == [
        (0, 3, 60),
        (3, 6, 67),
        (9, 3, 69),
    ]


def test_a_tie_to_another_staff() -> None:
    """It may lead to a piano's other staff, but not to a part whose note begins elsewhere."""
    cross = note("C", 2, START, staff=1) + note("C", 2, STOP, staff=2)
    more = "<backup><duration>16</duration></backup>" + note("E5", 4, staff=1, voice=2)
    piece = read(("A", [attributes() + "<staves>2</staves>" + cross + more]))
    assert rows(piece) == [(0, 60), (0, 76)]
    assert piece.notes["duration"].tolist() == [4, 4]
    apart = read(
        ("A", [attributes() + note("C", 1, START) + notes("E F G")]),
        ("B", [attributes() + notes("E F") + note("C", 2, STOP)]),
    )
    assert (2, 60) in rows(apart, 1)


def test_a_tie_holds_a_note_of_an_arpeggio() -> None:
    """Its second half, beside the other notes of the chord, was struck again."""
    broken = note("C", 1, START) + note("E", 1, START) + note("G") + note("C", 1, STOP)
    bars = [attributes() + broken + note("E", 1, STOP, chord=True), notes("C D E F")]
    piece = read(("A", bars))
    assert [tuple(n)[:3] for n in piece.notes[["onset", "duration", "pitch"]]][:3] == [
        (0, 4, 60),
        (1, 3, 64),
        (2, 1, 67),
    ]
    assert len(piece.notes) == 7


@pytest.mark.parametrize(
    ("bars", "played"),
    [
        (["C- D C C+"], "CDCC"),  # struck meanwhile
        (["C- D E F", "G A B C5", "D E F C+"], "CDEFGABCDEFC"),  # too long ago
        (["D E F C-", "C+ D C+ E" + BACK], "DEFCDCEDEFCDCE"),
    ],
)
def test_a_tie_without_its_other_half_is_no_tie(bars: list[str], played: str) -> None:
    marks = {"-": START, "+": STOP}
    written = [
        "".join(note(step.rstrip("-+"), 1, marks.get(step[-1], "")) for step in bar.split())
        + (BACK if back else "")
        for bar, back in ((bar.replace(BACK, ""), BACK in bar) for bar in bars)
    ]
    piece = read(("A", [attributes() + written[0], *written[1:]]))
    assert "".join(STEPS[pitch % 12] for _, pitch in rows(piece)) == played


@pytest.mark.parametrize(
    "listed", ["", '<midi-instrument id="P0-I1"><midi-channel>10</midi-channel></midi-instrument>']
)
def test_channel_10_is_drums(listed: str) -> None:
    data = score(
        ("Drums", [attributes() + notes("C6 C6 C6 C6")]),
        ("Flute", [attributes() + notes("C D E F")]),
    ).decode()
    data = data.replace("Drums</part-name>", "Drums</part-name>" + listed)
    piece = parse_musicxml(data.encode(), "a")
    assert len(piece.parts) == (1 if listed else 2)
    assert piece.remarks == (("the unpitched notes of 1 part were left out",) if listed else ())


def test_only_some_instruments_of_a_part_are_drums() -> None:
    kit = '<midi-instrument id="D"><midi-channel>10</midi-channel></midi-instrument>'
    kit += '<midi-instrument id="F"/>'
    drum = note("C3", 1, '<instrument id="D"/>') + note("D", 3, '<instrument id="F"/>')
    piece = read(("All", [attributes() + drum]), listed=kit)
    assert rows(piece) == [(1, 62)]


def test_grace_notes() -> None:
    """They come just before the note that they adorn, in any voice.

    With none to follow, they come at the end of what was played.
    """
    grace = (
        note("D5", 0, "<grace/>")
        + note("E5", 0, "<grace/>")
        + note("G5", 0, "<grace/>", chord=True)
    )
    piece = read(
        (
            "A",
            [
                attributes() + note("C", 2) + grace + note("F", 2),
                note("G", 4) + note("A5", 0, "<grace/>") + BACK,
            ],
        )
    )
    graces = [(1.75, 74), (1.875, 76), (1.875, 79)]
    first = [(0, 60), *graces, (2, 65), (4, 67), (7.875, 81)]
    assert rows(piece) == [*first, *((onset + 8, pitch) for onset, pitch in first)]


def test_loudness() -> None:
    """A note's own loudness comes first, then that of ``<sound>``, then the printed sign; a sign is
    for its staff of a piano, or for both staves if only one has signs.
    """
    loud = "<direction><direction-type><dynamics><p/></dynamics></direction-type>{}</direction>"
    bar = loud.format("") + note("C") + loud.format('<sound dynamics="100"/>') + note("D")
    piece = read(
        (
            "A",
            [attributes() + note("B3") + bar + note("E").replace("<note>", '<note dynamics="50">')],
        )
    )
    assert piece.notes["velocity"].tolist() == [80, 49, 90, 45]


def test_transposing_instruments_sound_as_they_do() -> None:
    """Notes, keys and chord symbols are transposed, by octaves, too."""
    horn = "<transpose><diatonic>-4</diatonic><chromatic>-7</chromatic></transpose>"
    key = "<key><fifths>1</fifths><mode>major</mode></key>"
    symbol = "<harmony><root><root-step>D</root-step></root><kind>dominant</kind></harmony>"
    piece = read(("Horn", [attributes(more=horn + key) + symbol + notes("D G")]))
    assert rows(piece) == [(0, 55), (1, 60)]
    assert piece.key_signatures == ((0, 0, False),)
    assert [(place, symbol.text, symbol.tones) for place, symbol in piece.chords] == [
        (0, "G7", (2, 5, 7, 11))
    ]
    down = "<transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>"
    assert rows(read(("Guitar", [attributes(more=down) + note("C5")]))) == [(0, 60)]


@pytest.mark.parametrize(
    ("kind", "more", "tones"),
    [
        ("major", "", {0, 4, 7}),
        ("minor-seventh", "", {0, 3, 7, 10}),
        ("half-diminished", "", {0, 3, 6, 10}),
        ("major-minor", "", {0, 3, 7, 11}),
        ("suspended-fourth", "", {0, 5, 7}),
        ("dominant-13th", "", {0, 4, 7, 10, 2, 5, 9}),
        ("German", "", {0, 3, 6, 8}),
        (
            "dominant",
            "<bass><bass-step>B</bass-step><bass-alter>-1</bass-alter></bass>",
            {0, 4, 7, 10},
        ),
        ("major", "<bass><bass-step>D</bass-step></bass>", {0, 2, 4, 7}),
        ("dominant", "5 1 alter", {0, 4, 8, 10}),
        ("dominant", "9 -1 add", {0, 1, 4, 7, 10}),
        ("dominant-ninth", "7 0 subtract", {0, 2, 4, 7}),
        ("major", "7 0 add", {0, 4, 7, 10}),
        ("other", "", None),
        ("gibberish", "", None),
    ],
)
def test_chord_symbols(kind: str, more: str, tones: set[int] | None) -> None:
    if more and not more.startswith("<"):
        value, alter, how = more.split()
        more = (
            f"<degree><degree-value>{value}</degree-value><degree-alter>{alter}</degree-alter>"
            f"<degree-type>{how}</degree-type></degree>"
        )
    symbol = f"<harmony><root><root-step>C</root-step></root><kind>{kind}</kind>{more}</harmony>"
    piece = read(("A", [attributes() + symbol + note("C", 4)]))
    assert [(place, symbol.root, set(symbol.tones)) for place, symbol in piece.chords] == [
        (0, 0 if tones else -1, tones or set())
    ]
    assert bool(piece.remarks) == (tones is None)


def test_what_cannot_be_read_is_reported() -> None:
    bad = note("H") + note("C12") + note("C", 1).replace("<step>", "<alter>0.5</alter><step>")
    piece = read(("A", [attributes((3, 4)) + bad, note("C", 3)]))
    assert [onset for onset, _ in rows(piece)] == [2, 3]
    assert piece.remarks == (
        "2 notes whose pitch or length can't be read were left out",
        "1 quarter tone was rounded to semitones",
    )


def test_the_part_with_words_is_sung() -> None:
    """It may lie below the others, under any name."""
    sung = "".join(note(step, 1, "<lyric><text>la</text></lyric>") for step in "CDEF")
    piece = read(("X", [attributes() + notes("C5 D5 E5 F5")]), ("Y", [attributes() + sung]))
    assert piece.sung == (1,)
    assert set(piece.notes["part"][extract_melody(piece)]) == {1}


def test_a_large_score_is_read_soon() -> None:
    """A megabyte takes about a second of processor time."""
    data = score(("A", [attributes() + notes("C D E F")] + [notes("G A B C5", 0.25)] * 3_000))
    assert len(data) > 1_000_000
    before = time.process_time()
    assert len(parse_musicxml(data, "a").notes) == 4 * 3_001
    assert time.process_time() - before < 10
