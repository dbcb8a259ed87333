"""List the files of any source of music with their labels.

A source is a folder, a ``.zip``, a ``.tar.xz`` / ``.tar.gz`` archive, or a folder of music21's
corpus. It is recognised by the table inside: ``maestro-v*.csv`` (MAESTRO); ``metadata.csv`` with a
``midi_score`` column (ASAP), or with ``file`` and ``composer`` (the keyboard scores, or a user's
own table, where title, split, era, born and died are read, too, if it has them). Each tune of a
book is a file of its own: ``book.abc#12``.

``corpus:bach`` and the like are folders of the scores that are installed with music21. **They are
not all free:** "Some encodings included in the corpus may not be used for commercial uses or have
other restrictions: please see the licenses embedded in individual compositions or directories" (its
``corpus/license.txt``). For instance, the three kern files of ``bach`` say "Copyright 1994, Center
for Computer Assisted Research in the Humanities", those of ``palestrina`` "Copyright 2000, John
Miller. Rights to all derivative electronic formats reserved"; ``josquin`` is under the GNU General
Public License, ``essenFolksong`` for non-commercial use. Most MusicXML files state nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from styletransfer.data.library import SPLITS, Split
from styletransfer.data.unpacking import unpack
from styletransfer.errors import InputError
from styletransfer.formats.read import MAX_BYTES, SCORE_SUFFIXES, read_tunes
from styletransfer.music.composers import Era, corrected_label, era_of_years
from styletransfer.music.notes import Feel

CORPUS = "corpus:"
"""The prefix of a source that is a folder of music21's corpus."""

ARCHIVE_SUFFIXES = (".zip", ".tar.xz", ".tar.gz", ".tgz", ".tar")


@dataclass(frozen=True)
class SourceFile:
    """A file to prepare, and what its source states about it.

    ``label``: the composer as the source spells it, '' where it names none. ``split``: the official
    split, if there is one. ``feel``: where the source implies it. ``tune``: its place in a book of
    several. ``era``: from the source's table, for a composer who isn't in the catalogue.
    """

    path: Path
    source: str
    file: str
    label: str
    title: str
    split: Split | None
    feel: Feel | None
    tune: int | None = None
    era: Era = "unknown"

    @property
    def id(self) -> str:
        """The source and the file, as source/file."""
        return f"{self.source}/{self.file}"


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """Open a source as a folder, where an archive is unpacked temporarily.

    Raises:
        InputError: where the source is missing, isn't an archive, or can't be unpacked
            (:func:`.unpacking.unpack`).
    """
    if str(source).startswith(CORPUS):
        yield corpus_folder(str(source).removeprefix(CORPUS))
        return
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise InputError(f"{source}: no such folder or archive.")
    if not source.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise InputError(
            f"{source}: neither a folder nor an archive ({', '.join(ARCHIVE_SUFFIXES)})."
        )

    try:
        place = TemporaryDirectory(prefix="styletransfer-")
    except OSError as error:
        raise InputError(
            f"{source}: there is no folder for temporary files to unpack it to"
            f" ({error.strerror or error}); name one in $TMPDIR."
        ) from error
    with place as folder:
        unpack(source, Path(folder))
        try:
            yield Path(folder)
        except InputError as error:
            raise InputError(str(error).replace(folder, str(source))) from error


def corpus_folder(name: str) -> Path:
    """Find a composer's or a collection's folder in music21's corpus.

    Raises:
        InputError: where the corpus has no such folder, or isn't installed.
    """
    spec = find_spec("music21")  # importing it would take a second
    places = (
        [Path(place) / "corpus" for place in (spec.submodule_search_locations or ())]
        if spec
        else []
    )
    folders = {
        folder.name.lower(): folder
        for place in places
        if place.is_dir()
        for folder in sorted(place.iterdir())
        if folder.is_dir()
        and any(path.suffix.lower() in SCORE_SUFFIXES for path in folder.rglob("*"))
    }
    if not folders:
        raise InputError(
            f"{CORPUS}{name}: music21 is installed without its corpus; install music21 again."
        )
    if name.lower() not in folders:
        raise InputError(
            f"{CORPUS}{name}: music21's corpus has no such folder; it has"
            f" {', '.join(sorted(folders))}."
        )

    return folders[name.lower()]


def source_name(source: Path) -> str:
    """Return a short name for a source: its file name without the archive's suffix."""
    if str(source).startswith(CORPUS):
        return str(source).lower()
    name = source.resolve().name
    for suffix in ARCHIVE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def source_files(
    folder: Path, name: str, *, composers_csv: Path | None = None, feel: Feel | None = None
) -> list[SourceFile]:
    """List the files of an unpacked source, and each tune of a book.

    They are in the order of its table, or by path where there is none.

    Args:
        folder: the source's folder. The table may lie in it, or in a folder in it that has all of
            its music.
        name: the source's name, for folders that aren't recognised; MAESTRO and ASAP have their
            own.
        composers_csv: a table to use instead of one in the folder, with columns file, composer, and
            perhaps title and split.
        feel: overrules the feel that the source implies.
    """
    return [tune for file in _listed(folder, name, composers_csv, feel) for tune in _tunes(file)]


