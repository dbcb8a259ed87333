"""Read files as pieces: the formats, and the choice of a file's reader.

A new format is a row of :data:`READERS`, and a module with its reader; help, messages and the
search of folders follow. Nothing heavy is imported before a file is read.
"""

from __future__ import annotations

import os
import re
import stat
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from styletransfer.errors import InputError

if TYPE_CHECKING:
    from styletransfer.formats.abc import Tune
    from styletransfer.music.notes import Feel, Piece

MAX_BYTES = 64 * 1024 * 1024
"""Files larger than this are refused: three hours of dense piano music take about 3 MB as MIDI."""
_HEAD = 4096
"""Bytes at the beginning of a file among which its XML root element is looked for."""


class Reader(NamedTuple):
    """A format of input files.

    Attributes:
        name: what people call it.
        suffixes: with which its files' names end.
        parse: the module of this folder and the function in it that reads a file, which takes its
            bytes, its name for error messages, and the feel that overrules what it finds.
        signs: the root element of its files where they are XML, or their first bytes; such a file
            is known whatever its name.
        books: whether a file may hold several tunes; ``parse`` then takes the place of one, too.
        sound: whether its files are recordings, which are read only when they are named.
    """

    name: str
    suffixes: tuple[str, ...]
    parse: str
    signs: tuple[bytes, ...] = ()
    books: bool = False
    sound: bool = False

    def knows(self, data: bytes) -> bool:
        """Return whether a file's contents alone show that it is of this format."""
        return _root(data) in self.signs or data.startswith(self.signs)

    def read(self, data: bytes, name: str, feel: Feel | None, tune: int | None = None) -> Piece:
        """Read a file's bytes as a piece, which may have chord symbols and no notes."""
        module, _, function = self.parse.partition(".")
        parse = getattr(import_module(f"styletransfer.formats.{module}"), function)
        piece: Piece = parse(data, name, feel, tune) if self.books else parse(data, name, feel)
        return piece


READERS = (
    Reader("MIDI", (".mid", ".midi", ".kar", ".rmi"), "midi_in.parse_midi", (b"MThd",)),
    Reader(
        "MusicXML",
        (".musicxml", ".mxl", ".xml"),
        "musicxml.parse_musicxml",
        (b"score-partwise", b"score-timewise"),
    ),
    Reader("MuseScore", (".mscz", ".mscx"), "musescore.parse_musescore", (b"museScore",)),
    Reader("MEI", (".mei",), "mei.parse_mei", (b"mei",)),
    Reader("ABC", (".abc",), "abc.parse_abc", books=True),
    Reader("kern", (".krn", ".kern"), "kern.parse_kern"),
    Reader(
        "sound",
        (".wav", ".flac", ".ogg", ".mp3"),
        "audio.parse_audio",
        (b"fLaC", b"OggS", b"ID3"),
        sound=True,
    ),
)
"""All formats that can be read; the first that recognises a file, or its suffix, reads it."""
_SCORES = tuple(reader for reader in READERS if not reader.sound)
SCORE_SUFFIXES = frozenset(suffix for reader in _SCORES for suffix in reader.suffixes)
"""The suffixes that are looked for in folders: recordings are only read when they are named."""
SONG_SUFFIXES = frozenset(suffix for reader in READERS for suffix in reader.suffixes)
FORMATS = f"{', '.join(reader.name for reader in _SCORES[:-1])} or {_SCORES[-1].name}"
"""The names of all formats but recordings, for help and messages."""
ENDINGS = ", ".join(sorted(SCORE_SUFFIXES))
"""Their suffixes, for messages."""

_EXPORT = {
    **dict.fromkeys((".gp", ".gpx", ".gp3", ".gp4", ".gp5", ".gtp"), "Guitar Pro or MuseScore"),
    **dict.fromkeys((".ly", ".ily"), "LilyPond (\\midi { } in its \\score)"),
    **dict.fromkeys((".sib", ".opt"), "Sibelius"),
    **dict.fromkeys((".mus", ".musx"), "Finale"),
    **dict.fromkeys((".cap", ".capx"), "capella"),
    **dict.fromkeys((".nwc", ".nwctxt"), "NoteWorthy Composer"),
    **dict.fromkeys((".ove", ".ovex", ".enc", ".enf", ".bww", ".dorico"), "the program it is from"),
}
"""Formats that can't be read, by suffix: the program that exports one that can."""


