"""The melody of a song, as the transfer takes it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from styletransfer.errors import InputError
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece, bars_under
from styletransfer.transfer.request import PARTS

LOWEST_MEDIAN = 65  # a melody whose median pitch is lower leaves too little room below it, and moves up by octaves
HIGHEST_MIDI = 127
FINE_TICKS = 96  # a quarter; at fewer, what is written may miss its place by more than 3 ms


def find_melody(
    source: Piece, *, keep_register: bool = False, track: str | None = None
) -> tuple[Piece, int]:
    """The melody alone, as a piece with the source's time, and by how many octaves it was moved."""
    if not len(source.notes):  # chords alone, in bars that stay
        return replace(source, parts=PARTS), 0
    notes = source.notes[extract_melody(source, track)].copy()
    if not len(notes):
        raise InputError("no melody was found in it.")
    notes["melody"], notes["part"] = True, 0
    octaves = (
        0 if keep_register else max(0, -(-(LOWEST_MEDIAN - int(np.median(notes["pitch"]))) // 12))
    )
    octaves = min(octaves, (HIGHEST_MIDI - int(notes["pitch"].max())) // 12)
    notes["pitch"] += 12 * octaves
    bars = bars_under(source.bars, notes)
    ticks = (
        source.ticks_per_quarter
    )  # of a coarse file more, so that sixteenths and triplets have their places
    ticks = ticks if ticks >= FINE_TICKS else math.lcm(ticks, FINE_TICKS)
    return replace(
        source, notes=notes, bars=bars, parts=PARTS, pedals=(), ticks_per_quarter=ticks
    ), octaves
