"""The search for the melody among merged notes.

Method: two small networks say how much each note looks like melody (log-odds); the second also sees
where, by the first, the melody lies around the note. Dynamic programming then finds the line with
the highest total score that leaps little; wherever no note is worth it, the line rests. The line
takes after the skyline (A. Uitdenbogerd and J. Zobel, "Melodic matching techniques for large music
databases", ACM Multimedia 1999) and after melody extraction as a classification of notes (F.
Simonetta et al., "A convolutional approach to melody line identification in symbolic scores", ISMIR
2019).

The networks' weights are in ``assets/melody.json``; ``benchmarks/melody_fit.py`` makes them and
states from what.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import NoteTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CANDIDATES = 3
"""Notes of a chord that the search considers: those with the highest scores."""
STATES = 5
"""Last notes of a line that the search follows at once."""
HOPELESS = -3.0
"""Log-odds below which the search doesn't consider a note."""
SURE = 3.0
"""Log-odds given to the note that ends a rest of the longest length allowed."""
CHUNK = 48
"""Chords that one strand of the search decides on; strands run side by side."""
WARM = 16
"""Chords before and after its own that a strand looks at."""
LONGEST = 2.0
"""Seconds that a note counts as sounding for at most; a pedal holds some notes far longer."""
WORTH = 1.0
"""Log-odds added to each note's score: how much the search prefers a note to a rest. This and the
costs of leaps were chosen by F1 on those pieces of ``benchmarks/melody.py`` that the networks were
fitted on."""
LEAP = 0.05
"""Log-odds that a leap costs per semitone."""
FAR = 0.05
"""Log-odds that each semitone beyond a fifth costs in addition."""

FEATURES = (
    "top",
    "depth",
    "below_top",
    "envelope",
    "over_envelope",
    "register",
    "pitch",
    "loudness",
    "below_loudest",
    "length",
    "seconds",
    "chord_size",
    "gap_above",
    "gap_below",
    "sounding_above",
    "covered",
    "step_before",
    "step_after",
    "wait_before",
    "wait_after",
)
"""What the first network sees; see :func:`features`."""
CONTEXT_SECONDS = (2.0, 6.0, 20.0)
CONTEXT = (
    *(
        f"{name}_{seconds:g}"
        for seconds in CONTEXT_SECONDS
        for name in ("offset", "distance", "square")
    ),
    "louder",
    "loudness_distance",
    "longer",
    "first_score",
    "behind_best",
    "best",
    "density",
)
"""What the second network sees in addition; see :func:`context`."""


@dataclass(frozen=True)
class Network:
    """A network with one hidden layer of rectified units on standardised inputs.

    ``mean`` and ``scale`` have shape (inputs,), ``hidden`` (inputs, units), ``hidden_bias`` and
    ``out`` (units,).
    """

    mean: Floats
    scale: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: float

    def __call__(self, inputs: Floats) -> Floats:
        """Return log-odds, shape (notes,), of inputs, shape (notes, inputs)."""
        weight = self.hidden / self.scale[:, None]
        units = inputs @ weight
        units += self.hidden_bias - self.mean @ weight
        np.maximum(units, 0, out=units)
        return np.asarray(units @ self.out + self.out_bias)


@lru_cache(maxsize=1)
def networks() -> tuple[Network, Network]:
    """Load the two networks of ``assets/melody.json``.

    Raises:
        ValueError: where the file was made for other features than this version computes.
    """
    stored = json.loads(
        files("styletransfer").joinpath("assets/melody.json").read_text(encoding="utf-8")
    )
    if tuple(stored["features"]) != FEATURES or tuple(stored["context"]) != CONTEXT:
        raise ValueError(
            "assets/melody.json was made for other features: run benchmarks/melody_fit.py"
        )
    return _network(stored["first"]), _network(stored["second"])


def _network(stored: dict[str, Any]) -> Network:
    arrays = {name: np.array(value) for name, value in stored.items() if isinstance(value, list)}
    return Network(**arrays, out_bias=float(stored["out_bias"]))


def chords(onset: Floats, tolerance: float) -> Ints:
    """Group notes into chords, and return the number of each note's chord, (notes,).

    Notes at most ``tolerance`` seconds apart make a chord, as long as it lasts at most twice the
    tolerance.

    Args:
        onset: in seconds, ascending, shape (notes,).
        tolerance: in seconds.
    """
    if not len(onset):
        return np.zeros(0, dtype=np.int64)
    begins = np.append(True, np.diff(onset) > tolerance)
    start = onset[begins][np.cumsum(begins) - 1]
    part_of_chain = np.floor((onset - start) / (2 * tolerance + 1e-9))
    begins |= np.append(False, np.diff(part_of_chain) != 0)
    return (np.cumsum(begins) - 1).astype(np.int64)


