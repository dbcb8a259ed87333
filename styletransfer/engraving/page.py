"""A piece laid out as a page with the staves of its ensemble.

The melody has the first voice of the first staff to itself, stems up. A part that shares this staff
is its second voice; other staves have one voice or two. A pianist's right hand shares the melody's
staff, the left hand has the lower one; notes change to the other staff where their register suits
it. Onsets and pitches are the piece's own, on the subdivisions that notation has signs for. So are
the melody's durations; the accompaniment's are made readable: short rests are filled, and notes
that overlap within a voice are tied or end. Chord symbols may stand above the first staff.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from styletransfer.music.ensemble import Ensemble, ensemble_of, stated_parts
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
"""A signature of no accidentals is taken for what programs write when they know no key if this
share more of the notes lies outside it than outside the estimated key."""
CLEFS = {"treble": (55, 127), "alto": (45, 76), "treble8vb": (43, 127), "bass": (0, 65)}
"""The clefs, as music21 names them, and the pitches beyond which a bar is better in another clef:
those on two ledger lines, below or above, where there is a clef for what lies beyond."""
CLEF_CHANGE_COST = 20.0
"""Weighed against the semitones beyond those pitches, summed over all notes: a clef changes for a
few bars or not at all."""
TEMPO_CHANGE = 0.15
"""Share by which the tempo must change at a bar line for a new mark; less is a performance's
rubato."""


@dataclass(frozen=True)
class Staff:
    """One staff of the page: its voices, upper first, and the clef of each bar.

    ``instrument``: the name before it, which staves of the same player share.
    """

    instrument: str
    voices: tuple[list[Sound], ...]
    clefs: list[str]


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
        staves: its staves, from the top.
        keys: key signatures as (bar, fifths, minor).
        tempos: tempo marks as (bar, quarters per minute).
        names: the place on the line of fifths of each note, by (tick, pitch) of its begin.
        has_melody: whether the first voice of the first staff is a melody.
        symbols: the chords above the first staff, ascending, each where it comes.
    """

    bars: list[Bar]
    staves: list[Staff]
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
    ensemble = ensemble_of(piece)
    stated = stated_parts(piece)
    places = _places(ensemble, piece, stated)
    instruments = [ensemble.staves[place].instrument for place in places]
    tones, apart = raw_tones(piece.accompaniment, instruments), APART
    if piece.feel == "performance":
        apart = PLAYED_APART
        tones = quantise(tones, bars, exact=False, apart=apart)

    held, cost = piece.feel == "score", HAND_COST if stated is None else NAMED_COST
    places = _exchanged(ensemble, places, tones, melody, held=held, hand_cost=cost)
    shares = [
        quantise(
            [tone for tone, place in zip(tones, places, strict=True) if place == staff],
            bars,
            exact=not melody,
            apart=apart,
        )
        for staff in range(len(ensemble.staves))
    ]
    keys = _keys(piece, bars)
    return Page(
        bars,
        _staves(ensemble, melody, shares, bars),
        keys,
        _tempos(piece, bars),
        _names([*melody, *chain(*shares)], bars, keys),
        bool(melody),
        [] if chords is None else _symbols(chords, bars, keys),
    )


def _places(ensemble: Ensemble, piece: Piece, stated: NDArray[np.int16] | None) -> list[int]:
    """Return the staff of each note of the accompaniment, which is that of its part."""
    if stated is None:
        part = 1 + split_hands(piece.accompaniment)
    else:
        part = stated[~piece.notes["melody"]]
    return [ensemble.parts[number].staff for number in part.tolist()]


def _exchanged(
    ensemble: Ensemble,
    places: list[int],
    tones: list[Tone],
    melody: list[Tone],
    *,
    held: bool,
    hand_cost: float,
) -> list[int]:
    """Exchange notes between a pianist's staves to suit each staff's register.

    A part that states its hand keeps it, unless the register is the other one's by far.

    Args:
        ensemble: who plays the piece.
        places: the staff of each note of the accompaniment.
        tones: the accompaniment.
        melody: the tune.
        held, hand_cost: as :func:`~styletransfer.music.hands.divide` takes them.

    Returns:
        The staff of each note of the accompaniment.
    """
    found = list(places)
    for instrument in dict.fromkeys(staff.instrument for staff in ensemble.staves):
        hands = ensemble.staves_of(instrument)
        own = [index for index, place in enumerate(places) if place in hands]
        if len(hands) != 2 or not own:
            continue
        given = [LEFT if places[index] == hands[1] else RIGHT for index in own]
        tune = melody if 0 in hands else []
        theirs = [tones[index] for index in own]
        sides = divide(theirs, given, tune, held=held, hand_cost=hand_cost)
        for index, side in zip(own, sides, strict=True):
            found[index] = hands[1] if side == LEFT else hands[0]
    return found


def _staves(
    ensemble: Ensemble, melody: list[Tone], shares: list[list[Tone]], bars: list[Bar]
) -> list[Staff]:
    """Write the staves: each share on its own, and the melody above the first one's."""
    staves = []
    for place, (staff, share) in enumerate(zip(ensemble.staves, shares, strict=True)):
        tune = [] if place else melody
        first, second = (tune, share) if tune else two_voices(share, bars)
        others = [tone for k in ensemble.staves_of(staff.instrument) for tone in shares[k]]
        voices = (
            sounds(first, bars, MELODY_JOIN if tune else JOIN, () if tune else others),
            sounds(second, bars, JOIN, others),
        )
        staves.append(Staff(staff.instrument, voices, _clefs(voices, bars, staff.clefs)))
    return staves


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


def _clefs(voices: tuple[list[Sound], ...], bars: list[Bar], allowed: tuple[str, ...]) -> list[str]:
    """Choose the clef of each bar for few ledger lines and few changes.

    ``allowed``: the staff's clefs, the usual one first.
    """
    clefs = [clef for clef in CLEFS if clef in allowed]
    cost = np.zeros((len(bars), len(clefs)))
    starts = np.array([bar.start for bar in bars])
    for sound in (s for voice in voices for s in voice):
        bar = int(np.searchsorted(starts, sound.start, side="right")) - 1
        for pitch in sound.pitches:
            for place, clef in enumerate(clefs):
                lowest, highest = CLEFS[clef]
                cost[bar, place] += max(0, lowest - pitch, pitch - highest)
    cost[0, [clef != allowed[0] for clef in clefs]] += CLEF_CHANGE_COST / 2
    return [clefs[place] for place in cheapest_path(cost, CLEF_CHANGE_COST).tolist()]
