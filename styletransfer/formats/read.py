"""Files to pieces: MIDI through symusic, MusicXML, kern and ABC by readers of our own, example
tunes by name.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from styletransfer.errors import InputError
from styletransfer.formats.abc import Tune, parse_abc, tunes
from styletransfer.formats.midi_in import MAX_HOURS, extend_by_pedal, on_beats, parse_midi
from styletransfer.music.notes import Feel, Piece

__all__ = [
    "MAX_HOURS",
    "SCORE_SUFFIXES",
    "extend_by_pedal",
    "legible",
    "on_beats",
    "read_score",
    "read_song",
    "read_tunes",
]

MIDI_SUFFIXES = {".mid", ".midi", ".kar", ".rmi"}
MUSICXML_SUFFIXES = {".xml", ".musicxml", ".mxl"}
KERN_SUFFIXES = {".krn", ".kern"}
ABC_SUFFIXES = {".abc"}
SCORE_SUFFIXES = MIDI_SUFFIXES | MUSICXML_SUFFIXES | KERN_SUFFIXES | ABC_SUFFIXES
MAX_BYTES = 64 * 1024 * 1024
"""Files larger than this are refused: three hours of dense piano music take about 3 MB as MIDI."""


def read_score(path: str | Path, feel: Feel | None = None, tune: int | None = None) -> Piece:
    """Read a file as a :class:`Piece`; ``feel`` overrules what the reader finds.

    A MIDI file is known by its first bytes, whatever its name. MusicXML, kern and ABC count as
    scores. ``tune`` is the place of a tune in an ABC book, from 0; without it the first one is
    read.

    Raises:
        InputError: where the file is missing, unreadable, empty, broken, far too long, or has no
        notes.
    """
    piece = _parsed(Path(path), feel, tune)
    if not len(piece.notes):
        raise InputError(f"{path}: it holds no notes; give a file with a melody in it.")
    return piece


def _parsed(path: Path, feel: Feel | None, tune: int | None = None) -> Piece:
    """The piece in a file; it may have chord symbols and no notes."""
    data, suffix = _bytes_of(path), path.suffix.lower()
    if data[:4] == b"MThd" or suffix in MIDI_SUFFIXES:
        return parse_midi(data, str(path), feel)
    if suffix in MUSICXML_SUFFIXES:
        from styletransfer.formats.musicxml import parse_musicxml

        return parse_musicxml(data, str(path), feel)
    if suffix in KERN_SUFFIXES:
        from styletransfer.formats.kern import parse_kern

        return parse_kern(data, str(path), feel)
    if suffix in ABC_SUFFIXES:
        return parse_abc(data, str(path), feel, tune)
    known = ", ".join(sorted(SCORE_SUFFIXES))
    raise InputError(
        f"{path}: it is neither MIDI nor MusicXML, kern or ABC; give a file that ends in one of {known}."
    )


def legible(name: str) -> str:
    """A file's name for a page or a picture: what isn't UTF-8 in it as question marks."""
    return name.encode(errors="replace").decode()


def read_tunes(path: Path) -> tuple[Tune, ...]:
    """The tunes of an ABC book; nothing for a file of another kind, which is one piece.

    Raises:
        InputError: where the book can't be read.
    """
    if path.suffix.lower() not in ABC_SUFFIXES:
        return ()
    data = _bytes_of(path)
    return () if data[:4] == b"MThd" else tunes(data, str(path))


def read_song(name_or_path: str | Path, feel: Feel | None = None, *, silent: bool = False) -> Piece:
    """Read a file, or one of the example tunes where no file has that name; where ``silent``, chord
    symbols over rests, too.

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
            f"{text}: neither a file nor an example tune; the examples are {', '.join(sorted(EXAMPLES))}."
        )
    return _parsed(Path(text), feel) if silent else read_score(text, feel)


def _bytes_of(path: Path) -> bytes:
    """The file's bytes, after the checks that come before any parsing."""
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
