"""The note table: the one form of music that everything else works on.

A piece is a numpy structured array of notes with a tempo map and bars. Time is counted in
**quarters** (quarter notes, as in a MIDI file: ticks divided by ticks per quarter); ``Piece.tempo``
converts them to seconds. A performance without a beat grid has quarters too, but they mean nothing
there: only its seconds do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.chord_symbols import ChordSymbol

Feel = Literal["performance", "score"]

NOTE_DTYPE = np.dtype(
    [
        ("onset", "f8"),  # quarters
        ("duration", "f8"),  # quarters, > 0
        ("pitch", "u1"),  # MIDI number, 60 is middle C
        ("velocity", "u1"),  # 1-127
        ("part", "i2"),  # index into Piece.parts
        ("melody", "?"),  # whether the note belongs to the melody
    ]
)

BAR_DTYPE = np.dtype(
    [
        ("start", "f8"),  # quarters; below the music's own start where the first bar is a pick-up
        ("length", "f8"),  # quarters
        ("numerator", "u1"),
        ("denominator", "u1"),
    ]
)

NoteTable = NDArray[np.void]
BarTable = NDArray[np.void]


@dataclass(frozen=True)
class TempoMap:
    """Tempo changes, as piecewise constant seconds per quarter.

    ``quarters`` has shape (n,) and holds the positions of the changes, ascending, the first at 0;
    ``seconds_per_quarter`` has shape (n,) and holds their values.
    """

    quarters: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    seconds_per_quarter: NDArray[np.float64] = field(default_factory=lambda: np.full(1, 0.5))

    @classmethod
    def steady(cls, seconds: float) -> TempoMap:
        """Return the map of one tempo, in seconds per quarter."""
        return cls(np.zeros(1), np.array([seconds]))

    def __post_init__(self) -> None:
        if len(self.quarters) != len(self.seconds_per_quarter) or not len(self.quarters):
            raise ValueError("a tempo map needs as many positions as tempos, at least one")
        if (
            self.quarters[0] != 0
            or (np.diff(self.quarters) <= 0).any()
            or (self.seconds_per_quarter <= 0).any()
        ):
            raise ValueError("a tempo map starts at 0, ascends, and has positive tempos")

    @property
    def _knots(self) -> NDArray[np.float64]:
        steps = np.diff(self.quarters) * self.seconds_per_quarter[:-1]
        return np.concatenate([[0.0], np.cumsum(steps)])

    def to_seconds(self, quarters: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Convert positions in quarters to seconds.

        Positions before 0 continue at the first tempo.
        """
        q = np.asarray(quarters, dtype=float)
        index = np.clip(np.searchsorted(self.quarters, q, side="right") - 1, 0, None)
        return self._knots[index] + (q - self.quarters[index]) * self.seconds_per_quarter[index]

    def to_quarters(self, seconds: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Convert seconds to positions in quarters, the inverse of :meth:`to_seconds`."""
        s = np.asarray(seconds, dtype=float)
        knots = self._knots
        index = np.clip(np.searchsorted(knots, s, side="right") - 1, 0, None)
        return self.quarters[index] + (s - knots[index]) / self.seconds_per_quarter[index]

    def quarters_per_minute(self) -> float:
        """Return the tempo at the start of the piece."""
        return float(60.0 / self.seconds_per_quarter[0])


@dataclass(frozen=True)
class Piece:
    """Music as a note table, with its tempo map, bars and the names of its parts.

    Attributes:
        notes: the notes, of ``NOTE_DTYPE``, sorted by onset, then pitch.
        feel: whether it is a score, with beats, or a performance, without.
        bars: the bars of a score, of ``BAR_DTYPE``, without gaps, covering every note; empty for a
            performance.
        tempo: the tempo map.
        ticks_per_quarter: the resolution of the file that the piece came from; positions are exact
            multiples of it.
        parts: the names of the tracks or hands.
        key_signatures: (quarter, fifths, minor) of each key signature of a notated input.
        chords: its chord symbols, each with the quarter from which it holds.
        pedals: the quarters at which the sustain pedal goes down and comes up. A performance that
            was read has none: its notes last as long as the pedal holds them.
        remarks: sentences of the reader that the user should see ("2 drum tracks were left out").
        sung: the parts that carry words.
        title: what it is called, as its file has it; "" where the file doesn't say.
        lead: the quarters of rest that its file has before its pick-up
            (:mod:`styletransfer.music.pick_up`).
    """

    notes: NoteTable
    feel: Feel
    bars: BarTable = field(default_factory=lambda: np.zeros(0, BAR_DTYPE))
    tempo: TempoMap = field(default_factory=TempoMap)
    ticks_per_quarter: int = 480
    parts: tuple[str, ...] = ("piano",)
    key_signatures: tuple[tuple[float, int, bool], ...] = ()
    chords: tuple[tuple[float, ChordSymbol], ...] = ()
    pedals: tuple[tuple[float, float], ...] = ()
    remarks: tuple[str, ...] = ()
    sung: tuple[int, ...] = ()
    title: str = ""
    lead: float = 0.0

    def __post_init__(self) -> None:
        if self.notes.dtype != NOTE_DTYPE or self.bars.dtype != BAR_DTYPE:
            raise TypeError("notes and bars must have NOTE_DTYPE and BAR_DTYPE")
        if self.feel == "score" and not len(self.bars):
            raise ValueError("a score needs bars")

    @property
    def onset_seconds(self) -> NDArray[np.float64]:
        """Onsets of the notes in seconds, shape (notes,)."""
        return self.seconds_at(self.notes["onset"])

    @property
    def duration_seconds(self) -> NDArray[np.float64]:
        """Durations of the notes in seconds, shape (notes,)."""
        return self.seconds_at(note_ends(self.notes)) - self.onset_seconds

    @property
    def length_seconds(self) -> float:
        """Seconds from 0 to the end of the last note."""
        if not len(self.notes):
            return 0.0
        return float(self.seconds_at(note_ends(self.notes).max()))

    def seconds_at(self, quarters: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Convert positions in quarters to seconds of the piece's file, with its ``lead``."""
        return self.tempo.to_seconds(quarters) - self.tempo.to_seconds(-self.lead)

    @property
    def melody(self) -> NoteTable:
        """The rows of ``notes`` that are marked as melody."""
        rows: NoteTable = self.notes[self.notes["melody"]]
        return rows

    @property
    def accompaniment(self) -> NoteTable:
        """The rows of ``notes`` that aren't marked as melody."""
        rows: NoteTable = self.notes[~self.notes["melody"]]
        return rows

    def with_notes(self, notes: NoteTable) -> Piece:
        """Return the same piece with other notes, sorted."""
        return replace(self, notes=sort_notes(notes))


def sort_notes(notes: NoteTable) -> NoteTable:
    """Sort notes by onset, then pitch, then duration: the order of all note tables."""
    return notes[np.lexsort((notes["duration"], notes["pitch"], notes["onset"]))]


def make_notes(
    onset: NDArray[np.float64] | list[float],
    duration: NDArray[np.float64] | list[float],
    pitch: NDArray[np.int_] | list[int],
    velocity: NDArray[np.int_] | list[int] | int = 80,
    part: NDArray[np.int_] | list[int] | int = 0,
    melody: NDArray[np.bool_] | list[bool] | bool = False,
) -> NoteTable:
    """Make a sorted note table from columns; scalars are repeated."""
    notes = np.zeros(len(onset), NOTE_DTYPE)
    columns = {
        "onset": onset,
        "duration": duration,
        "pitch": pitch,
        "velocity": velocity,
        "part": part,
        "melody": melody,
    }
    for name, value in columns.items():
        notes[name] = value
    return sort_notes(notes)


def note_ends(notes: NoteTable) -> NDArray[np.float64]:
    """Return where notes end, in the unit of their onsets, shape (notes,)."""
    ends: NDArray[np.float64] = notes["onset"] + notes["duration"]
    return ends


def bars_under(bars: BarTable, notes: NoteTable) -> BarTable:
    """Return the bars that begin before the last of some notes has ended."""
    end = float(note_ends(notes).max())
    return bars[bars["start"] < end - 1e-6]


INEXACT = 1 / 32
"""Quarters by which a bar may miss its length: a 128th note."""


@overload
def is_compound(numerator: int, denominator: int) -> bool: ...
@overload
def is_compound(
    numerator: NDArray[np.integer], denominator: NDArray[np.integer]
) -> NDArray[np.bool_]: ...
def is_compound(numerator: Any, denominator: Any) -> Any:
    """Return whether the beats of a metre have three parts, as in 6/8, 9/8 or 12/16.

    A bar of 3/8 has three beats, and quarters and longer notes are beats of their own, in 6/4 too.
    Takes whole numbers, or arrays of them.
    """
    return (numerator % 3 == 0) & (numerator > 3) & (denominator >= 8)


def beat_of(numerator: int, denominator: int) -> float:
    """Return the quarters of a beat: three of what a compound metre counts, else one."""
    return (12.0 if is_compound(numerator, denominator) else 4.0) / denominator


def bars_of(time_signatures: list[tuple[float, int, int]], end: float) -> BarTable:
    """Lay out bars from time signatures, up to at least ``end`` quarters.

    The last signature has a bar even where the music ends before it, so that bars written to a file
    and read again stay. Bars before a change of metre that doesn't fall on a bar line are cut short
    there. A first signature that lasts exactly one bar shorter than the bars of the next one (1/4
    and then 3/4) is a pick-up: its bar is laid at the *end* of a full bar of the metre to come, so
    that it starts before 0. A bar that a file has rounded to less than :data:`INEXACT` short of its
    metre is no pick-up.

    Args:
        time_signatures: (quarter, numerator, denominator) of each, in any order.
        end: where the music ends, in quarters.

    Raises:
        ValueError: where a numerator or a denominator isn't positive.
    """
    if any(numerator < 1 or denominator < 1 for _, numerator, denominator in time_signatures):
        raise ValueError("a time signature needs a positive numerator and denominator")
    changes = _changes(time_signatures)
    rows: list[tuple[float, float, int, int]] = []
    for index, (start, numerator, denominator) in enumerate(changes):
        last = index + 1 == len(changes)
        stop = max(end, start + 1e-3) if last else changes[index + 1][0]
        length = 4.0 * numerator / denominator
        position = start
        while position < stop - 1e-6:
            shown = length if last else min(length, stop - position)
            rows.append((position, shown, numerator, denominator))
            position += length

    if len(changes) > 1 and changes[0][0] == 0:
        first_change, numerator, denominator = changes[1]
        full = 4.0 * numerator / denominator
        one_bar = len(rows) == 1 or abs(rows[1][0] - first_change) < 1e-6
        if first_change < full - INEXACT and one_bar:
            rows[0] = (first_change - full, full, numerator, denominator)
    return np.array(rows, BAR_DTYPE)


def _changes(time_signatures: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Sort time signatures from 0 on; of several at one place the last one holds."""
    by_position = {position: (position, top, bottom) for position, top, bottom in time_signatures}
    changes = [by_position[position] for position in sorted(by_position)] or [(0.0, 4, 4)]
    if changes[0][0] > 0:
        changes = [(0.0, *changes[0][1:]), *changes]
    return changes
