"""Play an arrangement that lies on its beats, with a pianist's timing and pedal.

The tempo breathes with the phrases and slows down at the end (the phrase arch and the final ritard
of the rule system of KTH: Friberg, Bresin and Sundberg, 2006), the accompaniment comes a trifle
after the melody, and the pedal changes with the bass, as much of it as pianists use in the style.
All of the rubato is in the tempo map and no note leaves its step of the grid: bar lines, the page
and ``--bars`` are those of the score.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import NoteTable, Piece, TempoMap
from styletransfer.styles.touch import USUAL, Touch
from styletransfer.tokens.codec import STEPS_PER_QUARTER
from styletransfer.transfer.performance.dynamics import arch

RUBATO = 0.12
"""How much longer a quarter is at a phrase's ends than at its peak, in a usual style."""
LAST_TEMPO = 0.5
"""The tempo at the last onset, as a share of that before the final ritard, in any style.

Measured: benchmarks/rubato.md.
"""
LATEST = 0.4
"""The most that an accompaniment note comes late, in steps of the grid.

When the file is read again, the note is still on the same step.
"""
CHANGE = 0.06
"""Seconds after a change of harmony at which the pedal goes down again."""
SHORTEST = 0.25
"""The fewest quarters between two changes of the pedal."""
UNEVEN = 2.0
"""Standard deviation of a finger's velocity."""


def perform(
    piece: Piece, touch: Touch, seed: int, window: tuple[float, float] | None = None
) -> Piece:
    """Play an arrangement of feel ``score`` as a pianist of a style would.

    The melody's ticks, pitches and durations stay.

    Args:
        piece: the arrangement.
        touch: of the style; the wider its spread of loudness, the freer its time as well (Todd,
            1992).
        seed: of fingers that aren't quite even.
        window: from and to which quarter; the rest, and the tempo, have been played already and
            stay as they are.
    """
    random, tpq = np.random.default_rng(seed), piece.ticks_per_quarter
    begin, end = window or (-np.inf, np.inf)

    notes = piece.notes.copy()
    late = LATEST / STEPS_PER_QUARTER * np.clip(random.normal(0.5, 0.3, len(notes)), 0, 1)
    uneven = random.normal(0, UNEVEN, len(notes))
    fingers = ~notes["melody"] & (notes["onset"] >= begin - 1e-6) & (notes["onset"] < end - 1e-6)

    last = notes["onset"] + notes["duration"]
    onset = np.minimum(np.floor((notes["onset"] + late) * tpq), np.ceil(last * tpq) - 1) / tpq
    notes["onset"] = np.where(fingers & (onset > notes["onset"]), onset, notes["onset"])
    notes["duration"] = last - notes["onset"]
    notes["velocity"] = np.where(
        fingers, np.clip(np.round(notes["velocity"] + uneven), 1, 127), notes["velocity"]
    )

    tempo = _rubato(piece, touch) if window is None else piece.tempo
    pedals = [
        (down, up) for down, up in _pedals(piece, touch, tempo) if begin - 1e-6 <= down < end - 1e-6
    ]
    stay = [(down, up) for down, up in piece.pedals if not begin - 1e-6 <= down < end - 1e-6]
    return replace(piece.with_notes(notes), tempo=tempo, pedals=tuple(sorted(stay + pedals)))


def notate(piece: Piece, tempo: TempoMap | None) -> Piece:
    """Write what was played as a page has it.

    The accompaniment is on its steps again, in the song's own tempo, or in that of most beats.
    """
    notes = piece.notes.copy()
    last = notes["onset"] + notes["duration"]
    step = np.floor(notes["onset"] * STEPS_PER_QUARTER + (1 - LATEST) / 2) / STEPS_PER_QUARTER
    notes["onset"] = np.where(notes["melody"], notes["onset"], np.minimum(step, notes["onset"]))
    notes["duration"] = last - notes["onset"]
    usual = TempoMap.steady(float(np.median(piece.tempo.seconds_per_quarter)))
    return replace(piece.with_notes(notes), tempo=tempo or usual)


