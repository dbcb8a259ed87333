"""The beats of music that was played without a metronome.

A beat's period changes a little from beat to beat, and onsets lie at some phases of the beat more
often than at others, the more so the heavier they are. The likeliest beats under such a model are
found by dynamic programming over the moment and the period of each beat, as in a semi-Markov model
(after A. Cemgil and B. Kappen, Monte Carlo methods for tempo tracking and rhythm quantization, JAIR
2003, and F. Krebs, S. Böck and G. Widmer, An efficient state-space model for joint tempo and meter
tracking, ISMIR 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FRAME = 0.02
"""Seconds of a frame."""
SHORTEST, LONGEST = 0.24, 1.6
"""Seconds of the periods that are tried."""
PERIODS = np.unique(np.geomspace(SHORTEST / FRAME, LONGEST / FRAME, 48).round().astype(np.int64))
"""Frames of the periods that are tried."""
TOGETHER = 0.04
"""Seconds within which onsets are one event."""
AROUND = 1.0
"""Seconds on either side of an event to which it is compared."""
KINDS = 4
"""Kinds of events, by how many signs of weight they have, the last with three or four."""
BINS = 24
"""Phases of a beat."""
TYPICAL, TYPICAL_SPREAD = 0.62, 0.42
"""The median period in seconds, and the standard deviation of its logarithm."""
PULL, LINE_PULL = 0.35, 2.0
"""How much the logarithm of the probability of each beat's period counts, in music of several
voices and in a single line, which has fewer onsets."""
CHANGE = 12.0
"""The cost of a change of the period, per unit of its logarithm."""
RARE = 0.05
"""The cost of an event in beats of three parts, which are rarer."""
EMPTY, LINE_EMPTY = 2.0, 0.7
"""The cost of a beat without an event, in music of several voices and in a single line."""
LINE = 0.9
"""The fewest events per note at which music is a single line."""
CLEAR = 0.9
"""The fewest nats per event at which the beats of a single line are trusted: 20 synthesised tunes
have 1.03 or more, onsets at random 0.8 or less."""
FEWEST = 8
"""The fewest beats that are trusted."""
DUPLE = (
    (3.17, 0.37, 0.30, 0.35, 0.43, 1.06, 2.32, 1.05, 0.71, 0.58, 0.69, 1.37)
    + (2.40, 1.21, 0.58, 0.65, 0.72, 1.49, 2.08, 0.74, 0.47, 0.41, 0.34, 0.49),
    (5.86, 0.49, 0.24, 0.26, 0.34, 0.79, 1.31, 0.58, 0.54, 0.50, 0.64, 1.44)
    + (2.52, 0.78, 0.39, 0.57, 0.69, 1.43, 1.48, 0.46, 0.41, 0.41, 0.34, 1.51),
    (8.97, 0.56, 0.18, 0.15, 0.14, 0.33, 0.69, 0.29, 0.23, 0.31, 0.51, 1.58)
    + (2.01, 0.48, 0.35, 0.47, 0.44, 0.70, 0.77, 0.29, 0.34, 0.22, 0.57, 3.42),
    (12.4, 0.11, 0.07, 0.05, 0.05, 0.06, 0.06, 0.09, 0.07, 0.14, 0.37, 1.32)
    + (1.67, 0.44, 0.19, 0.19, 0.11, 0.24, 0.11, 0.16, 0.10, 0.15, 0.63, 5.22),
)
TRIPLE = (
    (2.72, 0.30, 0.23, 0.52, 1.47, 0.48, 0.49, 1.37, 3.42, 1.12, 0.65, 0.76)
    + (1.32, 0.60, 0.57, 1.55, 2.65, 0.74, 0.35, 0.60, 1.21, 0.22, 0.21, 0.45),
    (5.42, 0.30, 0.21, 0.41, 0.55, 0.12, 0.26, 1.28, 2.89, 0.81, 0.48, 0.58)
    + (0.74, 0.38, 0.88, 2.09, 2.89, 0.57, 0.36, 0.53, 0.87, 0.24, 0.26, 0.91),
    (8.55, 0.50, 0.15, 0.09, 0.14, 0.12, 0.23, 0.97, 2.04, 0.76, 0.21, 0.19)
    + (0.53, 0.50, 0.93, 1.84, 2.66, 0.85, 0.54, 0.25, 0.06, 0.18, 0.05, 1.70),
    (12.4, 0.11, 0.07, 0.07, 0.18, 0.05, 0.57, 0.92, 1.21, 0.35, 0.05, 0.14)
    + (0.14, 0.54, 1.53, 1.16, 1.26, 0.18, 0.05, 0.05, 0.16, 0.05, 0.05, 2.95),
)
"""How much more often events of each kind lie at each phase of a beat of two or of three parts than
they would by chance, shape (kinds, phases): counted in half of the pieces of ASAP."""


@dataclass(frozen=True)
class Beats:
    """Beats that were found.

    Attributes:
        seconds: of each beat, ascending, shape (beats,).
        parts: two or three, into which the beat is divided.
        clarity: by how many nats an event is likelier than it would be by chance, on average.
    """

    seconds: Floats
    parts: int
    clarity: float

    @property
    def rate(self) -> float:
        """Beats a minute, by their median period."""
        return 60 / float(np.median(np.diff(self.seconds)))

    @property
    def unevenness(self) -> float:
        """The mean of how many seconds beats lie beside the middle of their neighbours."""
        middle = (self.seconds[2:] + self.seconds[:-2]) / 2
        return float(np.abs(self.seconds[1:-1] - middle).mean())


def events(onset: Floats, pitch: Ints, velocity: Ints) -> tuple[Floats, Ints]:
    """Group notes that begin together.

    A sign of weight is that there are three notes or more, that no lower note begins nearby, that
    the next event is further away than is usual nearby, or that it is louder than is usual nearby.

    Args:
        onset: in seconds, shape (notes,).
        pitch: MIDI numbers, shape (notes,).
        velocity: shape (notes,).

    Returns:
        The seconds and the kind of each event, from 0 to ``KINDS - 1``, shape (events,) each.
    """
    order = np.argsort(onset, kind="stable")
    onset, pitch, velocity = onset[order], pitch[order], velocity[order]
    firsts: list[int] = []
    for index, moment in enumerate(onset):
        if not firsts or moment - onset[firsts[-1]] > TOGETHER:
            firsts.append(index)
    first = np.array(firsts)
    count = np.diff(np.append(first, len(onset)))
    time = onset[first]
    lowest = np.minimum.reduceat(pitch.astype(float), first)
    loudest = np.maximum.reduceat(velocity.astype(float), first)
    wait = np.diff(time, append=time[-1] + AROUND)

    kind = (count >= 3).astype(np.int64)
    left = np.searchsorted(time, time - AROUND)
    right = np.searchsorted(time, time + AROUND, side="right")
    for index, (low, high) in enumerate(zip(left, right, strict=True)):
        kind[index] += lowest[index] <= lowest[low:high].min()
        kind[index] += wait[index] > 1.3 * np.median(wait[low:high])
        kind[index] += loudest[index] > np.median(loudest[low:high])

    return time, np.minimum(kind, KINDS - 1)


def is_line(onset: Floats) -> bool:
    """Return whether notes at these seconds, (notes,), hardly ever begin together."""
    apart = np.diff(np.sort(onset)) > TOGETHER
    return bool(1 + apart.sum() >= LINE * len(onset))


def find_beats(onset: Floats, pitch: Ints, velocity: Ints) -> Beats:
    """Find the likeliest beats of notes; the arguments are as those of :func:`events`."""
    if not len(onset):
        return Beats(np.zeros(0), 2, 0.0)
    time, kind = events(onset, pitch, velocity)
    first = time[0] - LONGEST
    frame = np.round((time - first) / FRAME).astype(np.int64)
    frames = int(frame[-1] + PERIODS[-1])
    costs = (LINE_EMPTY, LINE_PULL) if is_line(onset) else (EMPTY, PULL)
    ways = []
    for parts, phases in ((2, np.array(DUPLE)), (3, np.array(TRIPLE))):
        total, chosen = _best(_segments(frame, kind, frames, np.log(phases), costs))
        ways.append((total - (parts == 3) * RARE * len(time), parts, chosen, phases))

    _, parts, chosen, phases = max(ways, key=lambda way: way[0])
    seconds = _refined(first + FRAME * chosen, time, kind)
    return Beats(seconds, parts, _clarity(seconds, time, kind, phases))


def _segments(
    frame: Ints, kind: Ints, frames: int, logs: Floats, costs: tuple[float, float]
) -> Floats:
    """Score each beat by its last frame and its period, shape (frames, periods)."""
    impulses = np.zeros((KINDS, frames))
    np.add.at(impulses, (kind, frame), 1.0)
    present = np.convolve(impulses.sum(0), np.ones(5), "same") > 0
    prior = -0.5 * (np.log(PERIODS * FRAME / TYPICAL) / TYPICAL_SPREAD) ** 2
    score = np.empty((frames, len(PERIODS)))
    for index, period in enumerate(PERIODS):
        phase = np.round(np.arange(period) / period * BINS).astype(int) % BINS
        total = np.zeros(frames)
        for each in range(KINDS):
            # sums, over the frames from t - period to t - 1, of each impulse's score at its phase
            whole = np.convolve(impulses[each], logs[each, phase][::-1])[:frames]
            total[1:] += whole[:-1]
        score[:, index] = total + costs[1] * prior[index]
    score -= costs[0] * ~present[:, None]
    return score


def _best(score: Floats) -> tuple[float, Ints]:
    """Return the score of the best path, and the frames of its beats."""
    frames, count = score.shape
    change = -CHANGE * np.abs(np.log(PERIODS[:, None] / PERIODS))  # (from, to)
    reached = np.zeros((frames, count))  # the best path that has a beat at a frame, by its period
    onward = np.zeros((frames, count))  # the same, by the period that follows
    came = np.zeros((frames, count), np.int16)
    columns = np.arange(count)
    for now in range(PERIODS[0], frames):
        back = now - PERIODS
        before = np.where(back >= 0, onward[np.maximum(back, 0), columns], 0.0)
        reached[now] = before + score[now]
        sums = reached[now][:, None] + change
        came[now] = sums.argmax(0)
        onward[now] = sums[came[now], columns]

    tail = reached[frames - PERIODS[-1] :]
    total = float(tail.max())
    row, column = np.unravel_index(int(tail.argmax()), tail.shape)
    now, period = int(row) + frames - int(PERIODS[-1]), int(column)
    found = [now]
    while now - PERIODS[period] >= PERIODS[0]:
        now -= int(PERIODS[period])
        found.append(now)
        period = int(came[now, period])
    return total, np.array(found[::-1])


def _refined(beats: Floats, time: Floats, kind: Ints) -> Floats:
    """Move beats to the heaviest event within three frames, if there is one."""
    found = beats.copy()
    for index, beat in enumerate(beats):
        low, high = np.searchsorted(time, [beat - 3 * FRAME, beat + 3 * FRAME])
        if low < high:
            weight = kind[low:high] - np.abs(time[low:high] - beat) / FRAME
            found[index] = time[low + int(weight.argmax())]
    return found


def _clarity(beats: Floats, time: Floats, kind: Ints, phases: Floats) -> float:
    """Return the mean score of the events."""
    if len(beats) < 2:
        return 0.0
    place = np.interp(time, beats, np.arange(len(beats)))
    phase = np.round(place % 1 * BINS).astype(int) % BINS
    return float(np.log(phases[kind, phase]).mean())


def extended(beats: Floats, first: float, last: float) -> Floats:
    """Extend beats over the span of the notes.

    They go from the last one that isn't after the first onset to one after the last end.
    """
    before, after = beats[1] - beats[0], beats[-1] - beats[-2]
    early = max(int(np.ceil((beats[0] - first - 2 * FRAME) / before)), 0)
    late = max(int(np.ceil((last - beats[-1]) / after)) + 1, 1)
    lines = np.concatenate(
        [
            beats[0] - before * np.arange(early, 0, -1),
            beats,
            beats[-1] + after * np.arange(1, late + 1),
        ]
    )
    begin = int(np.searchsorted(lines, first + 2 * FRAME, side="right")) - 1
    return np.asarray(lines[max(begin, 0) :])


def trusted(beats: Beats) -> bool:
    """Return whether beats are clear enough to write music on them."""
    return len(beats.seconds) >= FEWEST and beats.clarity >= CLEAR
