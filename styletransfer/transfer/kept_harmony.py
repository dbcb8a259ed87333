"""Keep a song's own harmony: its chord symbols, or those heard in its notes.

A model that knows plans is told the chords, and every model's notes are held to their tones by the
grammar. A symbol holds as it is written: the fourth of a sus4 and not its third, the ninth as well
as the seventh. Where there is no chord, every tone is allowed: before the first symbol, under
"N.C." and symbols that aren't understood, and in bars in which nothing but the melody sounds.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from styletransfer.errors import InputError
from styletransfer.music.chord_names import chords_of_symbols
from styletransfer.music.chords import ChordTable, chord_table, recognise, tones_of
from styletransfer.music.notes import BAR_DTYPE, BarTable, NoteTable, Piece, is_compound
from styletransfer.music.qualities import NONE
from styletransfer.tokens.codec import STEPS_PER_QUARTER, STEPS_PER_SECOND
from styletransfer.tokens.controls import metre_of_token
from styletransfer.tokens.kept_chords import KeptChords
from styletransfer.tokens.plan import Plan

TOUCH = 1 / 16
"""Quarters that a note must sound in a bar for the bar not to be silent.

A shorter sound is the end of a note that was held too long.
"""


def without_melody(source: Piece, melody: Piece, octaves: int) -> NoteTable:
    """Give a song's notes without its melody, which was moved by octaves."""
    tune = set(
        zip(
            melody.notes["onset"].tolist(),
            (melody.notes["pitch"].astype(int) - 12 * octaves).tolist(),
            strict=True,
        )
    )
    rows = zip(source.notes["onset"].tolist(), source.notes["pitch"].tolist(), strict=True)
    notes: NoteTable = source.notes[np.array([row not in tune for row in rows], bool)]
    return notes


def own_chords(
    source: Piece, melody: Piece, octaves: int, plan: Plan
) -> tuple[ChordTable, KeptChords]:
    """Find a song's own chords.

    Args:
        source: the song.
        melody: its tune, moved by octaves.
        octaves: by how many.
        plan: its bars; in a performance they are no bars of the music, and a quarter is half a
            second.

    Returns:
        The spans of the plan that the chords fix, in its quarters, and what the accompaniment is
        held to: chords on every beat, and wherever one begins.

    Raises:
        InputError: where it has neither symbols nor anything beside its melody.
    """
    if source.chords:
        named = [(quarter, symbol.tones) for quarter, symbol in source.chords]
        return _written(chords_of_symbols(source.chords, melody.bars), melody.bars), _held(
            named, plan
        )

    notes = without_melody(source, melody, octaves)
    if not len(notes):
        raise InputError(
            "--chords keep: this song is only a melody and has no harmony to keep;"
            " leave the option out."
        )
    bars = melody.bars if plan.feel == "score" else _bars_of(plan)
    whole, rest = (_in_quarters(source, some, plan) for some in (source.notes, notes))
    chords = _without_silence(recognise(whole, bars), bars, rest)
    return chords, _held([(float(row["start"]), _tones(row)) for row in chords], plan)


def _written(chords: ChordTable, bars: BarTable) -> ChordTable:
    """Find the spans that chord symbols fix: those with a chord, and a pick-up.

    In a pick-up nobody plays a chord before the first symbol.
    """
    fixed, pick_up = (
        chords.copy(),
        bars["start"][0] + (bars["length"][0] if bars["start"][0] < 0 else 0.0),
    )
    none = fixed["quality"] == NONE
    fixed["length"][none] = np.minimum(fixed["length"], pick_up - fixed["start"])[none]
    return fixed[fixed["length"] > 0]


def _tones(row: np.void) -> tuple[int, ...]:
    """Give the pitch classes of a chord table's row; none where it is no chord."""
    return () if row["quality"] == NONE else tones_of(int(row["root"]), int(row["quality"]))


def _bars_of(plan: Plan) -> BarTable:
    """Give the windows of a performance's plan, as bars of 4/4."""
    bars = np.zeros(plan.bars, BAR_DTYPE)
    bars["start"], bars["length"] = (
        plan.bar_start / STEPS_PER_QUARTER,
        plan.bar_length / STEPS_PER_QUARTER,
    )
    bars["numerator"] = bars["denominator"] = 4
    return bars


def _in_quarters(source: Piece, notes: NoteTable, plan: Plan) -> NoteTable:
    """Give some of a song's notes in the plan's quarters."""
    if plan.feel == "score":
        return notes
    timed, scale = source.with_notes(notes), STEPS_PER_SECOND / STEPS_PER_QUARTER
    found = timed.notes.copy()
    found["onset"], found["duration"] = timed.onset_seconds * scale, timed.duration_seconds * scale
    return found


def _without_silence(chords: ChordTable, bars: BarTable, notes: NoteTable) -> ChordTable:
    """Take the chords from bars in which none of some notes sounds."""
    begin = bars["start"].astype(chords["start"].dtype)
    stop = notes["onset"] + notes["duration"]
    silent = np.array(
        [
            not (
                (notes["onset"] < bar["start"] + bar["length"] - TOUCH)
                & (stop > bar["start"] + TOUCH)
            ).any()
            for bar in bars
        ]
    )

    starts = np.union1d(begin, chords["start"])
    named = np.stack([chords[name] for name in ("root", "quality", "bass")], axis=1).astype(
        np.int64
    )
    named = named[np.searchsorted(chords["start"], starts, side="right") - 1]
    named[silent[np.searchsorted(begin, starts, side="right") - 1]] = NONE
    return chord_table(starts, float(bars["start"][-1] + bars["length"][-1]), named)


def _held(named: Collection[tuple[float, tuple[int, ...]]], plan: Plan) -> KeptChords:
    """Hold an accompaniment to chords, each named by its first quarter and its tones.

    A chord without tones allows all.
    """
    steps = np.floor(np.array([quarter for quarter, _ in named]) * STEPS_PER_QUARTER + 0.5).astype(
        np.int64
    )
    starts = np.unique([*steps.tolist(), *_beats(plan)])
    tones = np.array(
        [[tone in own or not own for tone in range(12)] for own in [(), *(own for _, own in named)]]
    )
    return KeptChords(starts, tones[np.searchsorted(steps, starts, side="right")])


def _beats(plan: Plan) -> list[int]:
    """Find the steps at which chords are held.

    They are dotted quarters in 6/8, 9/8 and 12/8, else quarters.
    """
    found: list[int] = []
    for first, length, metre in zip(
        plan.bar_start.tolist(), plan.bar_length.tolist(), plan.bar_metre, strict=True
    ):
        known = metre_of_token(metre)
        dotted = known is not None and is_compound(*known)
        beat = STEPS_PER_QUARTER * 3 // 2 if dotted else STEPS_PER_QUARTER
        found += range(first, first + max(length, 1), beat)
    return found