def _rubato(piece: Piece, touch: Touch) -> TempoMap:
    """Lengthen or shorten the piece's tempo, half a quarter at a time."""
    tpq, freedom = piece.ticks_per_quarter, touch.spread / USUAL.spread
    stop = float((piece.notes["onset"] + piece.notes["duration"]).max())
    ticks = np.round(
        np.union1d(np.arange(0.0, stop, 0.5), piece.tempo.quarters[piece.tempo.quarters < stop])
        * tpq
    )
    quarters = np.unique(ticks) / tpq
    edges = np.append(quarters, max(stop, quarters[-1] + 1 / tpq))
    middle, length = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    longer = 1 - RUBATO * freedom * arch(middle, piece.bars)
    longer /= np.average(longer, weights=length)
    last = float(piece.notes["onset"].max())
    bar = piece.bars[np.clip(np.searchsorted(piece.bars["start"], last, side="right") - 1, 0, None)]
    slowing = max(last - float(bar["start"]), float(bar["length"]))
    along = np.clip((middle - (last - slowing)) / slowing, 0, 1)
    longer /= np.sqrt(1 + (LAST_TEMPO**2 - 1) * along)
    return TempoMap(quarters, np.diff(piece.tempo.to_seconds(edges)) / length * longer)


def _pedals(piece: Piece, touch: Touch, tempo: TempoMap) -> list[tuple[float, float]]:
    """Decide when the pedal is down, in quarters.

    It is down in the harmonies that it blurs least, for the style's share of time.
    """
    edges = _harmonies(piece)
    seconds = np.diff(tempo.to_seconds(edges))
    change = np.minimum(CHANGE, seconds / 4)
    blur = np.array([_blur(piece.notes, begin, end) for begin, end in pairwise(edges)])
    down = np.zeros(len(seconds), bool)
    left = touch.pedal * seconds.sum()
    for index in np.lexsort((-seconds, blur)):
        held = seconds[index] - change[index]
        if held < 2 * left:  # nearer to the share with it than without
            down[index], left = True, left - held
    tpq = piece.ticks_per_quarter
    begin = tempo.to_quarters(tempo.to_seconds(edges[:-1]) + change)
    rows = np.round(np.stack([begin, edges[1:]], 1) * tpq) / tpq
    return [(float(start), float(stop)) for start, stop in rows[down] if start < stop]


def _harmonies(piece: Piece) -> NDArray[np.float64]:
    """Find the quarters of bass moves and bar lines, shape (harmonies + 1,).

    They go from the first note to the end of the last. The bass is what lies within a fifth of the
    lowest note that is struck in its bar: an afterbeat's chord is none.
    """
    notes = piece.notes
    first, last = float(notes["onset"][0]), float((notes["onset"] + notes["duration"]).max())
    low = notes[~notes["melody"]]
    times = np.unique(low["onset"])
    lowest = np.array([low["pitch"][low["onset"] == time].min() for time in times], int)
    bar = np.searchsorted(piece.bars["start"], times + 1e-6, side="right")
    floor = np.full(len(piece.bars) + 1, 128)
    np.minimum.at(floor, bar, lowest)
    deep = lowest <= floor[bar] + 7
    moves = times[deep][np.diff(lowest[deep] % 12, prepend=-1) != 0]
    edges = np.union1d(moves, piece.bars["start"])
    edges = edges[(edges > first + SHORTEST) & (edges < last - SHORTEST)]
    # A run in the bass doesn't change the harmony at each note.
    edges = edges[np.diff(edges, prepend=first) > SHORTEST]
    return np.concatenate([[first], edges, [last]])


def _blur(notes: NoteTable, begin: float, end: float) -> float:
    """Measure how much the pedal would blur a stretch.

    The pairs of neighbouring pitch classes struck in it, for each pitch class.
    """
    struck = np.unique(
        notes["pitch"][(notes["onset"] >= begin - 1e-6) & (notes["onset"] < end - 1e-6)] % 12
    ).astype(int)
    apart = (struck[:, None] - struck[None]) % 12
    return float(np.isin(apart, (1, 2)).sum() / max(len(struck), 1))
