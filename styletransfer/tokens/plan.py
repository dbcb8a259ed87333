"""What is fixed before a sequence is decoded.

A plan holds the bars, the melody that is given to the model, what is locked, and where
accompaniment may begin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.grip import ALL_FINGERS, SPAN
from styletransfer.music.key import Key
from styletransfer.music.notes import Feel
from styletransfer.tokens.codec import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    STEPS_PER_QUARTER,
    Chord,
    Codec,
    Event,
    Grid,
)
from styletransfer.tokens.kept_chords import KeptChords

ORNAMENT_REACH = 3
"""Semitones by which an ornament may leave the range of the two notes that it stands between: a
third."""


@dataclass(frozen=True)
class Plan:
    """What is fixed before decoding starts; times are in steps.

    Attributes:
        feel: whether it is a score or a performance.
        bar_start: the start of each bar, shape (bars,).
        bar_length: the length of each bar, shape (bars,).
        bar_metre: the token of each bar.
        earliest: the first step of each bar that may hold a note (pick-ups), shape (bars,).
        melody: the melody notes of each bar that are given to the model; None composes freely, in
            bars that all look like the first, until all bars are full.
        subdivision: the steps of a quarter on which accompaniment may begin (scores), shape (24,).
        locked: whether the melody notes must come.
        held: only these of the melody notes are locked, and ornaments may stand between them.
        given: the tokens of the first bars where they stand already.
        stop: the bar at which decoding ends, if that isn't the end.
        harmony: the chords that are kept.
        key: the key given to the model where there is too little melody to estimate it from.
        closes: whether music without a melody, or after it, ends in ``key``, with a full chord on
            its last bar.
        chords: the chords of each bar that are given to the model; empty gives none.
        references: whether the model states which bar each bar follows.
        figures: the accompaniments of bars that may be followed, one for each candidate in turn (an
            empty one is none).
        faith: by how many nats it is made likelier that a bar follows each of them.
        above: whether accompaniment may lie above the tune.
        span: the semitones that a hand spans.
        fingers: the most notes of the left hand, and of the right.
        gap: the fewest steps between two onsets of the accompaniment.
    """

    feel: Feel
    bar_start: NDArray[np.int64]
    bar_length: NDArray[np.int64]
    bar_metre: tuple[str, ...]
    earliest: NDArray[np.int64]
    melody: tuple[tuple[Event, ...], ...] | None
    subdivision: NDArray[np.bool_]
    locked: bool = True
    held: tuple[tuple[Event, ...], ...] | None = None
    given: tuple[tuple[int, ...], ...] = ()
    stop: int | None = None
    harmony: KeptChords | None = None
    key: Key | None = None
    closes: bool = False
    chords: tuple[tuple[Chord, ...], ...] = ()
    references: bool = False
    figures: tuple[tuple[Event, ...], ...] = ()
    faith: tuple[float, ...] = ()
    above: bool = False
    span: int = SPAN
    fingers: tuple[int, int] = ALL_FINGERS
    gap: int = 0

    def of_candidate(self, number: int) -> Plan:
        """Return the plan with the figure of one candidate alone."""
        if not self.figures:
            return self
        place = number % len(self.figures)
        return replace(self, figures=(self.figures[place],), faith=self.faith[place : place + 1])

    def faithful_to(self, figure: tuple[Event, ...]) -> dict[str, Any]:
        """Return the ``figures`` and ``faith`` of a plan with one figure alone, or none."""
        if not figure:
            return {"figures": (), "faith": ()}
        place = self.figures.index(figure)
        return {"figures": (figure,), "faith": self.faith[place : place + 1]}

    @property
    def figure(self) -> tuple[Event, ...]:
        """The figure that may be followed, of a plan of one candidate."""
        return self.figures[0] if self.figures else ()

    @property
    def bars(self) -> int:
        """The number of bars."""
        return len(self.bar_start)

    def chord_at(self, now: int) -> Chord:
        """Return the chord of the plan at a step from the start, or else the bar's first."""
        bar = max(int(np.searchsorted(self.bar_start, now, side="right")) - 1, 0)
        begun = [chord for chord in self.chords[bar] if self.bar_start[bar] + chord.step <= now]
        return begun[-1] if begun else self.chords[bar][0]

    @property
    def locks(self) -> tuple[tuple[Event, ...], ...] | None:
        """The locked notes of each bar, None where none are locked."""
        return (self.melody if self.held is None else self.held) if self.locked else None

    @cached_property
    def locked_notes(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Onset, end and pitch of all locked notes, each of shape (notes,).

        Onsets and ends are steps from the start.
        """
        rows = [
            (start + event.step, start + event.step + event.duration, event.pitch)
            for start, events in zip(self.bar_start.tolist(), self.locks or (), strict=False)
            for event in events
        ]
        onset, end, pitch = np.array(rows, np.int64).reshape(-1, 3).T
        return onset, end, pitch

    def ornaments_at(self, now: int) -> range:
        """Return the pitches that an ornament may have at a step from the start.

        Ornaments may come while a locked note lasts, till the next.
        """
        if self.held is None:
            return range(0)
        onset, end, pitch = self.locked_notes
        index = int(np.searchsorted(onset, now, side="right")) - 1
        if not 0 <= index < len(onset) - 1 or not onset[index] < now < end[index]:
            return range(0)
        around = pitch[index : index + 2]
        lowest, highest = int(around.min()) - ORNAMENT_REACH, int(around.max()) + ORNAMENT_REACH
        return range(max(lowest, LOWEST_PITCH), min(highest, HIGHEST_PITCH) + 1)


def plan_of(codec: Codec, grid: Grid, *, locked: bool = True, held: Grid | None = None) -> Plan:
    """Make the plan that accompanies the melody of a grid.

    ``held`` is a grid of those of its notes that are locked, if not all are.
    """
    melody, few = _by_bars(codec, grid), _by_bars(codec, held) if held else None
    earliest = np.maximum(0, -grid.bar_start)
    return Plan(
        grid.feel,
        grid.bar_start,
        grid.bar_length,
        grid.bar_metre,
        earliest,
        melody,
        subdivision_of(grid) if grid.feel == "score" else np.ones(STEPS_PER_QUARTER, bool),
        locked,
        few,
    )


def _by_bars(codec: Codec, grid: Grid) -> tuple[tuple[Event, ...], ...]:
    """Return the melody notes of each bar."""
    return tuple(tuple(codec.melody_events(grid, bar)) for bar in range(grid.bars))


def free_plan(feel: Feel, bars: int, length: int, metre: str) -> Plan:
    """Make a plan without a melody, of equal bars that are ``length`` steps long."""
    start = np.arange(bars, dtype=np.int64) * length
    subdivision = (
        np.ones(STEPS_PER_QUARTER, bool) if feel == "performance" else _sixteenths_and_triplets()
    )
    return Plan(
        feel,
        start,
        np.full(bars, length),
        (metre,) * bars,
        np.zeros(bars, np.int64),
        None,
        subdivision,
    )


def subdivision_of(grid: Grid) -> NDArray[np.bool_]:
    """Return where in a quarter accompaniment to a melody may begin, shape (24,).

    Sixteenths and triplet eighths always; finer steps, such as 32nds, where the grid's melody has
    them.
    """
    allowed = _sixteenths_and_triplets()
    start = np.repeat(grid.bar_start, np.diff(grid.bar_slices))
    onset = (grid.onset[: len(start)] - start)[grid.melody[: len(start)]] % STEPS_PER_QUARTER
    for divisor in (3, 4):  # 32nds, triplet sixteenths
        finer = onset[(onset % divisor == 0) & ~allowed[onset]]
        if len(finer) >= 2:
            allowed[::divisor] = True
    return allowed


def _sixteenths_and_triplets() -> NDArray[np.bool_]:
    """Mark the sixteenths and triplet eighths of a quarter, shape (24,)."""
    allowed = np.zeros(STEPS_PER_QUARTER, bool)
    allowed[::6] = True
    allowed[::8] = True
    return allowed
