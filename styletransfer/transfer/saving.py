"""A result as a file of any kind, by the file's suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from styletransfer.errors import InputError
from styletransfer.outputs import MIDI_SUFFIXES, spare
from styletransfer.score.render import find_soundfont, piano_roll, play
from styletransfer.score.write import check_writable, midi_bytes, write_bytes
from styletransfer.transfer.pianist import notated
from styletransfer.transfer.request import Result
from styletransfer.transfer.sidecar import sidecar_of


def _sound(result: Result, path: Path, soundfont: str | Path | None) -> bytes:
    return play(midi_bytes(result.piece), find_soundfont(soundfont), result.title)


def _sidecar(result: Result, path: Path, soundfont: str | Path | None) -> bytes:
    return sidecar_of(result, [(path.with_suffix(".mid").name, result.report.get("candidate", 0))], result.report)


def _score(result: Result, path: Path, soundfont: str | Path | None) -> bytes:
    from styletransfer.score.engrave import check_format, check_score, score_bytes

    if result.request is None:
        raise InputError(f"{path}: a free composition has no beats to write a score of.")
    check_format(path, force=True)
    piece = result.piece
    performed = piece.feel == "performance"  # over beats that the song alone tells
    beats = check_score(path, result.request.song, result.request.feel, force=True) if performed else None
    if piece.feel == "score" and result.report["feel"] == "performance":  # a page doesn't show how it is played
        earlier = result.request.bars is not None  # whose song's own tempo nobody tells
        piece = notated(piece, None if earlier or result.melody is None else result.melody.tempo)
    return score_bytes(piece, path, result.title, beats=beats)


WRITERS: dict[str, Callable[[Result, Path, str | Path | None], bytes]] = {
    **dict.fromkeys(MIDI_SUFFIXES, lambda result, path, soundfont: midi_bytes(result.piece)),
    ".wav": _sound,
    ".png": lambda result, path, soundfont: piano_roll(result.piece, result.title),
    ".json": _sidecar,
    ".musicxml": _score,
    ".xml": _score,
    ".svg": _score,
    ".pdf": _score,
}
"""The bytes of each kind of file: of a result, for a path, with a soundfont. A new kind is one more line."""


def save(result: Result, path: str | Path, force: bool = False, soundfont: str | Path | None = None) -> Path:
    """Write a result as what the file's suffix says: ``.mid`` (or ``.midi``), ``.wav``, ``.png``, a score (``.musicxml``,
    ``.xml``, ``.svg``, ``.pdf``), or ``.json``, the sidecar of the MIDI file of that name.

    Returns:
        The path.

    Raises:
        InputError: where the suffix isn't known, the file exists (without ``force``) or can't be written, or no soundfont is
            found.
    """
    path = Path(path)
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path}: give a name that ends in one of {', '.join(WRITERS)}.")
    if result.request is not None:
        spare([path], [result.request.song])
    check_writable(path, force)
    write_bytes(path, writer(result, path, soundfont), force)
    return path