def _tunes(file: SourceFile) -> list[SourceFile]:
    """List a book's tunes by their numbers, or the file itself if it is one piece.

    A file that can't be read is listed, too.
    """
    try:
        tunes = read_tunes(file.path)
    except InputError:
        return [file]  # reading it reports why
    if len(tunes) < 2:
        return [file]
    numbers = [tune.number for tune in tunes]
    if "" in numbers or len(set(numbers)) < len(numbers):
        numbers = [str(place) for place in range(1, len(tunes) + 1)]
    return [
        replace(
            file,
            file=f"{file.file}#{number}",
            title=tune.title or f"{file.title} {number}",
            tune=place,
        )
        for place, (number, tune) in enumerate(zip(numbers, tunes, strict=True))
    ]


def _listed(
    folder: Path, name: str, composers_csv: Path | None, feel: Feel | None
) -> list[SourceFile]:
    if composers_csv is not None:
        return _from_table(composers_csv, folder, name, feel)
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix.lower() in SCORE_SUFFIXES
        and not _hidden(path.relative_to(folder))
    ]
    if table := _table(folder, "maestro-v*.csv", paths):
        return _from_maestro(table, feel or "performance")
    if table := _table(folder, "metadata.csv", paths):
        columns = set(next(iter(_rows(table)), {}))
        if "midi_score" in columns:
            return _from_asap(table, feel or "score")
        if {"file", "composer"} <= columns:
            exact = "downbeats_on_bars" in columns  # a column that only the keyboard scores have
            if exact:
                return _from_table(table, table.parent, "keyboard-scores", feel or "score")
            return _from_table(table, table.parent, name, feel)

    return [
        SourceFile(path, name, path.relative_to(folder).as_posix(), "", path.stem, None, feel)
        for path in paths
    ]


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _table(folder: Path, pattern: str, music: list[Path]) -> Path | None:
    """Find a folder's table, or that of a folder in it that has all of its music."""
    below = [
        table
        for table in sorted(folder.glob(f"*/{pattern}"))
        if all(table.parent in path.parents for path in music)
    ]
    return next(iter([*sorted(folder.glob(pattern)), *below]), None)


def _rows(table: Path, *columns: str) -> list[dict[str, str]]:
    """Read a table that needs ``columns``; a cell that a short row lacks is ''."""
    try:
        if table.stat().st_size > MAX_BYTES:
            raise csv.Error(f"it is larger than {MAX_BYTES >> 20} MB")
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: the table can't be read ({error}).") from error
    if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
        raise InputError(f"{table}: the table lacks the column {missing[0]!r}.")
    return rows


def _from_maestro(table: Path, feel: Feel) -> list[SourceFile]:
    files = []
    for row in _rows(table, "midi_filename", "canonical_composer", "canonical_title", "split"):
        file = row["midi_filename"]
        label = corrected_label(row["canonical_composer"], file)
        split = _split(row["split"], table)
        files.append(
            SourceFile(
                _inside(file, table.parent, table),
                "maestro",
                file,
                label,
                row["canonical_title"],
                split,
                feel,
            )
        )
    return files


def _from_asap(table: Path, feel: Feel) -> list[SourceFile]:
    # The table has a row for each performance; each score is listed once.
    scores = {row["midi_score"]: row for row in _rows(table, "midi_score", "composer", "title")}
    return [
        SourceFile(
            _inside(file, table.parent, table),
            "asap",
            file,
            row["composer"],
            row["title"],
            None,
            feel,
        )
        for file, row in scores.items()
    ]


def _from_table(table: Path, folder: Path, name: str, feel: Feel | None) -> list[SourceFile]:
    files = []
    for row in _rows(table, "file", "composer"):
        path = _inside(row["file"], folder, table)
        split = _split(row.get("split") or "", table)
        title = row.get("title") or path.stem
        era = era_of_years(row.get("era") or "", row.get("born") or "", row.get("died") or "")
        file = Path(row["file"]).as_posix()
        files.append(SourceFile(path, name, file, row["composer"], title, split, feel, era=era))
    return files


def _inside(file: str, folder: Path, table: Path) -> Path:
    """Return the path of a file that a table names.

    Raises:
        InputError: where it leads out of the source's folder, by itself or by a link in it.
    """
    path = folder / file
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a null byte, or links in a circle
        inside = False
    if not inside:
        raise InputError(f"{table}: {file} is outside {folder}.")
    return path


def _split(value: str, table: Path) -> Split | None:
    if not value:
        return None
    for split in SPLITS:
        if value == split:
            return split
    raise InputError(f"{table}: the split {value!r} is not one of {', '.join(SPLITS)}.")
