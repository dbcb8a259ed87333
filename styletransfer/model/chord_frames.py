"""Cut a melody and its chords into frames of a beat, as the harmoniser reads them.

A frame is a quarter long, in 6/8 and the like a dotted quarter, in 3/8 an eighth. It lies within
one bar: the last frame of a bar may be shorter. Pitch classes are absolute here; the network's
batches count them from the tonic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.chords import CHORD_DTYPE, ChordTable
from styletransfer.music.notes import BarTable, NoteTable, is_compound
from styletransfer.music.qualities import NONE
from styletransfer.tokens.controls import METRES

PLACES = 13
"""How many places in a bar are distinguished, in frames; the last stands for all beyond it."""
REST = 12
"""The tone of a frame in which the melody rests."""
FAR = 16.0
"""Bars, or quarters, beyond which distances count as equal."""
NUMBERS = 20
"""Columns of :attr:`Frames.numbers`."""
NO_ROOT, NO_QUALITY, NO_BASS = 12, 9, 12
"""A frame without a chord, as indices."""


@dataclass(frozen=True)
class Frames:
    """A melody in frames; arrays have shape (frames,) where nothing else is stated.

    ``start`` and ``length``: in quarters. ``bar``: the row of the bar table. ``place``: frames from
    the bar's start. ``metre``: an index into ``METRES``. ``strength``: 3 on the bar line, 2 in the
    middle of the bar, else 1. ``tone``: the pitch class that sounds as the frame begins, or else
    begins in it; :data:`REST` for none. ``sound``, shape (frames, 2, 12): for how much of each half
    of the frame each pitch class sounds. ``numbers``, shape (frames, NUMBERS): all else that the
    network reads.
    """

    start: NDArray[np.float64]
    length: NDArray[np.float64]
    bar: NDArray[np.int64]
    place: NDArray[np.int64]
    metre: NDArray[np.int64]
    strength: NDArray[np.int64]
    tone: NDArray[np.int64]
    sound: NDArray[np.float32]
    numbers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def end(self) -> float:
        """Where the last frame ends, in quarters."""
        return float(self.start[-1] + self.length[-1])

    def at(self, quarter: float) -> int:
        """Return the frame in which a position lies, or the nearest one."""
        index = int(np.searchsorted(self.start, quarter + 1e-3, side="right")) - 1
        return min(max(index, 0), len(self) - 1)


class _Grid(NamedTuple):
    """The frames of some bars, each array of shape (frames,); see :class:`Frames`."""

    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    bar: NDArray[np.int64]
    place: NDArray[np.int64]
    metre: NDArray[np.int64]
    strength: NDArray[np.int64]


class _Tones(NamedTuple):
    """What sounds in frames, arrays of shape (frames,) where nothing else is stated.

    ``sound``: shape (frames, 2, 12). ``begins``: whether a note begins in each half of the frame,
    (frames, 2). ``tone``: the pitch class of the frame's tone. ``top``: its pitch, -1 for none.
    ``lasts``, ``left`` and ``since``: its duration, how long it still sounds, and for how long it
    has sounded, in quarters.
    """

    sound: NDArray[np.float32]
    begins: NDArray[np.float32]
    tone: NDArray[np.int64]
    top: NDArray[np.float64]
    lasts: NDArray[np.float64]
    left: NDArray[np.float64]
    since: NDArray[np.float64]


def frames_of(melody: NoteTable, bars: BarTable, quarters_per_minute: float) -> Frames:
    """Cut a melody into frames over some bars.

    Args:
        melody: onsets and durations in quarters; notes may sound together.
        bars: from the first bar to the last.
        quarters_per_minute: the tempo.
    """
    grid = _grid_of(bars)
    tones = _tones_of(melody, grid)
    numbers = _numbers_of(melody, bars, quarters_per_minute, grid, tones)
    return Frames(
        grid.start,
        grid.stop - grid.start,
        grid.bar,
        np.minimum(grid.place, PLACES - 1),
        grid.metre,
        grid.strength,
        tones.tone,
        tones.sound,
        np.clip(numbers, -4, 4),
    )


def _grid_of(bars: BarTable) -> _Grid:
    """Cut bars into frames."""
    step = frame_lengths(bars)
    counts = np.maximum(np.ceil(bars["length"].astype(float) / step - 1e-3).astype(int), 1)
    bar = np.repeat(np.arange(len(bars)), counts)
    place = np.arange(len(bar)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = bars["start"].astype(float)[bar] + step[bar] * place
    stop = np.minimum(start + step[bar], (bars["start"].astype(float) + bars["length"])[bar])
    names = [f"{row['numerator']}/{row['denominator']}" for row in bars]
    metre = np.array([METRES.index(name if name in METRES else "other") for name in names])[bar]
    full = 4.0 * bars["numerator"].astype(float) / np.maximum(bars["denominator"], 1)
    full = np.where((full > 0) & (full < 64), full, bars["length"])
    pickup = np.arange(len(bars)) == 0
    short = np.where(pickup, np.maximum(full - bars["length"], 0.0), 0.0)
    place = place + np.round(short / step).astype(int)[bar]
    beats = np.round(bars["length"].astype(float) / step).astype(int)[bar]
    strength = np.where(place == 0, 3, np.where((beats % 2 == 0) & (place * 2 == beats), 2, 1))
    return _Grid(start, stop, bar, place, metre, strength)


def _tones_of(melody: NoteTable, grid: _Grid) -> _Tones:
    """Find what sounds in each frame."""
    start, stop = grid.start, grid.stop
    count = len(start)
    onset = melody["onset"].astype(float)
    end = onset + melody["duration"]
    first = np.clip(np.searchsorted(start, onset + 1e-3, side="right") - 1, 0, None)
    last = np.clip(np.searchsorted(start, end - 1e-3, side="left"), first + 1, count)
    note = np.repeat(np.arange(len(melody)), last - first)  # once for each frame it sounds in
    frame = (
        first[note]
        + np.arange(len(note))
        - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    )
    pitch = melody["pitch"].astype(np.int64)

    sound = np.zeros((count, 2, 12), np.float32)
    middle, half = (start + stop) / 2, np.maximum(stop - start, 1e-3) / 2
    for part, (begin, finish) in enumerate(((start, middle), (middle, stop))):
        overlap = np.minimum(finish[frame], end[note]) - np.maximum(begin[frame], onset[note])
        share = np.maximum(overlap, 0.0) / half[frame]
        sound[:, part] = np.bincount(frame * 12 + pitch[note] % 12, share, count * 12).reshape(
            count, 12
        )
    begins = np.zeros((count, 2), np.float32)
    begins[first, (onset > start[first] + 0.05).astype(int)] = 1.0

    # The tone of a frame is the highest that sounds as it begins, or else the first to begin in it.
    there = onset[note] <= start[frame] + 0.05
    order = np.lexsort((np.where(there, -pitch[note], note), ~there, frame))
    heard, at = np.unique(frame[order], return_index=True)
    chosen = note[order][at]
    tone, top = np.full(count, REST), np.full(count, -1.0)
    lasts, left, since = np.zeros(count), np.zeros(count), np.zeros(count)
    tone[heard], top[heard] = pitch[chosen] % 12, pitch[chosen]
    lasts[heard] = end[chosen] - onset[chosen]
    left[heard] = np.maximum(end[chosen] - start[heard], 0.0)
    since[heard] = np.maximum(start[heard] - onset[chosen], 0.0)
    return _Tones(sound, begins, tone, top, lasts, left, since)


def _numbers_of(
    melody: NoteTable, bars: BarTable, quarters_per_minute: float, grid: _Grid, tones: _Tones
) -> NDArray[np.float32]:
    """Compute :attr:`Frames.numbers`, shape (frames, NUMBERS)."""
    start, bar, strength, top = grid.start, grid.bar, grid.strength, tones.top
    onset = melody["onset"].astype(float)
    end = onset + melody["duration"]
    following = np.searchsorted(onset, start + 1e-3, side="right")
    after = np.where(following < len(onset), np.append(onset, FAR + 1e6)[following] - start, FAR)
    onwards = np.append(melody["pitch"].astype(float), 0.0)[following]
    leap = np.where((top >= 0) & (following < len(onset)), onwards - top, 0.0)
    mean = float(melody["pitch"].mean()) if len(melody) else 0.0
    remains = np.clip((end.max() if len(end) else 0.0) - start, -1.0, FAR)
    bars_left, bars_gone = len(bars) - 1 - bar, bar

    return np.stack(
        [
            tones.begins[:, 0],
            tones.begins[:, 1],
            tones.tone == REST,
            np.log1p(tones.lasts) / 2,
            np.log1p(tones.left) / 2,
            np.log1p(tones.since) / 2,
            np.log1p(np.clip(after, 0, FAR)) / 3,
            np.where(top >= 0, (top - mean) / 12, 0.0),
            np.clip(leap / 12, -1, 1),
            (start - bars["start"][bar]) / np.maximum(bars["length"][bar], 0.25),
            strength == 3,
            strength == 2,
            strength == 1,
            (bars["start"] + bars["length"])[bar] / 4 - start / 4,
            np.minimum(bars_left, FAR) / FAR,
            bars_left == 0,
            np.minimum(bars_gone, FAR) / FAR,
            np.full(len(start), np.log(max(quarters_per_minute, 20.0) / 100)),
            bars["length"][bar] / 4,
            np.sign(remains) * np.log1p(np.abs(remains)) / 3,
        ],
        axis=1,
    ).astype(np.float32)


def frame_lengths(bars: BarTable) -> NDArray[np.float64]:
    """Return the length of each bar's frames in quarters, shape (bars,)."""
    top, bottom = bars["numerator"].astype(int), bars["denominator"].astype(int)
    fine = np.where(is_compound(top, bottom), 12.0 / np.maximum(bottom, 8), 0.5)
    return np.where(bottom >= 8, fine, 1.0)


