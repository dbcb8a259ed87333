"""Save a result as a file of any kind, by the file's suffix."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from styletransfer.errors import InputError
from styletransfer.files import (
    MIDI_SUFFIXES,
    NO_SCORE,
    check_writable,
    refuse_overwriting_inputs,
    write_bytes,
)
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.music.chords import ChordTable, recognise
from styletransfer.music.notes import BarTable, Piece
from styletransfer.outputs.piano_roll import piano_roll
from styletransfer.outputs.sound import FORMATS, find_soundfont, play
from styletransfer.transfer.performance.pianist import notate
from styletransfer.transfer.planning import table_of
from styletransfer.transfer.result import Result
from styletransfer.transfer.sidecar import sidecar_of


def _sound(result: Result, path: Path, soundfont: str | Path | None) -> bytes:
    font = find_soundfont(soundfont)
    return play(midi_bytes(result.piece), font, result.title, path.suffix.lower())


def _sidecar(result: Result, path: Path, soundfont: str | Path | None) -> bytes:
    return sidecar_of(
        result, [(path.with_suffix(".mid").name, result.report.get("candidate", 0))], result.report
    )


def _score(
    result: Result, path: Path, soundfont: str | Path | None, *, symbols: bool = False
) -> bytes:
    from styletransfer.engraving.files import check_format, check_score, score_bytes

    if result.request is None:
        raise InputError(f"{path}: a free composition has no beats to write a score of.")
    check_format(path, force=True)
    piece = result.piece
    beats = None
    if piece.feel == "performance":  # only the song has the beats
        beats = check_score(path, result.request.song, result.request.feel, force=True)
    elif result.report["feel"] == "performance":  # a page doesn't show how it is played
        earlier = result.request.bars is not None  # the song's own tempo isn't known
        piece = notate(piece, None if earlier or result.melody is None else result.melody.tempo)

    bars = beats.bars if beats is not None and not len(piece.bars) else piece.bars
    chords = _chords(result, piece, bars) if symbols else None
    return score_bytes(piece, path, result.title, beats=beats, chords=chords)


def _chords(result: Result, piece: Piece, bars: BarTable) -> ChordTable:
    """Take the harmony of the report; after its bars, recognise it in the notes."""
    rows = result.report.get("harmony")
    if not rows or result.melody is None:
        return recognise(piece.notes, bars)
    planned = table_of(rows, bars[: len(rows)], int(rows[0]["bar"]))
    end = planned["start"][-1] + planned["length"][-1]
    later = bars[bars["start"] > end - 1e-3]
    if not len(later):
        return planned
    after = piece.notes[piece.notes["onset"] > end - 1e-3]
    return np.concatenate([planned, recognise(after, later)])


WRITERS: dict[str, Callable[[Result, Path, str | Path | None], bytes]] = {
    **dict.fromkeys(MIDI_SUFFIXES, lambda result, path, soundfont: midi_bytes(result.piece)),
    **dict.fromkeys(FORMATS, _sound),
    ".png": lambda result, path, soundfont: piano_roll(result.piece, result.title),
    ".json": _sidecar,
    ".musicxml": _score,
    ".xml": _score,
    ".svg": _score,
    ".pdf": _score,
}
"""How each kind of file is made: its bytes, of a result, for a path, with a soundfont.

A new kind is one more line.
"""


def save(
    result: Result,
    path: str | Path,
    force: bool = False,
    soundfont: str | Path | None = None,
    symbols: bool = False,
) -> Path:
    """Write a result in the format that the file's suffix names.

    It is ``.mid`` (or ``.midi``), ``.wav``, ``.flac``, ``.ogg``, ``.mp3``, ``.png``, a score
    (``.musicxml``, ``.xml``, ``.svg``, ``.pdf``), or ``.json``, the sidecar of the MIDI file of
    that name. With ``symbols``, a score has the harmony as chord symbols above it.

    Returns:
        The path.

    Raises:
        InputError: where the suffix isn't known, or isn't a score's with ``symbols``, the file
            exists (without ``force``) or can't be written, or no soundfont is found.
    """
    path = Path(path)
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path}: give a name that ends in one of {', '.join(WRITERS)}.")
    if symbols:
        if writer is not _score:
            raise InputError(f"{path}: {NO_SCORE}")
        writer = partial(_score, symbols=True)
    if result.request is not None:
        refuse_overwriting_inputs([path], [result.request.song])

    check_writable(path, force)
    write_bytes(path, writer(result, path, soundfont), force)
    return path