def read_score(path: str | Path, feel: Feel | None = None, tune: int | None = None) -> Piece:
    """Read a file as a :class:`Piece`.

    Args:
        path: of a file in one of the formats of :data:`READERS`.
        feel: what to take it for; None leaves it to the reader. All formats but MIDI are scores.
        tune: the place of a tune in an ABC book, from 0; None reads the first one.

    Raises:
        InputError: where the file is missing, unreadable, empty, broken, far too long, or has no
            notes.
    """
    piece = _piece_in(Path(path), feel, tune)
    if not len(piece.notes):
        raise InputError(f"{path}: it holds no notes; give a file with a melody in it.")
    return piece


def read_tunes(path: Path) -> tuple[Tune, ...]:
    """Return the tunes of an ABC book.

    It is empty for a file of another kind, which is one piece.

    Raises:
        InputError: where the book can't be read.
    """
    if not any(reader.books and path.suffix.lower() in reader.suffixes for reader in READERS):
        return ()
    data = _bytes_of(path)
    if not _reader_of(path, data).books:
        return ()
    from styletransfer.formats.abc import tunes

    return tunes(data, str(path))


def read_song(name_or_path: str | Path, feel: Feel | None = None, *, silent: bool = False) -> Piece:
    """Read a file, or one of the example tunes where no file has that name.

    Args:
        name_or_path: a file's path, or an example's name.
        feel: as in :func:`read_score`.
        silent: whether a song of chord symbols without notes is read, too.

    Raises:
        InputError: as :func:`read_score`, or where neither a file nor an example has that name.
    """
    from styletransfer.formats.tunes import EXAMPLES, example

    text = str(name_or_path)
    if not os.path.lexists(text) and text in EXAMPLES:
        return example(text, feel or "score")
    looks_like_path = Path(text).suffix != "" or os.sep in text or os.path.lexists(text)
    if text and not looks_like_path:
        raise InputError(
            f"{text}: neither a file nor an example tune; "
            f"the examples are {', '.join(sorted(EXAMPLES))}."
        )
    return _piece_in(Path(text), feel) if silent else read_score(text, feel)


def legible(name: str) -> str:
    """Write a file's name for people, with question marks for what isn't UTF-8.

    It is for a page or a picture.
    """
    return name.encode(errors="replace").decode()


def _piece_in(path: Path, feel: Feel | None, tune: int | None = None) -> Piece:
    """Read the piece in a file; it may have chord symbols and no notes."""
    data = _bytes_of(path)
    return _reader_of(path, data).read(data, str(path), feel, tune)


def _reader_of(path: Path, data: bytes) -> Reader:
    """Choose the reader of a file by its contents, or else by its name's suffix."""
    suffix = path.suffix.lower()
    for reader in READERS:
        if reader.knows(data):
            return reader
    for reader in READERS:
        if suffix in reader.suffixes:
            return reader

    if suffix in _EXPORT:
        raise InputError(
            f"{path}: files of this kind aren't read; export it as MusicXML or MIDI from "
            f"{_EXPORT[suffix]}."
        )
    first, *others = (reader.name for reader in READERS)
    raise InputError(
        f"{path}: it is neither {first} nor {', '.join(others[:-1])} or {others[-1]}; "
        f"give a file that ends in one of {ENDINGS}."
    )


def _root(data: bytes) -> bytes:
    """Return the local name of an XML file's root element, empty without one."""
    head = data[:_HEAD].replace(b"\0", b"")  # one byte per letter, in UTF-16, too
    found = re.match(
        rb"[^<]{0,9}(?>(?:<!--.*?-->|<\?.*?\?>|<![A-Z][^>]*>)\s*)*+<(?:[\w.-]+:)?([A-Za-z][\w.-]*)",
        head,
        re.DOTALL,
    )
    return found[1] if found else b""


def _bytes_of(path: Path) -> bytes:
    """Return the file's bytes, after the checks that come before any parsing."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path}: it is a folder; name one file of music in it.")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: it is not a regular file; name a file of music.")
        if status.st_size > MAX_BYTES:
            raise InputError(
                f"{path}: it is larger than {MAX_BYTES >> 20} MB, too large for a piece of music."
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; check the name and the folder.") from None
    except PermissionError:
        raise InputError(
            f"{path}: you have no permission to read it; change its permissions or copy it."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: it cannot be read ({reason}); check the name.") from None
    if not data:
        raise InputError(f"{path}: the file is empty; download or export it again.")

    return data
