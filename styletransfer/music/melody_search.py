"""The search for the melody among merged notes: a score for each note, then the best line through
them.

Method: two small networks say how much each note looks like melody (log-odds); the second also
knows where, by the first, the melody lies around the note. Dynamic programming then finds the line
with the most points that leaps little; wherever no note is worth it, the line rests. The line takes
after the skyline (A. Uitdenbogerd and J. Zobel, "Melodic matching techniques for large music
databases", ACM Multimedia 1999) and after melody extraction as a classification of notes (F.
Simonetta et al., "A convolutional approach to melody line identification in symbolic scores", ISMIR
2019).

The networks' weights are in ``assets/melody.json``; ``benchmarks/melody_fit.py`` made them and
tells from what.
"""

from __future__ import annotations

import json
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
"""Notes of a chord that the search looks at, those with the highest scores."""
STATES = 5
"""Last notes that the search keeps in mind."""
HOPELESS = -3.0
"""Log-odds below which the search looks at no note at all."""
SURE = 3.0
"""Log-odds of a note that ends a rest that is long enough."""
CHUNK = 48
"""Chords that one strand of the search decides on; strands run side by side."""
WARM = 16
"""Chords before and after its own that a strand looks at."""
LONGEST = 2.0
"""Seconds that a note is held to sound for at most: a pedal holds some for far longer."""
WORTH = 1.0
"""Log-odds added to each note's score: how much the search prefers a note to a rest. It and the
costs of leaps were chosen by F1 on the pieces of ``benchmarks/melody.py`` that the networks were
fitted on."""
LEAP = 0.05
"""Log-odds that a semitone's leap costs."""
FAR = 0.05
"""Log-odds that each semitone beyond a fifth costs on top."""

FEATURES = (
    *(
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
    ),
    *(
        "seconds",
        "chord_size",
        "gap_above",
        "gap_below",
        "sounding_above",
        "covered",
        "step_before",
        "step_after",
    ),
    *("wait_before", "wait_after"),
)
"""What the first network sees, see :func:`features`."""
CONTEXT_SECONDS = (2.0, 6.0, 20.0)
CONTEXT = (
    *(
        f"{name}_{seconds:g}"
        for seconds in CONTEXT_SECONDS
        for name in ("offset", "distance", "square")
    ),
    *("louder", "loudness_distance", "longer", "first_score", "behind_best", "best", "density"),
)
"""What the second network sees on top, see :func:`context`."""


@dataclass(frozen=True)
class Network:
    """One hidden layer of rectified units on standardised inputs; gives log-odds. ``hidden`` is
    (inputs, units).
    """

    mean: Floats
    scale: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: float

    def __call__(self, inputs: Floats) -> Floats:
        """Log-odds, (notes,), of inputs (notes, inputs)."""
        weight = self.hidden / self.scale[:, None]
        units = inputs @ weight
        units += self.hidden_bias - self.mean @ weight
        np.maximum(units, 0, out=units)
        return np.asarray(units @ self.out + self.out_bias)


@lru_cache(maxsize=1)
def networks() -> tuple[Network, Network]:
    """The two networks of ``assets/melody.json``.

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
    """The number of each note's chord, (notes,), ascending; ``onset`` ascends, in seconds.

    Notes at most ``tolerance`` apart make a chord, as long as it lasts at most twice the tolerance.
    """
    if not len(onset):
        return np.zeros(0, dtype=np.int64)
    begins = np.append(True, np.diff(onset) > tolerance)
    start = onset[begins][np.cumsum(begins) - 1]
    part_of_chain = np.floor((onset - start) / (2 * tolerance + 1e-9))
    begins |= np.append(False, np.diff(part_of_chain) != 0)
    return (np.cumsum(begins) - 1).astype(np.int64)


def covered_by_higher(onset: Floats, end: Floats, pitch: Ints) -> NDArray[np.bool_]:
    """Whether an earlier, higher note of a line sounds on to each note's end or longer,
    (notes,).
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
    """Sums over everything within some seconds of each time; ``time`` (n,) ascends."""

    def __init__(self, time: Floats, seconds: float) -> None:
        self.low = np.searchsorted(time, time - seconds, side="left")
        self.high = np.searchsorted(time, time + seconds, side="right")

    def sum(self, value: Floats) -> Floats:
        """Sums of values (n,) in each window, (n,)."""
        total = np.append(0.0, np.cumsum(value))
        return np.asarray(total[self.high] - total[self.low])

    def mean(self, value: Floats) -> Floats:
        """Means of values (n,) in each window, (n,)."""
        return self.sum(value) / (self.high - self.low)


