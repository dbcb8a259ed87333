"""MIREX 2024's lead sheets: their JSON, what is made of them, and sheets cut from songs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from eval import mirex
from eval.mirex import Chord, Note, Sheet
from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from styletransfer.music.chord_names import chords_of_symbols
from styletransfer.music.notes import make_notes

Row = dict[str, Any]

MELODY = [(12, 67, 4), (16, 72, 6), (22, 74, 2), (24, 76, 8), (32, 77, 16), (48, 71, 12)]
MELODY += [(60, 74, 4), (64, 76, 16), (80, 69, 16), (96, 74, 16), (112, 71, 16), (128, 72, 16)]
CHORDS = [(0, "N", 16), (16, "C", 16), (32, "D:min7", 16), (48, "G:sus4(b7)", 12), (60, "G:7", 4)]
CHORDS += [(64, "C:maj/3", 16), (80, "F", 16), (96, "D:min", 16), (112, "G:7", 16), (128, "C", 16)]


def rows() -> dict[str, list[Row]]:
    """A lead sheet with a pick-up, as plain data."""
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
