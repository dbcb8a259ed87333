"""A piece laid out as a page for piano, with two staves.

The melody has the first voice of the upper staff to itself, stems up. The accompaniment's right
hand is the second voice there, its left hand the lower staff, in one voice or two; notes go over to
the other staff where their register wants it. Onsets and pitches are the piece's own, on the
subdivisions that notation has signs for. So are the melody's durations; the accompaniment's are
made readable: short rests are filled, and notes that overlap within a voice are tied or end. Chord
symbols may stand above the upper staff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from styletransfer.engraving.grid import (
    APART,
    LEAST,
    PLAYED_APART,
    QUARTER,
    Bar,
    Tone,
    page_bars,
    quantise,
    raw_tones,
    ticks,
)
from styletransfer.engraving.voices import Sound, sounds, two_voices
from styletransfer.music.chord_names import spelled
from styletransfer.music.chords import ChordTable
from styletransfer.music.hands import (
    HAND_COST,
    LEFT,
    NAMED_COST,
    RIGHT,
    cheapest_path,
    divide,
    split_hands,
)
from styletransfer.music.key import Key, estimate_key, out_of_key_share
from styletransfer.music.notes import Piece, make_notes
from styletransfer.music.qualities import NONE
from styletransfer.music.spelling import spell

MELODY_JOIN, JOIN = LEAST, QUARTER * 5 // 12
"""Ticks of rest that are not written: a 64th in the melody, all below an eighth in the
accompaniment."""
FOREIGN_SHARE = 0.1
"""How many more of the notes must lie outside a signature of no accidentals than outside the
estimated key for it to be taken for what programs write when they know no key."""
TREBLE, BASS = 0, 1
LOWEST_IN_TREBLE, HIGHEST_IN_BASS = 55, 65
"""Pitches beyond which a bar is better in the other clef: below two ledger lines, or above."""
CLEF_CHANGE_COST = 20.0
"""Weighed against semitones beyond those pitches, over all notes: a clef changes for a few bars or
not at all."""
TEMPO_CHANGE = 0.15
"""Share by which the tempo must change at a bar line for a new mark; less is a performance's
rubato."""


@dataclass(frozen=True)
class Staff:
    """One staff of the page: its voices, upper first, and the clef of each bar."""

    voices: tuple[list[Sound], ...]
    clefs: list[int]


class Symbol(NamedTuple):
    """A chord symbol: its tick, its quality (-1: no chord), its root and its bass.

    Root and bass are places on the line of fifths.
    """

    start: int
    quality: int
    root: int
    bass: int


@dataclass(frozen=True)
class Page:
    """What is on the page.

    Attributes:
        bars: its bars.
        upper: the upper staff.
        lower: the lower staff.
        keys: key signatures as (bar, fifths, minor).
        tempos: tempo marks as (bar, quarters per minute).
        names: the place on the line of fifths of each note, by (tick, pitch) of its begin.
        has_melody: whether the first voice of the upper staff is a melody.
        symbols: the chords above the upper staff, ascending, each where it comes.
    """

    bars: list[Bar]
    upper: Staff
    lower: Staff
    keys: list[tuple[int, int, bool]]
    tempos: list[tuple[int, float]]
    names: dict[tuple[int, int], int]
    has_melody: bool
    symbols: list[Symbol]


def lay_out(piece: Piece, chords: ChordTable | None = None) -> Page:
    """Lay out a piece with beats; what was played freely over them is quantised.

    ``chords`` stand above it as symbols.

    Raises:
        InputError: where the piece has no beats.
    """
    bars = page_bars(piece)
    melody = quantise(raw_tones(piece.melody), bars, exact=True)
    tones, apart = raw_tones(piece.accompaniment), APART
    if piece.feel == "performance":
        apart = PLAYED_APART
        tones = quantise(tones, bars, exact=False, apart=apart)
    below = _lower_staff(piece, tones, melody)
    above, under = (
        quantise(
            [tone for tone, low in zip(tones, below, strict=True) if low == side],
            bars,
            exact=not melody,
            apart=apart,
        )
        for side in (False, True)
    )

    first, second = (melody, above) if melody else two_voices(above, bars)
    others = [*above, *under]
    upper = (
        sounds(first, bars, MELODY_JOIN if melody else JOIN, () if melody else others),
        sounds(second, bars, JOIN, others),
    )
    third, fourth = two_voices(under, bars)
    low = (sounds(third, bars, JOIN, others), sounds(fourth, bars, JOIN, others))

    keys = _keys(piece, bars)
    return Page(
        bars,
        Staff(upper, _clefs(upper, bars, TREBLE)),
        Staff(low, _clefs(low, bars, BASS)),
        keys,
        _tempos(piece, bars),
        _names([*melody, *above, *under], bars, keys),
        bool(melody),
        [] if chords is None else _symbols(chords, bars, keys),
    )


def _lower_staff(piece: Piece, tones: list[Tone], melody: list[Tone]) -> list[bool]:
    """Return whether each note of the accompaniment is on the lower staff: the left hand's.

    A part that states its hand keeps it, unless the register is the other one's by far.
    """
    names, notes = [name.lower() for name in piece.parts], piece.accompaniment
    named = any("left" in name for name in names) and any("right" in name for name in names)
    if named:
        own = [LEFT if "left" in names[part] else RIGHT for part in notes["part"].tolist()]
    else:
        own = split_hands(notes).tolist()
    held, cost = piece.feel == "score", NAMED_COST if named else HAND_COST
    return [hand == LEFT for hand in divide(tones, own, melody, held=held, hand_cost=cost)]


def _keys(piece: Piece, bars: list[Bar]) -> list[tuple[int, int, bool]]:
    """Return key signatures, each at the bar in which it comes.

    They are the piece's own, or the estimated key where it has none.
    """
    tune = piece.melody if piece.notes["melody"].any() else piece.notes
    guess = estimate_key(tune)
    stated = list(piece.key_signatures)
    default = len(stated) == 1 and stated[0][1] == 0 and not stated[0][2]
    if (
        default
        and out_of_key_share(tune, Key(0, "major")) > out_of_key_share(tune, guess) + FOREIGN_SHARE
    ):
        stated = []
    found = {0: (guess.fifths, guess.mode == "minor")}
    for place, fifths, minor in stated:
        later = [index for index, bar in enumerate(bars) if bar.end > place * QUARTER + LEAST]
        if later:
            found[later[0]] = (fifths, minor)
    rows = [(bar, *key) for bar, key in sorted(found.items())]
    return [row for index, row in enumerate(rows) if not index or row[1] != rows[index - 1][1]]


def _tempos(piece: Piece, bars: list[Bar]) -> list[tuple[int, float]]:
    """Return tempo marks as (bar, quarters per minute).

    There is the first one, and each that differs much from the one before.
    """
    marks: list[tuple[int, float]] = []
    for index, bar in enumerate(bars):
        quarter = (bar.start + LEAST) / QUARTER
        at = int(np.searchsorted(piece.tempo.quarters, quarter, side="right")) - 1
        rate = 60.0 / float(piece.tempo.seconds_per_quarter[max(0, at)])
        if not marks or abs(rate / marks[-1][1] - 1) > TEMPO_CHANGE:
            marks.append((index, rate))
    return marks


def _names(
    tones: list[Tone], bars: list[Bar], keys: list[tuple[int, int, bool]]
) -> dict[tuple[int, int], int]:
    """Spell each (tick, pitch), as places on the line of fifths."""
    ends: dict[tuple[int, int], int] = {}
    for tone in tones:
        place = tone.start, tone.pitch
        ends[place] = max(tone.end, ends.get(place, 0))
    if not ends:
        return {}
    places = sorted(ends)
    start, pitch = np.array(places).T
    length = np.array([ends[place] for place in places]) - start
    notes = make_notes(start / QUARTER, length / QUARTER, pitch)
    at = np.searchsorted([bars[bar].start for bar, _, _ in keys], start, side="right") - 1
    fifths = np.array([key[1] for key in keys])[at]
    return dict(zip(places, spell(notes, fifths).tolist(), strict=True))


def _symbols(
    chords: ChordTable, bars: list[Bar], keys: list[tuple[int, int, bool]]
) -> list[Symbol]:
    """Spell the symbols of chords in the key that holds.

    A chord that comes before the page stands at its beginning.
    """
    found: list[Symbol] = []
    for chord in chords[chords["start"] < bars[-1].end / QUARTER - 1e-3]:
        tick = max(ticks(chord["start"]), bars[0].start)
        _, fifths, minor = next(key for key in reversed(keys) if bars[key[0]].start <= tick)
        named = int(chord["root"]), int(chord["quality"]), int(chord["bass"])
        symbol = Symbol(tick, NONE, 0, 0)
        if named[1] != NONE:
            symbol = Symbol(tick, named[1], *spelled(*named, fifths, minor))
        while found and found[-1].start == tick:
            found.pop()
        if not found or found[-1][1:] != symbol[1:]:
            found.append(symbol)
    return found


def _clefs(voices: tuple[list[Sound], ...], bars: list[Bar], usual: int) -> list[int]:
    """Choose the clef of each bar for few ledger lines and few changes."""
    cost = np.zeros((len(bars), 2))
    starts = np.array([bar.start for bar in bars])
    for sound in (s for voice in voices for s in voice):
        bar = int(np.searchsorted(starts, sound.start, side="right")) - 1
        for pitch in sound.pitches:
            cost[bar, TREBLE] += max(0, LOWEST_IN_TREBLE - pitch)
            cost[bar, BASS] += max(0, pitch - HIGHEST_IN_BASS)
    cost[0, 1 - usual] += CLEF_CHANGE_COST / 2
    path: list[int] = cheapest_path(cost, CLEF_CHANGE_COST).tolist()
    return path
