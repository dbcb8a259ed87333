"""Test that every mistake with a file ends in one clear sentence.

It never ends in a traceback from a parser.
"""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

import pytest

from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from tests.midi_builder import midi, note, scale, tempo, variable

ZIP = io.BytesIO()
with zipfile.ZipFile(ZIP, "w") as _archive:
    _archive.writestr("readme.txt", "no score")

BAD = {
    "empty.mid": (b"", "empty"),
    "text.mid": (b"Dear diary, this is no music.\n" * 5, "not a MIDI file"),
    "short.mid": (midi(scale(8))[:-20], "cut short"),
    "header.mid": (b"MThd\x00\x00", "cut short"),
    "kind.mid": (midi(scale(2), kind=7), "cut short or damaged"),
    "status.mid": (midi(b"\x00\x40\x40\x40"), "damaged"),
    "division.mid": (midi(scale(2), division=0), "no time division"),
    "frames.mid": (midi(scale(2), division=0x8010), "impossible time division"),
    "silent.mid": (midi(b"", tempo(500_000)), "no notes"),
    "notracks.mid": (midi(), "no notes"),
    "drums.mid": (midi(note(35, 100, channel=9)), "only drums"),
    "long.mid": (midi(scale(1) + note(60, 480, wait=480 * 2 * 3600 * 3 - 960)), "3 hours"),
    "ticks.mid": (midi(note(60, 0x0FFFFFFF) * 3, division=1), "impossible times"),
    "overflow.mid": (midi(note(60, 0x0FFFFFFF) * 12), "impossible times"),
    "fast.mid": (midi(tempo(1) + note(60, 0x0FFFFFFF), division=96), "impossible times"),
    "song.mp3": (b"ID3\x04" + bytes(50), "the sound can't be read|neither MIDI nor MusicXML"),
    "noname": (b"hello", "neither MIDI nor MusicXML"),
    "cut.musicxml": (b"<?xml version='1.0'?><score-partwise><part-list>", "cut short or not XML"),
    "page.xml": (b"<html><body/></html>", "not a MusicXML score"),
    "coding.xml": (
        b"<?xml version='1.0' encoding='klingon'?><score-partwise/>", "not readable XML|not XML"),
    "nothing.xml": (b"<score-partwise/>", "no notes|cannot be understood"),
    "bomb.mxl": (b"PK\x03\x04 not really a zip", "damaged"),
    "noscore.mxl": (ZIP.getvalue(), "no score in it"),
    "junk.musicxml": (
        b"<score-partwise><part id='P1'><measure><note><pitch/></note></measure></part>"
        b"</score-partwise>", "no notes|cannot be understood"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        read_score(path)
    sentence = str(error.value)
    assert sentence.startswith(f"{path}: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_just_below_three_hours_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.mid"
    path.write_bytes(midi(scale(1) + note(60, 479, wait=480 * 2 * 3600 * 3 - 960)))
    assert read_score(path).length_seconds == pytest.approx(3 * 3600, abs=0.01)


def test_places_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_score(tmp_path / "missing.mid")
    with pytest.raises(InputError, match="folder"):
        read_score(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_score("bad\0name.mid")
    with pytest.raises(InputError, match="cannot be read"):
        read_score("x" * 5000 + ".mid")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mid")
        with pytest.raises(InputError, match="not a regular file"):
            read_score(tmp_path / "pipe.mid")


def test_unreadable_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.mid"
    path.write_bytes(midi(scale(2)))
    path.chmod(0)
    if os.access(
        path, os.R_OK
    ):  # the superuser may read everything: let the system refuse as it does for others

        def refuse(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match="no permission"):
        read_score(path)


def test_too_large_a_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "huge.mid"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(InputError, match="larger than 64 MB"):
        read_score(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = midi(tempo(500_000), scale(3), scale(3))
    path = tmp_path / "cut.mid"
    whole = len(midi(tempo(500_000), scale(3)))  # cut between two tracks, it has those before
    for size in range(1, len(data)):
        path.write_bytes(data[:size])
        if size == whole:
            assert read_score(path).remarks == (
                "its header counts 3 tracks, 2 were found and read",
            )
            continue
        with pytest.raises(InputError):
            read_score(path)


def test_random_damage_never_raises_anything_else(tmp_path: Path) -> None:
    rng = random.Random(0)
    data = midi(tempo(500_000), scale(12) + variable(3) + b"\xb0\x40\x7f", scale(12, channel=2))
    path = tmp_path / "damaged.mid"
    refused = 0
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(rng.choice((1, 3, 9))):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(broken)
        try:
            piece = read_score(path)
        except InputError:
            refused += 1
        else:
            assert len(piece.notes)
            assert (piece.notes["duration"] > 0).all()
            assert (piece.notes["velocity"] > 0).all()
    assert 50 < refused < 400
