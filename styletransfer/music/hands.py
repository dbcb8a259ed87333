"""Which hand plays a note.

A line between the hands moves through a piece as little as it can. It is one pitch for each onset,
found by dynamic programming (Viterbi) over all pitches. A place for it is bad where it makes a hand
stretch too far, where it runs close to a note, and where it lies far from middle C; moving it costs
too. The notes around an onset count as well, so that broken chords and single lines stay in one
hand. Under a tune that the right hand plays, the line depends on what is left for it to reach.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.grip import ALL_FINGERS, SPAN
from styletransfer.music.notes import NoteTable, note_ends

RIGHT, LEFT = 0, 1
CENTRE = 60.0
LOWEST, HIGHEST = 36, 85
"""Pitches between which the line may lie; a note on or above the line is the right hand's."""
NEIGHBOURHOOD = 1.0
"""Width in quarters of the window around an onset whose notes count with it."""
STRETCH_COST, MARGIN_COST, CENTRE_COST, MOVE_COST = 1.0, 0.25, 0.03, 0.6
"""Weights, chosen on 40 keyboard scores that name their hands: 92.0 % of notes right, against 84.5
% with a line at middle C. Halving or doubling any of them changes that by less than two points."""

LINES = np.arange(28, 97)
"""Pitches between which the line may lie where a tune is above it."""
LEDGER_COST, REACH_COST, HAND_COST, NAMED_COST, STEP_COST = 0.08, 1.2, 0.8, 2.0, 0.04
"""Costs of ledger lines (times semitones beyond the first one, to the power of 1.5), of a semitone
beyond ``SPAN``, of a note that leaves its hand, as found or as named, and of moving the line by a
semitone. Chosen by looking at pages."""
TUNE_COST, CROSSING_COST, IMPOSSIBLE_COST = 4.0, 10.0, 30.0
"""Costs of a tune's note in the left hand, of hands that cross, and of a hand with more notes than
fingers or beyond its span; these are only paid where there is no other way."""
MOVES = STEP_COST * np.abs(np.subtract.outer(LINES, LINES))
MOST_DIVISIONS = 8
"""Divisions of what sounds that are followed at once."""
TOGETHER = 1 / 24
"""Quarters within which notes are struck as one chord."""


def split_hands(notes: NoteTable) -> NDArray[np.int16]:
    """Return the hand of each note, shape (notes,): 0 the right, 1 the left.

    Onsets and durations are in quarters.
    """
    if not len(notes):
        return np.zeros(0, np.int16)
    onsets, group = np.unique(notes["onset"], return_inverse=True)
    lines = np.arange(LOWEST, HIGHEST + 1)
    cost = np.stack([_costs(pitches, lines) for pitches in _around(notes, onsets)])
    path = cheapest_path(cost, MOVE_COST)
    return np.where(notes["pitch"] >= lines[path][group], RIGHT, LEFT).astype(np.int16)


def split_under(
    notes: NoteTable,
    melody: NoteTable,
    held: bool = True,
    fingers: tuple[int, int] = ALL_FINGERS,
) -> NDArray[np.int16]:
    """Return the hand of each accompaniment note, with a tune in the right hand.

    Onsets and durations are in quarters. The hands are as on the page (:func:`divide`).

    Args:
        notes: the accompaniment.
        melody: the tune; may have no notes.
        held: whether hands hold notes until they end, as in scores.
        fingers: the most notes of the left hand, and of the right.
    """
    hands = split_hands(notes).tolist()
    tones, tune = _on_grid(notes), _on_grid(melody)
    return np.array(divide(tones, hands, tune, held=held, fingers=fingers), np.int16)


def _on_grid(notes: NoteTable) -> list[tuple[float, float, int]]:
    """Return onset, end and pitch of each note, in whole numbers of :data:`TOGETHER`."""
    onset, end = (np.round(at / TOGETHER) for at in (notes["onset"], note_ends(notes)))
    return list(zip(onset.tolist(), end.tolist(), notes["pitch"].tolist(), strict=True))


