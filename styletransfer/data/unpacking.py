"""Unpack an archive's music and tables, and nothing else, within bounds.

What an archive claims about itself is compared with the bounds before anything of it is written; of
a compressed ``.tar``, whose headers are among its data, before each file is.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import IO, Any

from styletransfer.errors import InputError
from styletransfer.formats.read import MAX_BYTES, SCORE_SUFFIXES

TABLES = ("metadata.csv", "maestro-v*.csv")
"""The names of tables that sources have; every other file that isn't music stays packed."""
MOST_FILES = 500_000
"""The most files in an archive; MetaMIDI, the largest collection of single files, has 436,000."""
MOST_BYTES = 32 << 30
"""The most bytes of music in an archive; the largest collections of MIDI files have about 10 GB."""
FREELY = 256 << 20
"""An archive may unpack to so many bytes, however small it is."""
RATIO = 200
"""A larger one may unpack to so many times its size; MusicXML, which compresses best of all
formats, to about 30 times."""
BLOCK = 4096
"""The bytes that an empty file takes, as file systems give out space."""
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ": lzma.open,
    b"BZh": bz2.open,
}
"""How a ``.tar`` is decompressed, by its first bytes."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the music and the tables of a ``.zip`` or ``.tar`` archive.

    Of a file of music that is too large to be read, only the size is written, so that reading it
    reports that.

    Raises:
        InputError: where the archive is damaged, or would write outside of the folder, or unpacks
            to more than the bounds of this module or the free space on the disk.
    """
    try:
        budget = _Budget(archive, folder)
        if archive.suffix.lower() == ".zip":
            _unzip(archive, folder, budget)
        else:
            _untar(archive, folder, budget)
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{archive}: the archive can't be unpacked ({reason}).") from error
    except Exception as error:  # damaged archives raise many kinds
        raise InputError(f"{archive}: the archive can't be unpacked ({error}).") from error


class _Budget:
    """Files and bytes that an archive may still unpack to."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive = archive
        self.files = MOST_FILES
        self.bytes = min(MOST_BYTES, max(FREELY, RATIO * archive.stat().st_size))
        self.free = shutil.disk_usage(folder).free

    def take(self, size: int, *, written: bool) -> None:
        """Count a file.

        Raises:
            InputError: where it is one too many, or is too large.
        """
        size = max(size, BLOCK)
        self.files -= 1
        self.bytes -= size
        self.free -= size if written else 0
        if self.files < 0:
            raise InputError(
                f"{self.archive}: it has more than {MOST_FILES:,} files; unpack it, and give its"
                " folders."
            )
        if self.bytes < 0:
            raise InputError(
                f"{self.archive}: it unpacks to far more than music does; if you trust it, unpack"
                " it and give the folder."
            )
        if self.free < 0:
            raise InputError(
                f"{self.archive}: the disk has no room to unpack it; free some, or name another"
                " folder for temporary files in $TMPDIR."
            )


def _unzip(archive: Path, folder: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as zipped:
        wanted = [one for one in zipped.infolist() if _wanted(one.filename) and not one.is_dir()]
        for one in zipped.infolist():
            if not (folder / one.filename).resolve().is_relative_to(folder.resolve()):
                raise zipfile.BadZipFile(f"{one.filename} lies outside of the archive's folder")
        for one in wanted:
            budget.take(min(one.file_size, MAX_BYTES), written=True)

        for one in wanted:
            if not _too_large(folder, one.filename, one.file_size):
                zipped.extract(one, folder)


def _untar(archive: Path, folder: Path, budget: _Budget) -> None:
    with archive.open("rb") as plain:
        head = plain.read(6)
    opener = next((way for sign, way in _OPENERS.items() if head.startswith(sign)), None)

    links = []
    with (
        opener(archive) if opener else archive.open("rb") as file,
        tarfile.open(fileobj=_Headers(file), mode="r:") as tar,
    ):
        for member in tar:
            tarfile.data_filter(member, str(folder))  # refuses paths outside, devices and pipes
            wanted = _wanted(member.name)
            if member.isreg() and wanted:
                budget.take(min(member.size, MAX_BYTES), written=True)
                if not _too_large(folder, member.name, member.size):
                    tar.extract(member, folder, filter="data")
            else:
                budget.take(member.size if opener else 0, written=False)
                links += [member] if wanted and (member.issym() or member.islnk()) else []

        for link in links:
            near = (folder / link.name).parent if link.issym() else folder
            if (near / link.linkname).is_file():
                tar.extract(link, folder, filter="data")

        # tarfile takes a broken header in the middle for the end, and raises no error.
        file.seek(tar.offset)
        if any(file.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("it breaks off in the middle")


class _Headers:
    """A file of which no more is read at once than a header can have.

    ``tarfile`` would read a header of as many bytes as it claims to have.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes."""
        if not 0 <= size <= MAX_BYTES:
            raise tarfile.ReadError("a header in it is too large")
        return self.file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def _wanted(name: str) -> bool:
    """Decide whether a file in an archive is music or a table."""
    path = PurePosixPath(name.replace(os.sep, "/"))
    table = any(fnmatch(path.name, pattern) for pattern in TABLES)
    return table or path.suffix.lower() in SCORE_SUFFIXES


def _too_large(folder: Path, name: str, size: int) -> bool:
    """Write a file that is too large for music as its size alone.

    Returns:
        Whether it is too large.
    """
    if size <= MAX_BYTES:
        return False
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    return True
