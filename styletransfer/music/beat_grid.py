"""Played notes written on the beats that were found for them.

Each beat is divided into the parts that fit its onsets best, simple divisions first; the tempo map
moves with the beats, so that notes sound within a few hundredths of a second of where they were
played. Bars begin on the beats that are heaviest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.beats import Beats, events, extended, find_beats, trusted
from styletransfer.music.notes import BAR_DTYPE, BarTable, TempoMap

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIVISIONS = {
    2: {1: 0.0, 2: 0.7, 4: 1.5, 3: 2.5, 6: 4.0, 8: 4.0, 12: 7.0, 24: 9.0},
    3: {1: 0.0, 3: 0.7, 6: 1.5, 2: 2.5, 12: 4.0, 24: 9.0},
}
"""What dividing a beat costs, for beats of two and of three parts."""
SPREAD = 0.03
"""Seconds by which onsets miss their places, as a standard deviation."""
COLLISION = 8.0
"""The cost of two events at one place."""
EARLY = 1 / 16
"""The share of a beat by which a note that belongs to the next one may come early."""
GAP = 0.25
"""An end this near to the next note, as a share of the note's length, counts as reaching it."""
METRES = {2: ((4, 4), (3, 4)), 3: ((6, 8),)}
COMMON = 1.0
"""How many standard errors heavier the first beats of the second metre must be to be chosen."""


@dataclass(frozen=True)
class Grid:
    """Notes on beats.

    Attributes:
        onset, end: in quarters, shape (notes,).
        tempo: the tempo map; 0 is the beat with which the music begins.
        bars: the bars, the first of which may begin before 0.
        off: the mean of how many seconds onsets lie beside where they were played.
    """

    onset: Floats
    end: Floats
    tempo: TempoMap
    bars: BarTable
    off: float


def on_found_beats(
    onset: Floats, end: Floats, pitch: Ints, velocity: Ints
) -> tuple[Beats, Grid] | None:
    """Write notes on the beats that are found for them, None where these aren't clear.

    The arguments are as those of :func:`written`.
    """
    beats = find_beats(onset, pitch, velocity)
    if not trusted(beats):
        return None
    return beats, written(onset, end, pitch, velocity, beats)


def written(onset: Floats, end: Floats, pitch: Ints, velocity: Ints, beats: Beats) -> Grid:
    """Write notes on beats.

    Args:
        onset: in seconds, ascending, shape (notes,).
        end: in seconds, shape (notes,).
        pitch: MIDI numbers, shape (notes,).
        velocity: shape (notes,).
        beats: two or more.
    """
    lines = extended(beats.seconds, float(onset[0]), float(end.max()))
    unit = 1.0 if beats.parts == 2 else 1.5
    place = np.interp(onset, lines, np.arange(len(lines)))
    period = np.interp(onset, lines[:-1], np.diff(lines))
    beat = np.floor(place + EARLY).astype(np.int64)
    start, finest = np.empty(len(onset)), np.empty(len(onset))
    for number in np.unique(beat):
        inside = beat == number
        division = _division(place[inside] - number, period[inside], beats.parts)
        start[inside] = number + np.round((place[inside] - number) * division) / division
        finest[inside] = max(division, 2)

    stop = _ends(place, np.interp(end, lines, np.arange(len(lines))), start, finest)
    beats_at = np.asarray(np.arange(len(lines) - 1) * unit, float)
    tempo = TempoMap(beats_at, np.diff(lines) / unit)
    moved = tempo.to_seconds(start * unit) + lines[0] - onset
    bars = _bars(beats, lines, events(onset, pitch, velocity), float(stop.max()) * unit)
    return Grid(start * unit, stop * unit, tempo, bars, float(np.abs(moved).mean()))


def _division(place: Floats, period: Floats, parts: int) -> int:
    """Return the number of parts into which a beat is divided.

    It is for onsets at these places in the beat.
    """
    spread = SPREAD / period
    apart = np.diff(place) * period[:-1] > 0.05
    costs = {}
    for division, cost in DIVISIONS[parts].items():
        rounded = np.round(place * division)
        miss = (place - rounded / division) / spread
        together = apart & (np.diff(rounded) == 0)
        costs[division] = cost + 0.5 * float((miss**2).sum()) + COLLISION * together.sum()
    return min(costs, key=lambda division: costs[division])


def _ends(place: Floats, end: Floats, start: Floats, finest: Floats) -> Floats:
    """Return where notes end, in beats.

    That is at the next onset if they nearly reach it, else on their grid.
    """
    later = np.searchsorted(start, start, side="right")
    following = np.append(start, np.inf)[later]
    reached = np.append(place, np.inf)[later]
    reaches = np.abs(reached - end) < GAP * np.maximum(end - place, 1e-9)
    stop = np.round(end * finest) / finest
    stop = np.where(reaches, following, stop)
    found: Floats = np.maximum(stop, start + 1 / finest)
    return found


def _bars(beats: Beats, lines: Floats, found: tuple[Floats, Ints], end: float) -> BarTable:
    """Make bars whose first beats are the heaviest."""
    time, kind = found
    nearest = np.abs(lines[:, None] - time).argmin(1)
    near = np.abs(time[nearest] - lines) < 0.07
    weight = np.where(near, kind[nearest] + 1.0, 0.0)
    unit = 1.0 if beats.parts == 2 else 1.5
    ways = []
    for rank, (top, bottom) in enumerate(METRES[beats.parts]):
        count = round(top * 4 / bottom / unit)
        for first in range(min(count, len(lines) - 1)):
            strong = np.arange(len(lines)) % count == first
            error = weight.std() * np.sqrt(1 / strong.sum() + 1 / max((~strong).sum(), 1)) + 1e-9
            lift = (weight[strong].mean() - weight[~strong].mean()) / error
            ways.append((lift - COMMON * rank, first, count, top, bottom))

    _, first, count, top, bottom = max(ways)
    length = count * unit
    starts = np.arange((first - count if first else 0) * unit, end, length)
    bars = np.zeros(len(starts), BAR_DTYPE)
    bars["start"], bars["length"], bars["numerator"], bars["denominator"] = (
        starts,
        length,
        top,
        bottom,
    )
    return bars