def features(notes: NoteTable, onset: Floats, end: Floats, group: Ints) -> Floats:
    """What tells melody from accompaniment in a note and around it, (notes, FEATURES): octaves,
    log2 of seconds.
    """
    n = len(notes)
    count = int(group[-1]) + 1
    pitch = notes["pitch"].astype(np.float64)
    velocity = notes["velocity"].astype(np.float64)
    length = np.log2(np.clip(end - onset, 0.03, LONGEST))
    first = np.searchsorted(group, np.arange(count))
    time = onset[first]
    top = np.maximum.reduceat(pitch, first)
    loudest = np.maximum.reduceat(velocity, first)
    size = np.diff(np.append(first, n)).astype(np.float64)
    around = Window(onset, 3.0)
    envelope = pitch - Window(time, 2.0).mean(top)[group]

    order = np.lexsort((-pitch, group))
    ordered, same = pitch[order], np.diff(group[order]) == 0
    depth, gap_above, gap_below = np.zeros(n), np.full(n, 13.0), np.full(n, 13.0)
    depth[order] = np.arange(n) - first[group[order]]
    gap = np.where(same, ordered[:-1] - ordered[1:], 13.0)
    gap_above[order[1:]] = gap
    gap_below[order[:-1]] = gap

    above = _sounding_above(
        notes["pitch"].astype(np.int64), group, time, np.minimum(end, onset + LONGEST)
    )
    step_before, step_after = _steps(notes["pitch"].astype(np.int64), group)
    wait = np.log2(
        np.clip(np.diff(time, prepend=time[0] - 1.0, append=time[-1] + 1.0), 0.03, LONGEST)
    )
    columns = (
        *(
            depth == 0,
            np.minimum(depth, 4),
            (pitch - top[group]) / 12,
            envelope / 12,
            np.maximum(envelope, 0) / 12,
        ),
        *(
            (pitch - around.mean(pitch)) / 12,
            (pitch - 66) / 12,
            (velocity - around.mean(velocity)) / 20,
        ),
        *(
            (velocity - loudest[group]) / 20,
            length - around.mean(length),
            length,
            np.minimum(size[group], 5),
        ),
        *(
            np.minimum(gap_above, 13) / 12,
            np.minimum(gap_below, 13) / 12,
            np.minimum(above, 4),
            above > 0,
        ),
        *(step_before / 12, step_after / 12, wait[:-1][group], wait[1:][group]),
    )
    return np.column_stack(columns).astype(np.float64)


def context(notes: NoteTable, onset: Floats, end: Floats, group: Ints, score: Floats) -> Floats:
    """How a note sits with the likely melody around it, (notes, CONTEXT); ``score`` (notes,) is the
    first network's.
    """
    pitch = notes["pitch"].astype(np.float64) / 12
    velocity = notes["velocity"].astype(np.float64) / 20
    length = np.log2(np.clip(end - onset, 0.03, LONGEST))
    weight = 1 / (1 + np.exp(-np.clip(score, -20, 20))) + 1e-4
    columns = []
    for seconds in CONTEXT_SECONDS:
        window = Window(onset, seconds)
        total = window.sum(weight)
        offset = pitch - window.sum(weight * pitch) / total
        columns += [offset, np.abs(offset), np.minimum(offset**2, 2)]
    louder = velocity - window.sum(weight * velocity) / total
    longer = length - window.sum(weight * length) / total
    best = np.maximum.reduceat(score, np.searchsorted(group, np.arange(int(group[-1]) + 1)))[group]
    density = np.log(Window(onset, 3.0).mean(weight))
    columns += [louder, np.abs(louder), longer, score, best - score, best == score, density]
    return np.column_stack(columns).astype(np.float64)


