"""Test other players than a pianist.

One value gives programs, tracks, staves, clefs and colours.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from styletransfer.engraving.grid import QUARTER
from styletransfer.engraving.musicxml import musicxml_bytes
from styletransfer.engraving.page import CLEFS, lay_out
from styletransfer.formats.midi_in import parse_midi
from styletransfer.formats.midi_out import midi_bytes, write_midi
from styletransfer.formats.musicxml import parse_musicxml
from styletransfer.model.settings import SamplingConfig
from styletransfer.music import ensemble
from styletransfer.music.ensemble import (
    ENSEMBLES,
    PIANO,
    Ensemble,
    Part,
    Staff,
    ensemble_of,
    stated_parts,
)
from styletransfer.music.hands import split_under
from styletransfer.music.notes import NoteTable, Piece
from styletransfer.outputs.piano_roll import piano_roll
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import Request
from styletransfer.transfer.rework import read_earlier
from tests.arrangements import arrangement, elements, onsets, random_arrangement


def alone(
    notes: NoteTable, melody: NoteTable, held: bool, fingers: tuple[int, int]
) -> NDArray[np.int16]:
    """Give one part all of the accompaniment."""
    return np.zeros(len(notes), np.int16)


def by_register(
    notes: NoteTable, melody: NoteTable, held: bool, fingers: tuple[int, int]
) -> NDArray[np.int16]:
    """Give three parts what lies from C4 upwards, from C3 upwards, and below."""
    part: NDArray[np.int16] = np.digitize(-notes["pitch"].astype(int), [-59.5, -47.5])
    return part.astype(np.int16)


DUO = Ensemble(
    (Part("Melody", 73, 0, "#aa2200"), Part("Accompaniment, guitar", 24, 1, "#0055ee")),
    (Staff("Flute", ("treble",)), Staff("Guitar", ("treble8vb",))),
    alone,
)
QUARTET = Ensemble(
    (
        Part("Melody", 40, 0, "#aa2200"),
        Part("Accompaniment, violin", 40, 1, "#0055ee"),
        Part("Accompaniment, viola", 41, 2, "#008844"),
        Part("Accompaniment, cello", 42, 3, "#885500"),
    ),
    (
        Staff("Violin I", ("treble",)),
        Staff("Violin II", ("treble",)),
        Staff("Viola", ("alto", "treble")),
        Staff("Cello", ("bass", "treble")),
    ),
    by_register,
)
SONATA = Ensemble(
    (
        Part("Melody", 73, 0, "#aa2200"),
        Part("Accompaniment, piano, right hand", 0, 1, "#0055ee"),
        Part("Accompaniment, piano, left hand", 0, 2, "#008844"),
    ),
    (Staff("Flute", ("treble",)), *PIANO.staves),
    split_under,
)
"""A flute, and a pianist who accompanies it."""


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the ensembles of these tests, as a line in the module would."""
    monkeypatch.setattr(ensemble, "ENSEMBLES", (*ENSEMBLES, DUO, QUARTET, SONATA))


def played_by(players: Ensemble, piece: Piece) -> Piece:
    """Give the piece the parts of an ensemble."""
    notes = piece.notes.copy()
    tune = notes["melody"]
    rest = notes[~tune]
    players.give_parts(rest, piece.feel, notes[tune])
    notes["part"][~tune] = rest["part"]
    return replace(piece, notes=notes, parts=players.names)


def near(png: bytes, colour: str) -> float:
    """Return the share of a picture's points that are close to a colour."""
    import io

    from matplotlib.image import imread

    pixels = np.asarray(imread(io.BytesIO(png)), float)[:, :, :3]
    wanted = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return float((np.abs(pixels - wanted).max(axis=2) < 0.12).mean())


