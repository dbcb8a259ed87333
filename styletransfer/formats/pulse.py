"""Read songs on beats: for tunes played without a metronome they are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from styletransfer.formats.midi_in import on_beats
from styletransfer.formats.read import read_song
from styletransfer.music.beat_grid import on_found_beats
from styletransfer.music.beats import is_line
from styletransfer.music.notes import Piece, make_notes, note_ends

CLICK = 0.35
"""How much onsets must gather at the sixteenths, or the triplets, of a file that was played to a
click, from 0 (evenly spread) to 1. A player who misses a click of 120 a minute by 20 ms has 0.6; 60
onsets that have nothing to do with the beats have more than 0.22 once in twenty times.
"""


def read_on_beats(song: str | Path, *, silent: bool = False) -> Piece:
    """Read a song as a score.

    A tune that was played without a metronome has its beats found, and where they aren't clear it
    is read as a performance, with a remark. Music of several voices keeps its file's beats, with a
    remark: there the right beats are found too seldom (benchmarks/beats.md).

    Args:
        song: as for :func:`~styletransfer.formats.read.read_song`.
        silent: as for it.

    Raises:
        InputError: as it does.
    """
    piece = read_song(song, "score", silent=silent)
    if piece.feel != "score" or not len(piece.notes):
        return piece
    if on_beats(piece.notes, piece.bars, piece.ticks_per_quarter) or _clicked(piece):
        return piece
    played = read_song(song, silent=silent)
    if played.feel == "score":  # written, whatever its rhythm
        return piece

    if not is_line(piece.onset_seconds):
        remark = "it wasn't played on its file's beats, which were kept, as it isn't a single line"
        return replace(piece, remarks=(*piece.remarks, remark))
    found = beaten(piece)
    if found is None:
        remark = "no clear pulse was found in it; it is arranged in seconds"
        return replace(played, remarks=(*played.remarks, remark))
    return found


def beaten(piece: Piece) -> Piece | None:
    """Write a piece on the beats that are found in it; None where they aren't clear."""
    notes = piece.notes
    onset, end = piece.onset_seconds, piece.tempo.to_seconds(note_ends(notes))
    pitch, velocity = notes["pitch"].astype(np.int64), notes["velocity"].astype(np.int64)
    found = on_found_beats(onset, end, pitch, velocity)
    if found is None:
        return None

    beats, grid = found
    remark = (
        f"its beats were found, about {beats.rate:.0f} a minute, each "
        f"{1000 * beats.unevenness:.0f} ms early or late on average; between them, onsets were "
        f"moved by {1000 * grid.off:.0f} ms"
    )

    return replace(
        piece,
        notes=make_notes(
            grid.onset,
            grid.end - grid.onset,
            pitch,
            velocity=velocity,
            part=notes["part"].astype(np.int64),
        ),
        bars=grid.bars,
        tempo=grid.tempo,
        ticks_per_quarter=480,
        key_signatures=(),
        pedals=(),
        remarks=(*piece.remarks, remark),
    )


def _clicked(piece: Piece) -> bool:
    """Return whether onsets gather at the subdivisions of the file's own beats."""
    onset = np.unique(piece.notes["onset"])
    return any(
        float(np.abs(np.exp(2j * np.pi * parts * onset).mean())) >= CLICK for parts in (3, 4)
    )
