"""A song's own harmony, beat by beat, to which a new accompaniment can be held: its chord symbols, or what it plays itself.

A beat's chord is a triad or seventh: of what sounds in the beat, the share of its tones less that of others, where a seventh
has to be the better by some and a chord whose root is the lowest note is preferred a little. The chords of all beats are chosen
together, with a price on every change (Viterbi's algorithm), so that a broken chord stays one. Where nothing but the melody
sounds in a bar there is no chord, and every tone is one of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.score.hands import cheapest_path
from styletransfer.score.notes import NoteTable, Piece, make_notes
from styletransfer.tokens.chords import Harmony
from styletransfer.tokens.codec import STEPS_PER_QUARTER, Codec
from styletransfer.tokens.plan import Plan

QUALITIES = (
    (0, 4, 7),
    (0, 3, 7),
    (0, 3, 6),
    (0, 4, 8),
    (0, 4, 7, 10),
    (0, 3, 7, 10),
    (0, 4, 7, 11),
    (0, 3, 6, 10),
    (0, 3, 6, 9),
)
CHORDS = [tuple(sorted((root + step) % 12 for step in quality)) for quality in QUALITIES for root in range(12)]
ROOTS = np.tile(np.arange(12), len(QUALITIES))
TEMPLATES = np.array([[tone in chord for tone in range(12)] for chord in CHORDS], float)
SEVENTH = 0.15
"""By how much a chord of four tones has to fit better."""
ROOT = 0.1
"""What a chord gains whose root is the lowest note."""
CHANGE = 0.3
"""The price of another chord than the beat before, set by hand: a fit is 1 where all tones are of the chord."""


def without_melody(source: Piece, melody: Piece, octaves: int) -> NoteTable:
    """A song's notes without its melody, which was moved by octaves."""
    tune = set(zip(melody.notes["onset"].tolist(), (melody.notes["pitch"].astype(int) - 12 * octaves).tolist(), strict=True))
    rows = zip(source.notes["onset"].tolist(), source.notes["pitch"].tolist(), strict=True)
    notes: NoteTable = source.notes[np.array([row not in tune for row in rows], bool)]
    return notes


def harmony_of(source: Piece, melody: Piece, octaves: int, codec: Codec, plan: Plan) -> Harmony:
    """A song's harmony, on the beats of a plan (half seconds in a performance) and wherever a chord symbol stands.

    Raises:
        InputError: where it has none.
    """
    if source.chords:
        return _of_symbols(source.chords, melody, codec, plan)
    notes = without_melody(source, melody, octaves)
    if not len(notes):
        raise InputError("--chords keep: this song is a melody alone, it has no harmony to keep; leave the option out.")
    grid = codec.grid(melody.with_notes(notes))
    end = grid.onset + grid.duration
    starts, scores, silent = [], [], []
    for first, length, beats in _beats(plan):
        nothing = not _sound(grid.onset, end, grid.pitch, first, first + length).any()
        for start, stop in pairwise([*beats, first + length]):
            inside = grid.pitch[(grid.onset < stop) & (end > start)]
            starts.append(start)
            scores.append(_fit(_sound(grid.onset, end, grid.pitch, start, stop), int(inside.min()) % 12 if len(inside) else -1))
            silent.append(nothing)
    tones = (TEMPLATES[cheapest_path(-np.array(scores), CHANGE * (1 - np.eye(len(CHORDS))))] > 0) | np.array(silent)[:, None]
    return Harmony(np.array(starts), tones)


def _of_symbols(chords: tuple[tuple[float, tuple[int, ...]], ...], melody: Piece, codec: Codec, plan: Plan) -> Harmony:
    """The chords that symbols name; before the first and under "no chord" every tone is one of it."""
    quarters = np.array([quarter for quarter, _ in chords])
    placed = codec.grid(melody.with_notes(make_notes(quarters, np.ones(len(chords)), [60] * len(chords)))).onset
    starts = np.unique([*placed, *(beat for _, _, beats in _beats(plan) for beat in beats)])
    named = np.array([[tone in tones or not tones for tone in range(12)] for tones in [(), *(tones for _, tones in chords)]])
    return Harmony(starts, named[np.searchsorted(placed, starts, side="right")])


def _beats(plan: Plan) -> Iterator[tuple[int, int, range]]:
    """The first step, the length and the beats of each bar."""
    for first, length, metre in zip(plan.bar_start.tolist(), plan.bar_length.tolist(), plan.bar_metre, strict=True):
        yield first, length, range(first, first + max(length, 1), _beat(metre))


def _beat(metre: str) -> int:
    """Steps of a beat: a dotted quarter in 6/8, 9/8 and 12/8."""
    compound = metre.removeprefix("BAR_") in ("6/8", "9/8", "12/8")
    return STEPS_PER_QUARTER * 3 // 2 if compound else STEPS_PER_QUARTER


def _sound(
    onset: NDArray[np.int64], end: NDArray[np.int64], pitch: NDArray[np.int64], start: int, stop: int
) -> NDArray[np.float64]:
    """(12,) how long each pitch class sounds between two steps."""
    length = np.minimum(end, stop) - np.maximum(onset, start)
    return np.bincount(pitch[length > 0] % 12, length[length > 0].astype(float), minlength=12).astype(float)


def _fit(sound: NDArray[np.float64], bass: int) -> NDArray[np.float64]:
    """(chords,) how well each fits what sounds."""
    total = float(sound.sum())
    if not total:
        return np.zeros(len(CHORDS))
    fit: NDArray[np.float64] = 2 * (TEMPLATES @ sound) / total - 1
    fit += ROOT * (bass == ROOTS) - SEVENTH * (TEMPLATES.sum(1) == 4)
    return fit