def divide(
    tones: Sequence[tuple[float, float, int]],
    hand: list[int],
    melody: Sequence[tuple[float, float, int]],
    *,
    held: bool = True,
    fingers: tuple[int, int] = ALL_FINGERS,
    hand_cost: float = HAND_COST,
) -> list[int]:
    """Return the hand of each accompaniment note, by the tune in the right hand.

    A line between the hands moves through the piece as little as it can: it weighs ledger lines,
    what each hand has to reach beside what it holds, and the hand that a note has already. Where
    two hands can play the music without a stretch, these do.

    Args:
        tones: the accompaniment as (begin, end, pitch), in any unit of time.
        hand: the hand that each of these has already.
        melody: the tune, likewise; the right hand plays it where it can.
        held: whether hands hold notes until they end; otherwise the pedal has them at once.
        fingers: the most notes of the left hand, and of the right.
        hand_cost: the cost of a note that leaves the hand that it has.
    """
    struck: dict[float, list[_Struck]] = defaultdict(list)
    places: dict[float, list[int]] = defaultdict(list)
    for index, (tone, side) in enumerate(zip(tones, hand, strict=True)):
        struck[tone[0]].append(_Struck(tone[2], tone[1], side, False))
        places[tone[0]].append(index)
    for begin, end, pitch in melody if tones else ():
        struck[begin].append(_Struck(pitch, end, RIGHT, True))

    starts = sorted(struck)
    division = _Division(held, fingers, hand_cost)
    for start in starts:
        division.strike(start, struck[start])

    found = [RIGHT] * len(tones)
    for start, sides in zip(starts, division.sides(), strict=True):
        for index, side in zip(places[start], sides, strict=False):  # the tune's come last
            found[index] = side
    return found


class _Struck(NamedTuple):
    """A note, when it ends, its preferred hand, and whether it is the tune's."""

    pitch: int
    end: float
    hand: int
    tune: bool


@dataclass(frozen=True, eq=False)
class _Ways:
    """The cheapest ways to one division of what sounds, for each place of the line.

    ``cost``, ``came`` (the place of the line at the onset before) and ``which`` of the ways
    ``before`` each comes from have shape (lines,). ``sides``: the hands of the notes of this onset.
    """

    cost: NDArray[np.float64]
    came: NDArray[np.int64]
    which: NDArray[np.int64]
    before: tuple[_Ways, ...]
    sides: tuple[int, ...]


class _Division:
    """The divisions of the sounding notes, and the cheapest ways to each, by onset."""

    def __init__(self, held: bool, fingers: tuple[int, int], hand_cost: float) -> None:
        none = np.zeros(len(LINES), np.int64)
        self.held, self.hand_cost = held, hand_cost
        self.most = (fingers[1], fingers[0])  # the right hand's first
        self.sounding: list[_Struck] = []
        self.ways: dict[tuple[int, ...], _Ways] = {
            (): _Ways(np.zeros(len(LINES)), none, none, (), ())
        }

    def strike(self, now: float, notes: list[_Struck]) -> None:
        """Divide the notes of the next onset between the hands."""
        lasting = [self.held and note.end > now for note in self.sounding]
        self.sounding = [*compress(self.sounding, lasting), *notes]
        below = (np.array([[note.pitch] for note in notes]) < LINES).sum(0)  # notes below each line

        found: dict[tuple[int, ...], list[_Ways]] = defaultdict(list)
        for sides, ways in self.ways.items():
            lasts: tuple[int, ...] = tuple(compress(sides, lasting))
            through = ways.cost[:, None] + MOVES
            came, moved = through.argmin(0), through.min(0)
            for count in np.unique(below).tolist():
                lines = below == count
                new = tuple(LEFT if note.pitch < LINES[lines][0] else RIGHT for note in notes)
                cost = np.where(lines, moved + self._cost((*lasts, *new), len(lasts)), np.inf)
                found[*lasts, *new].append(_Ways(cost, came, np.zeros_like(came), (ways,), new))
        merged = {sides: _merged(ways) for sides, ways in found.items()}
        least = {sides: float(ways.cost.min()) for sides, ways in merged.items()}
        limit = min(least.values()) + IMPOSSIBLE_COST
        best = [sides for sides in sorted(least, key=least.__getitem__) if least[sides] <= limit]
        self.ways = {sides: merged[sides] for sides in best[:MOST_DIVISIONS]}

    def _cost(self, sides: tuple[int, ...], lasting: int) -> float:
        """Return the cost of a division.

        The first ``lasting`` of the notes aren't struck now.
        """
        cost = 0.0
        hands: tuple[set[int], set[int]] = set(), set()
        for index, (note, side) in enumerate(zip(self.sounding, sides, strict=True)):
            hands[side].add(note.pitch)
            if index >= lasting:
                cost += (TUNE_COST if note.tune else self.hand_cost) * (side != note.hand)
                beyond = 61 - note.pitch if side == RIGHT else note.pitch - 59
                cost += 0 if note.tune else LEDGER_COST * max(0, beyond) ** 1.5

        for pitches, most in zip(hands, self.most, strict=True):
            stretch = max(0, max(pitches, default=0) - min(pitches, default=0) - SPAN)
            impossible = (stretch > 0) + max(0, len(pitches) - most)
            cost += REACH_COST * stretch + IMPOSSIBLE_COST * impossible
        if all(hands) and max(hands[LEFT]) > min(hands[RIGHT]):
            cost += CROSSING_COST
        return cost

    def sides(self) -> list[tuple[int, ...]]:
        """Return the hands of the notes of each onset, in the order given."""
        ways = min(self.ways.values(), key=lambda one: float(one.cost.min()))
        line = int(ways.cost.argmin())
        found = []
        while ways.before:
            found.append(ways.sides)
            ways, line = ways.before[ways.which[line]], int(ways.came[line])
        return found[::-1]


