"""Test MIREX 2024's lead sheets: JSON, accompaniments, sheets cut from songs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from eval import leadsheets, mirex
from eval.mirex import Chord, Note, Sheet
from styletransfer.errors import InputError
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_score
from styletransfer.music.chord_names import chords_of_symbols
from styletransfer.music.chord_symbols import ChordSymbol
from styletransfer.music.chords import CHORD_DTYPE, INTERVALS
from styletransfer.music.notes import Piece, make_notes
from tests.arrangements import arrangement

Row = dict[str, Any]

MELODY = [(12, 67, 4), (16, 72, 6), (22, 74, 2), (24, 76, 8), (32, 77, 16), (48, 71, 12)]
MELODY += [(60, 74, 4), (64, 76, 16), (80, 69, 16), (96, 74, 16), (112, 71, 16), (128, 72, 16)]
CHORDS = [(0, "N", 16), (16, "C", 16), (32, "D:min7", 16), (48, "G:sus4(b7)", 12), (60, "G:7", 4)]
CHORDS += [(64, "C:maj/3", 16), (80, "F", 16), (96, "D:min", 16), (112, "G:7", 16), (128, "C", 16)]


def rows() -> dict[str, list[Row]]:
    """Return a lead sheet with a pick-up, as plain data."""
    return {
        "melody": [{"start": a, "pitch": b, "duration": c} for a, b, c in MELODY],
        "chords": [{"start": a, "symbol": b, "duration": c} for a, b, c in CHORDS],
    }


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "tune.json"
    path.write_text(json.dumps(rows()))
    return path


def test_reading(sheet: Path, tmp_path: Path) -> None:
    """Notes and chords in order; what lasts too long ends with the last bar; other properties are
    no fault; a sheet that is written and read again is the same.
    """
    data = rows() | {"phrases": ["A"]}
    data["melody"][-1]["duration"] = 99
    data["melody"].reverse()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(data))
    found = mirex.read_sheet(other)
    assert found == mirex.read_sheet(sheet)
    assert found.melody[-1] == Note(128, 72, 16)
    assert found.chords[3] == Chord(48, "G:sus4(b7)", 12)
    assert found.origin == 12
    mirex.write_sheet(other, found)
    assert mirex.read_sheet(other) == found


@pytest.mark.parametrize(
    ("where", "what", "message"),
    [
        (("melody", 0, "start"), 144, "has the start 144; it must be from 0 to 143"),
        (("melody", 1, "start"), 1.5, "has no whole number 'start'"),
        (("melody", 1, "duration"), 0, "has the duration 0; it must be 1 or more"),
        (("melody", 2, "pitch"), 128, "has the pitch 128"),
        (("melody", 2, "pitch"), True, "has no whole number 'pitch'"),
        (("chords", 1, "symbol"), "Cmajeur", "'Cmajeur' isn't a chord in Harte's syntax"),
        (("chords", 1, "symbol"), 3, "number 2 of 'chords' has no symbol"),
        (("chords", 1, "duration"), 20, "two chords hold at sixteenth 32"),
    ],
)
def test_bad_rows(
    sheet: Path,
    where: tuple[str, int, str],
    what: object,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = rows()
    data[where[0]][where[1]][where[2]] = what
    sheet.write_text(json.dumps(data))
    assert mirex.main([str(sheet), "--out", str(sheet.parent / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (sheet.parent / "out").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"melody": []}', '{"melody": [], "chords": []}', '{"melody": [3]}']
)
def test_no_sheet(sheet: Path, text: str) -> None:
    sheet.write_text(text)
    with pytest.raises(InputError):
        mirex.read_sheet(sheet)


def test_chords_of_harte() -> None:
    """Roots, qualities and basses; a chord of more tones is taken for the one in it."""
    for name, chord in {
        "C": (0, 0, 0),
        "Bb:min": (10, 1, 10),
        "F#:dim": (6, 2, 6),
        "E:aug": (4, 3, 4),
        "G:7/3": (7, 4, 11),
        "Ab:maj7": (8, 5, 8),
        "D:min7/b7": (2, 6, 0),
        "B:hdim7": (11, 7, 11),
        "C#:dim7": (1, 8, 1),
        "G:9": (7, 4, 7),
        "G:sus4(b7)": (7, 4, 7),
        "N": (-1, -1, -1),
        "X": (-1, -1, -1),
    }.items():
        assert mirex.chord_of(name) == chord, name


def test_piece_of_a_sheet(sheet: Path) -> None:
    """The music begins with the pick-up, whose bar begins before it; the line has one voice."""
    piece = mirex.piece_of(mirex.read_sheet(sheet))
    assert piece.bars["start"].tolist() == [-3.0 + 4 * bar for bar in range(9)]
    assert piece.notes["onset"].tolist() == [(start - 12) / 4 for start, _, _ in MELODY]
    chords = chords_of_symbols(piece.chords, piece.bars)
    assert chords["root"].tolist() == [-1, 0, 2, 7, 7, 0, 5, 2, 7, 0]
    assert chords["start"].tolist() == [-3.0, 1.0, 5.0, 9.0, 12.0, 13.0, 17.0, 21.0, 25.0, 29.0]
    assert chords["bass"][5] == 4

    late = Sheet((Note(24, 60, 99), Note(24, 67, 4), Note(26, 65, 2)), (Chord(32, "F", 16),))
    piece = mirex.piece_of(late)
    assert piece.bars["start"].tolist() == [4.0 * bar for bar in range(8)]
    assert piece.notes["onset"].tolist() == [2.0, 2.5]
    assert piece.notes["duration"].tolist() == [0.5, 0.5]
    chords = chords_of_symbols(piece.chords, piece.bars)
    assert list(zip(chords["start"], chords["root"], strict=True)) == [(0, -1), (4, 5), (8, -1)]


def test_rounding() -> None:
    """To sixteenths; nothing in the pick-up's bar or beyond the last; a pitch ends where it begins
    again, and of two of the same start the longer one stays.
    """
    notes = make_notes(
        [-1.0, 0.02, 0.02, 1.0, 31.9, 0.6],
        [1.0, 3.0, 1.0, 1.0, 9.0, 0.01],
        [48, 50, 50, 50, 52, 53],
    )
    assert mirex.rounded(notes, 4.0) == (
        Note(16, 50, 4),
        Note(18, 53, 1),
        Note(20, 50, 4),
    )
    assert mirex.rounded(notes, 3.0)[-1] == Note(140, 52, 4)


@given(
    some.lists(
        some.tuples(
            some.floats(-9, 40, allow_nan=False),
            some.floats(0.01, 40, allow_nan=False),
            some.integers(60, 63),
        ),
        max_size=30,
    )
)
def test_rounded_notes_are_in_form(played: list[tuple[float, float, int]]) -> None:
    """Whatever is played, the result is what the task allows, and no pitch overlaps itself."""
    onset, duration, pitch = ([row[column] for row in played] for column in range(3))
    found = mirex.rounded(make_notes(onset, duration, pitch), 4.0)  # type: ignore[arg-type]
    sounding = set()
    for start, pitch_, length in found:
        assert mirex.BAR <= start < start + length <= mirex.END
        for place in range(start, start + length):
            assert (place, pitch_) not in sounding
            sounding.add((place, pitch_))


def test_arranging(sheet: Path, tiny_package: Path, tmp_path: Path) -> None:
    """Two samples of an untrained model: their JSON is exactly the task's, a seed gives the same
    bytes again, and the MIDI file has the melody first.
    """
    command = ["--model", str(tiny_package), "--candidates", "1", "--style", "bach"]
    out = tmp_path / "out"
    assert mirex.main([str(sheet), "--out", str(out), *command, "--samples", "2", "--midi"]) == 0
    assert {path.name for path in out.iterdir()} == {
        f"sample_0{number}.{kind}" for number in (1, 2) for kind in ("json", "mid")
    }
    data = json.loads((out / "sample_01.json").read_text())
    assert list(data) == ["acc"]
    assert data["acc"]
    for note in data["acc"]:
        assert list(note) == ["start", "pitch", "duration"]
        assert all(type(value) is int for value in note.values())
        assert 16 <= note["start"] < note["start"] + note["duration"] <= 144

    midi = read_score(out / "sample_01.mid", "score")
    tune = midi.notes[midi.notes["part"] == 0]
    assert tune["pitch"].tolist() == [pitch for _, pitch, _ in MELODY]
    np.testing.assert_allclose(tune["onset"], [(start - 12) / 4 for start, _, _ in MELODY])
    assert len(midi.notes) - len(tune) == len(data["acc"])

    again = tmp_path / "again"
    assert mirex.main([str(sheet), "--out", str(again), *command]) == 0
    assert (again / "sample_01.json").read_bytes() == (out / "sample_01.json").read_bytes()
    assert mirex.read_accompaniment(out / "sample_01.json") == tuple(
        sorted(Note(*row.values()) for row in data["acc"])
    )


def test_a_rest_at_the_beginning(tiny_package: Path, tmp_path: Path) -> None:
    """Without a pick-up the first bar belongs to the song even where its tune begins late: such a
    rest was taken for one before a pick-up.
    """
    path = tmp_path / "late.json"
    melody = [(24, 72, 4), (28, 74, 4), (32, 76, 16), *MELODY[5:]]
    data = rows() | {"melody": [{"start": a, "pitch": b, "duration": c} for a, b, c in melody]}
    path.write_text(json.dumps(data))
    command = [str(path), "--out", str(tmp_path), "--model", str(tiny_package)]
    assert mirex.main([*command, "--candidates", "1", "--style", "bach", "--hold"]) == 0
    found = mirex.read_accompaniment(tmp_path / "sample_01.json")
    tones = {note.pitch % 12 for note in found if 32 <= note.start < 48}
    assert tones <= {2, 5, 9, 0}, "held to D minor seven in the second bar"
    assert found[0].start < 32


# --- lead sheets from songs ---------------------------------------------------------------------


def hymn() -> Piece:
    """Make nine bars of 4/4 in C after a pick-up: chords in half notes under a tune.

    The pick-up lasts a quarter.
    """
    tune = [(0.0, 1.0, 67)]
    tune += [(1.0 + k, 1.0, (72, 76, 79, 76)[k % 4]) for k in range(36)]
    left = [(1.0 + 4 * k, 4.0, pitch) for k in range(9) for pitch in (48, 55, 64)]
    return arrangement(tune, [], left, [(0.0, 1, 4), (1.0, 4, 4)])


def test_sheet_of_a_song() -> None:
    """The pick-up in its bar, eight bars, the recognised chords, and the song's own notes."""
    found = leadsheets.sheet_of(hymn())
    assert not isinstance(found, str)
    sheet, own = found
    assert sheet.melody[0] == Note(12, 67, 4)
    assert sheet.melody[-1] == Note(140, 76, 4)
    assert sheet.chords == (Chord(0, "N", 16), Chord(16, "C:maj", 128))
    assert own == tuple(Note(16 * bar, pitch, 16) for bar in range(1, 9) for pitch in (48, 55, 64))

    symbols = ((1.0, ChordSymbol("Am/C", 9, 1, 0)), (9.0, ChordSymbol("N.C.")))
    written = leadsheets.sheet_of(replace(hymn(), chords=symbols))
    assert not isinstance(written, str)
    assert written[0].chords == (
        Chord(0, "N", 16),
        Chord(16, "A:min/b3", 32),
        Chord(48, "N", 96),
    )