def note_scores(notes: NoteTable, onset: Floats, end: Floats, group: Ints) -> Floats:
    """How much each note looks like melody, log-odds, (notes,)."""
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
    """The melody as a mask over notes that are sorted by onset; at most one note of each chord.
    Times in seconds.

    ``longest_rest`` is how long the line may rest, roughly, while other notes sound; None is for as
    long as it likes.
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
    """What to add to scores, (notes,), so that the best note within about ``seconds`` has at least
    ``SURE``.
    """
    slot = np.floor((onset - onset[0]) / (seconds / 2)).astype(np.int64)
    best = np.full(int(slot[-1]) + 3, -np.inf)
    np.maximum.at(best, slot + 1, score)
    around = np.maximum(np.maximum(best[:-2], best[1:-1]), best[2:])
    return np.asarray(np.maximum(SURE - around[slot], 0.0))


def search(group: Ints, score: Floats, pitch: Ints) -> Ints:
    """The notes of the best line by dynamic programming, ascending; at most one of each chord.

    A line gains its notes' scores and pays for leaps. The state is the line's last note; the best
    ``STATES`` are kept. The music is cut into strands that are searched side by side, so that
    Python's loop is over the steps of a strand; each begins ``WARM`` chords early and ends as many
    late, where what it finds is left to its neighbours.
    """
    order = np.lexsort((-score, group))
    ordered = group[order]
    begins = np.append(True, np.diff(ordered) > 0)
    rank = np.arange(len(order)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    order = order[(rank < CANDIDATES) & (score[order] > HOPELESS)]
    if not len(order):
        return np.asarray(order, dtype=np.int64)
    begins = np.append(True, np.diff(group[order]) > 0)
    number = np.cumsum(begins) - 1  # of the chords that have a candidate
    count = int(number[-1]) + 1
    table = np.full((count + 1, CANDIDATES), -1, dtype=np.int64)  # the last row stands for no chord
    table[number, np.arange(len(order)) - np.flatnonzero(begins)[number]] = order
    strands = -(-count // CHUNK)
    steps = CHUNK + 2 * WARM
    chord = np.arange(-WARM, CHUNK + WARM)[:, None] + np.arange(strands) * CHUNK
    which = table[
        np.where((chord < 0) | (chord >= count), count, chord)
    ]  # (steps, strands, candidates)
    gain = np.where(which >= 0, score[which], -np.inf)
    height = pitch[which]

    leaps = np.arange(512)  # 256 and more: from no note at all, for nothing
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
        reach = total[:, None, :STATES] - cost.take(
            np.abs(height[step, :, :, None] - last[:, None, :STATES])
        )
        origin[:, STATES:] = reach.argmax(axis=2)
        np.add(reach.max(axis=2), gain[step], out=total[:, STATES:])
        last[:, STATES:] = height[step]
        note[:, STATES:] = which[step]
        chosen = total.argpartition(CANDIDATES, axis=1)[:, CANDIDATES:] + base
        origin.take(chosen, out=parents[step])
        note.take(chosen, out=taken[step])
        total[:, :STATES] = total.take(chosen)
        last[:, :STATES] = last.take(chosen)
    state = total[:, :STATES].argmax(axis=1)
    row = np.arange(strands)
    line = np.full((steps, strands), -1, dtype=np.int64)
    for step in range(steps - 1, -1, -1):
        line[step] = taken[step, row, state]
        state = parents[step, row, state]
    own = line[WARM : WARM + CHUNK]
    return np.sort(own[own >= 0])


def _sounding_above(pitch: Ints, group: Ints, time: Floats, end: Floats) -> Floats:
    """How many higher notes of earlier chords sound on at each note's onset, (notes,); ``time``
    (chords,) of chords.
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
    """Semitones, at most 12, to the nearest note of the chord before and of the chord after,
    (notes,) each.
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