def _merged(ways: list[_Ways]) -> _Ways:
    """Return the cheapest of some ways for each place of the line."""
    if len(ways) == 1:
        return ways[0]
    which = np.argmin([one.cost for one in ways], 0)
    cost, came = (
        np.choose(which, [getattr(one, name) for one in ways]) for name in ("cost", "came")
    )
    return _Ways(cost, came, which, tuple(one.before[0] for one in ways), ways[0].sides)


def _around(notes: NoteTable, onsets: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Return for each onset the pitches that begin near it."""
    starts = notes["onset"]
    order = np.argsort(starts, kind="stable")
    low = np.searchsorted(starts[order], onsets - NEIGHBOURHOOD / 2, side="left")
    high = np.searchsorted(starts[order], onsets + NEIGHBOURHOOD / 2, side="right")
    pitches = notes["pitch"][order].astype(np.int64)
    return [np.unique(pitches[a:b]) for a, b in zip(low, high, strict=True)]


def _costs(pitches: NDArray[np.int64], lines: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the cost of each place of the line for ascending pitches, shape (lines,)."""
    count = np.searchsorted(pitches, lines, side="left")  # notes below the line
    below = np.where(count > 0, pitches[np.clip(count - 1, 0, None)] - pitches[0], 0)
    above = np.where(
        count < len(pitches), pitches[-1] - pitches[np.clip(count, None, len(pitches) - 1)], 0
    )
    stretch = np.maximum(below - SPAN, 0) + np.maximum(above - SPAN, 0)
    distance = np.abs(pitches[:, None] - (lines - 0.5)).min(axis=0)
    close = np.maximum(6 - distance, 0)
    cost: NDArray[np.float64] = (
        STRETCH_COST * stretch + MARGIN_COST * close + CENTRE_COST * np.abs(lines - CENTRE)
    )
    return cost


def cheapest_path(
    cost: NDArray[np.float64], move_cost: float | NDArray[np.float64]
) -> NDArray[np.int64]:
    """Find the cheapest path through places, as indices of shape (steps,).

    Args:
        cost: of each place at each step, shape (steps, places).
        move_cost: of a move by one place, by n places n times as much; or of each move, shape
            (places, places), from and to.
    """
    steps, places = cost.shape
    distance = np.abs(np.arange(places)[:, None] - np.arange(places))
    move = move_cost if isinstance(move_cost, np.ndarray) else move_cost * distance
    total = cost[0].copy()
    came = np.zeros((steps, places), np.int64)
    for step in range(1, steps):
        through = total[:, None] + move
        came[step] = through.argmin(axis=0)
        total = through.min(axis=0) + cost[step]
    path = np.zeros(steps, np.int64)
    path[-1] = int(total.argmin())
    for step in range(steps - 1, 0, -1):
        path[step - 1] = came[step, path[step]]
    return path