def chord_frames(table: ChordTable, frames: Frames) -> NDArray[np.int64]:
    """Find the chord that sounds longest in each frame.

    Returns:
        Root, quality and bass, shape (frames, 3); without a chord :data:`NO_ROOT`,
        :data:`NO_QUALITY`, :data:`NO_BASS`.
    """
    result = np.tile([NO_ROOT, NO_QUALITY, NO_BASS], (len(frames), 1)).astype(np.int64)
    most = np.full(len(frames), 1e-3)
    stop = frames.start + frames.length
    for row in table:
        begin, end = float(row["start"]), float(row["start"] + row["length"])
        first = max(int(np.searchsorted(frames.start, begin + 1e-3, side="right")) - 1, 0)
        last = int(np.searchsorted(frames.start, end - 1e-3, side="left"))
        span = np.arange(first, last)
        overlap = np.minimum(stop[span], end) - np.maximum(frames.start[span], begin)
        better = span[overlap > most[span]]
        most[span] = np.maximum(most[span], overlap)
        if row["quality"] != NONE and row["root"] >= 0:
            bass = int(row["bass"]) if row["bass"] >= 0 else int(row["root"])
            result[better] = int(row["root"]), int(row["quality"]), bass
        else:
            result[better] = NO_ROOT, NO_QUALITY, NO_BASS
    return result


def changes_of(chords: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark frames in which a chord begins, (frames,), given chords (frames, 3)."""
    result = np.ones(len(chords), bool)
    result[1:] = (chords[1:] != chords[:-1]).any(axis=1)
    return result


def chord_table(chords: NDArray[np.int64], frames: Frames) -> ChordTable:
    """Join frames of equal chords to a table from the first frame to the last.

    This is the inverse of :func:`chord_frames`.
    """
    begin = np.flatnonzero(changes_of(chords))
    table = np.zeros(len(begin), CHORD_DTYPE)
    table["start"] = frames.start[begin]
    table["length"] = np.diff(np.append(frames.start[begin], frames.end))
    root, quality, bass = chords[begin].T
    named = root != NO_ROOT
    table["root"] = np.where(named, root, -1)
    table["quality"] = np.where(named, quality, NONE)
    table["bass"] = np.where(named, bass, -1)
    return table
