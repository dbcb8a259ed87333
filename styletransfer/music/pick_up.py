"""Find the pick-up of a song whose file fills up its first bar with a rest.

Such a bar becomes a pick-up: its music begins at quarter 0, as everywhere in this package, and
:attr:`Piece.lead` keeps the rest, with which the song is written again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from styletransfer.music.notes import Piece, TempoMap, note_ends

NEAR = 1 / 32
"""Quarters within which a note begins on a bar line or ends before another."""
LONGEST_GAP = 0.5
"""The longest rest within a pick-up, as a share of what it lasts."""


def with_pick_up(piece: Piece) -> Piece:
    """Take the rest that begins a song's first bar as the time before a pick-up.

    That is done where the rest is at least as long as what follows it in the bar, the notes there
    lead on to the bar line without a longer rest, and one begins on it. The tempo with which the
    music begins then holds from the beginning of the rest.
    """
    bars = piece.bars
    if piece.feel != "score" or len(bars) < 2 or not len(piece.notes) or bars["start"][0] != 0:
        return piece
    first, line = float(piece.notes["onset"].min()), float(bars["start"][1])
    chords = [place for place, _ in piece.chords if place < first - NEAR]
    if not line / 2 - NEAR <= first < line - NEAR or chords:
        return piece

    within = piece.notes[piece.notes["onset"] < line - NEAR]
    downbeat = np.abs(piece.notes["onset"] - line).min() < NEAR
    starts = np.append(np.unique(within["onset"]), line)
    ends = np.maximum.accumulate([note_ends(within)[within["onset"] <= at].max() for at in starts])
    gap = float(np.max(starts[1:] - ends[:-1], initial=0.0))
    if not downbeat or gap > LONGEST_GAP * (line - first) + NEAR:
        return piece
    return replace(_moved(piece, -first), lead=first)


def with_rest(piece: Piece) -> Piece:
    """Undo :func:`with_pick_up`: give a song the rest with which its first bar began."""
    return replace(_moved(piece, piece.lead), lead=0.0) if piece.lead else piece


def _moved(piece: Piece, by: float) -> Piece:
    """Move a piece by some quarters; what would come before 0 comes there."""
    notes, bars = piece.notes.copy(), piece.bars.copy()
    notes["onset"] += by
    bars["start"] += by
    keys = {
        max(0.0, place + by if place else 0.0): (fifths, minor)
        for place, fifths, minor in piece.key_signatures
    }
    return replace(
        piece,
        notes=notes,
        bars=bars,
        tempo=_moved_tempo(piece.tempo, by),
        key_signatures=tuple((place, *key) for place, key in keys.items()),
        chords=tuple((max(0.0, place + by), chord) for place, chord in piece.chords),
        pedals=tuple((max(0.0, down + by), up + by) for down, up in piece.pedals if up + by > 0),
    )


def _moved_tempo(tempo: TempoMap, by: float) -> TempoMap:
    """Move a tempo map; the tempo at its (or the new) beginning holds from 0 on."""
    places = np.append(0.0, tempo.quarters[1:] + by)
    last = int(np.flatnonzero(places <= 0)[-1])
    return TempoMap(np.maximum(places[last:], 0.0), tempo.seconds_per_quarter[last:])