def test_songs_without_a_sheet() -> None:
    short = hymn()
    assert leadsheets.sheet_of(replace(short, bars=short.bars[:8])) == "no eight bars of 4/4"
    waltz = arrangement([(float(k), 1.0, 72) for k in range(30)], metres=[(0.0, 3, 4)])
    assert leadsheets.sheet_of(waltz) == "no eight bars of 4/4"
    thirds = arrangement([(k / 3, 1 / 3, 72 + k % 3) for k in range(96)])
    assert leadsheets.sheet_of(thirds) == "the tune isn't on sixteenths"


def test_symbols_are_read_as_they_are_written() -> None:
    """Every root, quality and bass that is written is the same when it is read again."""
    spans = [
        (4.0 * place, 4.0, root, quality, (root + step) % 12)
        for place, (root, quality, step) in enumerate(
            (root, quality, step)
            for root in range(12)
            for quality in range(len(leadsheets.QUALITIES))
            for step in INTERVALS[quality]
        )
    ]
    for begin in range(0, len(spans), 8):
        part = [(4.0 * k, *span[1:]) for k, span in enumerate(spans[begin : begin + 8])]
        written = leadsheets.harte(np.array(part, CHORD_DTYPE), 4.0)
        assert [mirex.chord_of(chord.symbol) for chord in written[1:]] == [
            span[2:] for span in part
        ]


