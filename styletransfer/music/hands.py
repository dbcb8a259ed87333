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

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import NoteTable, note_ends

SPAN = 14
"""Semitones that a hand spans with ease: a ninth (a tenth, 16, is a stretch)."""
RIGHT, LEFT = 0, 1
CENTRE = 60.0
LOWEST, HIGHEST = 36, 85
"""Pitches between which the line may lie; a note on or above the line is the right hand's."""
NEIGHBOURHOOD = 1.0
"""Width in quarters of the window around an onset whose notes count with it."""
STRETCH_COST, MARGIN_COST, CENTRE_COST, MOVE_COST = 1.0, 0.25, 0.03, 0.6
"""Weights, chosen on 40 keyboard scores that name their hands: 92.0 % of notes right, against 84.5
% with a line at middle C. Halving or doubling any of them changes that by less than two points."""

LINES = np.arange(40, 80)
"""Pitches between which the line may lie where a tune is above it."""
LEDGER_COST, REACH_COST, HAND_COST, STEP_COST = 0.08, 1.2, 0.8, 0.04
"""Costs of ledger lines (times semitones beyond the first one, to the power of 1.5), of a semitone
beyond ``SPAN``, of a note that leaves its hand, and of moving the line by a semitone. Chosen by
looking at pages."""
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


def split_under(notes: NoteTable, melody: NoteTable) -> NDArray[np.int16]:
    """Return the hand of each note of an accompaniment whose right hand plays a tune as well.

    Onsets and durations are in quarters. The hands are as on the page (:func:`divide`).
    """
    if not len(melody):
        return split_hands(notes)
    place = np.round(notes["onset"] / TOGETHER) * TOGETHER
    tones = list(
        zip(place.tolist(), note_ends(notes).tolist(), notes["pitch"].tolist(), strict=True)
    )
    tune = np.round(melody["onset"] / TOGETHER) * TOGETHER
    above = zip(tune.tolist(), note_ends(melody).tolist(), melody["pitch"].tolist(), strict=True)
    return np.array(divide(tones, split_hands(notes).tolist(), list(above)), np.int16)


def divide(
    tones: Sequence[tuple[float, float, int]],
    hand: list[int],
    melody: Sequence[tuple[float, float, int]],
) -> list[int]:
    """Return the hand of each note of an accompaniment, by what the right hand has above it.

    A line between the hands moves through the piece as little as it can: it weighs ledger lines,
    what the right hand has to reach below the melody and the left hand at once, and the hand that a
    note has already.

    Args:
        tones: the accompaniment as (begin, end, pitch), in any unit of time.
        hand: the hand that each of these has already.
        melody: the tune, likewise.
    """
    groups: dict[float, list[int]] = defaultdict(list)
    for index, tone in enumerate(tones):
        groups[tone[0]].append(index)
    starts = sorted(groups)
    if not starts:
        return []

    cost = np.stack(
        [
            _costs_under([(tones[i][2], hand[i]) for i in groups[start]], top)
            for start, top in zip(starts, _sounding(melody, starts), strict=True)
        ]
    )
    line = dict(zip(starts, LINES[cheapest_path(cost, STEP_COST)].tolist(), strict=True))
    return [LEFT if pitch < line[start] else RIGHT for start, _, pitch in tones]


def _sounding(melody: Sequence[tuple[float, float, int]], places: list[float]) -> list[int | None]:
    """Return the melody's pitch at each place, None where it rests."""
    found: list[int | None] = []
    ordered = sorted(melody)
    index = -1
    for place in places:
        while index + 1 < len(ordered) and ordered[index + 1][0] <= place:
            index += 1
        sounds = index >= 0 and ordered[index][1] > place
        found.append(ordered[index][2] if sounds else None)
    return found


def _costs_under(notes: list[tuple[int, int]], melody: int | None) -> NDArray[np.float64]:
    """Return the cost of each line for notes that begin together, shape (lines,).

    Notes are (pitch, hand).
    """
    cost = np.zeros(len(LINES))
    for index, line in enumerate(LINES.tolist()):
        up, down = [p for p, _ in notes if p >= line], [p for p, _ in notes if p < line]
        ledgers = sum(max(0, 61 - p) ** 1.5 for p in up) + sum(max(0, p - 59) ** 1.5 for p in down)
        right = up if melody is None else [*up, melody]
        stretch = sum(max(0, max(part) - min(part) - SPAN) for part in (right, down) if part)
        moved = sum((hand == LEFT) != (pitch < line) for pitch, hand in notes)
        cost[index] = LEDGER_COST * ledgers + REACH_COST * stretch + HAND_COST * moved
    return cost


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