def covered_by_higher(onset: Floats, end: Floats, pitch: Ints) -> NDArray[np.bool_]:
    """Mark the notes of a line under an earlier, higher note, shape (notes,).

    That is one that lasts as long as they do, or longer.
    """
    covered = np.zeros(len(onset), dtype=bool)
    above: list[tuple[int, float]] = []
    for index, (start, stop, height) in enumerate(
        zip(onset.tolist(), end.tolist(), pitch.tolist(), strict=True)
    ):
        above = [(other, until) for other, until in above if until > start and other > height]
        covered[index] = any(until >= stop - 1e-9 for _, until in above)
        if not covered[index]:
            above.append((height, stop))
    return covered


class Window:
    """Sums over everything within some seconds of each time.

    ``time`` has shape (n,) and ascends.
    """

    def __init__(self, time: Floats, seconds: float) -> None:
        self.low = np.searchsorted(time, time - seconds, side="left")
        self.high = np.searchsorted(time, time + seconds, side="right")

    def sum(self, value: Floats) -> Floats:
        """Return the sum of values (n,) in each window, shape (n,)."""
        total = np.append(0.0, np.cumsum(value))
        return np.asarray(total[self.high] - total[self.low])

    def mean(self, value: Floats) -> Floats:
        """Return the mean of values (n,) in each window, shape (n,)."""
        return self.sum(value) / (self.high - self.low)


def features(notes: NoteTable, onset: Floats, end: Floats, group: Ints) -> Floats:
    """Compute what distinguishes melody from accompaniment, shape (notes, FEATURES).

    Intervals are in octaves, lengths and waits in log2 of seconds.

    Args:
        notes: sorted by onset.
        onset: in seconds, shape (notes,).
        end: in seconds, shape (notes,).
        group: the number of each note's chord, shape (notes,).
    """
    pitch = notes["pitch"].astype(np.float64)
    velocity = notes["velocity"].astype(np.float64)
    length = np.log2(np.clip(end - onset, 0.03, LONGEST))
    first = np.searchsorted(group, np.arange(int(group[-1]) + 1))
    time = onset[first]

    top = np.maximum.reduceat(pitch, first)
    loudest = np.maximum.reduceat(velocity, first)
    size = np.diff(np.append(first, len(notes))).astype(np.float64)
    around = Window(onset, 3.0)
    envelope = pitch - Window(time, 2.0).mean(top)[group]

    depth, gap_above, gap_below = _within_chord(pitch, group, first)
    steps = notes["pitch"].astype(np.int64)
    above = _sounding_above(steps, group, time, np.minimum(end, onset + LONGEST))
    step_before, step_after = _steps(steps, group)
    waits = np.diff(time, prepend=time[0] - 1.0, append=time[-1] + 1.0)
    wait = np.log2(np.clip(waits, 0.03, LONGEST))

    values = {
        "top": depth == 0,
        "depth": np.minimum(depth, 4),
        "below_top": (pitch - top[group]) / 12,
        "envelope": envelope / 12,
        "over_envelope": np.maximum(envelope, 0) / 12,
        "register": (pitch - around.mean(pitch)) / 12,
        "pitch": (pitch - 66) / 12,
        "loudness": (velocity - around.mean(velocity)) / 20,
        "below_loudest": (velocity - loudest[group]) / 20,
        "length": length - around.mean(length),
        "seconds": length,
        "chord_size": np.minimum(size[group], 5),
        "gap_above": np.minimum(gap_above, 13) / 12,
        "gap_below": np.minimum(gap_below, 13) / 12,
        "sounding_above": np.minimum(above, 4),
        "covered": above > 0,
        "step_before": step_before / 12,
        "step_after": step_after / 12,
        "wait_before": wait[:-1][group],
        "wait_after": wait[1:][group],
    }
    return _columns(values, FEATURES)


def _columns(values: dict[str, Any], names: Sequence[str]) -> Floats:
    """Stack features in the order of their names, shape (notes, names)."""
    return np.column_stack([values[name] for name in names]).astype(np.float64)


def _within_chord(pitch: Floats, group: Ints, first: Ints) -> tuple[Floats, Floats, Floats]:
    """Return each note's depth in its chord, and its gaps to the chord's next notes.

    Each has shape (notes,): 0 for the highest note, and semitones to the next note above and
    below, 13 where there is none.
    """
    order = np.lexsort((-pitch, group))
    ordered, same = pitch[order], np.diff(group[order]) == 0
    gap = np.where(same, ordered[:-1] - ordered[1:], 13.0)

    depth, gap_above, gap_below = np.zeros(len(pitch)), *np.full((2, len(pitch)), 13.0)
    depth[order] = np.arange(len(pitch)) - first[group[order]]
    gap_above[order[1:]] = gap
    gap_below[order[:-1]] = gap
    return depth, gap_above, gap_below