def test_measures_by_hand() -> None:
    """Of four notes two are tones of C; its bass is under it, that of G isn't; half of the time is
    silent.
    """
    sheet = Sheet((Note(16, 72, 128),), (Chord(16, "C", 64), Chord(80, "G:maj/3", 64)))
    notes = [Note(16, 48, 32), Note(16, 61, 32), Note(80, 55, 32), Note(80, 58, 32)]
    found = leadsheets.numbers(sheet, notes)
    assert found == pytest.approx(
        {"notes": 0.5, "tones": 0.5, "bass": 0.5, "dissonant": 1.0, "silent": 0.5}
    )
    assert np.isnan(leadsheets.numbers(sheet, [])["tones"])


def test_leadsheets_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sheets of two songs, one of which comes twice, and the table of two systems in a page."""
    for name in ("one", "again"):
        write_midi(hymn(), tmp_path / f"{name}.mid")
    other = hymn()
    higher = replace(other, notes=other.notes.copy())
    last = np.flatnonzero(higher.notes["melody"] & (higher.notes["onset"] < 33))[-1]
    higher.notes["pitch"][last] += 2
    write_midi(higher, tmp_path / "other.mid")
    songs = [str(tmp_path / f"{name}.mid") for name in ("one", "again", "other")]
    assert leadsheets.main(["make", *songs, "--out", str(tmp_path / "out")]) == 0
    assert "2 lead sheets; left out: {'the same tune or name': 1}" in capsys.readouterr().out

    page = tmp_path / "page.md"
    page.write_text("<!-- begin measures -->\n<!-- end measures -->\n")
    sheets, own = tmp_path / "out/sheets", tmp_path / "out/own"
    line = ["measure", str(sheets), f"own={own}", "--page", str(page)]
    assert leadsheets.main(line) == 0
    assert "| own | 3.0 (3.0 to 3.0) | 100 % (100 % to 100 %)" in page.read_text()
    assert "chance: own under the next sheet" in page.read_text()
    assert leadsheets.main([*line[:2], str(tmp_path / "none")]) == 2
    assert leadsheets.main(["measure", str(tmp_path), "own=x"]) == 2
