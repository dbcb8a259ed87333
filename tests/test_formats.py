"""Test the table of input formats.

Every row leads to a reader, and no two claim the same files.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from styletransfer.errors import InputError
from styletransfer.formats.read import (
    FORMATS,
    READERS,
    SCORE_SUFFIXES,
    SONG_SUFFIXES,
    Reader,
    read_score,
)
from tests.midi_builder import midi, scale
from tests.test_read import MUSICXML


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_row_is_a_reader(reader: Reader) -> None:
    module, _, function = reader.parse.partition(".")
    assert callable(getattr(import_module(f"styletransfer.formats.{module}"), function))
    assert reader.sound or reader.name in FORMATS
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in reader.suffixes)


def test_no_two_readers_claim_the_same_files() -> None:
    suffixes = [suffix for reader in READERS for suffix in reader.suffixes]
    assert len(suffixes) == len(set(suffixes)) == len(SONG_SUFFIXES)
    assert {".wav", ".flac", ".ogg", ".mp3"} == SONG_SUFFIXES - SCORE_SUFFIXES
    signs = [sign for reader in READERS for sign in reader.signs]
    assert len(signs) == len(set(signs))


@pytest.mark.parametrize("name", ["song.abc", "song.txt", "song"])
@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (midi(scale(3)), 3),
        (MUSICXML.encode(), 9),
        (MUSICXML.replace("UTF-8", "UTF-16").encode("utf-16"), 9),
        (b"<!-- a > comment -->" + MUSICXML.partition("?>")[2].encode(), 9),
    ],
)
def test_contents_win_over_the_name(tmp_path: Path, data: bytes, notes: int, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert len(read_score(path).notes) == notes


@pytest.mark.parametrize(
    ("name", "program"), [("a.gp5", "Guitar Pro"), ("a.ly", "LilyPond"), ("a.SIB", "Sibelius")]
)
def test_what_is_not_read_says_how_to_export_it(tmp_path: Path, name: str, program: str) -> None:
    (tmp_path / name).write_bytes(b"\x18FICHIER")
    with pytest.raises(InputError, match=f"export it as MusicXML or MIDI from {program}"):
        read_score(tmp_path / name)


def test_the_table_is_light() -> None:
    """Help names the formats, and must not have to import numpy."""
    code = "import sys, styletransfer.formats.read; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
