"""Test MuseScore's files, as versions 2, 3 and 4 save them.

Each feature is shown by the smallest scores that have it.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from styletransfer.music.notes import Piece

METRE = "<TimeSig><sigN>{}</sigN><sigD>{}</sigD></TimeSig>"
PIANO = "<Instrument><longName>Piano</longName></Instrument>"
TIE = '<Spanner type="Tie"><Tie/><next><location/></next></Spanner>'
TIED = '<Spanner type="Tie"><prev><location/></prev></Spanner>'


def note(pitch: int, inside: str = "") -> str:
    return f"<Note>{inside}<pitch>{pitch}</pitch></Note>"


def chord(pitch: int, kind: str = "quarter", inside: str = "", tie: str = "") -> str:
    return f"<Chord>{inside}<durationType>{kind}</durationType>{note(pitch, tie)}</Chord>"


def chords(*pitches: int, kind: str = "quarter") -> str:
    return "".join(chord(pitch, kind) for pitch in pitches)


REST = "<Rest><durationType>measure</durationType><duration>4/4</duration></Rest>"


def measure(*voices: str, signs: str = "", length: str = "") -> str:
    stated = f' len="{length}"' if length else ""
    inside = "".join(f"<voice>{voice}</voice>" for voice in voices)
    return f"<Measure{stated}>{signs}{inside}</Measure>"


def score(
    *staves: str, parts: tuple[tuple[str, int], ...] = ((PIANO, 1),), version: str = "3.02"
) -> bytes:
    described = "".join(f"<Part>{'<Staff/>' * count}{part}</Part>" for part, count in parts)
    music = "".join(f'<Staff id="{k}"><VBox/>{staff}</Staff>' for k, staff in enumerate(staves, 1))
    inside = f"<Division>480</Division>{described}{music}"
    return f'<museScore version="{version}"><Score>{inside}</Score></museScore>'.encode()


def read(tmp_path: Path, data: bytes, name: str = "song.mscx") -> Piece:
    (tmp_path / name).write_bytes(data)
    return read_score(tmp_path / name)


def rows(piece: Piece) -> list[tuple[float, float, int]]:
    return [tuple(row) for row in piece.notes[["onset", "duration", "pitch"]].tolist()]


def test_a_song(tmp_path: Path) -> None:
    """Pick-up, metre, key, tempo, tuplet, tie, chord symbol, words, and two voices."""
    head = f"<KeySig><accidental>-1</accidental></KeySig>{METRE.format(3, 4)}"
    symbol = "<Harmony><root>13</root><name>m7</name><base>16</base></Harmony>"
    words = "<Lyrics><text>la</text></Lyrics>"
    ratio = "<normalNotes>2</normalNotes><actualNotes>3</actualNotes>"
    triplet = f"<Tuplet>{ratio}</Tuplet>" + chords(60, 62, 64, kind="eighth") + "<endTuplet/>"
    staff = (
        measure(head + "<Tempo><tempo>1.5</tempo></Tempo>" + chord(60), length="1/4")
        + measure(symbol + chord(65, "half", words) + chord(67, tie=TIE))
        + measure(
            chord(67, tie=TIED) + triplet + chord(72),
            "<location><fractions>1/4</fractions></location>" + chord(48, "half"),
        )
    )
    piece = read(tmp_path, score(staff))
    assert piece.parts == ("Piano",)
    assert piece.feel == "score"

    np.testing.assert_allclose(
        np.array(rows(piece)),
        [(0, 1, 60), (1, 2, 65), (3, 2, 67), (5, 2, 48)]
        + [(5 + k / 3, 1 / 3, 60 + 2 * k) for k in range(3)]
        + [(6, 1, 72)],
        atol=1e-6,
    )
    assert piece.bars["start"].tolist() == [-2, 1, 4]
    assert piece.key_signatures == ((0.0, -1, False),)
    assert piece.tempo.quarters_per_minute() == pytest.approx(90)
    assert [(place, symbol.text) for place, symbol in piece.chords] == [(1.0, "Fm7/D")]
    assert piece.sung == (0,)


def test_grace_notes(tmp_path: Path) -> None:
    """Grace notes after a note come before it in the file, in reverse order."""
    before = "".join(chord(pitch, "eighth", "<acciaccatura/>") for pitch in (70, 71))
    after = "".join(chord(pitch, "16th", "<grace16after/>") for pitch in (75, 74))
    piece = read(tmp_path, score(measure(chord(60) + before + after + chord(72) + chords(60, 62))))
    assert rows(piece)[1:5] == [
        (0.75, 0.125, 70),
        (0.875, 0.125, 71),
        (1, 1, 72),
        (1.75, 0.125, 74),
    ]
    assert rows(piece)[5] == (1.875, 0.125, 75)


VOLTA = (
    '<Spanner type="Volta"><Volta><endings>{}</endings></Volta>'
    "<next><location><measures>1</measures></location></next></Spanner>"
)


TEXT = "<StaffText><text>{}</text></StaffText>"


@pytest.mark.parametrize(
    ("signs", "played"),
    [
        ({"D": "<endRepeat>2</endRepeat>"}, "CDCDEF"),
        ({"D": "<startRepeat/>", "E": "<endRepeat>3</endRepeat>"}, "CDEDEDEF"),
        ({"D": VOLTA.format("1") + "<endRepeat>2</endRepeat>", "E": VOLTA.format("2")}, "CDCEF"),
        ({"C": "<Marker><label>fine</label></Marker>", "F": "start fine "}, "CDEFC"),
        ({"C": "<Marker><label>fine</label></Marker>", "F": "start end "}, "CDEFCDEF"),
        ({"D": "<Marker><label>segno</label></Marker>", "E": "segno end "}, "CDEDEF"),
        (
            {
                "C": "<Marker><label>coda</label></Marker>",
                "E": "start coda codab",
                "F": "<Marker><label>codab</label></Marker>",
            },
            "CDECF",
        ),
        ({"F": TEXT.format("D.C.")}, "CDEFCDEF"),
        ({"C": "<Marker><label>fine</label></Marker>", "F": TEXT.format("D.C. al Fine")}, "CDEFC"),
        ({"D": TEXT.format("Fine"), "F": TEXT.format("Da Capo al Fine")}, "CDEFCD"),
        ({"D": TEXT.format("dolce"), "F": TEXT.format("rit.")}, "CDEF"),
        ({"C": "<LayoutBreak><subtype>section</subtype></LayoutBreak>",
          "E": "<endRepeat>2</endRepeat>"}, "CDEDEF"),
    ],
)  # fmt: skip
def test_the_order_of_playing(tmp_path: Path, signs: dict[str, str], played: str) -> None:
    staff = ""
    for k, step in enumerate("CDEF"):
        sign, voice = signs.get(step, ""), ""
        if sign and "<" not in sign:
            tags = ("jumpTo", "playUntil", "continueAt")
            goals = zip(tags, sign.split(" "), strict=True)
            sign = f"<Jump>{''.join(f'<{tag}>{goal}</{tag}>' for tag, goal in goals)}</Jump>"
        if "Volta" in sign:
            voice, _, sign = sign.partition("</Spanner>")
            voice += "</Spanner>"
        if "StaffText" in sign:
            voice, sign = sign, ""
        staff += measure(voice + chord(60 + k, "whole"), signs=sign)
    piece = read(tmp_path, score(staff))
    assert "".join("CDEF"[pitch - 60] for pitch in piece.notes["pitch"].tolist()) == played


def test_octave_lines_shift_what_is_under_them(tmp_path: Path) -> None:
    """They shift all voices of their staff, and no other one."""
    line = (
        '<Spanner type="Ottava"><Ottava><subtype>8va</subtype></Ottava><next><location>'
        "<measures>1</measures><fractions>-1/4</fractions></location></next></Spanner>"
    )
    right = measure(chord(60) + line + chords(62, 64, 65), chords(50, 52, 53, 55)) + measure(
        chords(67, 69, 71, 72)
    )
    left = measure(chords(40, 41, 42, 43)) + measure(REST)
    piece = read(tmp_path, score(right, left, parts=((PIANO, 2),)))
    right_hand = piece.notes[piece.notes["part"] == 0]
    expected = [50, 60, 64, 74, 65, 76, 67, 77, 67, 69, 71, 72]
    assert right_hand["pitch"].tolist() == expected
    assert piece.notes[piece.notes["part"] == 1]["pitch"].tolist() == [40, 41, 42, 43]
    assert piece.parts == ("Piano, right hand", "Piano, left hand")


@pytest.mark.parametrize(
    ("signs", "bars"),
    [
        (["", "<RepeatMeasure/>", "<RepeatMeasure/>"], "CCC"),
        (["", "<MeasureRepeat><subtype>1</subtype></MeasureRepeat>"], "CC"),
        (["", "", "<MeasureRepeat><subtype>2</subtype></MeasureRepeat>", "-"], "CDCD"),
    ],
)
def test_bars_that_repeat_others(tmp_path: Path, signs: list[str], bars: str) -> None:
    staff = ""
    for k, sign in enumerate(signs):
        staff += measure(
            sign if sign.startswith("<") else chord(60 + k, "whole") if not sign else REST
        )
    piece = read(tmp_path, score(staff))
    assert [(row[0], row[2]) for row in rows(piece)] == [
        (4 * k, 60 + "CD".index(bar)) for k, bar in enumerate(bars)
    ]


def test_what_does_not_sound(tmp_path: Path) -> None:
    """Drum sets and notes that aren't played; a rest of several bars is saved in addition to those
    bars.
    """
    drums = "<Instrument><useDrumset>1</useDrumset></Instrument>"
    whole = "<multiMeasureRest>2</multiMeasureRest>"
    staff = (
        measure(chord(60) + "<Chord><durationType>quarter</durationType><Note><play>0</play>"
                "<pitch>61</pitch></Note></Chord>" + chords(62, 64))
        + measure(REST, signs=whole, length="8/4") + measure(REST) + measure(REST)
        + measure(chords(65))
    )  # fmt: skip
    other = measure(chords(35, 36, 37, 38)) + measure(REST) * 3
    piece = read(tmp_path, score(staff, other, parts=((PIANO, 1), (drums, 1))))
    assert [(row[0], row[2]) for row in rows(piece)] == [(0, 60), (2, 62), (3, 64), (12, 65)]
    assert "1 silent cue note was left out" in piece.remarks
    assert any("unpitched" in remark for remark in piece.remarks)


@pytest.mark.parametrize(
    ("version", "key", "fifths"),
    [("3.02", "<accidental>2</accidental>", 0), ("4.60", "<concertKey>0</concertKey>", 0)],
)
def test_transposing_instruments_sound_as_written(
    tmp_path: Path, version: str, key: str, fifths: int
) -> None:
    """Pitches are saved as they sound; so are keys in version 4; chord symbols are saved as
    printed.
    """
    clarinet = "<Instrument><transposeChromatic>-2</transposeChromatic></Instrument>"
    head = f"<KeySig>{key}</KeySig><Harmony><root>16</root></Harmony>"
    data = score(measure(head + chord(60, "whole")), parts=((clarinet, 1),), version=version)
    piece = read(tmp_path, data)
    assert piece.notes["pitch"].tolist() == [60]
    assert piece.key_signatures == ((0.0, fifths, False),)
    assert piece.chords[0][1].text == "C"


def test_version_2(tmp_path: Path) -> None:
    """Without voices, elements have their tracks, and places in ticks.

    Ties, tuplets, octave lines and voltas have numbers, and end by them.
    """
    ratio = "<normalNotes>2</normalNotes><actualNotes>3</actualNotes>"
    triplet = f'<Tuplet id="1">{ratio}</Tuplet>' + "".join(
        chord(pitch, "eighth", "<Tuplet>1</Tuplet>") for pitch in (60, 62, 64)
    )
    staff = (
        "<Measure>" + METRE.format(2, 4) + triplet + chord(65, tie='<Tie id="5"/>')
        + "<tick>0</tick>" + chord(48, "half", "<track>1</track>") + "</Measure>"
        '<Measure><Volta id="7"><endings>1</endings></Volta><endRepeat>2</endRepeat>'
        + chord(65, "half", tie='<endSpanner id="5"/>') + "</Measure>"
        '<Measure><endSpanner id="7"/><Volta id="8"><endings>2</endings></Volta>'
        '<Ottava id="9"><subtype>8vb</subtype></Ottava>'
        + chord(67) + '<endSpanner id="9"/>' + chord(69) + '<endSpanner id="8"/></Measure>'
    )  # fmt: skip
    piece = read(tmp_path, score(staff, version="2.06"))
    third = 1 / 3
    once = [(0, 2, 48), (0, third, 60), (third, third, 62), (2 * third, third, 64)]
    expected = [*once, (1, 3, 65), *((4 + on, long, pitch) for on, long, pitch in once)]
    expected += [(5, 1, 65), (6, 1, 55), (7, 1, 69)]
    np.testing.assert_allclose(np.array(rows(piece)), expected, atol=1e-6)


def archive(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize("container", [True, False])
def test_an_archive(tmp_path: Path, container: bool) -> None:
    """The score lies among a style, a picture, and the parts that were made of it."""
    inside = {"style.mss": b"<x/>", "Excerpts/part.mscx": score(measure(chords(50)))}
    inside |= {"Lied für 2.mscx": score(measure(chords(60, 62)))}
    if container:
        names = ("style.mss", "Lied für 2.mscx")
        roots = "".join(f'<rootfile full-path="{name}"/>' for name in names)
        inside["META-INF/container.xml"] = f"<container>{roots}</container>".encode()
    piece = read(tmp_path, archive(inside), "song.mscz")
    assert piece.notes["pitch"].tolist() == [60, 62]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.mscz", b"PK\x03\x04 no archive", "damaged"),
        ("a.mscz", archive({"a.txt": b"x"}), "no score in it"),
        ("a.mscx", b"<museScore version='1.14'><Staff/></museScore>", "MuseScore 1; open it"),
        ("a.mscx", b"<score><Staff/></score>", "not a score of MuseScore"),
        ("a.mscx", score(measure(REST)), "no notes"),
        ("a.mscx", score(), "no notes"),
        ("a.mscx", b"<museScore><Score>", "cut short or not XML"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        read(tmp_path, data, name)
    assert str(error.value).endswith(".")
