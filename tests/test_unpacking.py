"""Archives that somebody else made: they write nothing outside, read nothing outside, fill no disk,
and say nothing to the terminal but text.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import shutil
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from styletransfer.data import unpacking
from styletransfer.data.prepare import prepare
from styletransfer.data.unpacking import unpack
from styletransfer.errors import InputError
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.formats.tunes import example
from styletransfer.terminal import visible
from tests.command import Run, refused

SONG = midi_bytes(example("happy-birthday"))
MAESTRO = "canonical_composer,canonical_title,split,midi_filename\nBach,A,train,{}\n"
ASAP = "midi_score,composer,title\n{},Bach,A\n"
OWN = "file,composer\n{},Bach\n"


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("way", ["absolute", "up", "link"])
@pytest.mark.parametrize(
    ("table", "text"),
    [("maestro-v3.0.0.csv", MAESTRO), ("metadata.csv", ASAP), ("metadata.csv", OWN)],
)
def test_a_table_reads_nothing_outside_of_its_source(
    table: str, text: str, way: str, tmp_path: Path
) -> None:
    """A table of MAESTRO's or ASAP's form in an archive that named ``/etc/x`` or ``../../x`` used
    to have that file read.
    """
    (tmp_path / "private.mid").write_bytes(SONG)
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.mid").write_bytes(SONG)
    name = {"absolute": str(tmp_path / "private.mid"), "up": "../private.mid", "link": "b.mid"}[way]
    if way == "link":
        (folder / name).symlink_to(tmp_path / "private.mid")
    (folder / table).write_text(text.format(name))
    with pytest.raises(InputError, match="is outside"):
        prepare([folder], tmp_path / "out", workers=1)

    if way != "link":
        archive = zipped(tmp_path / "it.zip", {table: text.format(name), "a.mid": SONG})
        with pytest.raises(InputError, match=r"it\.zip/.* is outside"):
            prepare([archive], tmp_path / "out", workers=1)


def test_links_in_an_archive_lead_nowhere_else(tmp_path: Path) -> None:
    """Those to files of the archive are read, whichever comes first."""
    (tmp_path / "private.mid").write_bytes(SONG)
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    for path, target in ((good, "a.mid"), (bad, str(tmp_path / "private.mid"))):
        with tarfile.open(path, "w") as archive:
            for kind, name in ((tarfile.SYMTYPE, "b.mid"), (tarfile.LNKTYPE, "c.mid")):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = kind, target
                archive.addfile(link)
            member = tarfile.TarInfo("a.mid")
            member.size = len(SONG)
            archive.addfile(member, io.BytesIO(SONG))

    (tmp_path / "folder").mkdir()
    unpack(good, tmp_path / "folder")
    assert {path.read_bytes() for path in (tmp_path / "folder").iterdir()} == {SONG}
    assert len(list((tmp_path / "folder").iterdir())) == 3
    with pytest.raises(InputError, match="link to an absolute path"):
        prepare([bad], tmp_path / "out", workers=1)


def test_only_music_and_tables_are_unpacked(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "x/a.mid": SONG,
        "x/metadata.csv": OWN,
        "x/a.wav": b"0",
        "run.sh": b"0",
        "b.csv": b"0",
    }
    with tarfile.open(tmp_path / "it.tgz", "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data if isinstance(data, bytes) else data.encode()))
    for archive_path in (zipped(tmp_path / "it.zip", files), tmp_path / "it.tgz"):
        folder = tmp_path / archive_path.suffix
        folder.mkdir()
        unpack(archive_path, folder)
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
        assert found == {"x/a.mid", "x/metadata.csv"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bombs_are_refused_before_they_are_unpacked(kind: str, tmp_path: Path) -> None:
    """Ten files of 50 MB of zeros in half a megabyte used to be unpacked, however many there
    were.
    """
    zeros, path = bytes(50 << 20), tmp_path / f"bomb.{kind}"
    if kind == "zip":
        zipped(path, {f"{number}.mid": zeros for number in range(10)})
    else:
        with gzip.open(path, "wb") as file, tarfile.open(fileobj=file, mode="w|") as archive:
            for number in range(10):
                member = tarfile.TarInfo(f"{number}.mid")
                member.size = len(zeros)
                archive.addfile(member, io.BytesIO(zeros))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InputError, match="unpacks to far more than music does"):
        unpack(path, folder)
    written = sum(one.stat().st_size for one in folder.iterdir())
    assert written == 0 if kind == "zip" else written <= unpacking.FREELY


def test_a_tar_whose_headers_claim_to_be_large(tmp_path: Path) -> None:
    """tarfile reads a header whole, of as many gigabytes as it claims to have."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 5 << 30
    with gzip.open(tmp_path / "it.tgz", "wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT) + bytes(1 << 20))
    with pytest.raises(InputError, match="can't be unpacked"):
        unpack(tmp_path / "it.tgz", tmp_path)


def test_many_files_and_large_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is too large to be read is left out by its size, at no cost."""
    monkeypatch.setattr(unpacking, "MAX_BYTES", 1000)
    monkeypatch.setattr("styletransfer.formats.read.MAX_BYTES", 1000)
    archive = zipped(
        tmp_path / "it.zip", {"a.mid": SONG[:900], "b.mid": SONG, "c.mid": bytes(9999)}
    )
    (tmp_path / "folder").mkdir()
    unpack(archive, tmp_path / "folder")
    assert (tmp_path / "folder/c.mid").stat().st_size == 1001

    monkeypatch.setattr(unpacking, "MOST_FILES", 2)
    with pytest.raises(InputError, match="more than 2 files"):
        unpack(archive, tmp_path / "folder")


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs/a.mid").write_bytes(SONG)
    archive = zipped(tmp_path / "it.zip", {"a.mid": SONG})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(InputError, match="out: it can't be written"):
            prepare([tmp_path / "songs"], tmp_path / "out", workers=1)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["it.zip", "songs"]

    with monkeypatch.context() as patch:
        patch.setattr("styletransfer.data.sources.TemporaryDirectory", full)
        with pytest.raises(InputError, match="no folder for temporary files"):
            prepare([archive], tmp_path / "out", workers=1)

    none = type("Usage", (), {"free": 5})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: none)
    with pytest.raises(InputError, match="the disk has no room"):
        prepare([archive], tmp_path / "out", workers=1)


def test_names_say_nothing_to_the_terminal(run: Run) -> None:
    """Escape sequences in names used to be printed as they are."""
    zipped(Path("it.zip"), {"a.mid": SONG, "b\x1b]0;owned\x07.mid": b"MThd"})
    outcome = run("data", "prepare", "it.zip", "--out", "out")
    assert outcome.code == 0
    assert "left out: it/b\\x1b]0;owned\\x07.mid: " in outcome.out
    refused(run("data", "prepare", "a\x1b[2J.zip", "--out", "out"), "a\\x1b[2J.zip: no such folder")
    assert visible("Dvořák\t1\n\u202edim.\x9b") == "Dvořák\t1\n\\u202edim.\\x9b"


def test_damaged_archives(tmp_path: Path) -> None:
    """They end in a sentence, whatever is wrong with them."""
    whole = zipped(tmp_path / "it.zip", {"a.mid": SONG, "b/metadata.csv": OWN}).read_bytes()
    with tarfile.open(tmp_path / "it.tar", "w") as archive:
        archive.add(tmp_path / "it.zip", "b.mid")
    both = {"zip": whole, "tar": (tmp_path / "it.tar").read_bytes()[:2048]}
    dice = random.Random(4)
    folder = tmp_path / "folder"
    for kind, data in both.items():
        for _ in range(300):
            damaged = bytearray(data)
            for _ in range(dice.choice([1, 1, 4, 20])):
                damaged[dice.randrange(len(data))] = dice.choice([0, 1, 127, 255, 47, 46])
            (tmp_path / f"bad.{kind}").write_bytes(damaged)
            folder.mkdir()
            with suppress(InputError):
                unpack(tmp_path / f"bad.{kind}", folder)
            shutil.rmtree(folder)