def context(notes: NoteTable, onset: Floats, end: Floats, group: Ints, score: Floats) -> Floats:
    """Compare a note with the likely melody around it, shape (notes, CONTEXT).

    ``score``, shape (notes,), is the first network's; the others are as for :func:`features`.
    """
    pitch = notes["pitch"].astype(np.float64) / 12
    velocity = notes["velocity"].astype(np.float64) / 20
    length = np.log2(np.clip(end - onset, 0.03, LONGEST))
    weight = 1 / (1 + np.exp(-np.clip(score, -20, 20))) + 1e-4
    values: dict[str, Any] = {}
    for seconds in CONTEXT_SECONDS:
        window = Window(onset, seconds)
        total = window.sum(weight)
        offset = pitch - window.sum(weight * pitch) / total
        values[f"offset_{seconds:g}"] = offset
        values[f"distance_{seconds:g}"] = np.abs(offset)
        values[f"square_{seconds:g}"] = np.minimum(offset**2, 2)

    louder = velocity - window.sum(weight * velocity) / total  # in the widest window
    best = np.maximum.reduceat(score, np.searchsorted(group, np.arange(int(group[-1]) + 1)))[group]
    values |= {
        "louder": louder,
        "loudness_distance": np.abs(louder),
        "longer": length - window.sum(weight * length) / total,
        "first_score": score,
        "behind_best": best - score,
        "best": best == score,
        "density": np.log(Window(onset, 3.0).mean(weight)),
    }
    return _columns(values, CONTEXT)


def note_scores(notes: NoteTable, onset: Floats, end: Floats, group: Ints) -> Floats:
    """Return how much each note looks like melody, in log-odds, shape (notes,)."""
    first, second = networks()
    seen = features(notes, onset, end, group)
    return second(np.concatenate([seen, context(notes, onset, end, group, first(seen))], axis=1))


def best_line(
    notes: NoteTable,
    onset: Floats,
    end: Floats,
    tolerance: float,
    longest_rest: float | None = None,
) -> NDArray[np.bool_]:
    """Find the melody, as a mask over notes that are sorted by onset.

    It has at most one note of each chord.

    Args:
        notes: sorted by onset.
        onset: in seconds, shape (notes,).
        end: in seconds, shape (notes,).
        tolerance: seconds within which notes make a chord.
        longest_rest: how many seconds, roughly, the line may rest while other notes sound; None
            sets no limit.
    """
    mask = np.zeros(len(notes), dtype=bool)
    if len(notes):
        group = chords(onset, tolerance)
        score = note_scores(notes, onset, end, group) + WORTH
        if longest_rest is not None:
            score += lift(score, onset, longest_rest)
        mask[search(group, score, notes["pitch"].astype(np.int64))] = True

    return mask


def lift(score: Floats, onset: Floats, seconds: float) -> Floats:
    """Return what to add to scores lest the line rest too long, shape (notes,).

    The best note within about ``seconds`` gets at least :data:`SURE`.
    """
    slot = np.floor((onset - onset[0]) / (seconds / 2)).astype(np.int64)
    best = np.full(int(slot[-1]) + 3, -np.inf)
    np.maximum.at(best, slot + 1, score)
    around = np.maximum(np.maximum(best[:-2], best[1:-1]), best[2:])
    return np.asarray(np.maximum(SURE - around[slot], 0.0))


def search(group: Ints, score: Floats, pitch: Ints) -> Ints:
    """Find the notes of the best line by dynamic programming, ascending.

    The line has at most one note of each chord; it gains its notes' scores and pays for leaps. The
    state is the line's last note; the best :data:`STATES` are kept. The music is cut into strands
    that are searched side by side, so that Python's loop is over the steps of a strand. Each strand
    begins :data:`WARM` chords early and ends as many late; what it finds there is left to its
    neighbours.
    """
    order = _candidates(group, score)
    if not len(order):
        return np.asarray(order, dtype=np.int64)
    which = _strands(order, group)
    gain = np.where(which >= 0, score[which], -np.inf)
    total, parents, taken = _forward(which, gain, pitch[which])

    state = total[:, :STATES].argmax(axis=1)
    row = np.arange(len(total))
    line = np.full(which.shape[:2], -1, dtype=np.int64)
    for step in range(len(line) - 1, -1, -1):
        line[step] = taken[step, row, state]
        state = parents[step, row, state]
    own = line[WARM : WARM + CHUNK]
    return np.sort(own[own >= 0])


