"""The song that is arranged, and its melody as the transfer takes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from styletransfer.errors import InputError
from styletransfer.formats.pulse import read_on_beats
from styletransfer.formats.read import read_song
from styletransfer.music.ensemble import PIANO, Ensemble
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Feel, Piece, bars_under
from styletransfer.music.pick_up import with_pick_up
from styletransfer.transfer.planning import chord_song
from styletransfer.transfer.request import Request
from styletransfer.transfer.rework import read_earlier

LOWEST_MEDIAN = 65
"""A melody whose median pitch is lower leaves too little room below it, and moves up by octaves."""
HIGHEST_MIDI = 127
FINE_TICKS = 96
"""Ticks per quarter; with fewer, what is written may miss its place by more than 3 ms."""


@dataclass(frozen=True)
class Source:
    """A song that was opened.

    ``piece``: all of it. ``melody``: the melody alone, moved up by so many ``octaves``; without a
    note, where the song is chords alone. ``played``: whether the arrangement lies on beats, and is
    then played as a pianist would.
    """

    piece: Piece
    melody: Piece
    octaves: int = 0
    played: bool = False

    @property
    def has_tune(self) -> bool:
        return len(self.melody.notes) > 0


def open_source(request: Request) -> Source:
    """Open a request's song: a file, chords by themselves, or an earlier arrangement.

    Raises:
        InputError: where it can't be read or has no melody.
    """
    if request.bars is not None:
        feel: Feel = "performance" if request.feel == "performance" else "score"
        piece, melody = read_earlier(request.song, feel)
        return Source(piece, melody, played=request.feel == "played")

    if request.song:
        read = read_on_beats if request.feel == "score" else read_song
        piece = with_pick_up(read(request.song, silent=True))
    else:
        piece = chord_song(request)
    melody, octaves = find_melody(
        piece,
        keep_register=request.keep_register,
        track=request.melody_track,
        ensemble=request.ensemble,
    )
    played = request.feel == "performance" and melody.feel == "score"
    return Source(piece, melody, octaves, played)


def find_melody(
    source: Piece,
    *,
    keep_register: bool = False,
    track: str | None = None,
    ensemble: Ensemble = PIANO,
) -> tuple[Piece, int]:
    """Find the melody of a song.

    Args:
        source: the song.
        keep_register: never move the melody by octaves.
        track: the number (from 1) or the name of the part that has the melody.
        ensemble: who plays the arrangement.

    Returns:
        The melody alone, as a piece with the song's time and the ensemble's parts,
        and by how many octaves it was moved up.

    Raises:
        InputError: where there is none.
    """
    if not len(source.notes):  # chords alone, in bars that stay
        return replace(source, parts=ensemble.names), 0

    notes = source.notes[extract_melody(source, track)].copy()
    if not len(notes):
        raise InputError("no melody was found in it.")
    notes["melody"], notes["part"] = True, 0

    octaves = 0
    if not keep_register:
        octaves = max(0, -(-(LOWEST_MEDIAN - int(np.median(notes["pitch"]))) // 12))
    octaves = min(octaves, (HIGHEST_MIDI - int(notes["pitch"].max())) // 12)
    notes["pitch"] += 12 * octaves

    bars = bars_under(source.bars, notes)
    ticks = source.ticks_per_quarter
    if ticks < FINE_TICKS:  # so that sixteenths and triplets have their places
        ticks = math.lcm(ticks, FINE_TICKS)
    melody = replace(
        source, notes=notes, bars=bars, parts=ensemble.names, pedals=(), ticks_per_quarter=ticks
    )
    return melody, octaves