def test_an_arrangement_for_flute_and_guitar(
    tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The song becomes each kind of file, and some bars of the file are rewritten."""
    monkeypatch.setattr(Request, "ensemble", DUO)
    sampling = SamplingConfig(candidates=1, strength=1.0)
    piece = apply(Request("frere-jacques", "chopin", sampling, model=tiny_package)).piece
    assert piece.parts == DUO.names
    assert set(piece.notes["part"]) == {0, 1}
    assert (piece.notes["melody"] == (piece.notes["part"] == 0)).all()

    data = midi_bytes(piece)
    assert data[10:12] == (3).to_bytes(2, "big")  # tempos and two parts
    assert [data.count(bytes((0, 0xC0 | k, program))) for k, program in ((0, 73), (1, 24))] == [
        1,
        1,
    ]
    assert parse_midi(data, "song", "score").parts == DUO.names

    write_midi(piece, tmp_path / "duo.mid")
    whole, melody = read_earlier(str(tmp_path / "duo.mid"), "score")
    assert whole.parts == melody.parts == DUO.names
    assert len(melody.notes) == piece.notes["melody"].sum()

    xml = musicxml_bytes(lay_out(piece), "A title")
    assert [name.text for name in elements(xml, "part-name")] == ["Flute", "Guitar"]
    assert [clef.text for clef in elements(xml, "clef-octave-change")] == ["-1"]
    printed = parse_musicxml(xml, "page")
    for part in (0, 1):
        pitches = [set(one.notes["pitch"][one.notes["part"] == part]) for one in (printed, piece)]
        assert pitches[0] == pitches[1]

    roll = piano_roll(piece)
    assert min(near(roll, part.colour) for part in DUO.parts) > 0.001
    assert max(near(roll, part.colour) for part in PIANO.parts) < 0.0005


def test_a_quartet_has_four_staves_with_their_clefs() -> None:
    piece = played_by(QUARTET, random_arrangement(4))
    page = lay_out(piece)
    assert [staff.instrument for staff in page.staves] == [one.instrument for one in QUARTET.staves]
    assert [staff.clefs[0] for staff in page.staves] == ["treble", "treble", "alto", "bass"]
    for number, staff in enumerate(page.staves[1:], 1):
        own = set(piece.notes["pitch"][piece.notes["part"] == number].tolist())
        assert {pitch for voice in staff.voices for one in voice for pitch in one.pitches} == own

    xml = musicxml_bytes(page, "A title")
    assert xml == musicxml_bytes(lay_out(piece), "A title")
    assert [part.get("id") for part in elements(xml, "part")] == ["P1", "P2", "P3", "P4"]
    signs = [part.find(".//clef/sign").text for part in elements(xml, "part")]
    assert signs == ["G", "G", "C", "F"]
    assert not elements(xml, "staff")  # one a part
    assert onsets(parse_musicxml(xml, "page").notes) == onsets(piece.notes)


def test_a_pianist_beside_a_flute_has_a_brace_and_the_pedal() -> None:
    piece = replace(played_by(SONATA, random_arrangement(1)), pedals=((0.0, 1.0),))
    page = lay_out(piece)
    assert page.staves[0].voices[1] == []
    assert all(any(staff.voices) for staff in page.staves)

    xml = musicxml_bytes(page, "A title")
    assert [name.text for name in elements(xml, "part-name")] == ["Flute", "Piano"]
    assert {staff.text for staff in elements(xml, "staff")} == {"1", "2"}
    assert onsets(parse_musicxml(xml, "page").notes) == onsets(piece.notes)

    data = midi_bytes(piece)
    assert [bytes((0xB0 | channel, 64, 127)) in data for channel in range(3)] == [False, True, True]


def test_a_voice_is_not_cut_by_another_players_note() -> None:
    """A pianist can't hold a key that is struck again; two players can have the same note."""
    piano = arrangement([(0.0, 4.0, 76)], [(0.0, 4.0, 62)], [(2.0, 1.0, 62)])
    quartet = replace(piano, parts=QUARTET.names[:3])
    second = lay_out(quartet).staves[1]
    assert [one.end / QUARTER for voice in second.voices for one in voice] == [4.0]
    hands = [one for staff in lay_out(piano).staves for voice in staff.voices for one in voice]
    assert [one.end / QUARTER for one in hands if one.start == 0 and 62 in one.pitches] == [2.0]


def test_a_piece_of_other_parts_is_a_pianists() -> None:
    piece = random_arrangement(2)
    assert ensemble_of(piece) is PIANO
    for parts in (("Melody",) * 3, ("a", "b", "c"), ("Melody", "Bass", "Accompaniment, guitar")):
        other = replace(piece, parts=parts)
        assert ensemble_of(other) is PIANO
        assert stated_parts(other) is None
    right = piece.with_notes(piece.notes[piece.notes["part"] < 2])
    one_hand = replace(right, parts=PIANO.names[:2])
    np.testing.assert_array_equal(stated_parts(one_hand), one_hand.notes["part"])
    hands = replace(piece, parts=("Voice", "Piano, right hand", "Piano, left hand"))
    np.testing.assert_array_equal(stated_parts(hands), piece.notes["part"])


def test_ensembles_are_distinct_and_can_be_printed() -> None:
    """They differ in the names of their parts.

    Each staff has known clefs, and each part a staff.
    """
    names = [name for one in ENSEMBLES for name in one.names[1:]]
    assert len(set(names)) == len(names)
    for one in ENSEMBLES:
        assert one.parts[0].staff == 0
        assert {part.staff for part in one.parts} <= set(range(len(one.staves)))
        assert all(set(staff.clefs) <= CLEFS.keys() and staff.clefs for staff in one.staves)
        assert len({part.colour for part in one.parts}) == len(one.parts)