def _candidates(group: Ints, score: Floats) -> Ints:
    """Return the notes that the search considers, by chord and then by falling score."""
    order = np.lexsort((-score, group))
    begins = np.append(True, np.diff(group[order]) > 0)
    rank = np.arange(len(order)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    return np.asarray(order[(rank < CANDIDATES) & (score[order] > HOPELESS)])


def _strands(order: Ints, group: Ints) -> Ints:
    """Lay the candidates out by strand, shape (steps, strands, CANDIDATES).

    Where there is no note, there is -1.
    """
    begins = np.append(True, np.diff(group[order]) > 0)
    number = np.cumsum(begins) - 1  # of the chords that have a candidate
    count = int(number[-1]) + 1
    table = np.full((count + 1, CANDIDATES), -1, dtype=np.int64)  # the last row: no chord
    table[number, np.arange(len(order)) - np.flatnonzero(begins)[number]] = order

    strands = -(-count // CHUNK)
    chord = np.arange(-WARM, CHUNK + WARM)[:, None] + np.arange(strands) * CHUNK
    return np.asarray(table[np.where((chord < 0) | (chord >= count), count, chord)])


def _forward(which: Ints, gain: Floats, height: Ints) -> tuple[Floats, Ints, Ints]:
    """Search all strands from their first chord to their last.

    Args:
        which: the candidates, shape (steps, strands, CANDIDATES).
        gain: their scores.
        height: their pitches.

    Returns:
        The totals at the end, shape (strands, STATES + CANDIDATES), and for each step the state
        that each kept state comes from and the note that it takes, shape (steps, strands, STATES).
    """
    steps, strands, _ = which.shape
    leaps = np.arange(512)  # 256 and more: from no note at all, at no cost
    cost = np.where(leaps < 256, LEAP * leaps + FAR * np.maximum(leaps - 7, 0), 0.0)

    # columns of these four: the states that stay as they were, then the candidates
    total = np.full((strands, STATES + CANDIDATES), -np.inf)
    total[:, 0] = 0.0
    last = np.full(total.shape, -256, dtype=np.int64)
    origin = np.broadcast_to(np.arange(STATES + CANDIDATES), total.shape).copy()
    note = np.full(total.shape, -1, dtype=np.int64)

    base = np.arange(strands)[:, None] * (STATES + CANDIDATES)
    parents = np.zeros((steps, strands, STATES), dtype=np.int64)
    taken = np.full((steps, strands, STATES), -1, dtype=np.int64)
    for step in range(steps):
        leap = np.abs(height[step, :, :, None] - last[:, None, :STATES])
        reach = total[:, None, :STATES] - cost.take(leap)
        origin[:, STATES:] = reach.argmax(axis=2)
        np.add(reach.max(axis=2), gain[step], out=total[:, STATES:])
        last[:, STATES:] = height[step]
        note[:, STATES:] = which[step]

        chosen = total.argpartition(CANDIDATES, axis=1)[:, CANDIDATES:] + base
        origin.take(chosen, out=parents[step])
        note.take(chosen, out=taken[step])
        total[:, :STATES] = total.take(chosen)
        last[:, :STATES] = last.take(chosen)
    return total, parents, taken


def _sounding_above(pitch: Ints, group: Ints, time: Floats, end: Floats) -> Floats:
    """Count the higher notes that still sound at each onset, shape (notes,).

    They belong to earlier chords; ``time`` holds the onset of each chord, shape (chords,).
    """
    count = len(time)
    until = np.clip(np.searchsorted(time, end - 0.03), group + 1, count)
    low, high = int(pitch.min()), int(pitch.max())
    change = np.zeros((high - low + 2, count + 1), dtype=np.int16)
    np.add.at(change, (pitch - low, group + 1), 1)
    np.add.at(change, (pitch - low, until), -1)
    sounding = (np.cumsum(change, axis=1)[::-1] > 0).cumsum(axis=0, dtype=np.int16)[::-1]
    return sounding[pitch - low + 1, group].astype(np.float64)


def _steps(pitch: Ints, group: Ints) -> tuple[Floats, Floats]:
    """Return the distances to the nearest note of the chords before and after.

    Both have shape (notes,), in semitones, at most 12.
    """
    place = group * 512 + pitch + 128
    ordered = np.concatenate([[-(10**6)], np.sort(place), [10**12]])
    nearest = []
    for shift in (-512, 512):
        wanted = place + shift
        index = np.searchsorted(ordered, wanted)
        gap = np.minimum(np.abs(ordered[index] - wanted), np.abs(wanted - ordered[index - 1]))
        nearest.append(np.minimum(gap, 12).astype(np.float64))
    return nearest[0], nearest[1]
