"""Titles: those that files have are believed, those that programs fill in are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from styletransfer.formats.read import read_song
from styletransfer.formats.titles import title_of, title_of_parts
from styletransfer.styles.names import heading, song_title
from tests.midi_builder import meta, midi, scale


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Greensleeves", "Greensleeves"),
        ("Rakes of Mallow, The", "The Rakes of Mallow"),
        ("  Ode\n to  Joy\0", "Ode to Joy"),
        ("Piano Sonata No. 2", "Piano Sonata No. 2"),
        ("Greensleeves.mid", "Greensleeves"),
        ("Track 1", ""),
        ("Untitled score", ""),
        ("Conductor Track", ""),
        ("Music21 Fragment", ""),
        ("http://example.org/x", ""),
        ("12", ""),
        (None, ""),
    ],
)
def test_titles(text: str | None, title: str) -> None:
    assert title_of(text) == title


def test_titles_of_works_and_movements() -> None:
    assert title_of_parts("Winterreise", "Gute Nacht") == "Winterreise: Gute Nacht"
    assert title_of_parts("Gute Nacht", "Gute Nacht") == "Gute Nacht"
    assert title_of_parts(None, "Gute Nacht") == "Gute Nacht"
    assert title_of_parts("Untitled", None) == ""


def test_the_files_own_title_comes_before_its_name() -> None:
    assert song_title("Ode to Joy", "x/song.mid") == "Ode to Joy"
    assert song_title("", "x/ode-to_joy.mid") == "Ode to joy"
    assert song_title("", "") == "Chords"
    assert heading("Rimsky-Korsakov 2") == "Rimsky-Korsakov 2"


def named(first: str, part: str) -> bytes:
    return midi(meta(0x03, first.encode()), meta(0x03, part.encode()) + scale())


def test_titles_in_files(tmp_path: Path) -> None:
    abc = tmp_path / "a.abc"
    abc.write_text("X:1\nT:Rakes of Mallow, The\nT:another\nL:1/4\nK:D\nD E F G |]\n")
    assert read_song(abc).title == "The Rakes of Mallow"

    kern = tmp_path / "a.krn"
    kern.write_text("!!!OTL@@DE: Gute Nacht\n**kern\n*M4/4\n=1\n4c\n4d\n4e\n4f\n==\n*-\n")
    assert read_song(kern).title == "Gute Nacht"

    xml = tmp_path / "a.musicxml"
    xml.write_text(
        "<score-partwise><work><work-title>Liederkreis</work-title></work>"
        "<movement-title>Mondnacht</movement-title><part-list><score-part id='P1'>"
        "<part-name>Voice</part-name></score-part></part-list><part id='P1'><measure number='1'>"
        "<attributes><divisions>1</divisions></attributes><note><pitch><step>C</step>"
        "<octave>4</octave></pitch><duration>4</duration></note></measure></part></score-partwise>"
    )
    assert read_song(xml).title == "Liederkreis: Mondnacht"
    assert read_song("greensleeves").title == "Greensleeves"


@pytest.mark.parametrize(
    ("first", "part", "title"),
    [("Ode to Joy", "Melody", "Ode to Joy"), ("Track 1", "Melody", ""), ("Tempo", "x", "")],
)
def test_titles_of_midi_files(first: str, part: str, title: str, tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(named(first, part))
    assert read_song(tmp_path / "a.mid").title == title


def test_a_part_with_notes_has_no_title(tmp_path: Path) -> None:
    data = midi(meta(0x03, b"The Flute") + scale(), meta(0x03, b"Cello") + scale(4))
    (tmp_path / "a.mid").write_bytes(data)
    assert read_song(tmp_path / "a.mid").title == ""
